// For the engine's tests: one run, everything it caused, and what its surroundings know of its workers.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "services/workflow/engine_answers.hpp"

namespace codegen::workflow {

using namespace std::chrono_literals;

class World : public Answers {
  public:
    World() {
        run.task_id = "5b0f6f0e-1d7c-4a52-9b8e-0d4f0c1a2b3c";
        run.data.project_id = "p";
        run.data.prompt = "line one\n\"quoted\" $HOME";
        run.data.trigger_request_id = "trigger";
        run.data.callback_stream = "answers";
        run.data.task_metadata = {{"agent", "custom"}, {"agent_command", "true"}, {"timeout", 60}};
    }

    bool feed(const Event& event) {
        const Run before = run;
        auto next = step(run, event, context());
        if (before.data.outcome) {
            // The first outcome stands, whatever comes after it.
            EXPECT_TRUE(next.run.data.outcome);
            if (next.run.data.outcome) EXPECT_EQ(next.run.data.outcome->ending, before.data.outcome->ending);
        }
        if (!next.accepted) EXPECT_EQ(next.run.request_id, before.request_id);
        if (next.accepted) settle_bodies(before, event);
        run = std::move(next.run);
        for (auto& effect : next.effects) note(effect);
        EXPECT_LE(bodies.size(), 1u) << "a run has one body at a time";
        return next.accepted;
    }

    // -- what may come next
    const std::string& fence() const { return run.request_id; }
    bool begin() { return feed(Begin{}) && run.node == Node::prepare; }
    bool repository(std::optional<std::string> tests = {}) {
        return feed(RepositoryReady{fence(), "shop", "/r/p.git", std::move(tests)});
    }
    bool create(bool success = true) { return feed(WorkerCreated{created(fence(), success)}); }
    bool develop(contracts::DeveloperWorkerOutput out) { return feed(DeveloperFinished{std::move(out)}); }
    bool develop() { return develop(output(fence(), 0)); }
    bool collect() { return feed(WorkCollected{collected(fence(), 2)}); }
    bool remove(bool success = true) { return feed(WorkerDeleted{deleted(fence(), success)}); }
    bool overdue() {
        if (run.deadline) now = std::max(now, *run.deadline);
        return feed(DeadlinePassed{fence()});
    }
    // To where the developer works.
    void to_develop(std::optional<std::string> tests = {}) {
        begin();
        repository(std::move(tests));
        create();
        ASSERT_EQ(run.node, Node::develop);
    }
    // From there to where the tests run.
    void to_test() {
        develop();
        collect();
        ASSERT_EQ(run.node, Node::park);
        remove();
        ASSERT_EQ(run.node, Node::create_tester);
        create();
        ASSERT_EQ(run.node, Node::test);
    }
    bool tested(int exit_code, const std::string& text = "2 of 3 passed") {
        return develop(test_output(fence(), exit_code, text));
    }

    // The answer that the fence waits for.
    Event fitting(std::mt19937& random) {
        const auto& id = run.request_id;
        const auto any = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
        switch (run.node) {
            case Node::prepare:
                if (any(8) == 0) return RepositoryFailed{id, "disk full"};
                if (any(4) == 0 && !run.data.scaffolded)
                    return CodeBaseMissing{id, "shop", {contracts::ServiceModule::backend}};
                return RepositoryReady{id, "shop", "/repositories/p.git",
                                       any(3) ? std::optional<std::string>("make test") : std::nullopt};
            case Node::scaffold:
                return ProjectScaffolded{scaffolded(id, any(6) != 0)};
            case Node::create_worker:
            case Node::create_tester:
                return WorkerCreated{created(id, any(6) != 0)};
            case Node::develop:
                return DeveloperFinished{output(id, any(8))};
            case Node::test:
                if (any(5) == 0) return DeveloperFinished{output(id, any(8))};
                return DeveloperFinished{test_output(id, any(2), "output")};
            case Node::collect:
                return WorkCollected{collected(id, any(6))};
            case Node::park:
            case Node::remove_tester:
            case Node::remove_worker:
                return WorkerDeleted{deleted(id, any(4) != 0)};
            case Node::blocked:
                if (any(2)) return ResumeAsked{"use tabs"};
                [[fallthrough]];
            case Node::pause:
                if (run.deadline) now = std::max(now, *run.deadline);
                return DeadlinePassed{id};
            case Node::done:
                break;
        }
        return ResendDue{};
    }

