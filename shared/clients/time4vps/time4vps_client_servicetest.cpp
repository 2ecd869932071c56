#include <gmock/gmock.h>

#include "shared/clients/time4vps/time4vps_client.hpp"
#include "shared/testing/fake_time4vps.hpp"
#include "shared/testing/run.hpp"

namespace codegen::clients {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

class Time4vpsTest : public ::testing::Test {
  protected:
    void SetUp() override { fake_.add({"7", "192.0.2.7", "seven.example", {"kvm-debian-12-x86_64", "kvm-ubuntu"}}); }
    Time4vpsClient client(std::string password = "account-secret") {
        Time4vpsOptions options{fake_.url(), "me@example.test", std::move(password)};
        options.poll = 10ms;
        return Time4vpsClient::make(io_.get_executor(), options).value();
    }
    asio::io_context io_;
    codegen::testing::FakeTime4vps fake_;
};

TEST_F(Time4vpsTest, ServersSystemsAndTasks) {
    auto api = client();
    const auto servers = codegen::testing::run(io_, api.servers());
    ASSERT_TRUE(servers) << servers.error().message;
    ASSERT_EQ(servers->size(), 1u);
    EXPECT_EQ(servers->front().id, "7");  // a number on the wire
    EXPECT_EQ(servers->front().ip, "192.0.2.7");
    EXPECT_THAT(codegen::testing::run(io_, api.systems("7")).value(),
                ElementsAre("kvm-debian-12-x86_64", "kvm-ubuntu"));

    fake_.looks_until_done(3);
    std::string key;
    fake_.on_reinstall([&](const auto&, const std::string& given) {
        key = given;
        return "done";
    });
    const auto task = codegen::testing::run(io_, api.reinstall("7", "kvm-ubuntu", "ssh-ed25519 AAAA x"));
    ASSERT_TRUE(task) << task.error().message;
    const auto first = codegen::testing::run(io_, api.task("7", *task));
    ASSERT_TRUE(first);
    EXPECT_FALSE(first->completed);
    const auto done = codegen::testing::run(io_, api.wait("7", *task, 10s));
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(done->results, "done");
    EXPECT_EQ(key, "ssh-ed25519 AAAA x");

    const auto reset = codegen::testing::run(io_, api.reset_password("7"));
    ASSERT_TRUE(reset) << reset.error().message;
    const auto page = codegen::testing::run(io_, api.wait("7", *reset, 10s));
    ASSERT_TRUE(page);
    EXPECT_EQ(password_in(page->results), "new-password");
}

TEST_F(Time4vpsTest, WhatGoesWrongIsToldApart) {
    auto wrong = client("another-secret");
    const auto refused = codegen::testing::run(io_, wrong.servers());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, ErrorCategory::fatal);
    EXPECT_THAT(refused.error().message, HasSubstr("wronglogin"));
    EXPECT_THAT(refused.error().message, Not(HasSubstr("secret")));
    EXPECT_THAT(refused.error().message, Not(HasSubstr("me@example")));

    auto api = client();
    const auto check = [&](unsigned status, const std::string& body, const std::string& code) {
        fake_.answer_with(status, body);
        const auto answer = codegen::testing::run(io_, api.servers());
        ASSERT_FALSE(answer) << status << body;
        EXPECT_EQ(answer.error().code, code) << answer.error().message;
    };
    check(500, "<html>", "unavailable");
    check(404, "{}", "not_found");
    check(400, R"({"error":["invalid_os"]})", "invalid");
    check(200, "<html>", "protocol");
    check(200, "{}", "protocol");
    check(429, "{}", "rate_limited");
    fake_.answer_with(401, R"({"error":[["wait_x_between_action",24],"unauthorized"]})");
    const auto limited = codegen::testing::run(io_, api.reset_password("7"));
    ASSERT_FALSE(limited);
    EXPECT_EQ(limited.error().category, ErrorCategory::upstream);
    EXPECT_EQ(limited.error().retry_after, 24s);
    fake_.answer_with(200, "{}");
    EXPECT_EQ(codegen::testing::run(io_, api.reset_password("7")).error().code, "protocol") << "no task_id";
    EXPECT_EQ(codegen::testing::run(io_, api.reinstall("7", "windows", "")).error().code, "invalid");
    EXPECT_EQ(codegen::testing::run(io_, api.reset_password("8")).error().code, "not_found");
    EXPECT_FALSE(Time4vpsClient::make(io_.get_executor(), {.user = "", .password = ""}));
}

TEST_F(Time4vpsTest, WaitingOutlivesFailuresThatPassAndEndsInTime) {
    auto api = client();
    const auto task = codegen::testing::run(io_, api.reset_password("7"));
    ASSERT_TRUE(task);
    fake_.answer_with(503, "{}", 2);
    EXPECT_TRUE(codegen::testing::run(io_, api.wait("7", *task, 10s)));
    fake_.looks_until_done(1000000);
    const auto endless = codegen::testing::run(io_, api.reset_password("7"));
    ASSERT_TRUE(endless);
    const auto late = codegen::testing::run(io_, api.wait("7", *endless, 100ms));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, "timeout");
    const auto gone = codegen::testing::run(io_, api.wait("7", "4711", 10s));
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code, "not_found");
}

TEST(Time4vpsPassword, IsFoundInBothForms) {
    EXPECT_EQ(password_in("Server ready.\nNew root password: Xk9$mP3q\nBye"), "Xk9$mP3q");
    EXPECT_EQ(password_in("<a onclick='this.innerHTML = \"a b<c\"'>"), "a b<c");
    EXPECT_FALSE(password_in("Password: <b>"));
    EXPECT_FALSE(password_in("innerHTML = "));
    EXPECT_FALSE(password_in("all went well"));
}

}  // namespace
}  // namespace codegen::clients
