// One task with a known trace: its id is found wherever the task was worked on.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "tests/harness/control_plane.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {

constexpr auto kTraceId = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr auto kCorrelationId = "order-66";

class Trace : public OnEachRuntime {
  protected:
    static bool carries_trace(const std::vector<redis::StreamEntry>& entries) {
        return !entries.empty() && std::ranges::all_of(entries, [](const redis::StreamEntry& entry) {
            const auto* trace = entry.field("traceparent");
            return trace && trace->contains(kTraceId);
        });
    }
    static std::string in_words(const std::vector<redis::StreamEntry>& entries) {
        std::string out;
        for (const auto& entry : entries)
            for (const auto& [name, value] : entry.fields) out += name + "=" + value + "\n";
        return out;
    }
    // A line of orchestratord's log with all of this.
    static bool logged(const ControlPlane& plane, const std::vector<std::string>& parts) {
        std::istringstream lines(plane.log());
        for (std::string line; std::getline(lines, line);)
            if (std::ranges::all_of(parts, [&](const auto& part) { return line.contains(part); })) return true;
        return false;
    }
};

TEST_P(Trace, GoesFromTheCommandToTheResult) {
    ControlPlane plane({.runtime = runtime()});
    const auto project = plane.create_project("traced");
    const auto started = plane.orchestrator(
        {"engineering", "start", "--project", project, "--spec", "x", "--agent", "custom", "--agent-command",
         "echo $TRACEPARENT > trace; orchestrator engineering status $TASK_ID >/dev/null; " + kCommitAndReport},
        {},
        {{"TRACEPARENT", std::string("00-") + kTraceId + "-00f067aa0ba902b7-01"}, {"CORRELATION_ID", kCorrelationId}});
    ASSERT_EQ(started.exit_code, 0) << started.output << started.errors;
    const std::string task = started.json().at("data").at("id").as_string().c_str();
    const auto record = plane.wait_for_end(task);
    ASSERT_EQ(record.at("status").as_string(), "completed") << boost::json::serialize(record);

    const std::string trace_field = std::string("trace_id=") + kTraceId;
    const std::string correlation_field = std::string("correlation_id=") + kCorrelationId;
    EXPECT_TRUE(logged(plane, {"request", "method=POST", "path=/api/tasks", trace_field, correlation_field})) << "API";
    const auto queue = plane.stream("engineering:queue");
    EXPECT_TRUE(carries_trace(queue)) << "queue entry";
    EXPECT_TRUE(queue.at(0).field("data")->contains(kCorrelationId));
    EXPECT_TRUE(logged(plane, {"run started", trace_field, correlation_field})) << "workflow";
    EXPECT_TRUE(logged(plane, {"run moved", "to=collect", trace_field, correlation_field})) << "workflow, much later";
    const auto worker = "dev-" + task + "-1";
    EXPECT_TRUE(carries_trace(plane.stream("worker:commands"))) << "create, collect and delete of the worker";
    const auto answers = plane.stream("worker:responses:developer");
    EXPECT_TRUE(carries_trace(answers)) << "their answers: " << in_words(answers);
    EXPECT_TRUE(carries_trace(plane.stream("worker:developer:output"))) << "what the developer put out";
    EXPECT_TRUE(logged(plane, {"method=PATCH", "path=/api/tasks/" + task, trace_field})) << "the result's way back";
    EXPECT_EQ(record.at("result").at("trace_id").as_string(), kTraceId);
    // The agent's own view, and what its wrapper says.
    const std::string commit = record.at("result").at("commit_sha").as_string().c_str();
    const auto repository = (plane.state() / "repositories" / (project + ".git")).string();
    EXPECT_TRUE(plane.run({"git", "-C", repository, "show", commit + ":trace"}).output.contains(kTraceId));
    const auto wrapper_log = plane.orchestrator({"worker", "logs", worker});
    EXPECT_TRUE(wrapper_log.output.contains(kTraceId)) << wrapper_log.output;
}

TEST_P(Trace, OfATaskThatNobodyTracedIsItsOwn) {
    ControlPlane plane({.runtime = runtime()});
    const auto task = plane.start_task(plane.create_project("untraced"), kCommitAndReport + "; true");
    const auto record = plane.wait_for_end(task);
    const std::string trace = record.at("result").at("trace_id").as_string().c_str();
    EXPECT_EQ(trace.size(), 32u);
    EXPECT_TRUE(logged(plane, {"path=/api/tasks", "trace_id=" + trace}));
}

CODEGEN_ON_EACH_RUNTIME(Trace);

}  // namespace
}  // namespace codegen::testing
