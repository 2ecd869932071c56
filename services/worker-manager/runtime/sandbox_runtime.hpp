// Runtime "sandbox": the wrapper is a process of this host, each agent run a bubblewrap of it (docs: workers,
// "Sandbox"). No daemon, no image, no root needed. Bodies outlive this object and this process: wrapper.pid in each
// worker's state directory is what a restarted manager finds.
#pragma once
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <set>

#include "services/worker-manager/runtime/agent_identities.hpp"
#include "services/worker-manager/runtime/agent_store.hpp"
#include "services/worker-manager/runtime/cgroups.hpp"
#include "services/worker-manager/runtime/commands_beside.hpp"
#include "services/worker-manager/runtime/sandbox_body.hpp"
#include "services/worker-manager/runtime/worker_runtime.hpp"
#include "shared/async/scope.hpp"
#include "shared/process/process.hpp"

namespace codegen::worker_manager {

struct SandboxOptions {
    std::string installation;
    std::filesystem::path workers;         // <state>/workers: each worker's directories are <workers>/<id>
    std::filesystem::path agents;          // <state>/agents
    std::filesystem::path agent_scripts;   // with <agent>/install.sh
    std::string bwrap = "/usr/bin/bwrap";  // setting SANDBOX_BWRAP
    int uid_base = 200000;                 // setting SANDBOX_UID_BASE; as root only
    int uid_count = 10000;
};

class SandboxRuntime : public WorkerRuntime {
  public:
    SandboxRuntime(asio::any_io_executor executor, SandboxOptions options);

    std::string name() const override { return "sandbox"; }
    Task<Result<void>> probe() override;
    Task<Result<std::string>> prepare_image(ImageRequest request, std::function<void(std::string)> progress) override;
    AgentIdentity agent_identity(const std::string& worker_id) override;
    Task<Result<std::string>> start(BodySpec spec) override;
    Task<Result<void>> remove(std::string worker_id, std::chrono::milliseconds grace) override;
    Task<Result<void>> pause(std::string worker_id) override;
    Task<Result<void>> resume(std::string worker_id) override;
    Task<Result<std::vector<Body>>> list() override;
    Task<void> watch(std::function<Task<void>(BodyEnd)> on_end) override;
    Task<Result<std::pair<int, std::string>>> run_inside(std::string worker_id, std::vector<std::string> argv,
                                                         std::chrono::milliseconds timeout) override;

  protected:
    // What the wrapper of this body reads, before it is started.
    virtual Result<void> write_files(const BodySpec& spec, const SandboxTools& tools);
    // After the wrapper is gone: what may have outlived it. Here nothing can: bubblewrap dies with it.
    virtual Task<void> end_leftovers(std::string worker_id);
    void say_missing_limits() const;  // once, in the log
    WorkerDirectories directories(const std::string& worker_id) const { return {options_.workers / worker_id}; }
    std::weak_ptr<bool> alive() const { return alive_; }  // expired: this object is gone

    // Constant.
    const asio::any_io_executor executor_;
    const SandboxOptions options_;
    const bool root_;
    CommandsBeside commands_;

  private:
    Result<void> check(const BodySpec& spec) const;
    std::vector<std::pair<std::string, PidFile>> known_bodies() const;  // of this installation
    void supervise(std::string worker_id, PidFile file, std::shared_ptr<process::Child> child);
    Task<void> wait_for_end(std::string worker_id, PidFile file, std::shared_ptr<process::Child> child);
    Task<void> end_processes(PidFile file, std::chrono::milliseconds grace);
    Result<void> signal_tree(const std::string& worker_id, int number) const;
    void report(BodyEnd end);
    process::Spec bwrap_spec(std::vector<std::string> command, const std::string& filter, AgentIdentity identity) const;

    AgentIdentities identities_;
    AgentStore agents_;
    Cgroups cgroups_;
    std::set<std::string> supervised_;  // body ids that a wait_for_end watches
    std::deque<BodyEnd> ends_;          // for watch()
    asio::steady_timer ended_;          // wakes watch()
    // Gone when this object is: a wait that resumes later touches nothing.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    async::Scope scope_;
};

}  // namespace codegen::worker_manager
