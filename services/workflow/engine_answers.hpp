// For the engine's tests: what workers and the worker-manager answer to a run.
#pragma once
#include "services/workflow/engine.hpp"
#include "shared/json/json.hpp"

namespace codegen::workflow {

class Answers {
  public:
    std::string current_worker() const {
        return run.node == Node::create_tester || run.node == Node::test || run.node == Node::remove_tester
                   ? run.data.tests.tester
                   : run.data.worker_id;
    }
    contracts::CreateWorkerResponse created(std::string id, bool success) const {
        contracts::CreateWorkerResponse out;
        out.request_id = std::move(id);
        out.success = success;
        out.worker_id = current_worker();
        if (!success) out.error = refusal;
        return out;
    }
    contracts::ScaffolderResult scaffolded(std::string id, bool success) const {
        contracts::ScaffolderResult out;
        out.request_id = std::move(id);
        out.project_id = run.data.project_id;
        out.status = success ? contracts::ResultStatus::success : contracts::ResultStatus::failed;
        if (success)
            out.repo_url = "/repositories/p.git";
        else
            out.error = "the template asks \"x\"";
        return out;
    }
    contracts::DeveloperWorkerOutput output(std::string id, int kind) const {
        contracts::DeveloperWorkerOutput out;
        out.request_id = std::move(id);
        out.task_id = run.task_id;
        out.timestamp = now;
        out.status = contracts::ResultStatus::success;
        if (kind != 2) out.verdict.emplace();
        if (kind == 1) out.status = contracts::ResultStatus::timeout;
        if (kind == 3) {
            out.verdict->status = contracts::VerdictStatus::failure;
            out.verdict->summary = "tabs or spaces?";
            out.verdict->data["blocked"] = true;
        }
        if (kind == 4) return failed_output(out.request_id, Reason::infrastructure);
        if (kind == 5) return failed_output(out.request_id, Reason::out_of_memory);
        return out;
    }
    contracts::DeveloperWorkerOutput failed_output(std::string id, Reason reason) const {
        contracts::DeveloperWorkerOutput out;
        out.request_id = std::move(id);
        out.task_id = run.task_id;
        out.timestamp = now;
        out.status = contracts::ResultStatus::error;
        out.reason = reason;
        out.error = "why";
        return out;
    }
    contracts::DeveloperWorkerOutput test_output(std::string id, int exit_code, const std::string& text) const {
        auto out = output(std::move(id), 0);
        out.verdict->summary = "output: " + text;
        out.verdict->data["exit_code"] = exit_code;
        return out;
    }
    static contracts::CollectWorkerResponse collected(std::string id, int kind) {
        contracts::CollectWorkerResponse out;
        out.request_id = std::move(id);
        out.success = kind != 0;
        if (kind > 1) {
            out.commit_sha = "abc";
            out.commits = 1;
        }
        return out;
    }
    static contracts::DeleteWorkerResponse deleted(std::string id, bool success) {
        contracts::DeleteWorkerResponse out;
        out.request_id = std::move(id);
        out.success = success;
        return out;
    }

    Run run;
    Timestamp now = from_micros(1'700'000'000'000'000);
    std::string refusal = "no_capacity: full";
};

}  // namespace codegen::workflow
