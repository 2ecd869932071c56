// provisioner:queue and provisioner:results.
#pragma once
#include <vector>

#include "shared/contracts/queues/base.hpp"

namespace codegen::contracts {

struct ProvisionerMessage : BaseMessage {
    std::string server_handle;
    bool force_reinstall = false;
    bool is_recovery = false;

    static constexpr std::array<std::string_view, 2> defaulted{"force_reinstall", "is_recovery"};
};
BOOST_DESCRIBE_STRUCT(ProvisionerMessage, (BaseMessage), (server_handle, force_reinstall, is_recovery))

struct ProvisionerResult : BaseResult {
    std::string server_handle;
    std::optional<std::string> server_ip;
    std::int64_t services_redeployed = 0;
    std::optional<std::vector<std::string>> errors;

    static constexpr std::array<std::string_view, 1> defaulted{"services_redeployed"};
};
BOOST_DESCRIBE_STRUCT(ProvisionerResult, (BaseResult), (server_handle, server_ip, services_redeployed, errors))

}  // namespace codegen::contracts
