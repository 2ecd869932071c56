// What a node of the run is, and what it may do. One file a node.
#pragma once
#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/workflow/engine.hpp"

namespace codegen::workflow {

// The run being moved, and what comes of it.
class Mover {
  public:
    Mover(Run& moved, std::vector<Effect>& out, const Context& surroundings)
        : run(moved), effects(out), context(surroundings) {}

    // Enters `next`: fresh fence, its deadline, its request sent.
    void go(Node next);
    // The task's one outcome: writes it down and goes to remove the worker, or to the end when there is none.
    void end(Outcome outcome);
    void fail(Reason reason, std::string error) { end({Ending::failed, reason, std::move(error)}); }
    // The end of this attempt: another one where the policy allows it (retry.cpp), else the end of the task.
    void fail_attempt(Reason reason, std::string error);

    void publish(std::string stream, std::string message) {
        effects.push_back(Publish{std::move(stream), std::move(message)});
    }
    void command(std::string message) { publish("worker:commands", std::move(message)); }
    void delete_worker(std::string request_id, std::string worker_id, bool keep_workspace = false);
    void patch_task(boost::json::object fields);
    void progress(contracts::ProgressType type, std::string_view current_step, std::string message, int percent,
                  std::optional<std::string> error = {});

    Run& run;
    std::vector<Effect>& effects;
    const Context& context;
};

// `request` sends what the node waits for; called on entry and whenever it must be sent again, so it depends on the run
// alone. `answer` gets only answers to the node's own fence. `limit` absent: waits without a deadline.
struct NodeDefinition {
    Node node;
    std::optional<std::chrono::milliseconds> (*limit)(const Run&, const Timings&);
    void (*enter)(Mover&);
    void (*request)(Mover&);
    void (*answer)(Mover&, const Event&);
    void (*overdue)(Mover&);
};

extern const NodeDefinition kPrepare;
extern const NodeDefinition kScaffold;
extern const NodeDefinition kCreateWorker;
extern const NodeDefinition kDevelop;
extern const NodeDefinition kBlocked;
extern const NodeDefinition kCollect;
extern const NodeDefinition kPark;
extern const NodeDefinition kCreateTester;
extern const NodeDefinition kTest;
extern const NodeDefinition kRemoveTester;
extern const NodeDefinition kPause;
extern const NodeDefinition kRemoveWorker;
extern const NodeDefinition kDone;
const NodeDefinition& definition(Node node);

// finish.cpp: an outcome that was not published yet, with the rows it still owes. A run that was about to try again,
// but cannot get rid of its worker, ends with the failure it had.
void settle(Mover& mover, std::optional<boost::json::object> gateway);
// finish.cpp: the outcome as the task's row, progress and the asker's result. Once.
void publish_outcome(Mover& mover);
void answer_asker(Mover& mover);  // the EngineeringResult, to the callback stream if there is one
// execution.cpp: the row of the developer request that ended, once. `ended`: how, when the task has no outcome yet.
// `gateway`: the worker's counts, when known.
void post_execution(Mover& mover, std::optional<boost::json::object> gateway, std::optional<Outcome> ended = {});
// The same of one run of the project's tests.
void post_test_execution(Mover& mover, std::optional<boost::json::object> gateway);

// retry.cpp: counts a retry and notes where it goes on after Node::pause. False: the policy allows no more.
bool try_again(Mover& mover, const Outcome& failure, Node from);
void begin_attempt(Run& run);  // a new worker, workspace and conversation
// What the developer hears next, in the worker, workspace and conversation that it had.
void continue_with(Run& run, std::string message);
// create_tester.cpp: the tests could not be run.
void fail_test(Mover& mover, Reason reason, std::string error);
// blocked.cpp: a person's answer becomes what the conversation goes on with.
void take_guidance(Mover& mover, const std::string& guidance);

// A setting of task_metadata; absent when missing or null.
std::optional<std::string> text_setting(const Run& run, std::string_view name);
std::optional<double> number_setting(const Run& run, std::string_view name);  // above 0, else absent
int timeout_seconds(const Run& run);
contracts::CreateWorkerCommand create_command(const Mover& mover, contracts::WorkerConfig config);
// What the whole task may spend on models; none: no limit.
std::optional<double> budget_usd(const Run& run);

}  // namespace codegen::workflow
