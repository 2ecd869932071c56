#include "shared/testing/fake_time4vps.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/detail/base64.hpp>
#include <boost/json.hpp>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>

#include "shared/http/router.hpp"
#include "shared/http/server.hpp"

namespace codegen::testing {
namespace {

std::string encoded(std::string_view text) {
    namespace coding = boost::beast::detail::base64;
    std::string out(coding::encoded_size(text.size()), '\0');
    out.resize(coding::encode(out.data(), text.data(), text.size()));
    return out;
}

http::Reply answer(unsigned status, const boost::json::value& body) {
    http::Reply reply;
    reply.head = http::json_response(status, body);
    return reply;
}

}  // namespace

struct FakeTime4vps::Impl {
    struct Job {
        std::string server;
        std::string name;
        std::string public_key;
        int looks_left = 0;
        std::optional<std::string> results;
    };

    std::string login;
    std::uint16_t port = 0;
    asio::io_context io{1};
    std::optional<http::Server> server;
    http::Router router;
    std::thread thread;

    mutable std::mutex mutex;  // guards everything below
    std::map<std::string, Server> servers;
    std::map<std::string, Job> jobs;
    Action reinstalled = [](const Server&, const std::string&) { return std::string("reinstalled"); };
    Action password_reset = [](const Server&, const std::string&) {
        return std::string("Password: \t<a onclick='this.innerHTML = \"new-password\"'>Click to show</a>");
    };
    int looks = 1;
    struct Forced {
        unsigned status;
        std::string body;
        int times;
    };
    std::vector<Forced> forced;
    std::vector<std::string> seen;

    static Task<http::Reply> serve(Impl* self, http::Request request, http::Peer peer) {
        {
            const std::scoped_lock lock(self->mutex);
            self->seen.push_back(request.method + " " + request.target +
                                 (request.body.empty() ? "" : " " + request.body));
            if (!self->forced.empty()) {
                auto& next = self->forced.front();
                http::Reply reply;
                reply.head.status = next.status;
                reply.head.headers.set("Content-Type", "application/json");
                reply.head.body = next.body;
                if (--next.times == 0) self->forced.erase(self->forced.begin());
                co_return reply;
            }
        }
        if (request.headers.get("Authorization") != self->login)
            co_return answer(401, {{"error", {"wronglogin", "unauthorized"}}});
        auto reply = co_await self->router.dispatch(std::move(request), peer);
        co_return reply;
    }

    using Route = http::Reply (Impl::*)(const http::Request&, const http::Match&);
    void add(std::string_view method, std::string_view pattern, Route route) {
        router.add(method, pattern, [this, route](http::Request request, http::Match match, http::Peer) {
            return run(this, route, std::move(request), std::move(match));
        });
    }
    static Task<http::Reply> run(Impl* self, Route route, http::Request request, http::Match match) {
        const std::scoped_lock lock(self->mutex);
        co_return (self->*route)(request, match);
    }

