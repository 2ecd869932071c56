// Server and client on real sockets. The raw side of a conversation is a plain Stream.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <fstream>

#include "shared/async/deadline.hpp"
#include "shared/async/scope.hpp"
#include "shared/base/ids.hpp"
#include "shared/http/client.hpp"
#include "shared/http/server.hpp"
#include "shared/testing/run.hpp"

namespace codegen::http {
namespace {
namespace fs = std::filesystem;
using namespace std::chrono_literals;
using codegen::testing::run;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::string kHost = "Host: test\r\n";

Task<Result<std::string>> read_until_end(Stream* stream) {
    std::string out;
    char buffer[4096];
    for (;;) {
        auto n = co_await stream->read_some(buffer);
        if (!n) co_return std::unexpected(n.error());
        if (*n == 0) co_return out;
        out.append(buffer, *n);
    }
}

Task<std::string> read_until(Stream* stream, std::string mark) {
    std::string out;
    char byte;
    while (!out.ends_with(mark)) {
        auto n = co_await stream->read_some({&byte, 1});
        if (!n || *n == 0) co_return out + "<closed>";
        out += byte;
    }
    co_return out;
}

Request make_get(std::string target) {
    Request request;
    request.target = std::move(target);
    return request;
}

Task<void> count_success(Client* client, std::string target, int* good) {
    for (int i = 0; i < 5; ++i) {
        auto response = co_await client->send(make_get(target), 20s);
        if (response && response->body == "GET " + target + " ") ++*good;
    }
}

// `status` 0: the connection must break.
Task<void> expect_status(Client* client, std::string target, unsigned status, int* good) {
    auto response = co_await client->send(make_get(target), 20s);
    if (response ? response->status == status : status == 0 && response.error().code == "connection") ++*good;
}

Task<void> one_then_close(std::unique_ptr<Client>* client, int* good) {
    co_await expect_status(client->get(), "/slow", 200, good);
    client->reset();  // with its kept connection
}

Task<void> accept_one(asio::ip::tcp::acceptor* acceptor, asio::ip::tcp::socket* out) {
    auto [error, socket] = co_await acceptor->async_accept(async::use_tuple);
    *out = std::move(socket);
}

Task<bool> read_request(asio::ip::tcp::socket* socket) {
    std::string text;
    while (text.find("\r\n\r\n") == std::string::npos) {
        char buffer[1000];
        auto [error, n] = co_await socket->async_read_some(asio::buffer(buffer), async::use_tuple);
        if (error) co_return false;
        text.append(buffer, n);
    }
    co_return true;
}

Task<boost::system::error_code> read_end(asio::ip::tcp::socket* socket) {
    char buffer[1000];
    for (;;) {
        auto [error, n] = co_await socket->async_read_some(asio::buffer(buffer), async::use_tuple);
        if (error) co_return error;
    }
}

// Answers one request a connection, then takes the next and closes without a byte.
Task<void> flaky_server(asio::ip::tcp::acceptor* acceptor, int* connections) {
    for (;;) {
        asio::ip::tcp::socket socket(acceptor->get_executor());
        co_await accept_one(acceptor, &socket);
        if (!socket.is_open()) co_return;
        ++*connections;
        co_await read_request(&socket);
        const std::string_view answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        co_await asio::async_write(socket, asio::buffer(answer), async::use_tuple);
        co_await read_request(&socket);
    }
}

// Counts until the end of the stream, answers only then.
Task<void> answer_after_end(asio::ip::tcp::acceptor* acceptor) {
    asio::ip::tcp::socket socket(acceptor->get_executor());
    co_await accept_one(acceptor, &socket);
    std::size_t total = 0;
    std::vector<char> buffer(65536);
    for (;;) {
        auto [error, n] = co_await socket.async_read_some(asio::buffer(buffer), async::use_tuple);
        if (error) break;
        total += n;
    }
    const auto answer = "got " + std::to_string(total);
    co_await asio::async_write(socket, asio::buffer(answer), async::use_tuple);
}

class HttpTest : public ::testing::Test {
  protected:
    asio::io_context io_;
    fs::path directory_ = fs::temp_directory_path() / ("http-" + random_token(6));
    std::unique_ptr<Server> server_;
    std::unique_ptr<Client> client_;
    std::uint16_t port_ = 0;
    int handled_ = 0;
    int handlers_alive_ = 0;
    Result<void> stream_result_;
    bool stream_ended_ = false;
    int written_ = 0;  // pieces of /stream-forever
    Peer last_peer_;

