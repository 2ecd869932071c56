// Servers, incidents and deployments as the API keeps them.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "services/infra-service/ending.hpp"
#include "services/infra-service/playbook_report.hpp"
#include "shared/clients/api/api_client.hpp"

namespace codegen::infra {

// Of `labels`.
inline constexpr std::string_view kHostKeyLabel = "ssh_host_key";    // "ssh-ed25519 AAAA...", written when first seen
inline constexpr std::string_view kPortLabel = "ssh_port";           // a number; default 22
inline constexpr std::string_view kProviderLabel = "provider";       // "time4vps"; default "manual"
inline constexpr std::string_view kProviderIdLabel = "provider_id";  // the server's name there; default: by its address
// "" when it is absent or no text; numbers become text.
std::string label(const contracts::Server& server, std::string_view name);

// Use on one thread. `api` carries the token of infra-service and outlives this. Errors are those of the client; a
// server that is not there is "not_found". Every change may be repeated. Labels are read and written back: who changes
// a server holds its lease.
class Records {
  public:
    explicit Records(clients::ApiClient& api) : api_(api) {}

    Task<Result<contracts::Server>> server(std::string handle);
    Task<Result<void>> begin(contracts::Server server, bool recovery, Timestamp now);  // status provisioning
    Task<Result<std::optional<std::string>>> private_key(std::string handle);          // that the server was added with
    // The orchestrator's own private key; nullopt: it has none yet.
    Task<Result<std::optional<std::string>>> own_key();
    Task<Result<void>> keep_own_key(std::string private_key);
    Task<Result<void>> keep_host_key(std::string handle, std::string key);  // empty: forget it
    Task<Result<void>> keep_facts(std::string handle, HostFacts facts);
    Task<Result<std::vector<contracts::ServiceDeployment>>> deployments(std::string handle);
    Task<Result<void>> set_deployment(std::int64_t id, contracts::DeploymentStatus status);
    Task<Result<std::vector<std::int64_t>>> ports(std::string handle);  // that are taken on it
    // Requests that the API keeps until they are taken, and that nobody took since `before`.
    Task<Result<std::vector<contracts::ProvisionerMessage>>> pending(Timestamp before);
    Task<Result<void>> taken(std::string request_id);  // it need not keep this one any longer
    // The server's status and its incidents as they are after `ending`.
    Task<Result<void>> tell(std::string handle, Ending ending, Timestamp now);

  private:
    Task<Result<void>> patch(std::string target, boost::json::object changes);
    Task<Result<std::vector<contracts::Incident>>> active(std::string handle);
    Task<Result<void>> open(std::string handle, Ending ending, std::vector<contracts::Incident> active, Timestamp now);
    clients::ApiClient& api_;
};

}  // namespace codegen::infra
