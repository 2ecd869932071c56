// One provisioning, from the first SSH attempt to the last task: what is done on the server and asked of its provider.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "services/infra-service/ansible.hpp"
#include "services/infra-service/provider.hpp"
#include "services/infra-service/records.hpp"
#include "services/infra-service/ssh_connection.hpp"
#include "services/infra-service/store.hpp"

namespace codegen::infra {

struct WorkOptions {
    std::filesystem::path folder;     // <state>/infra; its parent exists
    std::filesystem::path playbooks;  // with provision.yml, recover.yml, callback/
    std::string ansible = "ansible-playbook";
    // Of the whole, and as long again for a provider that installs anew; then everything is stopped.
    milliseconds time_limit{900000};
    std::vector<milliseconds> ssh_waits{milliseconds(2000), milliseconds(5000)};                // three attempts
    std::vector<milliseconds> boot_waits = std::vector<milliseconds>(30, milliseconds(10000));  // of a new system
    std::vector<std::int64_t> open_ports{80, 443};  // beside SSH's and those that are taken on the server
    std::string deploy_user = "codegen";
    std::vector<std::string> packages{"ca-certificates", "curl", "iproute2", "procps", "rsync", "sudo"};
    int disk_limit_percent = 85;  // recovery makes room beyond it
    int docker_patience = 20;     // seconds that Docker may take to answer before it counts as hanging
    int firewall_patience = 120;  // seconds after which rules that nobody could log in under are taken back
    clients::Time4vpsOptions time4vps;
};

// Use on one thread. Records and store outlive it.
class Work {
  public:
    using Progress = std::function<void(std::string)>;  // a line for people
    Work(asio::any_io_executor executor, Records& records, Store& store, WorkOptions options);

    // How it ended, also badly. An error: the API or the database is away, or this is cancelled; then it is done again.
    Task<Result<Ending>> run(contracts::ProvisionerMessage message, contracts::Server server, Progress progress);
    const WorkOptions& options() const { return options_; }

  private:
    struct Job;
    Task<Result<void>> steps(Job* job);
    Task<Result<void>> prepare_keys(Job* job);
    Task<Result<std::string>> own_key(const RunDirectory* run);
    Task<Result<void>> reinstall(Job* job);
    Task<Result<void>> lose_deployments(Job* job);
    Task<Result<void>> log_in(Job* job);
    Task<Result<std::vector<int>>> sshd_ports(Job* job);
    Task<Result<void>> play(Job* job);
    Task<Result<void>> redeploy(Job* job);
    Task<Result<void>> start_containers(Job* job, contracts::ServiceDeployment deployment);
    SshTarget target_of(const Job& job) const;
    std::string sudo_of(const Job& job) const;  // before a command that needs root
    Ending ending_of(const Job& job, const Result<void>& done) const;

    asio::any_io_executor executor_;
    Records& records_;
    Store& store_;
    const WorkOptions options_;
};

}  // namespace codegen::infra
