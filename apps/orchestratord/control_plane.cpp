#include "apps/orchestratord/control_plane.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "apps/orchestratord/observe.hpp"
#include "apps/orchestratord/roles.hpp"
#include "apps/orchestratord/state_directory.hpp"
#include "shared/async/scope.hpp"
#include "shared/base/ids.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/file.hpp"
#include "shared/process/process.hpp"
#include "shared/redis/server_process.hpp"

namespace codegen::orchestratord {
namespace {

using namespace std::chrono_literals;

Result<redis::Address> external_redis(const Configuration& configuration) {
    if (!configuration.is_set("REDIS_URL"))
        return fail(ErrorCategory::fatal, "configuration",
                    "REDIS_URL is not set: `serve` needs redis://, rediss:// or unix:// (only `dev` starts a server of "
                    "its own)");
    auto address = redis::parse_address(configuration.text("REDIS_URL"));
    if (address && address->ca_file.empty()) address->ca_file = configuration.text("REDIS_CA_FILE");
    if (!address) return std::unexpected(in_context(address.error(), "REDIS_URL"));
    return address;
}

void tell_ready(const ControlPlaneOptions& options, const std::string& line) {
    const auto text = line + "\n";
    if (options.ready_fd >= 0) {
        for (std::size_t done = 0; done < text.size();) {
            const auto n = ::write(options.ready_fd, text.data() + done, text.size() - done);
            if (n < 0 && errno == EBADF)
                log::warning("--ready-fd is not open", {{"descriptor", std::to_string(options.ready_fd)}});
            if (n <= 0) break;  // nobody listens any more: nothing depends on it
            done += static_cast<std::size_t>(n);
        }
        ::close(options.ready_fd);
    }
    if (!options.ready_file.empty())
        if (auto written = posix::write_file_atomically(options.ready_file, text, 0644); !written)
            log::warning("the ready file could not be written", {{"error", written.error().message}});
}

// The life of one process: everything in it lives on one io_context.
class Process {
  public:
    Process(asio::io_context& io, const Configuration& configuration, StateDirectory state, ControlPlaneOptions options)
        : configuration_(configuration),
          options_(std::move(options)),
          state_(std::move(state)),
          signals_(io, SIGTERM, SIGINT),
          scope_(io.get_executor()),
          executor_(io.get_executor()) {}

    Task<Result<void>> run() {
        auto outcome = co_await start_and_wait();
        co_await stop();
        co_return outcome;
    }

  private:
    Task<Result<void>> start_and_wait() {
        auto redis = co_await start_redis();
        if (!redis) co_return std::unexpected(redis.error());
        roles_ = std::make_unique<Roles>(executor_, configuration_, state_, *redis);
        if (auto seen = observe(*redis); !seen) co_return std::unexpected(seen.error());
        auto opened = co_await roles_->open(role_names(), !options_.dev);
        if (!opened) co_return std::unexpected(opened.error());
        observer_->set_ready(true);
        scope_.spawn("roles", run_roles());
        tell_ready(options_, *opened);
        // "==> workers run in ..." is for who reads tools/run.sh
        constexpr std::string_view kArrow = "==> ";
        log::info("ready", {{"state", state_.path().string()},
                            {"workers", opened->starts_with(kArrow) ? opened->substr(kArrow.size()) : *opened}});
        auto [error, signal] = co_await signals_.async_wait(async::use_tuple);
        if (fatal_) co_return std::unexpected(*fatal_);
        if (!error) log::info("stopping", {{"signal", std::to_string(signal)}});
        co_return Result<void>{};
    }

    // A role that ends by itself ends the process: its error is the one line that the person sees.
    Task<void> run_roles() {
        auto outcome = co_await roles_->run();
        if (!outcome) {
            fatal_ = outcome.error();
            signals_.cancel();
        }
    }

    Task<Result<redis::Address>> start_redis() {
        if (!options_.dev || configuration_.is_set("REDIS_URL")) co_return external_redis(configuration_);
        redis_ =
            std::make_unique<redis::RedisServer>(executor_, redis::RedisServer::Options{.directory = state_ / "redis"});
        auto started = co_await redis_->start();
        if (!started) co_return std::unexpected(in_context(started.error(), "private redis-server"));
        if (auto written = posix::write_file_atomically(state_ / "redis.url", redis_->url(), 0600); !written)
            co_return std::unexpected(written.error());
        co_return redis_->address();
    }