    Context context() {
        return {now, [this] { return "id-" + std::to_string(++ids); }, {}, policy};
    }

    // -- what it sent
    boost::json::object last_command() const { return commands.empty() ? boost::json::object() : commands.back(); }
    contracts::DeveloperWorkerInput last_input() const {
        auto parsed = json::parse<contracts::DeveloperWorkerInput>(inputs.back());
        EXPECT_TRUE(parsed);
        return parsed.value_or(contracts::DeveloperWorkerInput{});
    }
    // Of the workers that were asked for: those whose last word was not that everything of them goes.
    std::set<std::string> left_behind() const {
        std::set<std::string> out;
        for (const auto& [worker, gone] : gone_)
            if (!gone) out.insert(worker);
        return out;
    }
    static std::string text(const boost::json::object& object, std::string_view name) {
        const auto* value = object.if_contains(name);
        return value && value->is_string() ? std::string(value->get_string()) : std::string();
    }

    Policy policy;
    int ids = 0;
    int creates = 0;
    int deletes = 0;
    int answers = 0;
    std::vector<std::string> endings;
    boost::json::object result;           // of the ending
    boost::json::object metadata;         // of the task, as last written
    std::vector<std::string> executions;  // ids
    std::map<std::string, boost::json::object> rows;
    std::vector<std::string> requests;  // everything that may ever be answered
    std::vector<std::string> inputs;
    std::set<std::string> input_requests;
    std::vector<boost::json::object> commands;  // worker:commands
    std::set<std::string> bodies;               // workers that may exist now

  private:
    // What an accepted answer says about the bodies there are.
    void settle_bodies(const Run& before, const Event& event) {
        if (const auto* made = std::get_if<WorkerCreated>(&event); made && !made->response.success) {
            const bool tester = before.node == Node::create_tester;
            bodies.erase(tester ? before.data.tests.tester : before.data.worker_id);
            if (tester || !before.data.continuing)
                gone_[tester ? before.data.tests.tester : before.data.worker_id] = true;
        }
        if (const auto* removed = std::get_if<WorkerDeleted>(&event); removed && removed->response.success)
            bodies.erase(before.node == Node::remove_tester ? before.data.tests.tester : before.data.worker_id);
    }

    void note_command(const std::string& message) {
        const auto body = boost::json::parse(message).as_object();
        commands.push_back(body);
        const auto kind = text(body, "command");
        requests.push_back(text(body, "request_id"));
        if (kind == "create") {
            ++creates;
            const auto name = text(body.at("config").as_object(), "name");
            bodies.insert(name);
            gone_[name] = false;
        } else if (kind == "delete") {
            ++deletes;
            gone_[text(body, "worker_id")] = !body.contains("keep_workspace");
        }
    }

    void note(const Effect& effect) {
        if (const auto* call = std::get_if<CallApi>(&effect)) {
            const auto body = boost::json::parse(call->body).as_object();
            if (call->method == "POST") {
                executions.push_back(text(body, "id"));
                rows[executions.back()] = body;
            }
            if (const auto* changed = body.if_contains("task_metadata")) metadata = changed->as_object();
            if (const auto status = text(body, "status");
                call->method == "PATCH" && !status.empty() && status != "running") {
                endings.push_back(status);
                result = body.at("result").as_object();
            }
        } else if (const auto* message = std::get_if<Publish>(&effect)) {
            if (message->stream == "answers") ++answers;
            if (message->stream == "worker:commands") {
                note_command(message->message);
            } else if (message->stream.starts_with("worker:") && message->stream.ends_with(":input")) {
                inputs.push_back(message->message);
                const auto id = text(boost::json::parse(message->message).as_object(), "request_id");
                requests.push_back(id);
                input_requests.insert(id);
            }
        }
    }

    std::map<std::string, bool> gone_;
};

}  // namespace codegen::workflow
