// What the gateway decides about a running worker, with the whole product around it: budgets, limits, patience, hosts.
#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <fstream>

#include "shared/testing/fake_model_provider.hpp"
#include "tests/harness/control_plane.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {

using namespace std::chrono_literals;

class GatewayRules : public OnEachRuntime {
  protected:
    std::map<std::string, std::string> settings(std::map<std::string, std::string> more = {}) {
        more.insert({{"ANTHROPIC_BASE_URL", provider_.base_url()}, {"ANTHROPIC_API_KEY", provider_.key()}});
        return more;
    }
    void answer_always(ModelTurn turn) {
        for (int i = 0; i < 500; ++i) provider_.push(turn);
    }
    // 1000 USD per million tokens: an answer of the fake provider costs 0.13075.
    static void price(ControlPlane& plane) {
        plane.api("/api/available-models/m", "PUT",
                  R"({"provider": "fake", "input_price": 1000, "output_price": 1000})");
    }
    static std::string status_of(const boost::json::object& record) {
        return std::string(record.at("status").as_string());
    }
    static std::string error_of(const boost::json::object& record) {
        return std::string(record.at("error_message").as_string());
    }
    boost::json::object counts(ControlPlane& plane, const std::string& task) {
        const auto rows = plane.api("/api/task-executions?task_id=" + task).as_array();
        return rows.empty() ? boost::json::object{} : rows.at(0).at("result_data").at("gateway").as_object();
    }

    FakeModelProvider provider_{{.every_message_is_main = true}};
};

// A shell function of the agent: asks the model once and prints the answer.
const std::string kAsk = R"(ask() {
  body='{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
  exec 3<>/dev/tcp/127.0.0.1/${HTTPS_PROXY##*:} || return
  printf 'POST /model/anthropic/v1/messages HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %s\r\n\r\n%s' ${#body} "$body" >&3
  cat <&3; exec 3<&-
}
)";
const std::string kAskForEver = kAsk + "while :; do ask >/dev/null; sleep 0.05; done";

TEST_P(GatewayRules, ABudgetStopsATaskInTheMiddleOfItsRun) {
    answer_always(ModelTurn::say("x"));
    ControlPlane plane({.runtime = runtime(), .environment = settings()});
    price(plane);
    const auto task = plane.start_task(plane.create_project("p"), kAskForEver, "spend", {"--budget-usd", "0.2"});
    const auto record = plane.wait_for_end(task);
    EXPECT_EQ(status_of(record), "failed");
    EXPECT_EQ(plane.reason(record), "budget");
    EXPECT_NE(error_of(record).find("the budget is 0.2 USD"), std::string::npos) << error_of(record);
    EXPECT_EQ(provider_.main_requests().size(), 2u);
    const auto kept = counts(plane, task);
    EXPECT_EQ(kept.at("model_cost_microusd"), 261500);
    EXPECT_EQ(kept.at("model_requests"), 2);
    EXPECT_EQ(kept.at("model_input_tokens"), 200);
    EXPECT_GT(kept.at("model_bytes_received").as_int64(), 100);
}

TEST_P(GatewayRules, TheTokensOfATaskAreLimited) {
    answer_always(ModelTurn::say("x"));
    ControlPlane plane({.runtime = runtime(), .environment = settings({{"MAX_TOKENS_PER_TASK", "300"}})});
    const auto record = plane.wait_for_end(plane.start_task(plane.create_project("p"), kAskForEver));
    EXPECT_EQ(plane.reason(record), "budget");
    EXPECT_NE(error_of(record).find("MAX_TOKENS_PER_TASK"), std::string::npos) << error_of(record);
    EXPECT_EQ(provider_.main_requests().size(), 3u);
}

TEST_P(GatewayRules, AModelWithoutAPriceSpendsNoBudgetUnseen) {
    ControlPlane plane({.runtime = runtime(), .environment = settings()});
    const auto task = plane.start_task(plane.create_project("p"), kAskForEver, "spend", {"--budget-usd", "5"});
    const auto record = plane.wait_for_end(task);
    EXPECT_EQ(plane.reason(record), "budget");
    EXPECT_NE(error_of(record).find("/api/available-models/m"), std::string::npos) << error_of(record);
    EXPECT_TRUE(provider_.main_requests().empty());
}

TEST_P(GatewayRules, ACrashOfTheControlPlaneForgetsNothingOfABudget) {
    answer_always(ModelTurn::say("x"));
    ControlPlane plane({.runtime = runtime(), .environment = settings()});
    price(plane);
    const auto task = plane.start_task(plane.create_project("p"), kAsk + "ask; touch once; " + kWaitForGo + kAskForEver,
                                       "spend", {"--budget-usd", "0.3"});
    const auto worker = plane.wait_for_worker(task);
    const auto workspace = plane.worker_directory(worker) / "workspace";
    ASSERT_TRUE(eventually("the first answer", [&] { return std::filesystem::exists(workspace / "once"); }));
    plane.kill_hard();
    plane.start();
    std::ofstream(workspace / "go").close();
    const auto record = plane.wait_for_end(task);
    EXPECT_EQ(plane.reason(record), "budget") << boost::json::serialize(record);
    EXPECT_EQ(provider_.main_requests().size(), 3u) << "one before the crash, two after it";
}

TEST_P(GatewayRules, AProviderThatOnlyFailsEndsTheRunOfAnAgentThatNeverGivesUp) {
    answer_always(ModelTurn::fail(529, "overloaded"));
    ControlPlane plane({.runtime = runtime(), .environment = settings({{"PROVIDER_PATIENCE", "1"}})});
    const auto task = plane.start_task(plane.create_project("p"), kAskForEver);
    const auto record = plane.wait_for_end(task);
    EXPECT_EQ(status_of(record), "failed");
    EXPECT_EQ(plane.reason(record), "provider_error");
    EXPECT_NE(error_of(record).find("status 529"), std::string::npos) << error_of(record);
    EXPECT_GE(counts(plane, task).at("model_errors").as_int64(), 3);
}

TEST_P(GatewayRules, AProjectsOwnHostsAreReachedByItsWorkersAlone) {
    boost::asio::io_context io;
    boost::asio::ip::tcp::acceptor listener(io, {boost::asio::ip::address_v4::loopback(), 0});
    const auto target = "127.0.0.1:" + std::to_string(listener.local_endpoint().port());
    ControlPlane plane({.runtime = runtime(), .environment = settings()});
    const auto open = plane.create_project("open");
    const auto closed = plane.create_project("closed");
    plane.api("/api/projects/" + open, "PATCH", R"({"config": {"egress_allow": [")" + target + R"("]}})");
    const auto reach = [&](const std::string& project) {
        const auto task = plane.start_task(
            project, "{ exec 3<>/dev/tcp/127.0.0.1/${HTTPS_PROXY##*:}; printf 'CONNECT " + target +
                         " HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&3; head -c 12 <&3; } > report; " + kCommitAndReport);
        EXPECT_EQ(status_of(plane.wait_for_end(task)), "completed");
        return plane
            .run({"git", "-C", (plane.state() / "repositories" / (project + ".git")).string(), "show",
                  "task/" + task + ":report"})
            .output;
    };
    EXPECT_EQ(reach(open), "HTTP/1.1 200");
    EXPECT_EQ(reach(closed), "HTTP/1.1 403");
}

CODEGEN_ON_EACH_RUNTIME_AS_ANYBODY(GatewayRules);

}  // namespace
}  // namespace codegen::testing
