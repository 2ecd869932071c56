// Who a server is rented from, as far as that matters for making it new.
#pragma once
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "shared/async/async.hpp"
#include "shared/clients/time4vps/time4vps_client.hpp"
#include "shared/contracts/contracts.hpp"

namespace codegen::infra {

// Use on one thread. Cancelling a call leaves what was begun at the provider to go on there.
class Provider {
  public:
    virtual ~Provider() = default;
    // Everything on the server is deleted and its system installed anew; returns when the provider says it is done. The
    // key may log in as root then, unless the provider does not take keys.
    virtual Task<Result<void>> reinstall(contracts::Server server, std::string public_key,
                                         std::chrono::milliseconds limit) = 0;
    // A new password of root.
    virtual Task<Result<std::string>> reset_password(contracts::Server server, std::chrono::milliseconds limit) = 0;
};

// The provider that the label "provider" names. Without one ("manual") it is a machine that nobody but its owner can
// make new: both calls are refused, with the way out. "time4vps" needs the account's login.
Result<std::unique_ptr<Provider>> provider_of(const contracts::Server& server, asio::any_io_executor executor,
                                              const clients::Time4vpsOptions& time4vps);

}  // namespace codegen::infra
