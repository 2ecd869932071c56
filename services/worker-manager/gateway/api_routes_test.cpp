#include "services/worker-manager/gateway/api_routes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "services/api/openapi.hpp"

namespace codegen::worker_manager {
namespace {

// "{id}" and "{model_id...}" become "x1".
std::string path_of(std::string_view pattern) {
    std::string out;
    for (std::size_t at = 0; at < pattern.size();) {
        if (pattern[at] != '{') {
            out += pattern[at++];
            continue;
        }
        out += "x1";
        at = pattern.find('}', at) + 1;
    }
    return out;
}

std::vector<std::string> list_of(std::string_view actions) {
    std::vector<std::string> out;
    for (std::size_t begin = 0; begin < actions.size();) {
        const auto end = std::min(actions.find(',', begin), actions.size());
        out.emplace_back(actions.substr(begin, end - begin));
        begin = end + 1;
    }
    return out;
}

// The gateway is the only door that these routes have for a worker.
TEST(ApiRoutes, AreThoseThatTheApiOpensToWorkersAndNoOther) {
    int open = 0;
    for (const auto* route : api::all_routes()) {
        const auto where = fmt::format("{} {}", route->method, route->pattern);
        const auto actions = actions_for(route->method, path_of(route->pattern), "{}");
        const auto listed = std::ranges::find_if(worker_routes(), [&](const WorkerRoute& known) {
            return known.method == route->method && known.pattern == route->pattern;
        });
        if (route->pattern == "/api/health") {
            EXPECT_EQ(actions, std::vector<std::string>{}) << where;
            continue;
        }
        if (route->access != api::Access::everyone) {
            EXPECT_EQ(actions, std::nullopt) << where << " is not for workers";
            continue;
        }
        ASSERT_NE(listed, worker_routes().end()) << where << " is open to a worker's token, and has no other door";
        ++open;
        // Where the API's handler looks itself, there is nothing to compare.
        if (!route->actions.empty()) EXPECT_EQ(listed->actions, route->actions) << where;
        EXPECT_TRUE(listed->by_body || !route->actions.empty()) << where << ": for what, the gateway has to know";
        if (!listed->by_body) EXPECT_EQ(actions, list_of(route->actions)) << where;
    }
    EXPECT_GT(open, 15);
}

TEST(ApiRoutes, NamesNoneThatTheApiDoesNotHave) {
    const auto all = api::all_routes();
    for (const auto& route : worker_routes())
        EXPECT_TRUE(std::ranges::any_of(
            all, [&](const auto* known) { return known->method == route.method && known->pattern == route.pattern; }))
            << route.method << " " << route.pattern;
}

TEST(ApiRoutes, AreFoundAsTheApiFindsThem) {
    const std::vector<std::string> servers{"infra.servers"};
    EXPECT_EQ(actions_for("HEAD", "/api/servers/h1/ports/?limit=5", ""), servers);
    EXPECT_EQ(actions_for("GET", "/api/service_deployments", ""), servers);
    EXPECT_EQ(actions_for("GET", "/api/servers/h1/ssh-key", ""), std::nullopt);
    EXPECT_EQ(actions_for("POST", "/api/servers/h1/ports", ""), std::nullopt);
    EXPECT_EQ(actions_for("GET", "/api/rag/query", ""), std::nullopt);
    // One of them is not enough for the other.
    const std::vector<std::string> cancel{"engineering.cancel"};
    const std::vector<std::string> resume{"engineering.resume"};
    EXPECT_EQ(actions_for("POST", "/api/workflow-commands", R"({"command":"cancel"})"), cancel);
    EXPECT_EQ(actions_for("POST", "/api/workflow-commands", R"({"command":"resume"})"), resume);
    EXPECT_EQ(actions_for("POST", "/api/workflow-commands", "{}"), cancel);
}

}  // namespace
}  // namespace codegen::worker_manager
