// Acceptance E: what does not validate becomes a dead letter with the original bytes; the queue keeps moving.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <map>

#include "shared/base/ids.hpp"
#include "shared/posix/file.hpp"
#include "tests/harness/control_plane.hpp"
#include "tests/harness/direct_worker.hpp"
#include "tests/harness/product_owner.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {
namespace json = boost::json;

class Malformed : public OnEachRuntime {
  protected:
    static std::string with(std::string text, const std::string& placeholder, const std::string& value) {
        if (const auto at = text.find(placeholder); at != std::string::npos)
            text.replace(at, placeholder.size(), value);
        return text;
    }
    static const std::string& field(const redis::StreamEntry& entry, const char* name) {
        static const std::string none;
        const auto* value = entry.field(name);
        return value ? *value : none;
    }
    // Adds `bytes` to `stream` and waits for its dead letter; returns the letter's error text.
    static std::string dead_letter(ControlPlane& plane, const std::string& stream, const std::string& bytes) {
        plane.redis({"XADD", stream, "*", "data", bytes});
        std::string error;
        eventually("a dead letter of " + stream + " with " + bytes, [&] {
            for (const auto& entry : plane.stream(stream + ":dlq")) {
                if (field(entry, "original_message") != bytes) continue;
                const auto context = json::parse(field(entry, "error_context")).as_object();
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

// What a stream's messages look like: the smallest one (every field of it is required), and where its enums are.
struct Shape {
    json::object smallest;
    std::vector<std::string> enums;
};

Shape shape_of(const std::string& message) {
    static const std::map<std::string, std::vector<std::string>> enums{
        {"CreateWorkerCommand", {"command", "config.worker_type", "config.agent_type"}},
        {"CreateWorkerResponse", {}},
        {"DeveloperWorkerInput", {}},
        {"DeveloperWorkerOutput", {"status"}},
        {"EngineeringMessage", {}},
        {"POWorkerInput", {}},
        {"ProvisionerMessage", {}},
        {"ScaffolderMessage", {}},
        {"ScaffolderResult", {"status"}},
        {"WorkerLifecycleEvent", {"event"}},
        {"WorkflowCommand", {"command"}}};
    // Of several contracts on one stream, one.
    const auto name = message == "WorkerCommand"    ? "CreateWorkerCommand"
                      : message == "WorkerResponse" ? "CreateWorkerResponse"
                                                    : message;
    const auto golden = std::filesystem::path(CODEGEN_SOURCE_DIR) / "shared/contracts/golden/ours/queues";
    auto smallest = json::parse(posix::read_file(golden / (name + ".minimal.json"), 4096).value()).as_object();
    if (message == "WorkerCommand") smallest["command"] = "create";  // tells the commands apart
    return {std::move(smallest), enums.at(name)};
}

// The paths of all fields, also of objects in objects.
std::vector<std::string> paths_of(const json::object& object, const std::string& prefix = {}) {
    std::vector<std::string> out;
    for (const auto& [name, value] : object) {
        out.push_back(prefix + std::string(name));
        if (value.is_object())
            std::ranges::copy(paths_of(value.as_object(), out.back() + "."), std::back_inserter(out));
    }
    return out;
}

// `object` with the field at `path` replaced, or without it.
std::string changed(json::object object, const std::string& path, std::optional<json::value> value) {
    auto* place = &object;
    auto name = path;
    for (std::size_t dot; (dot = name.find('.')) != std::string::npos; name.erase(0, dot + 1))
        place = &place->at(name.substr(0, dot)).as_object();
    EXPECT_TRUE(place->contains(name)) << path;
    if (value)
        (*place)[name] = *value;
    else
        place->erase(name);
    return json::serialize(object);
}

TEST_P(Malformed, EveryConsumedStreamKeepsWhatItCannotReadAndGoesOn) {
    ControlPlane plane({.runtime = runtime(), .environment = {{"SCAFFOLDER", "on"}}});
    const auto listed = plane.run({std::string(CODEGEN_BIN_DIR) + "/orchestratord", "consumers"});
    ASSERT_EQ(listed.exit_code, 0) << listed.errors;
    const auto consumers = listed.json().as_array();
    ASSERT_GE(consumers.size(), 10u);

    const auto project = plane.create_project("p");
    const auto waiting = plane.start_task(project, kWaitForGo + "echo x > x; " + kCommitAndReport);
    const auto worker = plane.wait_for_worker(waiting);
    const auto po = "po-" + random_token(3);
    ASSERT_TRUE(create_product_owner(plane, po, "cat").at("success").as_bool());
    auto pooled = direct_config(direct_name(), {"bash", "-c", "orchestrator result --status success --summary done"});
    pooled["pool"] = true;
    ASSERT_EQ(create_directly(plane, pooled).at("success"), true);
    const auto host = plane.redis({"HGET", "worker:status:" + worker, "host"}).text;

    const auto check = [&](const std::string& stream, const Shape& shape) {
        SCOPED_TRACE(stream);
        EXPECT_TRUE(dead_letter(plane, stream, "not json \x01\xff").contains("JSON"));
        const auto expect = [&](const std::string& bytes, const std::string& wanted) {
            const auto error = dead_letter(plane, stream, bytes);
            EXPECT_TRUE(error.starts_with(wanted)) << error << "\n of " << bytes;
            EXPECT_FALSE(error.contains("; ")) << "nothing else is wrong: " << error;
        };
        for (const auto& path : paths_of(shape.smallest)) {
            expect(changed(shape.smallest, path, std::nullopt), path + ": required field is missing");
            expect(changed(shape.smallest, path, 0.5), path + ": expected ");
        }
        for (const auto& path : shape.enums)
            expect(changed(shape.smallest, path, "flown"), path + ": unknown value \"flown\", expected one of");
    };
    for (const auto& consumer : consumers) {
        const std::string stream = consumer.at("stream").as_string().c_str();
        const std::string message = consumer.at("message").as_string().c_str();
        if (stream == "worker:{worker_id}:input") {  // of either kind of worker
            ASSERT_EQ(message, "DeveloperWorkerInput or POWorkerInput");
            check("worker:" + worker + ":input", shape_of("DeveloperWorkerInput"));
            check("worker:" + po + ":input", shape_of("POWorkerInput"));
        } else {
            check(with(with(stream, "{worker_id}", po), "{host}", host), shape_of(message));
        }
    }

    // The next good message of every stream is handled. A whole task passes through most of them.
    std::ofstream(plane.worker_directory(worker) / "workspace" / "go") << "go";
    EXPECT_EQ(plane.wait_for_end(waiting).at("status").as_string(), "completed");
    const auto next = plane.start_task(project, "echo y > y; " + kCommitAndReport);
    EXPECT_EQ(plane.wait_for_end(next).at("status").as_string(), "completed");
    // workflow:commands
    const auto unwanted = plane.start_task(project, kWaitForGo);
    plane.wait_for_worker(unwanted);
    EXPECT_EQ(plane.orchestrator({"engineering", "cancel", unwanted}).exit_code, 0);
    EXPECT_EQ(plane.wait_for_end(unwanted).at("status").as_string(), "cancelled");
    // scaffolder:queue, scaffolder:results
    const auto scaffolded = plane.start_task(plane.create_project("new"), "echo z > z; " + kCommitAndReport);
    EXPECT_EQ(plane.wait_for_end(scaffolded).at("status").as_string(), "completed");
    // worker:po:{worker_id}:input, worker:{worker_id}:input
    for (const bool directed : {false, true})
        EXPECT_EQ(answer(plane, po, say(plane, po, "hello", directed)).at("text").as_string(), "hello");
    // worker:developer:input
    const auto request = new_uuid();
    plane.redis({"XADD", "worker:developer:input", "*", "data",
                 json::serialize(json::object{
                     {"request_id", request}, {"task_id", new_uuid()}, {"project_id", project}, {"prompt", "do it"}})});
    EXPECT_EQ(direct_answer(plane, "worker:developer:output", request).at("worker_id"), pooled.at("name"));
    // provisioner:queue: a server that is not there is answered, too.
    plane.redis(
        {"XADD", "provisioner:queue", "*", "data",
         json::serialize(json::object{{"server_handle", "nowhere"}, {"callback_stream", "malformed:servers"}})});
    eventually("infra-service answers", [&] { return !messages(plane, "malformed:servers").empty(); });
    EXPECT_EQ(messages(plane, "malformed:servers")[0].at("status").as_string(), "failed");
    // worker:commands:{host}, worker:lifecycle:{host}: what a manager was given by another one.
    const json::object question{
        {"command", "status"}, {"worker_id", po}, {"callback_stream", "malformed:answers"}, {"request_id", new_uuid()}};
    plane.redis({"XADD", "worker:commands:" + host, "*", "data", json::serialize(question)});
    eventually("the manager answers", [&] { return !messages(plane, "malformed:answers").empty(); });
    EXPECT_EQ(messages(plane, "malformed:answers")[0].at("status").as_string(), "running");
    const json::object event{{"worker_id", po}, {"event", "stopped"}};
    plane.redis({"XADD", "worker:lifecycle:" + host, "*", "data", json::serialize(event)});
    eventually("the event shows",
               [&] { return plane.redis({"HGET", "worker:status:" + po, "status"}).text == "COMPLETED"; });
}

// Such an entry has no `data`; its answer proves that it was read, not that the sweeper found the task.
TEST_P(Malformed, AnEntryWrittenFieldByFieldIsRead) {
    ControlPlane plane({.runtime = runtime()});
    const auto project = plane.create_project("older");
    const auto id = new_uuid();
    const auto created =
        plane.api("/api/tasks", "POST",
                  json::serialize(json::object{
                      {"id", id},
                      {"project_id", project},
                      {"type", "engineering"},
                      {"spec", "do it"},
                      {"task_metadata", {{"agent", "custom"}, {"agent_command", "echo x > x; " + kCommitAndReport}}}}));
    ASSERT_TRUE(created.as_object().contains("id")) << json::serialize(created);
    plane.redis({"XADD", "engineering:queue", "*", "task_id", id, "project_id", project, "user_id", "1",
                 "callback_stream", "older:answers"});
    EXPECT_EQ(plane.wait_for_end(id).at("status").as_string(), "completed");
    eventually("the result is on the callback stream", [&] { return plane.stream("older:answers").size() == 1; });
}

CODEGEN_ON_EACH_RUNTIME(Malformed);

}  // namespace
}  // namespace codegen::testing
