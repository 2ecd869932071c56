#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/worker-manager/gateway/acl.hpp"
#include "services/worker-manager/gateway/api_routes.hpp"
#include "services/worker-manager/gateway/command_filter.hpp"
#include "services/worker-manager/gateway/counts.hpp"
#include "services/worker-manager/gateway/egress.hpp"
#include "services/worker-manager/gateway/stream_message.hpp"
#include "services/worker-manager/gateway/usage.hpp"

namespace codegen::worker_manager {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
namespace ip = boost::asio::ip;

TEST(Egress, KnowsInternalAddressesInEveryDress) {
    for (const auto* text : {"0.0.0.0",
                             "10.1.2.3",
                             "100.64.0.1",
                             "127.0.0.1",
                             "127.9.9.9",
                             "169.254.169.254",
                             "172.16.0.1",
                             "172.31.255.255",
                             "192.0.0.1",
                             "192.168.1.1",
                             "198.18.0.1",
                             "224.0.0.1",
                             "240.0.0.1",
                             "255.255.255.255",
                             "::",
                             "::1",
                             "fe80::1",
                             "fc00::1",
                             "fd12::1",
                             "fec0::1",
                             "ff02::1",
                             "::ffff:127.0.0.1",
                             "::ffff:10.0.0.1",
                             "::127.0.0.1",
                             "64:ff9b::7f00:1",
                             "64:ff9b::a00:1",
                             "2002:7f00:1::",
                             "2002:c0a8:101::1",
                             "2001::1"})
        EXPECT_TRUE(is_internal_address(ip::make_address(text))) << text;
    for (const auto* text :
         {"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.167.1.1",
          "140.82.121.4", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1"})
        EXPECT_FALSE(is_internal_address(ip::make_address(text))) << text;
}

TEST(Egress, MatchesNamesSuffixesAndLiterals) {
    const auto rules = EgressRules::parse({"github.com:443", "*.github.com:443", "10.0.0.5:8080", "[::1]:80"}).value();
    const auto allowed = [&](std::string_view text) {
        auto target = parse_host_port(text);
        return target && rules.allows_name(*target).has_value();
    };
    for (const auto* good : {"github.com:443", "GitHub.com:443", "github.com.:443", "api.github.com:443",
                             "a.b.github.com:443", "10.0.0.5:8080", "[::1]:80"})
        EXPECT_TRUE(allowed(good)) << good;
    for (const auto* bad : {"github.com:80", "evilgithub.com:443", "github.com.evil.org:443", "10.0.0.5:443",
                            "10.0.0.6:8080", "[::2]:80", "127.0.0.1:80"})
        EXPECT_FALSE(allowed(bad)) << bad;
    EXPECT_TRUE(rules.allows_address(ip::make_address("10.0.0.5"), 8080));
    EXPECT_FALSE(rules.allows_address(ip::make_address("10.0.0.5"), 443));
    EXPECT_TRUE(rules.allows_address(ip::make_address("1.1.1.1"), 443));
    const auto any = EgressRules::parse({"*:443"}).value();
    EXPECT_TRUE(any.allows_name(*parse_host_port("example.com:443")));
    EXPECT_FALSE(any.allows_address(ip::make_address("127.0.0.1"), 443)) << "any name, but never inside";
}

TEST(Egress, RefusesWhatIsNoHostAndPort) {
    for (const auto* bad :
         {"", "github.com", "github.com:", "github.com:0", "github.com:65536", "github.com:44x", ":443", "a b:443",
          "a/b:443", "user@host:443", "[::1:80", "::1:80", "[fe80::1%1]:80", "host\r\n:443"})
        EXPECT_FALSE(parse_host_port(bad)) << bad;
    for (const auto* bad : {"*github.com:443", "*", "**.x:1", "a.*:443"})
        EXPECT_FALSE(EgressRules::parse({bad})) << bad;
}

TEST(Permissions, PatternsAllowActions) {
    EXPECT_TRUE(allows({"*"}, "anything.at.all"));
    EXPECT_TRUE(allows({"project.*"}, "project.get"));
    EXPECT_FALSE(allows({"project.*"}, "projects"));
    EXPECT_TRUE(allows({"engineering.trigger"}, "engineering.start"));
    EXPECT_FALSE(allows({}, "respond"));
    EXPECT_FALSE(allows({"respond"}, "respond.more"));
}

TEST(ApiRoutes, OpenToTheRightActions) {
    EXPECT_EQ(actions_for("GET", "/api/projects/1?x=/api/users", ""), std::vector<std::string>{"project.get"});
    EXPECT_EQ(actions_for("POST", "/api/tasks", R"({"type":"deploy"})"), std::vector<std::string>{"deploy.start"});
    EXPECT_EQ(actions_for("POST", "/api/tasks/", R"({"type":"engineering"})"),
              std::vector<std::string>{"engineering.start"});
    EXPECT_EQ(actions_for("POST", "/api/tasks", "not json"), std::vector<std::string>{"engineering.start"});
    EXPECT_EQ(actions_for("GET", "/api/workflow-commands", ""), std::nullopt);
    EXPECT_EQ(actions_for("GET", "/api/health", ""), std::vector<std::string>{});
    for (const auto& [method, target] : {std::pair("GET", "/api/users"),
                                         {"GET", "/api/tokens"},
                                         {"GET", "/api/api-keys/github"},
                                         {"PATCH", "/api/tasks/1"},
                                         {"DELETE", "/api/projects/1"},
                                         {"POST", "/api/task-executions"},
                                         {"PUT", "/api/hosts/x"},
                                         {"GET", "/api"},
                                         {"GET", "/metrics"},
                                         {"GET", "/api/projects/1/2"}})
        EXPECT_EQ(actions_for(method, target, ""), std::nullopt) << method << " " << target;
    for (const auto* good : {"/api/projects", "/api/projects/", "/v1/models/claude-3:beta@1"})
        EXPECT_TRUE(is_plain_path(good)) << good;
    for (const auto* bad :
         {"", "api", "/api/../x", "/api//x", "/api/%2e", "/api/./x", "/a\\b", "/a b", "/a#b", "/a;b", "//"})
        EXPECT_FALSE(is_plain_path(bad)) << bad;
}

TEST(StreamMessages, SayWhoTheWorkerIs) {
    GatewayIdentity worker{
        .worker_id = "dev-1", .worker_type = contracts::WorkerType::developer, .user_id = 7, .actions = {"*"}};
    const std::string task = "1b4e28ba-2fa1-41d2-883f-0016d3cca427";
    const std::string body = R"({"task_id":")" + task + R"(","project_id":")" + task +
                             R"(","user_id":1,"callback_stream":"worker:commands"})";
    const auto message = check_stream_message(worker, "engineering:queue", body);
    ASSERT_TRUE(message) << message.error().message;
    EXPECT_THAT(message->data, HasSubstr(R"("user_id":7)"));
    EXPECT_THAT(message->data, Not(HasSubstr("callback_stream")));
    EXPECT_EQ(message->owned.size(), 2u);
    worker.task_id = "9b4e28ba-2fa1-41d2-883f-0016d3cca427";
    EXPECT_EQ(check_stream_message(worker, "task_progress:" + task, R"({"type":"progress"})").error().code,
              "forbidden");
    EXPECT_EQ(check_stream_message(worker, "task_progress:../x", R"({"type":"progress"})").error().code, "invalid");
    worker.actions = {"respond"};
    EXPECT_EQ(check_stream_message(worker, "workflow:commands",
                                   R"({"command":"cancel","task_id":")" + task + R"(","user_id":7})")
                  .error()
                  .code,
              "forbidden");
    worker.user_id.reset();
    EXPECT_EQ(check_stream_message(worker, "engineering:queue", body).error().code, "forbidden");
}