    std::vector<std::string> role_names() const {
        if (!options_.dev) return options_.roles;
        std::vector<std::string> out{"api", "workflow", "worker-manager", "infra-service"};
        if (configuration_.text("SCAFFOLDER") == "on") out.emplace_back("scaffolder");
        return out;
    }

    // From the start on: who waits for readiness can see that it is not there yet.
    Result<void> observe(const redis::Address& redis) {
        ObserveOptions options;
        options.roles = role_names();
        options.redis = redis;
        options.checks = {{"database", [this] { return roles_->check_database(); }}};
        options.tokens = [this] { return known_tokens(); };
        observer_ = std::make_unique<Observer>(executor_, std::move(options));
        const auto name =
            options_.dev ? std::string("observe.sock") : fmt::format("observe-{}.sock", fmt::join(role_names(), "+"));
        if (auto listening = observer_->listen(state_ / name); !listening)
            log::warning("not to be observed here",
                         {{"error", listening.error().message}});  // a copy of the same roles
        const auto text = configuration_.optional_text("OBSERVE_ADDRESS");
        if (!text) return {};
        const auto address = parse_tcp("OBSERVE_ADDRESS", *text);
        if (!address) return std::unexpected(address.error());
        if (auto port = observer_->listen_tcp(address->host, address->port); !port)
            return std::unexpected(in_context(port.error(), "OBSERVE_ADDRESS " + *text));
        return {};
    }
    // Read anew: the api role makes them.
    std::vector<std::string> known_tokens() const {
        std::vector<std::string> out{configuration_.text("SERVICE_TOKEN")};
        for (const auto* file : {"admin.token", "service.token", "infra.token"}) {
            auto token = posix::read_file(state_ / file, 4096);
            if (!token) continue;
            while (token->ends_with('\n')) token->pop_back();
            out.push_back(std::move(*token));
        }
        return out;
    }

    Task<void> stop() {
        if (observer_) observer_->set_ready(false);
        if (roles_) co_await roles_->stop();
        co_await scope_.stop();
        if (observer_) co_await observer_->stop();
        if (redis_) co_await redis_->stop();
    }

    const Configuration& configuration_;
    const ControlPlaneOptions options_;
    StateDirectory state_;
    std::optional<Error> fatal_;
    std::unique_ptr<redis::RedisServer> redis_;
    std::unique_ptr<Roles> roles_;
    std::unique_ptr<Observer> observer_;
    asio::signal_set signals_;
    async::Scope scope_;
    asio::any_io_executor executor_;
};

}  // namespace

Result<void> run_control_plane(const Configuration& configuration, const Configuration::Environment& environment,
                               ControlPlaneOptions options) {
    const auto level = log::parse_level(configuration.text("LOG_LEVEL"));
    if (!level) return std::unexpected(level.error());
    log::setup(*level, configuration.text("LOG_FORMAT") == "json" ? log::Format::json : log::Format::console,
               "orchestratord");

    std::filesystem::path path = configuration.text("CODEGEN_STATE_DIR");
    if (path.empty()) path = StateDirectory::default_path(environment, ::geteuid() == 0);
    auto state = StateDirectory::open(path, options.dev);
    if (!state) return std::unexpected(state.error());

    process::become_subreaper();  // what a killed git or build leaves behind stays findable
    asio::io_context io(1);
    Process process(io, configuration, std::move(*state), std::move(options));
    std::optional<Result<void>> outcome;
    async::Scope main(io.get_executor());
    main.spawn("orphans", process::reap_orphans());
    main.spawn("main", [](Process* running, asio::io_context* loop, std::optional<Result<void>>* out) -> Task<void> {
        out->emplace(co_await running->run());
        loop->stop();  // connections that the roles' objects still hold would keep it running
    }(&process, &io, &outcome));
    io.run();
    return outcome ? std::move(*outcome) : fail(ErrorCategory::fatal, "internal", "the main task did not end");
}

}  // namespace codegen::orchestratord