    struct Alive {
        int* count;
        explicit Alive(int* c) : count(c) { ++*count; }
        Alive(const Alive&) = delete;
        ~Alive() { --*count; }
    };

    void SetUp() override { fs::create_directory(directory_); }
    void TearDown() override {
        client_.reset();
        if (server_) run(io_, server_->stop(0ms));
        server_.reset();
        io_.restart();
        io_.run_for(1s);
        EXPECT_EQ(handlers_alive_, 0);
        fs::remove_all(directory_);
    }
    void start(ServerOptions options = {}) {
        server_ = std::make_unique<Server>(
            io_.get_executor(), [this](Request request, Peer peer) { return handle(std::move(request), peer); },
            options);
        port_ = server_->listen_tcp("127.0.0.1", 0).value();
        client_ = std::make_unique<Client>(io_.get_executor(),
                                           parse_url("http://127.0.0.1:" + std::to_string(port_)).value());
    }
    Result<Response> get(std::string target, std::string method = "GET", std::string body = {}) {
        return run(io_, client_->send(make(std::move(target), std::move(method), std::move(body))));
    }
    static Request make(std::string target, std::string method = "GET", std::string body = {}) {
        Request request;
        request.method = std::move(method);
        request.target = std::move(target);
        request.body = std::move(body);
        return request;
    }
    std::unique_ptr<Stream> dial() { return run(io_, connect_tcp("127.0.0.1", port_, 5s)).value(); }
    // Sends raw bytes, reads until the server closes.
    std::string converse(std::string bytes) {
        auto stream = dial();
        EXPECT_TRUE(run(io_, stream->write(bytes)));
        return run(io_, read_until_end(stream.get())).value_or("<reset>");
    }
    template <class Condition>
    void wait_for(Condition condition) {
        const auto deadline = std::chrono::steady_clock::now() + 20s;
        while (!condition() && std::chrono::steady_clock::now() < deadline) run(io_, async::sleep_for(2ms));
        EXPECT_TRUE(condition()) << "the awaited condition did not come";
    }

