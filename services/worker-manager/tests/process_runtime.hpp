// The one stand-in of the service tests: bodies are plain processes of this host, found again by the files they leave.
// What it does not do - isolate - is what the integration tests of the real runtimes check.
#pragma once
#include <signal.h>

#include <charconv>
#include <deque>

#include "services/worker-manager/runtime/worker_runtime.hpp"
#include "shared/async/scope.hpp"
#include "shared/base/ids.hpp"
#include "shared/posix/file.hpp"
#include "shared/process/process.hpp"

namespace codegen::worker_manager {

class ProcessRuntime final : public WorkerRuntime {
  public:
    ProcessRuntime(asio::any_io_executor executor, std::filesystem::path workers)
        : executor_(executor),
          workers_(std::move(workers)),
          wake_(executor, asio::steady_timer::time_point::max()),
          scope_(executor) {}
    ~ProcessRuntime() override {
        for (auto& [id, pid] : pids_) ::kill(-pid, SIGKILL);
    }

    std::string name() const override { return called; }
    Task<Result<void>> probe() override { co_return Result<void>{}; }
    Task<Result<std::string>> prepare_image(ImageRequest, std::function<void(std::string)>) override {
        ++images;
        while (hold_images) co_await async::sleep_for(std::chrono::milliseconds(5));
        if (image_error) co_return std::unexpected(*image_error);
        co_return "worker:test";
    }
    Task<Result<std::vector<BuiltImage>>> built_images() override { co_return built; }
    Task<Result<void>> remove_image(std::string tag) override {
        if (keep_images) co_return fail(ErrorCategory::permanent, "conflict", "somebody else's container uses it");
        std::erase_if(built, [&](const BuiltImage& image) { return image.tag == tag; });
        co_return Result<void>{};
    }
    AgentIdentity agent_identity(const std::string&) override { return {10001, 10001}; }
    Task<Result<std::string>> start(BodySpec spec) override {
        if (start_error) co_return std::unexpected(*start_error);
        specs[spec.worker_id] = spec;
        process::Spec child;
        child.argv = {"sleep", "600"};
        child.environment = process::minimal_environment();
        child.die_with_parent = true;
        auto started = process::start(executor_, std::move(child), spec.directories.state() / "wrapper.log");
        if (!started) co_return std::unexpected(started.error());
        ++starts;
        const int pid = (*started)->pid();
        pids_[spec.worker_id] = pid;
        std::shared_ptr<process::Child> shared = std::move(*started);
        scope_.spawn("body " + spec.worker_id, wait(spec.worker_id, pid, shared));
        while (hold_starts) co_await async::sleep_for(std::chrono::milliseconds(5));
        co_return body_id(pid);
    }
    Task<Result<void>> remove(std::string worker_id, std::chrono::milliseconds) override {
        if (unreachable) co_return fail(ErrorCategory::transient, "unavailable", "the engine does not answer");
        ++removals;
        while (hold_removals) co_await async::sleep_for(std::chrono::milliseconds(5));
        removed_.insert(worker_id);
        if (const auto found = pids_.find(worker_id); found != pids_.end()) {
            ::kill(-found->second, SIGKILL);
            pids_.erase(found);
        }
        co_return Result<void>{};
    }
    Task<Result<void>> pause(std::string worker_id) override {
        if (unreachable) co_return fail(ErrorCategory::transient, "unavailable", "the engine does not answer");
        ::kill(-pids_.at(worker_id), SIGSTOP);
        paused.insert(worker_id);
        co_return Result<void>{};
    }
    Task<Result<void>> resume(std::string worker_id) override {
        if (unreachable) ++refused;
        if (unreachable) co_return fail(ErrorCategory::transient, "unavailable", "the engine does not answer");
        ::kill(-pids_.at(worker_id), SIGCONT);
        paused.erase(worker_id);
        co_return Result<void>{};
    }
    Task<Result<std::vector<Body>>> list() override {
        if (unreachable) co_return fail(ErrorCategory::transient, "unavailable", "the engine does not answer");
        std::vector<Body> out;
        for (const auto& [id, pid] : pids_)
            out.push_back({id, body_id(pid), specs.at(id).attempt, ::kill(pid, 0) == 0});
        for (const auto& body : strangers) out.push_back(body);
        co_return out;
    }
    Task<void> watch(std::function<Task<void>(BodyEnd)> on_end) override {
        for (;;) {
            while (!ends_.empty()) {
                auto end = std::move(ends_.front());
                ends_.pop_front();
                co_await on_end(std::move(end));
            }
            co_await wake_.async_wait(async::use_tuple);
        }
    }
    Task<Result<std::pair<int, std::string>>> run_inside(std::string worker_id, std::vector<std::string> argv,
                                                         std::chrono::milliseconds timeout) override {
        if (unreachable) co_return fail(ErrorCategory::transient, "unavailable", "the engine does not answer");
        process::Spec spec;
        spec.argv = std::move(argv);
        spec.environment = process::minimal_environment();
        spec.directory = workers_ / worker_id / "workspace";
        auto ended = co_await process::run(std::move(spec), {.timeout = timeout, .output_bytes = 1u << 20});
        if (!ended) co_return std::unexpected(ended.error());
        if (ended->end == process::Outcome::End::timeout)
            co_return fail(ErrorCategory::transient, "timeout", ended->describe());
        co_return std::pair(ended->end == process::Outcome::End::exited ? ended->code : 128 + ended->code,
                            ended->output + ended->errors);
    }

    void kill(const std::string& worker_id, int number = SIGKILL) { ::kill(-pids_.at(worker_id), number); }
    bool runs(const std::string& worker_id) const {
        return pids_.contains(worker_id) && ::kill(pids_.at(worker_id), 0) == 0;
    }
    bool was_removed(const std::string& worker_id) const { return removed_.contains(worker_id); }
    static std::string body_id(int pid) { return "pid:" + std::to_string(pid); }
    void report(BodyEnd end) {
        ends_.push_back(std::move(end));
        wake_.cancel();
    }

    std::string called = "process";
    int images = 0;
    int starts = 0;
    int refused = 0;  // wishes to resume, while unreachable
    int removals = 0;
    bool hold_images = false;
    bool hold_removals = false;
    bool hold_starts = false;  // the body runs, nobody is told
    bool unreachable = false;
    bool mark_out_of_memory = false;
    bool silent = false;  // ends leave no trace, as of a container that somebody removed
    bool keep_images = false;
    std::vector<BuiltImage> built;
    std::optional<Error> image_error;
    std::optional<Error> start_error;
    std::vector<Body> strangers;
    std::set<std::string> paused;
    std::map<std::string, BodySpec> specs;

  private:
    Task<void> wait(std::string worker_id, int pid, std::shared_ptr<process::Child> child) {
        const int status = co_await child->wait();
        if (status < 0) co_return;
        pids_.erase(worker_id);
        if (silent) co_return;
        BodyEnd end{worker_id, body_id(pid), {}, mark_out_of_memory};
        end.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        report(std::move(end));
    }

    const asio::any_io_executor executor_;
    const std::filesystem::path workers_;
    std::map<std::string, int> pids_;
    std::set<std::string> removed_;
    std::deque<BodyEnd> ends_;
    asio::steady_timer wake_;
    async::Scope scope_;
};

}  // namespace codegen::worker_manager