TEST(StreamMessages, LargeOnesForObserversShortenTheirStream) {
    GatewayIdentity worker{
        .worker_id = "po-1", .worker_type = contracts::WorkerType::po, .user_id = 7, .actions = {"respond"}};
    const auto cap_of = [&](std::size_t bytes) {
        const auto body = boost::json::serialize(boost::json::object{{"request_id", "r"},
                                                                     {"user_id", 7},
                                                                     {"text", std::string(bytes, 'x')},
                                                                     {"timestamp", "2026-01-10T12:00:00Z"}});
        const auto message = check_stream_message(worker, "worker:po:po-1:output", body);
        EXPECT_TRUE(message) << message.error().message;
        return message ? message->cap : 0;
    };
    EXPECT_EQ(cap_of(10), 10000u);
    EXPECT_EQ(cap_of(1u << 20), 15u) << "16 MB of such";
    EXPECT_EQ(cap_of(3u << 20), 5u);
}

TEST(Commands, ArriveInAnySlicesAndLeaveWhole) {
    const std::string bytes = "*2\r\n$3\r\nGET\r\n$1\r\nx\r\n*1\r\n$4\r\nPING\r\n";
    for (std::size_t slice = 1; slice <= bytes.size(); ++slice) {
        CommandFilter filter;
        std::string out;
        for (std::size_t i = 0; i < bytes.size(); i += slice)
            out += filter.feed(std::string_view(bytes).substr(i, slice)).bytes;
        EXPECT_EQ(out, bytes) << slice;
    }
}

TEST(Commands, OneThatIsTooLongEndsTheConnection) {
    CommandFilter filter;
    EXPECT_FALSE(filter.feed("*2\r\n$3\r\nSET\r\n$500000000\r\n").ends);
    const std::string chunk(1 << 20, 'x');
    bool ended = false;
    for (int i = 0; i < 20 && !ended; ++i) ended = filter.feed(chunk).ends;
    EXPECT_TRUE(ended);
    EXPECT_EQ(filter.feed("*1\r\n$4\r\nPING\r\n").bytes, "");
}

TEST(Counts, SurviveTheirOwnText) {
    GatewayCounts counts;
    counts.model_requests = 3;
    counts.refusals = 9;
    const auto again = counts_from_json(to_json(counts));
    EXPECT_EQ(again.model_requests, 3);
    EXPECT_EQ(again.refusals, 9);
    EXPECT_EQ(counts_from_json({{"refusals", "x"}}).refusals, 0);
}

TEST(Acl, HoldsNoPasswordAndNoForeignStream) {
    const auto rules = acl_rules({.worker_id = "dev-1", .worker_type = contracts::WorkerType::developer}, "secret", 0);
    for (const auto& rule : rules) {
        EXPECT_THAT(rule, Not(HasSubstr("secret")));
        EXPECT_THAT(rule, Not(HasSubstr("~worker:developer:input ")));
        EXPECT_THAT(rule, Not(HasSubstr("~*")));
    }
}

}  // namespace
}  // namespace codegen::worker_manager
