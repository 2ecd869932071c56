// Acceptance E: what does not validate becomes a dead letter with the original bytes; the queue keeps moving.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <fstream>

#include "shared/base/ids.hpp"
#include "tests/harness/control_plane.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {

class Malformed : public OnEachRuntime {
  protected:
    static const std::string& field(const redis::StreamEntry& entry, const char* name) {
        static const std::string kNone;
        const auto* value = entry.field(name);
        return value ? *value : kNone;
    }
    // Adds `bytes` to `stream` and waits for its dead letter; returns the letter's error text.
    static std::string dead_letter(ControlPlane& plane, const std::string& stream, const std::string& bytes) {
        plane.redis({"XADD", stream, "*", "data", bytes});
        std::string error;
        eventually("a dead letter of " + stream + " with " + bytes, [&] {
            for (const auto& entry : plane.stream(stream + ":dlq")) {
                if (field(entry, "original_message") != bytes) continue;
                const auto context = boost::json::parse(field(entry, "error_context")).as_object();
                EXPECT_EQ(context.at("category").as_string(), "permanent");
                EXPECT_EQ(context.at("stream").as_string(), stream);
                EXPECT_FALSE(context.at("entry_id").as_string().empty());
                error = context.at("error").as_string().c_str();
                return true;
            }
            return false;
        });
        return error;
    }
};

TEST_P(Malformed, EveryConsumedStreamKeepsWhatItCannotReadAndGoesOn) {
    ControlPlane plane({.runtime = runtime()});
    const auto listed = plane.run({std::string(CODEGEN_BIN_DIR) + "/orchestratord", "consumers"});
    ASSERT_EQ(listed.exit_code, 0) << listed.errors;
    const auto consumers = listed.json().as_array();
    ASSERT_GE(consumers.size(), 6u);

    const auto project = plane.create_project("p");
    const auto waiting = plane.start_task(project, kWaitForGo + "echo x > x; " + kCommitAndReport);
    const auto worker = plane.wait_for_worker(waiting);
    int streams = 0;
    for (const auto& consumer : consumers) {
        std::string stream = consumer.at("stream").as_string().c_str();
        if (stream.contains("worker:po:")) continue;  // no PO worker lives here; the wrapper's own tests have one
        if (const auto at = stream.find("{worker_id}"); at != std::string::npos) stream.replace(at, 11, worker);
        if (const auto at = stream.find("{host}"); at != std::string::npos)
            stream.replace(at, 6, plane.redis({"HGET", "worker:status:" + worker, "host"}).text);
        SCOPED_TRACE(stream);
        ++streams;
        EXPECT_TRUE(dead_letter(plane, stream, "not json \x01\xff").contains("JSON"));
        EXPECT_FALSE(dead_letter(plane, stream, R"({"version":"1"})").empty());
        // A wrong type of a field that every message has.
        const auto error =
            dead_letter(plane, stream,
                        R"({"request_id":7,"timestamp":"yesterday","command":"fly","event":"flown","status":"odd"})");
        EXPECT_TRUE(error.contains("request_id") || error.contains("command") || error.contains("event") ||
                    error.contains("timestamp"))
            << error;
    }
    EXPECT_GE(streams, 6);
    // The next good message of every stream is handled: a whole task passes through all of them.
    std::ofstream(plane.worker_directory(worker) / "workspace" / "go") << "go";
    EXPECT_EQ(plane.wait_for_end(waiting).at("status").as_string(), "completed");
    const auto next = plane.start_task(project, "echo y > y; " + kCommitAndReport);
    EXPECT_EQ(plane.wait_for_end(next).at("status").as_string(), "completed");
}

// Such an entry has no `data`; its answer proves that it was read, not that the sweeper found the task.
TEST_P(Malformed, AnEntryWrittenFieldByFieldIsRead) {
    ControlPlane plane({.runtime = runtime()});
    const auto project = plane.create_project("older");
    const auto id = new_uuid();
    const auto created =
        plane.api("/api/tasks", "POST",
                  boost::json::serialize(boost::json::object{
                      {"id", id},
                      {"project_id", project},
                      {"type", "engineering"},
                      {"spec", "do it"},
                      {"task_metadata", {{"agent", "custom"}, {"agent_command", "echo x > x; " + kCommitAndReport}}}}));
    ASSERT_TRUE(created.as_object().contains("id")) << boost::json::serialize(created);
    plane.redis({"XADD", "engineering:queue", "*", "task_id", id, "project_id", project, "user_id", "1",
                 "callback_stream", "older:answers"});
    EXPECT_EQ(plane.wait_for_end(id).at("status").as_string(), "completed");
    eventually("the result is on the callback stream", [&] { return plane.stream("older:answers").size() == 1; });
}

CODEGEN_ON_EACH_RUNTIME(Malformed);

}  // namespace
}  // namespace codegen::testing
