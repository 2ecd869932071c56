#include "shared/clients/api/pending.hpp"

#include "shared/base/ids.hpp"

namespace codegen::clients {

Task<Result<void>> forget_pending(ApiClient* api, std::string_view resource, std::string request_id) {
    if (!is_uuid(request_id)) co_return Result<void>();  // of another program: none is kept
    auto gone = co_await api->call("DELETE", std::string(resource) + "/" + request_id);
    if (!gone && gone.error().code != "not_found") co_return std::unexpected(gone.error());
    co_return Result<void>();
}

}  // namespace codegen::clients
