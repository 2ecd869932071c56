#include "services/worker-manager/gateway/gateway.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "services/worker-manager/gateway/control_socket.hpp"
#include "services/worker-manager/gateway/doors.hpp"
#include "services/worker-manager/gateway/redis_proxy.hpp"
#include "shared/http/server.hpp"
#include "shared/posix/file.hpp"

namespace codegen::worker_manager {
namespace {

namespace fs = std::filesystem;

http::Reply leads_nowhere(const Gate& gate, std::string_view target) {
    return refuse(
        gate, 403,
        fmt::format("\"{}\" leads nowhere; there are /api/, /streams/, /model/ and CONNECT host:port", target));
}

Task<http::Reply> dispatch(Gate gate, http::Request request) {
    const std::string_view target = request.target;
    if (request.method == "CONNECT") return tunnel_door(std::move(gate), std::move(request));
    if (target.starts_with("/api/")) return api_door(std::move(gate), std::move(request));
    if (target.starts_with("/streams/")) return stream_door(std::move(gate), std::move(request));
    if (target.starts_with("/model/")) return model_door(std::move(gate), std::move(request));
    return [](Gate g, std::string where) -> Task<http::Reply> { co_return leads_nowhere(g, where); }(
                                             std::move(gate), std::string(target));
}

// Before the body is taken: nothing is read for a request that leads nowhere.
http::BodyRule body_rule(const Gate& gate, const http::Request& head) {
    const std::string_view target = head.target;
    std::optional<http::Reply> refusal;
    if (target.starts_with("/api/"))
        refusal = api_refusal(gate, head);
    else if (target.starts_with("/streams/"))
        refusal = stream_refusal(gate, head);
    else if (target.starts_with("/model/"))
        refusal = model_refusal(gate, head);
    else
        refusal = leads_nowhere(gate, target);
    http::BodyRule rule{target.starts_with("/model/") ? gate->settings->body_limit : gate->settings->small_body_limit};
    if (refusal) rule.refusal = std::move(refusal->head);
    return rule;
}

Result<void> make_directory(const fs::path& path, mode_t mode, int group) {
    auto made = posix::make_directory(path, mode);
    if (!made) return made;
    if (::chown(path.c_str(), -1, static_cast<gid_t>(group)) != 0)
        return posix::errno_error(fmt::format("set group {} of {}", group, path.string()), errno);
    return {};
}

}  // namespace

struct Gateway::Impl {
    Impl(asio::any_io_executor ex, redis::Client& client, Gate context, const GatewaySettings& settings)
        : gate(std::move(context)),
          redis_proxy(ex, client, settings.redis, gate->identity),
          control(ex, gate),
          server(
              ex, [g = gate](http::Request request, http::Peer) { return dispatch(g, std::move(request)); },
              http::ServerOptions{.body_limit = settings.body_limit,
                                  .idle_timeout = std::chrono::seconds(120),
                                  .max_connections = 256,
                                  .bodies_limit = settings.bodies_limit,
                                  .body_rule = [g = gate](const http::Request& head) { return body_rule(g, head); }}) {}
    Gate gate;
    RedisProxy redis_proxy;
    ControlSocket control;
    http::Server server;
};

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gateway::~Gateway() = default;

Result<std::unique_ptr<Gateway>> Gateway::make(asio::any_io_executor executor, redis::Client& redis,
                                               std::shared_ptr<const GatewaySettings> settings,
                                               GatewayIdentity identity, GatewayCounts counts) {
    auto gate = std::make_shared<GatewayContext>(executor, redis, settings, std::move(identity));
    gate->counts = counts;
    auto egress = EgressRules::parse(gate->identity.egress_allow, "the project's config.egress_allow");
    if (!egress) return std::unexpected(egress.error());
    gate->egress.add(*egress);
    // A Product Owner's conversation is no task.
    if (gate->identity.worker_type == contracts::WorkerType::developer)
        gate->spending.limit(settings->max_tokens_per_task, gate->identity.task_id.has_value());
    gate->spending.add_earlier(tokens_of(counts), static_cast<double>(counts.model_cost_microusd) / 1e6);
    auto api = http::parse_url(settings->api_url);
    if (!api) return std::unexpected(in_context(api.error(), "API address"));
    gate->api = std::make_unique<http::Client>(executor, std::move(*api));
    for (const auto& provider : settings->providers) {
        auto url = http::parse_url(provider.base_url);
        if (!url) return std::unexpected(in_context(url.error(), "base URL of model provider " + provider.name));
        gate->providers.emplace(
            provider.name,
            std::make_unique<http::Client>(executor, std::move(*url), http::ClientOptions{.proxy = provider.proxy}));
    }
    auto impl = std::make_unique<Impl>(executor, redis, std::move(gate), *settings);
    return std::unique_ptr<Gateway>(new Gateway(std::move(impl)));
}

Result<void> Gateway::make_directories(const fs::path& directory, int agent_gid) {
    for (const auto& [path, mode] : {std::pair(directory, mode_t{0750}), std::pair(directory / "agent", mode_t{0750})})
        if (auto made = make_directory(path, mode, agent_gid); !made) return made;
    return posix::make_directory(directory / "wrapper", 0700);
}

Result<void> Gateway::open(const fs::path& directory, int agent_gid) {
    if (auto made = make_directories(directory, agent_gid); !made) return made;
    if (auto listening = impl_->redis_proxy.listen(directory / "wrapper" / "redis.sock"); !listening) return listening;
    if (auto listening = impl_->control.listen(directory / "wrapper" / "control.sock"); !listening) return listening;
    return impl_->server.listen_unix(directory / "http.sock", 0660, agent_gid);
}

void Gateway::set_token(std::string token) {
    impl_->gate->token = std::move(token);
    impl_->gate->token_set.cancel();
}

void Gateway::add_earlier(std::int64_t tokens, double usd) { impl_->gate->spending.add_earlier(tokens, usd); }

GatewayCounts Gateway::counts() const { return impl_->gate->counts; }

Task<void> Gateway::close() {
    for (auto* stream : impl_->gate->tunnels) stream->close();
    co_await impl_->redis_proxy.close();
    co_await impl_->control.close();
    co_await impl_->server.stop(std::chrono::milliseconds(0));
}

}  // namespace codegen::worker_manager
