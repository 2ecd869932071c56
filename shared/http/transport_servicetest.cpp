// Transports on real sockets.
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include "shared/async/deadline.hpp"
#include "shared/async/scope.hpp"
#include "shared/http/transport.hpp"
#include "shared/testing/run.hpp"

namespace codegen::http {
namespace {
using namespace std::chrono_literals;
using codegen::testing::run;

Task<void> close_soon(asio::local::stream_protocol::socket* socket) {
    co_await async::sleep_for(1ms);  // the reader waits in the reactor by then
    socket->close();
}

// A server reads again after the end when a client left while its answer was being finished: such a connection would
// keep its place until the idle timeout, and 256 of them a gateway.
TEST(Transport, TheEndIsSeenAgainByEveryFurtherRead) {
    asio::io_context io;
    asio::local::stream_protocol::socket near(io), far(io);
    asio::local::connect_pair(near, far);
    const auto descriptor = near.release();
    SocketTransport transport(Socket(io, asio::generic::stream_protocol(AF_UNIX, 0), descriptor));
    async::Scope scope(io.get_executor());
    scope.spawn("far end", close_soon(&far));
    for (int i = 0; i < 3; ++i) {
        const auto read = run(io, async::with_timeout(transport.fill(), 5s, "the end"));
        ASSERT_TRUE(read) << read.error().message;
        EXPECT_EQ(*read, 0u);
    }
}

}  // namespace
}  // namespace codegen::http
