#include "shared/async/shutdown.hpp"

#include <gtest/gtest.h>

#include "shared/async/scope.hpp"
#include "shared/testing/run.hpp"

namespace codegen::async {
namespace {

using codegen::testing::run;
using namespace std::chrono_literals;

struct Role {
    explicit Role(asio::io_context& io) : shutdown(io.get_executor()), scope(io.get_executor()) {}
    static Task<void> live(Role* self) {
        co_await self->shutdown.wait();
        co_await sleep_for(1ms);  // the clean-up
        self->cleaned = true;
    }
    Shutdown shutdown;
    bool cleaned = false;
    Scope scope;
};

Task<Result<void>> part(bool good) {
    co_await sleep_for(1ms);
    if (good) co_return Result<void>();
    co_return codegen::fail(ErrorCategory::fatal, "x", "no database");
}

TEST(Shutdown, EndsWhatWaitsAlsoWhenItBeganBefore) {
    asio::io_context io;
    Role role(io);
    role.scope.spawn("role", Role::live(&role));
    role.shutdown.begin();
    run(io, role.scope.drain());
    EXPECT_TRUE(role.cleaned);
    EXPECT_TRUE(role.shutdown.outcome("role"));
}

TEST(Shutdown, TheFirstPartThatFailsEndsTheRole) {
    asio::io_context io;
    Role role(io);
    role.scope.spawn("role", Role::live(&role));
    role.scope.spawn("good", role.shutdown.watch(part(true)));
    role.scope.spawn("bad", role.shutdown.watch(part(false)));
    run(io, role.scope.drain());
    role.shutdown.fail({ErrorCategory::fatal, "y", "later", {}, {}});
    ASSERT_FALSE(role.shutdown.outcome("workflow"));
    EXPECT_EQ(role.shutdown.outcome("workflow").error().message, "workflow: no database");
}

TEST(Shutdown, ACancelledRoleStillCleansUp) {
    asio::io_context io;
    Role role(io);
    role.scope.spawn("role", Role::live(&role));
    run(io, sleep_for(1ms));
    run(io, role.scope.stop());
    EXPECT_TRUE(role.cleaned);
}

}  // namespace
}  // namespace codegen::async
