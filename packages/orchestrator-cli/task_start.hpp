// What every `... start` does: the task into the API, then its message into the queue; and the wait for its end.
#pragma once
#include <functional>
#include <string>

#include "packages/orchestrator-cli/command.hpp"

namespace codegen::cli {

struct WaitOptions {
    bool wait = false;
    bool follow = false;
    std::optional<int> limit;  // seconds
    int seconds() const { return limit.value_or(3600); }
};
void add_wait_options(CLI::App* command, WaitOptions& options);  // --follow, --wait-timeout
// A limit of a wait that nobody asked for.
std::expected<void, Failure> check_wait(const WaitOptions& options);

// A queue that tasks are started through.
struct StartQueue {
    std::string_view stream;
    std::string_view group;
    std::string_view role;     // who takes from it, for people
    std::string_view way_out;  // when nobody does
};
extern const StartQueue kEngineeringQueue;
extern const StartQueue kDeployQueue;
extern const StartQueue kProvisionerQueue;

// The failure "no_role" when nobody takes from the queue: what is not written does not wait for ever. A role that is
// just starting is waited for; what cannot be known does not hinder.
Task<std::expected<void, Failure>> check_taken(std::shared_ptr<Session> session, StartQueue queue);

// Writes the task and then its message; a task of this id that is there already (a repeat) is taken as it is, and what
// takes the message knows it by the task's id. Refused, with nothing written, when no running role takes from the
// queue. A queue that is away is no failure: the workflow's sweeper finds the stored task.
Task<Outcome> start_task(Invocation invocation, contracts::TaskCreate task, StartQueue queue,
                         std::function<std::string(const contracts::TaskRecord&)> message, WaitOptions wait);

// Until the task has ended. The failure "timeout" holds the task's last state when that takes too long.
Task<Outcome> wait_for_task(Invocation invocation, std::string task_id, WaitOptions options);

// --id: a UUID made by the caller, else a new one.
std::expected<std::string, Failure> task_id_of(const std::string& given);
void add_task_id_option(CLI::App* command, std::string& id);

}  // namespace codegen::cli