    Task<Reply> handle(Request request, Peer peer) {
        const Alive alive(&handlers_alive_);
        ++handled_;
        last_peer_ = peer;
        const auto path = request.target;
        if (path == "/throw") throw std::runtime_error("the handler's bug");
        if (path == "/slow") co_await async::sleep_for(100ms);
        if (path == "/forever") co_await async::sleep_for(1h);
        if (path == "/split") {
            Reply reply;
            reply.head.headers.add("X", "a\r\nEvil: b");
            co_return reply;
        }
        if (path.starts_with("/stream"))
            co_return Reply{Response{200, {}, {}}, [this, path](Stream& out) { return stream(path, &out); }, {}};
        if (path == "/short" || path == "/exact") {
            Reply reply;
            reply.head.headers.add("Content-Length", path == "/short" ? "5" : "3");
            reply.body = [](Stream& out) { return out.write("abc"); };
            co_return reply;
        }
        if (path == "/none") co_return Reply{Response{204, {}, {}}, {}, {}};
        if (path == "/big") co_return Reply{Response{200, {}, std::string(3'000'000, 'b')}, {}, {}};
        if (request.method == "CONNECT")
            co_return Reply{Response{200, {}, {}}, {}, [this, path](std::unique_ptr<Stream> peer_stream) {
                                return tunnel(path, std::move(peer_stream));
                            }};
        Reply reply;
        reply.head.headers.add("X-Method", request.method);
        reply.head.body = request.method + " " + request.target + " " + request.body;
        co_return reply;
    }
    Task<Result<void>> stream(std::string path, Stream* out) {
        const Alive alive(&handlers_alive_);
        Result<void> result = co_await out->write("first ");
        if (path == "/stream") {
            co_await async::sleep_for(50ms);
            result = co_await out->write("second");
        } else if (path == "/stream-forever") {
            const std::string piece(10'000, 'x');
            while (result) {
                result = co_await out->write(piece);
                ++written_;
            }
        } else if (path == "/stream-hang") {
            co_await async::sleep_for(1h);
        } else if (path == "/stream-error") {
            result = fail(ErrorCategory::transient, "upstream", "the source broke");
        } else if (path == "/stream-throw") {
            throw std::runtime_error("the source broke");
        }
        stream_result_ = result;
        stream_ended_ = true;
        co_return result;
    }
    Task<void> tunnel(std::string target, std::unique_ptr<Stream> peer) {
        const Alive alive(&handlers_alive_);
        const auto colon = target.find(':');
        auto upstream = co_await connect_tcp(target.substr(0, colon),
                                             static_cast<std::uint16_t>(std::stoi(target.substr(colon + 1))), 5s);
        if (upstream) co_await relay(*peer, **upstream);
    }
};

TEST_F(HttpTest, AnswersOverOneKeptConnection) {
    start();
    for (int i = 0; i < 3; ++i) {
        const auto response = get("/a?b", "POST", "body");
        ASSERT_TRUE(response) << response.error().message;
        EXPECT_EQ(response->status, 200u);
        EXPECT_EQ(response->body, "POST /a?b body");
    }
    EXPECT_TRUE(last_peer_.loopback_tcp);
    EXPECT_FALSE(last_peer_.unix_socket);
    EXPECT_EQ(get("/none")->status, 204u);
    EXPECT_EQ(get("/big")->body.size(), 3'000'000u);
    const auto head = get("/x", "HEAD");
    EXPECT_EQ(head->body, "");
    EXPECT_EQ(head->headers.get("Content-Length"), "8");
    EXPECT_EQ(get("/x")->body, "GET /x ");
}

TEST_F(HttpTest, AnswersPipelinedRequestsInOrder) {
    start();
    std::string bytes;
    for (int i = 0; i < 200; ++i)
        bytes += "POST /" + std::to_string(i) + " HTTP/1.1\r\n" + kHost + "Content-Length: 1\r\n\r\n.";
    bytes += "GET /last HTTP/1.1\r\n" + kHost + "Connection: close\r\n\r\n";
    const auto answer = converse(bytes);
    std::size_t at = 0;
    for (int i = 0; i < 200; ++i) {
        at = answer.find("POST /" + std::to_string(i) + " .", at);
        ASSERT_NE(at, std::string::npos) << i;
    }
    EXPECT_THAT(answer, HasSubstr("GET /last"));
    EXPECT_EQ(handled_, 201);
}

Task<void> write_slowly(Stream* stream, std::string bytes) {
    for (const char c : bytes) {
        auto written = co_await stream->write({&c, 1});
        if (!written) co_return;
        if (c == '\n') co_await async::sleep_for(1ms);
    }
}

TEST_F(HttpTest, ReadsOneByteAtATime) {
    start();
    auto stream = dial();
    run(io_, write_slowly(stream.get(), "PUT /x HTTP/1.1\r\n" + kHost +
                                            "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                                            "4\r\nabcd\r\n2\r\nef\r\n0\r\n\r\n"));
    EXPECT_THAT(run(io_, read_until_end(stream.get())).value(), HasSubstr("PUT /x abcdef"));
}

TEST_F(HttpTest, RefusesMalformedAndOversized) {
    start({.body_limit = 1000, .header_limit = 2000});
    EXPECT_THAT(converse("NONSENSE\r\n\r\n"), StartsWith("HTTP/1.1 400 Bad Request\r\n"));
    EXPECT_THAT(converse("GET / HTTP/1.1\r\n\r\n"), HasSubstr("no Host field"));
    EXPECT_THAT(converse("GET / HTTP/1.1\r\n" + kHost + "X: " + std::string(100'000, 'a') + "\r\n\r\n"),
                StartsWith("HTTP/1.1 431 "));
    const auto answer =
        converse("POST / HTTP/1.1\r\n" + kHost + "Content-Length: 2000000\r\n\r\n" + std::string(2'000'000, 'a'));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 413 "));
    EXPECT_THAT(answer, HasSubstr("application/problem+json"));
    EXPECT_THAT(answer, HasSubstr("the limit is 1000 bytes"));
    EXPECT_EQ(get("/", "POST", std::string(5'000'000, 'a'))->status, 413u) << "the client lost the answer";
    EXPECT_EQ(handled_, 0);
    EXPECT_EQ(get("/")->status, 200u);
}

TEST_F(HttpTest, Expect100ContinueIsAnsweredBeforeTheBody) {
    start({.body_limit = 1000});
    auto stream = dial();
    ASSERT_TRUE(run(io_, stream->write("POST /x HTTP/1.1\r\n" + kHost +
                                       "Expect: 100-continue\r\nConnection: close\r\nContent-Length: 3\r\n\r\n")));
    EXPECT_EQ(run(io_, read_until(stream.get(), "\r\n\r\n")), "HTTP/1.1 100 Continue\r\n\r\n");
    ASSERT_TRUE(run(io_, stream->write("abc")));
    EXPECT_THAT(run(io_, read_until_end(stream.get())).value(), HasSubstr("POST /x abc"));
    EXPECT_THAT(converse("POST /x HTTP/1.1\r\n" + kHost + "Expect: 100-continue\r\nContent-Length: 3000\r\n\r\n"),
                StartsWith("HTTP/1.1 413 "))
        << "refused before the body is sent";
}

TEST_F(HttpTest, BodiesBeyondTheRoomForAllAreA503AndComeLater) {
    start({.bodies_limit = 1000});
    auto first = dial();
    ASSERT_TRUE(run(io_, first->write("POST /x HTTP/1.1\r\n" + kHost +
                                      "Expect: 100-continue\r\nConnection: close\r\nContent-Length: 800\r\n\r\n")));
    ASSERT_EQ(run(io_, read_until(first.get(), "\r\n\r\n")), "HTTP/1.1 100 Continue\r\n\r\n");
    const auto second = converse("POST / HTTP/1.1\r\n" + kHost + "Content-Length: 201\r\n\r\n");
    EXPECT_THAT(second, StartsWith("HTTP/1.1 503 ")) << "refused before its body came";
    EXPECT_THAT(second, HasSubstr("\r\nRetry-After: 1\r\n"));
    EXPECT_THAT(converse("POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\nc9\r\n" +
                         std::string(201, 'c') + "\r\n"),
                StartsWith("HTTP/1.1 503 "));
    EXPECT_EQ(get("/", "POST", std::string(200, 'a'))->status, 200u) << "there is room for this";
    EXPECT_EQ(get("/")->status, 200u);
    ASSERT_TRUE(run(io_, first->write(std::string(800, 'a'))));
    EXPECT_THAT(run(io_, read_until_end(first.get())).value(), StartsWith("HTTP/1.1 200 "));
    EXPECT_EQ(get("/", "POST", std::string(1000, 'a'))->status, 200u) << "the room was not given back";
    // One that goes away in the middle gives its own back.
    first = dial();
    ASSERT_TRUE(run(io_, first->write("POST /x HTTP/1.1\r\n" + kHost + "Content-Length: 800\r\n\r\nabc")));
    first.reset();
    wait_for([this] { return get("/", "POST", std::string(1000, 'a'))->status == 200u; });
}

TEST_F(HttpTest, ARuleRefusesOrLimitsABodyBeforeItComes) {
    const auto rule = [](const Request& head) {
        BodyRule out{.limit = head.target == "/large" ? std::size_t{5'000'000} : std::size_t{10}};
        if (head.headers.get("X-Bad")) out.refusal = problem(403, "not here");
        return out;
    };
    start({.body_limit = 10'000'000, .body_rule = rule});
    const auto refused =
        converse("POST / HTTP/1.1\r\n" + kHost + "X-Bad: 1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    EXPECT_THAT(refused, StartsWith("HTTP/1.1 403 "));
    EXPECT_THAT(refused, HasSubstr("not here"));
    const auto large = converse("POST / HTTP/1.1\r\n" + kHost + "Content-Length: 11\r\n\r\n");
    EXPECT_THAT(large, StartsWith("HTTP/1.1 413 "));
    EXPECT_THAT(large, HasSubstr("the limit is 10 bytes"));
    EXPECT_THAT(converse("POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\nb\r\nabcdefghijk\r\n"),
                StartsWith("HTTP/1.1 413 "));
    EXPECT_EQ(handled_, 0);
    EXPECT_EQ(get("/", "POST", "0123456789")->status, 200u);
    EXPECT_EQ(get("/large", "POST", std::string(5'000'000, 'a'))->status, 200u);
    EXPECT_EQ(get("/large", "POST", std::string(5'000'001, 'a'))->status, 413u);
}

TEST_F(HttpTest, ClosesIdleAndHalfSentConnections) {
    start({.idle_timeout = 1s});
    EXPECT_EQ(converse(""), "");
    EXPECT_EQ(converse("POST / HTTP/1.1\r\n" + kHost + "Content-Length: 5\r\n\r\nab"), "");
    EXPECT_EQ(handled_, 0);
}

TEST_F(HttpTest, AHandlersExceptionAndBadHeadersAre500) {
    start();
    EXPECT_EQ(get("/throw")->status, 500u);
    const auto split = get("/split");
    EXPECT_EQ(split->status, 500u);
    EXPECT_FALSE(split->headers.get("Evil"));
    EXPECT_EQ(get("/x")->status, 200u);
}

TEST_F(HttpTest, SixtyFourClientsAtOnce) {
    start();
    ASSERT_TRUE(server_->listen_unix(directory_ / "s", 0600));
    Client over_unix(io_.get_executor(), parse_url("http+unix://" + (directory_ / "s").string()).value());
    async::Scope scope(io_.get_executor());
    int good = 0;
    for (int i = 0; i < 64; ++i)
        scope.spawn("client", count_success(i % 2 ? client_.get() : &over_unix, "/" + std::to_string(i), &good));
    run(io_, scope.drain());
    EXPECT_EQ(good, 64 * 5);
}

TEST_F(HttpTest, WaitsInTheListenQueueBeyondMaxConnections) {
    start({.max_connections = 2});
    async::Scope scope(io_.get_executor());
    int good = 0;
    std::vector<std::unique_ptr<Client>> clients;
    clients.reserve(8);  // the tasks point into it
    for (int i = 0; i < 8; ++i) {
        clients.push_back(std::make_unique<Client>(io_.get_executor(),
                                                   parse_url("http://127.0.0.1:" + std::to_string(port_)).value()));
        scope.spawn("client", one_then_close(&clients.back(), &good));
    }
    run(io_, scope.drain());
    EXPECT_EQ(good, 8);
}

TEST_F(HttpTest, TheFirstPieceArrivesBeforeTheHandlerEnds) {
    start();
    auto opened = run(io_, client_->open(make("/stream"), 5s));
    ASSERT_TRUE(opened);
    EXPECT_EQ((*opened)->head().status, 200u);
    EXPECT_EQ(run(io_, (*opened)->read_some()).value(), "first ");
    EXPECT_FALSE(stream_ended_);
    EXPECT_EQ(run(io_, (*opened)->read_some()).value(), "second");
    EXPECT_EQ(run(io_, (*opened)->read_some()).value(), "");
    EXPECT_EQ(run(io_, (*opened)->read_some()).value(), "");
    EXPECT_TRUE(stream_ended_);
    EXPECT_EQ(get("/stream")->body, "first second");
    EXPECT_THAT(converse("GET /stream HTTP/1.0\r\n\r\n"), HasSubstr("\r\n\r\nfirst second"));
    const auto head = converse("HEAD /stream HTTP/1.1\r\n" + kHost + "Connection: close\r\n\r\n");
    EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
}

TEST_F(HttpTest, ABrokenStreamIsSeenAsBroken) {
    start();
    for (const auto* target : {"/stream-error", "/stream-throw", "/short"}) {
        const auto response = get(target);
        ASSERT_FALSE(response) << target;
        EXPECT_EQ(response.error().code, "connection") << response.error().message;
    }
    EXPECT_EQ(get("/exact")->body, "abc");
    EXPECT_EQ(get("/exact")->headers.get("Content-Length"), "3");
}

TEST_F(HttpTest, ASlowReaderSlowsTheWriterAndWriteFailsWhenItHasGone) {
    start();
    {
        auto opened = run(io_, client_->open(make("/stream-forever"), 5s));
        ASSERT_TRUE(opened);
        EXPECT_THAT(run(io_, (*opened)->read_some()).value(), StartsWith("first "));
        int before = -1, quiet = 0;
        wait_for([&] {
            quiet = written_ == before ? quiet + 1 : 0;
            before = written_;
            return quiet >= 20;  // the writer is blocked
        });
        EXPECT_LT(written_, 5000) << "50 MB for a reader that does not read";
        EXPECT_EQ(handlers_alive_, 1);
    }
    wait_for([this] { return handlers_alive_ == 0; });
    EXPECT_TRUE(stream_ended_);
    EXPECT_EQ(stream_result_.error().code, "connection");
}

TEST_F(HttpTest, ASilentStreamEndsWithItsClient) {
    start();
    ASSERT_TRUE(server_->listen_unix(directory_ / "s", 0600));
    for (const auto& url :
         {"http://127.0.0.1:" + std::to_string(port_), "http+unix://" + (directory_ / "s").string()}) {
        Client client(io_.get_executor(), parse_url(url).value());
        {
            auto opened = run(io_, client.open(make("/stream-hang"), 5s));
            ASSERT_TRUE(opened);
            EXPECT_EQ(run(io_, (*opened)->read_some()).value(), "first ");
            EXPECT_EQ(handlers_alive_, 1);
        }
        wait_for([this] { return handlers_alive_ == 0; });
    }
}

TEST_F(HttpTest, RequestsPipelinedBehindAStreamAreNotLost) {
    start();
    std::string bytes;
    for (int i = 0; i < 3; ++i)
        bytes +=
            "GET /stream HTTP/1.1\r\n" + kHost + "\r\nGET /" + std::to_string(i) + " HTTP/1.1\r\n" + kHost + "\r\n";
    auto stream = dial();
    ASSERT_TRUE(run(io_, stream->write(bytes)));
    EXPECT_THAT(run(io_, read_until(stream.get(), "GET /0 ")), Not(HasSubstr("<closed>")));
    ASSERT_TRUE(run(io_, stream->write("GET /last HTTP/1.1\r\n" + kHost + "Connection: close\r\n\r\n")));
    const auto rest = run(io_, read_until_end(stream.get())).value();
    EXPECT_THAT(rest, HasSubstr("GET /1 "));
    EXPECT_THAT(rest, HasSubstr("GET /2 "));
    EXPECT_THAT(rest, HasSubstr("GET /last "));
}

TEST_F(HttpTest, AResetConnectionIsNoDrama) {
    start();
    for (const auto* bytes : {"", "GET /slow HTTP/1.1\r\nHo", "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n",
                              "GET /stream-forever HTTP/1.1\r\nHost: h\r\n\r\n"}) {
        asio::ip::tcp::socket socket(io_);
        socket.connect({asio::ip::address_v4::loopback(), port_});
        asio::write(socket, asio::buffer(std::string_view(bytes)));
        run(io_, async::sleep_for(5ms));
        socket.set_option(asio::socket_base::linger(true, 0));
        socket.close();  // with a reset
    }
    wait_for([this] { return handlers_alive_ == 0; });
    EXPECT_EQ(get("/x")->status, 200u);
}

TEST_F(HttpTest, AClientThatLeavesDuringTheHandlerLeavesNothingBehind) {
    start();
    {
        auto stream = dial();
        ASSERT_TRUE(run(io_, stream->write("GET /slow HTTP/1.1\r\n" + kHost + "\r\n")));
        wait_for([this] { return handlers_alive_ == 1; });
        stream->close();
    }
    wait_for([this] { return handlers_alive_ == 0; });
    EXPECT_EQ(get("/x")->status, 200u);
}

TEST_F(HttpTest, AHalfClosedClientStillGetsItsAnswer) {
    start();
    auto stream = dial();
    ASSERT_TRUE(run(io_, stream->write("GET /slow HTTP/1.1\r\n" + kHost + "\r\n")));
    stream->shutdown_write();
    EXPECT_THAT(run(io_, read_until_end(stream.get())).value(), HasSubstr("GET /slow"));
}

TEST_F(HttpTest, AWaitOfTheClientIsLimited) {
    start();
    const auto response = run(io_, client_->send(make("/forever"), 20ms));
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().code, "timeout");
    auto opened = run(io_, client_->open(make("/stream-hang"), 5s, 20ms));
    ASSERT_TRUE(opened);
    EXPECT_EQ(run(io_, (*opened)->read_some()).value(), "first ");
    const auto piece = run(io_, (*opened)->read_some());
    ASSERT_FALSE(piece);
    EXPECT_EQ(piece.error().code, "timeout");
    EXPECT_EQ(run(io_, (*opened)->read_some()).error().code, "timeout") << "a failed stream stays failed";
}

TEST_F(HttpTest, CancellingARequestClosesItsConnection) {
    start();
    asio::ip::tcp::acceptor silent(io_, {asio::ip::address_v4::loopback(), 0});
    Client client(io_.get_executor(),
                  parse_url("http://127.0.0.1:" + std::to_string(silent.local_endpoint().port())).value());
    async::Scope scope(io_.get_executor());
    int good = 0;
    scope.spawn("request", count_success(&client, "/x", &good));
    asio::ip::tcp::socket peer(io_);
    run(io_, accept_one(&silent, &peer));
    run(io_, read_request(&peer));
    run(io_, scope.stop());
    EXPECT_EQ(run(io_, read_end(&peer)), asio::error::eof);
    EXPECT_EQ(good, 0);
}

TEST_F(HttpTest, ConnectionErrorsAreTransientAndNameThePlace) {
    asio::ip::tcp::acceptor taken(io_, {asio::ip::address_v4::loopback(), 0});
    const auto port = taken.local_endpoint().port();
    taken.close();
    Client refused(io_.get_executor(), parse_url("http://127.0.0.1:" + std::to_string(port)).value());
    auto response = run(io_, refused.send(make("/secret-token")));
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().category, ErrorCategory::transient);
    EXPECT_EQ(response.error().code, "connection");
    EXPECT_THAT(response.error().message, HasSubstr(std::to_string(port)));
    EXPECT_THAT(response.error().message, Not(HasSubstr("secret")));
    Client no_socket(io_.get_executor(), parse_url("http+unix:///nonexistent/s").value());
    EXPECT_EQ(run(io_, no_socket.send(make("/"))).error().code, "connection");
    Client no_host(io_.get_executor(), parse_url("http://no-such-host.invalid").value());
    EXPECT_EQ(run(io_, no_host.send(make("/"))).error().category, ErrorCategory::transient);
}

TEST_F(HttpTest, LimitsABufferedResponse) {
    start();
    Client small(io_.get_executor(), parse_url("http://127.0.0.1:" + std::to_string(port_)).value(),
                 {.body_limit = 1000});
    EXPECT_EQ(run(io_, small.send(make("/big"))).error().code, "too_large");
    EXPECT_EQ(run(io_, small.send(make("/x")))->body, "GET /x ");
}

TEST_F(HttpTest, SendsAgainWhenTheKeptConnectionWasClosed) {
    start({.idle_timeout = 1s});
    EXPECT_EQ(get("/x")->status, 200u);
    run(io_, server_->stop(0ms));
    server_ = std::make_unique<Server>(io_.get_executor(),
                                       [this](Request request, Peer peer) { return handle(std::move(request), peer); });
    ASSERT_EQ(server_->listen_tcp("127.0.0.1", port_).value(), port_);
    EXPECT_EQ(get("/x")->status, 200u);
    // Closed only when the second request is under way: the check before sending cannot see that.
    asio::ip::tcp::acceptor acceptor(io_, {asio::ip::address_v4::loopback(), 0});
    Client client(io_.get_executor(),
                  parse_url("http://127.0.0.1:" + std::to_string(acceptor.local_endpoint().port())).value());
    async::Scope scope(io_.get_executor());
    int connections = 0;
    scope.spawn("flaky", flaky_server(&acceptor, &connections));
    EXPECT_EQ(run(io_, client.send(make("/1")))->body, "ok");
    EXPECT_EQ(run(io_, client.send(make("/2")))->body, "ok");
    EXPECT_EQ(connections, 2);
    acceptor.close();
    run(io_, scope.stop());
}

TEST_F(HttpTest, ConnectMakesATunnelWithHalfClose) {
    start();
    asio::ip::tcp::acceptor upstream(io_, {asio::ip::address_v4::loopback(), 0});
    async::Scope scope(io_.get_executor());
    scope.spawn("upstream", answer_after_end(&upstream));
    const auto target = "127.0.0.1:" + std::to_string(upstream.local_endpoint().port());
    auto tunnel = run(io_, client_->upgrade(make(target, "CONNECT"), 5s));
    ASSERT_TRUE(tunnel) << tunnel.error().message;
    const std::string sent(1'000'000, 't');
    ASSERT_TRUE(run(io_, (*tunnel)->write(sent)));
    (*tunnel)->shutdown_write();
    EXPECT_EQ(run(io_, read_until_end(tunnel->get())).value(), "got 1000000");
    run(io_, scope.drain());
    wait_for([this] { return handlers_alive_ == 0; });
    // Bytes behind the head belong to the tunnel.
    scope.spawn("upstream", answer_after_end(&upstream));
    auto stream = dial();
    ASSERT_TRUE(run(io_, stream->write("CONNECT " + target + " HTTP/1.1\r\n" + kHost + "\r\nearly")));
    stream->shutdown_write();
    EXPECT_THAT(run(io_, read_until_end(stream.get())).value(), ::testing::EndsWith("got 5"));
    run(io_, scope.drain());
    const auto refused = run(io_, client_->upgrade(make("/none-such", "POST"), 5s));
    EXPECT_TRUE(refused) << "200 without upgrade hands the connection over";
    EXPECT_EQ(run(io_, client_->upgrade(make("/throw", "POST"), 5s)).error().code, "refused");
}

TEST_F(HttpTest, UnixSocketsBelowLongPathsHaveModeAndAreReplaced) {
    start();
    auto deep = directory_;
    for (int i = 0; i < 3; ++i) fs::create_directory(deep /= std::string(60, 'd'));
    const auto path = deep / "api.sock";
    ASSERT_TRUE(server_->listen_unix(path, 0620));
    struct stat st{};
    ASSERT_EQ(::stat(path.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0620u);
    Client client(io_.get_executor(), parse_url("http+unix://" + path.string()).value());
    EXPECT_EQ(run(io_, client.send(make("/x")))->body, "GET /x ");
    EXPECT_TRUE(last_peer_.unix_socket);
    EXPECT_FALSE(last_peer_.loopback_tcp);
    Server second(io_.get_executor(), [this](Request request, Peer peer) { return handle(std::move(request), peer); });
    EXPECT_EQ(second.listen_unix(path, 0600).error().code, "conflict");
    std::ofstream(directory_ / "file") << "x";
    EXPECT_FALSE(second.listen_unix(directory_ / "file", 0600)) << "a file is not replaced";
    run(io_, server_->stop(0ms));
    EXPECT_FALSE(fs::exists(path));
    asio::local::stream_protocol::acceptor dead(io_,
                                                asio::local::stream_protocol::endpoint((directory_ / "dead").string()));
    dead.close();
    EXPECT_TRUE(second.listen_unix(directory_ / "dead", 0600)) << "a dead socket file is replaced";
    EXPECT_EQ(second.listen_tcp("nonsense", 1).error().code, "invalid");
    run(io_, second.stop(0ms));
}

TEST_F(HttpTest, StopLetsRequestsEndAndCutsTheRest) {
    start();
    async::Scope scope(io_.get_executor());
    int good = 0, cut = 0;
    scope.spawn("slow", expect_status(client_.get(), "/slow", 200, &good));
    scope.spawn("forever", expect_status(client_.get(), "/forever", 0, &cut));
    scope.spawn("stream", expect_status(client_.get(), "/stream-hang", 0, &cut));
    wait_for([this] { return handled_ == 3; });
    auto idle = dial();
    run(io_, server_->stop(500ms));
    EXPECT_EQ(handlers_alive_, 0);
    run(io_, scope.drain());
    EXPECT_EQ(good, 1);
    EXPECT_EQ(cut, 2);
    EXPECT_EQ(run(io_, read_until_end(idle.get())).value_or(""), "");
    EXPECT_FALSE(get("/x")) << "no longer accepting";
}

TEST_F(HttpTest, MayBeDestroyedWithoutStop) {
    start();
    async::Scope scope(io_.get_executor());
    int cut = 0;
    scope.spawn("forever", expect_status(client_.get(), "/forever", 0, &cut));
    scope.spawn("stream", expect_status(client_.get(), "/stream-forever", 0, &cut));
    wait_for([this] { return handled_ == 2; });
    server_.reset();
    run(io_, scope.drain());
    EXPECT_EQ(cut, 2);
}

}  // namespace
}  // namespace codegen::http
