#include "shared/redis/server_process.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>

#include "shared/async/scope.hpp"
#include "shared/base/ids.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/file.hpp"
#include "shared/process/process.hpp"

namespace codegen::redis {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kStartLimit{30000};  // a large append-only file takes its time
constexpr milliseconds kStopLimit{5000};
constexpr milliseconds kStableAfter{10000};
constexpr milliseconds kFirstWait{100};
constexpr milliseconds kLongestWait{5000};

// The socket's name is relative: redis-server is started in its directory, so a long path does not matter.
constexpr auto kConfiguration = R"(port 0
unixsocket redis.sock
unixsocketperm 700
daemonize no
dir ./
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
aclfile users.acl
loglevel notice
)";

std::string last_log_line(const std::filesystem::path& log) {
    auto text = posix::read_file(log, 64u << 20).value_or("");
    while (text.ends_with('\n')) text.pop_back();
    return text.substr(text.rfind('\n') + 1);
}

}  // namespace

struct RedisServer::Impl {
    Impl(asio::any_io_executor e, Options o) : executor(e), options(std::move(o)), ended(e), pause(e), scope(e) {}

    Result<void> prepare();
    Task<Result<void>> launch(std::shared_ptr<Impl> self);
    Task<Result<void>> answers(std::shared_ptr<Impl> self);
    Task<void> watch(std::shared_ptr<Impl> self, std::shared_ptr<process::Child> watched);
    Task<void> supervise(std::shared_ptr<Impl> self);
    Task<void> end(std::shared_ptr<Impl> self);

    const asio::any_io_executor executor;
    const Options options;
    Address address;
    std::shared_ptr<process::Child> child;  // while it runs
    bool supervised = false;                // supervise() runs
    bool stopping = false;
    asio::steady_timer ended;  // never expires; cancelled when the child has ended
    asio::steady_timer pause;  // before the next start
    async::Scope scope;
};

// Every start writes the files again: also after somebody deleted the directory.
Result<void> RedisServer::Impl::prepare() {
    const auto& directory = options.directory;
    auto made = posix::make_directory(directory, 0700);
    if (!made) return made;
    if (address.password.empty()) {
        auto password = posix::read_file(directory / "password", 1000);
        if (!password && password.error().code != "not_found") return std::unexpected(password.error());
        address.transport = Address::Transport::unix_socket;
        address.path = directory / "redis.sock";
        address.user = "admin";
        address.password = password && !password->empty() ? *password : random_token();
    }
    const auto acl = fmt::format("user default off\nuser {} on >{} ~* &* +@all\n", address.user, address.password);
    const std::array<std::pair<const char*, std::string_view>, 3> files{
        {{"password", address.password}, {"users.acl", acl}, {"redis.conf", kConfiguration}}};
    for (const auto& [name, content] : files) {
        auto written = posix::write_file_atomically(directory / name, content, 0600);
        if (!written) return written;
    }
    std::error_code ignored;
    std::filesystem::remove(directory / "redis.sock", ignored);  // of an earlier life
    return {};
}

Task<Result<void>> RedisServer::Impl::launch(std::shared_ptr<Impl> self) {
    auto prepared = prepare();
    if (!prepared) co_return prepared;
    process::Spec spec;
    spec.argv = {options.program, "redis.conf"};
    spec.environment = process::minimal_environment();
    spec.directory = options.directory;
    auto started = process::start(executor, std::move(spec), options.directory / "redis.log");
    if (!started) co_return std::unexpected(started.error());
    child = std::move(*started);
    ended.expires_at(asio::steady_timer::time_point::max());
    scope.spawn("redis-server", watch(self, child));
    auto up = co_await answers(self);
    if (!up && child) {
        child->kill_tree();
        co_await ended.async_wait(async::use_tuple);
    }
    co_return up;
}