    http::Reply list(const http::Request&, const http::Match&) {
        boost::json::array out;
        for (const auto& [id, each] : servers)
            out.push_back({{"id", std::stoi(id)}, {"ip", each.ip}, {"domain", each.domain}, {"status", "Active"}});
        return answer(200, out);
    }
    http::Reply oses(const http::Request&, const http::Match& match) {
        const auto found = servers.find(match.params.at("id"));
        if (found == servers.end()) return answer(404, {{"error", {"servernotfound"}}});
        boost::json::array out;
        for (const auto& name : found->second.systems) out.push_back({{"os", name}, {"title", name}});
        return answer(200, out);
    }
    http::Reply start(const http::Request& request, const http::Match& match, std::string name) {
        const auto found = servers.find(match.params.at("id"));
        if (found == servers.end()) return answer(404, {{"error", {"servernotfound"}}});
        for (const auto& [id, job] : jobs)
            if (job.server == found->first && !job.results)
                return answer(401, {{"error", {boost::json::array{"wait_x_between_action", 1}, "unauthorized"}}});
        boost::json::error_code bad;
        const auto parsed = boost::json::parse(request.body, bad);
        const auto body = !bad && parsed.is_object() ? parsed.as_object() : boost::json::object();
        Job job{found->first, std::move(name), {}, looks, {}};
        if (const auto* key = body.if_contains("ssh_key")) job.public_key = key->as_string();
        if (job.name == "reinstall") {
            const auto* system = body.if_contains("os");
            if (!system || std::ranges::find(found->second.systems, std::string(system->as_string())) ==
                               found->second.systems.end())
                return answer(400, {{"error", {"invalid_os"}}});
        }
        const auto id = std::to_string(1000 + jobs.size());
        jobs[id] = std::move(job);
        return answer(200, {{"task_id", std::stoi(id)}});
    }
    http::Reply reinstall(const http::Request& request, const http::Match& match) {
        return start(request, match, "reinstall");
    }
    http::Reply reset_password(const http::Request& request, const http::Match& match) {
        return start(request, match, "resetpassword");
    }
    http::Reply task(const http::Request&, const http::Match& match) {
        const auto found = jobs.find(match.params.at("task"));
        if (found == jobs.end() || found->second.server != match.params.at("id"))
            return answer(404, {{"error", {"tasknotfound"}}});
        auto& job = found->second;
        if (!job.results && job.looks_left-- <= 0) {
            const auto& action = job.name == "reinstall" ? reinstalled : password_reset;
            job.results = action(servers.at(job.server), job.public_key);
        }
        boost::json::object out{{"name", job.name}, {"activated", "2026-01-10 12:00:00"}};
        out["completed"] = job.results ? "2026-01-10 12:05:00" : "";
        out["results"] = job.results.value_or("");
        return answer(200, out);
    }
};

FakeTime4vps::FakeTime4vps(std::string user, std::string password) : impl_(std::make_unique<Impl>()) {
    auto& d = *impl_;
    d.login = "Basic " + encoded(user + ":" + password);
    d.add("GET", "/api/server", &Impl::list);
    d.add("GET", "/api/server/{id}/oses", &Impl::oses);
    d.add("POST", "/api/server/{id}/reinstall", &Impl::reinstall);
    d.add("POST", "/api/server/{id}/resetpassword", &Impl::reset_password);
    d.add("GET", "/api/server/{id}/task/{task}", &Impl::task);
    d.server.emplace(d.io.get_executor(), [self = impl_.get()](http::Request request, http::Peer peer) {
        return Impl::serve(self, std::move(request), peer);
    });
    const auto listening = d.server->listen_tcp("127.0.0.1", 0);
    if (!listening) throw std::runtime_error("fake Time4VPS: " + listening.error().message);
    d.port = *listening;
    d.thread = std::thread([self = impl_.get()] { self->io.run(); });
}

FakeTime4vps::~FakeTime4vps() {
    auto& d = *impl_;
    asio::co_spawn(d.io, d.server->stop(std::chrono::milliseconds(0)),
                   [self = impl_.get()](std::exception_ptr) { self->io.stop(); });
    d.thread.join();
}

std::string FakeTime4vps::url() const { return "http://127.0.0.1:" + std::to_string(impl_->port) + "/api"; }

void FakeTime4vps::add(Server server) {
    const std::scoped_lock lock(impl_->mutex);
    const auto id = server.id;
    impl_->servers[id] = std::move(server);
}
void FakeTime4vps::on_reinstall(Action action) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->reinstalled = std::move(action);
}
void FakeTime4vps::on_reset_password(Action action) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->password_reset = std::move(action);
}
void FakeTime4vps::looks_until_done(int looks) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->looks = looks;
}
void FakeTime4vps::answer_with(unsigned status, std::string body, int times) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->forced.push_back({status, std::move(body), times});
}
std::vector<std::string> FakeTime4vps::requests() const {
    const std::scoped_lock lock(impl_->mutex);
    return impl_->seen;
}

}  // namespace codegen::testing
