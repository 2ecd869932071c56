// A conversation with the real Claude Code goes on in another body: the provider is asked whether it heard the
// beginning.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>

#include "shared/base/ids.hpp"
#include "shared/testing/fake_model_provider.hpp"
#include "tests/harness/control_plane.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {
namespace json = boost::json;
using namespace std::chrono_literals;

class ClaudeSessions : public OnEachRuntime {
  protected:
    ControlPlane::Options options() const {
        return {.runtime = runtime(),
                .environment = {{"ANTHROPIC_BASE_URL", provider_.base_url()}, {"ANTHROPIC_API_KEY", provider_.key()}}};
    }
    static json::object command(ControlPlane& plane, json::object message) {
        const auto request = new_uuid();
        message["request_id"] = request;
        message["callback_stream"] = "test:answers";
        plane.redis({"XADD", "worker:commands", "*", "data", json::serialize(message)});
        json::object found;
        eventually(
            "an answer to " + std::string(message.at("command").as_string()),
            [&] {
                for (const auto& entry : plane.stream("test:answers")) {
                    auto answer = json::parse(*entry.field("data")).as_object();
                    if (answer.at("request_id").as_string() == request) found = std::move(answer);
                }
                return !found.empty();
            },
            180s);
        if (found.empty() || !found.at("success").as_bool()) ADD_FAILURE() << json::serialize(found) << plane.log();
        return found;
    }
    static void create(ControlPlane& plane, const std::string& worker, const std::string& type,
                       const std::string& session = {}) {
        json::object context{{"user_id", "1"}};
        if (!session.empty()) context["session_id"] = session;
        command(plane, {{"command", "create"},
                        {"config",
                         {{"name", worker},
                          {"worker_type", type},
                          {"agent_type", "claude"},
                          {"instructions", "Be brief."},
                          {"allowed_commands", json::array{"result", "respond"}},
                          {"capabilities", json::array{}}}},
                        {"context", context}});
    }
    static void remove(ControlPlane& plane, const std::string& worker) {
        command(plane, {{"command", "delete"}, {"worker_id", worker}});
    }
    json::object say(ControlPlane& plane, const std::string& worker, const std::string& prompt) {
        provider_.push(ModelTurn::say(R"(Noted. <result>{"status":"success","summary":"noted"}</result>)"));
        const auto request = new_uuid();
        const json::object input{{"request_id", request},
                                 {"user_id", 1},
                                 {"task_id", new_uuid()},
                                 {"prompt", prompt},
                                 {"project_id", new_uuid()}};
        plane.redis({"XADD", "worker:" + worker + ":input", "*", "data", json::serialize(input)});
        json::object found;
        eventually(
            "a result",
            [&] {
                for (const auto& entry : plane.stream("worker:" + worker + ":output")) {
                    auto output = json::parse(*entry.field("data")).as_object();
                    if (output.at("request_id").as_string() == request) found = std::move(output);
                }
                return !found.empty();
            },
            90s);
        if (found.empty()) ADD_FAILURE() << "no result\n" << plane.log();
        return found;
    }
    // What the provider heard with the last prompt.
    std::string heard() const {
        const auto requests = provider_.main_requests();
        return requests.empty() ? "" : json::serialize(requests.back().json.at("messages"));
    }
    FakeModelProvider provider_;
    const std::string name_ = "talk-" + random_token(3);
};

TEST_P(ClaudeSessions, GoOnInANewWorkerAndALostOneIsSaidToBeLost) {
    ControlPlane plane(options());
    create(plane, name_ + "a", "developer");
    const auto first = say(plane, name_ + "a", "remember the word heron");
    ASSERT_TRUE(first.contains("session_id")) << json::serialize(first);
    EXPECT_FALSE(first.contains("session_lost"));
    const std::string session = first.at("session_id").as_string().c_str();
    remove(plane, name_ + "a");

    create(plane, name_ + "b", "developer", session);
    const auto second = say(plane, name_ + "b", "which word was it?");
    EXPECT_TRUE(heard().contains("remember the word heron")) << heard();
    EXPECT_TRUE(heard().contains("which word was it?"));
    EXPECT_EQ(second.at("session_id").as_string(), session);
    EXPECT_FALSE(second.contains("session_lost")) << json::serialize(second);
    // A body that dies gives it to the next one too.
    plane.kill_body(name_ + "b");
    ASSERT_TRUE(eventually("the end is known", [&] {
        return plane.redis({"HGET", "worker:status:" + name_ + "b", "status"}).text == "FAILED";
    }));
    create(plane, name_ + "c", "developer", session);
    say(plane, name_ + "c", "and now?");
    EXPECT_TRUE(heard().contains("which word was it?")) << heard();
    remove(plane, name_ + "c");

    std::filesystem::remove_all(plane.state() / "sessions" / session);
    create(plane, name_ + "d", "developer", session);
    const auto lost = say(plane, name_ + "d", "do you know me?");
    EXPECT_FALSE(heard().contains("heron"));
    ASSERT_TRUE(lost.contains("session_lost")) << json::serialize(lost);
    EXPECT_TRUE(lost.at("session_lost").as_bool());
    EXPECT_FALSE(say(plane, name_ + "d", "and now?").contains("session_lost")) << "said once";
}

TEST_P(ClaudeSessions, APersonsGoesOnWhenTheBodyIsLost) {
    ControlPlane plane(options());
    create(plane, name_, "po");
    say(plane, name_, "remember the word heron");
    plane.kill_body(name_);
    const auto answer = say(plane, name_, "which word was it?");
    EXPECT_TRUE(heard().contains("remember the word heron")) << heard();
    EXPECT_TRUE(answer.at("is_final").as_bool());
    EXPECT_FALSE(answer.contains("session_lost")) << json::serialize(answer);
}

CODEGEN_ON_EACH_RUNTIME(ClaudeSessions);

}  // namespace
}  // namespace codegen::testing