Task<Result<void>> RedisServer::Impl::answers(std::shared_ptr<Impl> self) {
    const auto log = options.directory / "redis.log";
    const auto until = std::chrono::steady_clock::now() + kStartLimit;
    const auto failed = [&](std::string_view why) {
        return fail(ErrorCategory::fatal, "redis_server",
                    fmt::format("{} {} (log: {})", options.program, why, log.native()));
    };
    std::optional<Client> client;
    while (self->child) {
        std::error_code ignored;
        if (std::filesystem::exists(address.path, ignored)) {
            if (!client) client.emplace(executor, address, ClientOptions{.command_timeout = milliseconds(500)});
            auto pong = co_await client->command({"PING"});
            if (pong) co_return Result<void>();
            if (pong.error().category == ErrorCategory::fatal) co_return failed("refuses: " + pong.error().message);
        }
        if (std::chrono::steady_clock::now() > until) co_return failed("does not answer");
        co_await async::sleep_for(milliseconds(2));
    }
    co_return failed("ended while it started: " + last_log_line(log));
}

Task<void> RedisServer::Impl::watch(std::shared_ptr<Impl> self, std::shared_ptr<process::Child> watched) {
    const int status = co_await watched->wait();
    if (status < 0) co_return;
    if (self->child == watched) self->child.reset();
    if (!stopping) {
        log::warning("redis-server ended",
                     {{"directory", options.directory.native()},
                      {"cause", WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status))
                                                    : fmt::format("exit {}", WEXITSTATUS(status))}});
    }
    ended.cancel();
}

Task<void> RedisServer::Impl::supervise(std::shared_ptr<Impl> self) {
    milliseconds wait = kFirstWait;
    while (!self->stopping) {
        const auto since = std::chrono::steady_clock::now();
        while (child) co_await ended.async_wait(async::use_tuple);
        if (std::chrono::steady_clock::now() - since > kStableAfter) wait = kFirstWait;
        pause.expires_after(wait);
        if (!stopping) co_await pause.async_wait(async::use_tuple);
        wait = std::min(wait * 2, kLongestWait);
        if (stopping) break;
        auto up = co_await launch(self);
        if (!up) {
            log::error("redis-server does not start again", {{"error", up.error().message}});
            continue;
        }
        if (stopping) break;
        log::info("redis-server runs again", {{"pid", std::to_string(child ? child->pid() : 0)}});
        if (options.on_restart) options.on_restart();
    }
    supervised = false;
}

Task<void> RedisServer::Impl::end(std::shared_ptr<Impl> self) {
    self->stopping = true;
    pause.cancel();
    const auto last = child;
    if (!last) co_return;
    last->signal(SIGTERM);
    last->signal(SIGCONT);
    const auto until = std::chrono::steady_clock::now() + kStopLimit;
    while (child && std::chrono::steady_clock::now() < until) co_await async::sleep_for(milliseconds(2));
    last->kill_tree();  // also its background rewrite, if one is left
    while (child) co_await ended.async_wait(async::use_tuple);
}

RedisServer::RedisServer(asio::any_io_executor executor, Options options)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options))) {}

RedisServer::~RedisServer() {
    impl_->stopping = true;
    impl_->pause.cancel();
    if (impl_->child) impl_->child->kill_tree();
    impl_->scope.cancel();
}

Task<Result<void>> RedisServer::start() {
    const auto self = impl_;
    return [](std::shared_ptr<Impl> impl) -> Task<Result<void>> {
        impl->stopping = false;
        auto up = co_await impl->launch(impl);
        if (up && impl->options.supervise && !impl->supervised) {
            impl->supervised = true;
            impl->scope.spawn("redis-server supervision", impl->supervise(impl));
        }
        co_return up;
    }(self);
}

Task<void> RedisServer::stop() { return impl_->end(impl_); }

void RedisServer::signal(int number) {
    if (impl_->child) impl_->child->signal(number);
}

int RedisServer::pid() const { return impl_->child ? impl_->child->pid() : 0; }

const Address& RedisServer::address() const { return impl_->address; }

}  // namespace codegen::redis
