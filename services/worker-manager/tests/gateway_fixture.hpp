// For the service tests of a gateway: one in front of a real Redis, the real API and a fake model provider, and clients
// on its sockets as a worker has them.
#pragma once
#include <unistd.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include "services/worker-manager/gateway/gateway.hpp"
#include "services/worker-manager/tests/manager_fixture.hpp"
#include "shared/async/deadline.hpp"
#include "shared/base/ids.hpp"
#include "shared/testing/fake_model_provider.hpp"

namespace codegen::worker_manager {

class GatewayFixture : public ManagerFixture {
  protected:
    void SetUp() override {
        ManagerFixture::SetUp();
        settings_.redis = redis_server_.address();
        settings_.api_url = api_url();
        settings_.providers = {anthropic_provider(provider_.base_url(), provider_.key(), "")};
        identity_.worker_id = "dev-1";
        identity_.worker_type = contracts::WorkerType::developer;
        identity_.user_id = 1;
        identity_.actions = {"project.get", "project.list", "engineering.status", "respond", "result"};
    }
    void TearDown() override {
        if (gateway_) run(gateway_->close());
        gateway_.reset();
        ManagerFixture::TearDown();
    }
    // With a run that is announced, unless `announced` is empty.
    void open(const std::string& announced = R"({"run":"r1"})", GatewayCounts counts = {}) {
        auto made = Gateway::make(io_.get_executor(), *redis_, std::make_shared<const GatewaySettings>(settings_),
                                  identity_, counts);
        ASSERT_TRUE(made) << made.error().message;
        gateway_ = std::move(*made);
        auto opened = gateway_->open(place(), static_cast<int>(::getegid()));
        ASSERT_TRUE(opened) << opened.error().message;
        http_ = std::make_unique<http::Client>(
            io_.get_executor(), http::parse_url("http+unix://" + (place() / "http.sock").string()).value());
        redis::Address address;
        address.transport = redis::Address::Transport::unix_socket;
        address.path = place() / "wrapper" / "redis.sock";
        worker_redis_ = std::make_unique<redis::Client>(io_.get_executor(), address);
        control_.emplace(io_);
        control_->connect(asio::local::stream_protocol::endpoint((place() / "wrapper" / "control.sock").string()));
        heard_.clear();
        if (!announced.empty()) say(announced);
    }
    // As the wrapper does.
    void say(const std::string& line) { asio::write(*control_, asio::buffer(line + "\n")); }
    // The next line of the gateway's; a null object: none came within `limit`, or the connection ended.
    boost::json::object hear(std::chrono::milliseconds limit = std::chrono::seconds(20)) {
        auto line = run(async::with_timeout(next_line(&*control_, &heard_), limit, "hear the gateway"));
        return line && !line->empty() ? boost::json::parse(*line).as_object() : boost::json::object{};
    }
    static Task<Result<std::string>> next_line(asio::local::stream_protocol::socket* socket, std::string* buffer) {
        auto [ec, n] = co_await asio::async_read_until(*socket, asio::dynamic_buffer(*buffer), '\n', async::use_tuple);
        if (ec) co_return std::string();
        std::string line = buffer->substr(0, n);
        buffer->erase(0, n);
        co_return line;
    }
    void give_token(std::string user_id = "1") {
        const auto id = new_uuid();
        boost::json::object body{
            {"id", id}, {"kind", "worker"}, {"user_id", std::stoi(user_id)}, {"worker_id", identity_.worker_id}};
        body["actions"] = boost::json::array(identity_.actions.begin(), identity_.actions.end());
        auto made = run(admin_->call("POST", "/api/tokens", boost::json::serialize(body)));
        ASSERT_TRUE(made) << made.error().message;
        gateway_->set_token(std::string(boost::json::parse(*made).at("secret").as_string()));
    }
    http::Response ask(std::string method, std::string target, std::string body = {}, http::Headers headers = {}) {
        auto response = run(http_->send({std::move(method), std::move(target), std::move(headers), std::move(body)}));
        EXPECT_TRUE(response) << response.error().message;
        return response ? *response : http::Response{};
    }
    // OK, or the error's code.
    std::string as_worker(redis::Arguments command) {
        auto reply = run(worker_redis_->command(std::move(command)));
        return reply ? "OK" : reply.error().code;
    }
    std::string raw_redis(const std::string& bytes) {
        asio::local::stream_protocol::socket socket(io_);
        socket.connect(asio::local::stream_protocol::endpoint((place() / "wrapper" / "redis.sock").string()));
        return run(exchange(std::move(socket), bytes));
    }
    static Task<std::string> exchange(asio::local::stream_protocol::socket socket, std::string bytes) {
        co_await asio::async_write(socket, asio::buffer(bytes), async::use_tuple);
        socket.shutdown(asio::socket_base::shutdown_send);
        std::string out;
        char buffer[4096];
        for (;;) {
            auto [ec, n] = co_await socket.async_read_some(asio::buffer(buffer), async::use_tuple);
            if (ec) co_return out;
            out.append(buffer, n);
        }
    }
    std::filesystem::path place() const { return state() / "gateway"; }

    testing::FakeModelProvider provider_{{.every_message_is_main = true}};
    GatewaySettings settings_;
    GatewayIdentity identity_;
    std::unique_ptr<Gateway> gateway_;
    std::unique_ptr<http::Client> http_;
    std::unique_ptr<redis::Client> worker_redis_;
    std::optional<asio::local::stream_protocol::socket> control_;
    std::string heard_;
};

}  // namespace codegen::worker_manager
