#include "shared/testing/github/fake_github.hpp"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_future.hpp>
#include <deque>
#include <future>
#include <list>
#include <stdexcept>
#include <thread>

#include "shared/http/server.hpp"
#include "shared/posix/file.hpp"
#include "shared/testing/github/world.hpp"

namespace codegen::testing {
namespace {

using github::World;

constexpr std::size_t kLargestPush = 256u << 20;
constexpr std::string_view kStorage = "/_storage/logs/";

std::string hash_of(std::string_view text) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
    std::string hex;
    for (const auto byte : digest) hex += fmt::format("{:02x}", byte);
    return hex;
}

bool is_git(std::string_view target) {
    const auto path = target.substr(0, target.find('?'));
    return path.contains(".git/") &&
           (path.ends_with("/info/refs") || path.ends_with("/git-upload-pack") || path.ends_with("/git-receive-pack"));
}

Task<Result<void>> cut_here() {
    co_return fail(ErrorCategory::transient, "connection", "the test cuts the connection here");
}

// The head goes out, then the connection ends.
http::Reply cut() {
    http::Reply reply;
    reply.head.headers.set("Content-Length", "1000");
    reply.body = [](http::Stream&) { return cut_here(); };
    return reply;
}

}  // namespace

struct FakeGitHub::Impl {
    explicit Impl(Options options) : world(std::move(options)) {
        github::add_app_routes(world, router);
        github::add_repository_routes(world, router);
        github::add_contents_routes(world, router);
        github::add_actions_routes(world, router);
        github::add_pull_routes(world, router);
        start();
    }
    ~Impl() { stop(); }

    // Used on the server's thread alone once it runs.
    asio::io_context io;
    World world;
    http::Router router;
    std::deque<GitHubFault> faults;
    std::vector<GitHubRequest> seen;
    std::list<asio::steady_timer> hanging;
    std::unique_ptr<http::Server> server;
    std::thread thread;

    void start() {
        server = std::make_unique<http::Server>(
            io.get_executor(),
            [this](http::Request request, http::Peer peer) { return serve(std::move(request), peer); },
            http::ServerOptions{.body_limit = kLargestPush});
        const auto port = server->listen_tcp("127.0.0.1", 0);
        if (!port) throw std::runtime_error("fake GitHub: " + port.error().message);
        world.base_url = fmt::format("http://127.0.0.1:{}", *port);
        thread = std::thread([this] { io.run(); });
    }

    void stop() {
        asio::post(io, [this] {
            for (auto& timer : hanging) timer.cancel();
        });
        asio::co_spawn(io, server->stop(std::chrono::milliseconds(0)), [this](std::exception_ptr) { io.stop(); });
        thread.join();
    }

    // What `work` returns, of the server's thread.
    template <class Work>
    auto ask(Work work) {
        auto answer = std::make_shared<std::promise<decltype(work())>>();
        auto future = answer->get_future();
        asio::post(io, [answer, work] {
            if constexpr (std::is_void_v<decltype(work())>) {
                work();
                answer->set_value();
            } else {
                answer->set_value(work());
            }
        });
        return future.get();
    }
    template <class T>
    T run(Task<T> task) {
        return asio::co_spawn(io, std::move(task), asio::use_future).get();
    }

    std::optional<GitHubFault> fault_for(const http::Request& request, bool after_effect) {
        for (auto fault = faults.begin(); fault != faults.end(); ++fault) {
            if (fault->after_effect != after_effect || (!fault->method.empty() && fault->method != request.method) ||
                !request.target.starts_with(fault->path))
                continue;
            auto found = *fault;
            if (--fault->times == 0) faults.erase(fault);
            return found;
        }
        return std::nullopt;
    }

    Task<http::Reply> fail_as(GitHubFault fault) {
        if (fault.cuts) co_return cut();
        if (fault.hangs) {
            const auto timer = hanging.emplace(hanging.end(), io, asio::steady_timer::time_point::max());
            co_await timer->async_wait(async::use_tuple);
            hanging.erase(timer);
        }
        http::Reply reply;
        reply.head.status = fault.status;
        reply.head.body = fault.body;
        reply.head.headers.set("Content-Type", "application/json; charset=utf-8");
        for (auto& [name, value] : fault.headers) reply.head.headers.set(name, std::move(value));
        co_return reply;
    }

    Task<http::Reply> serve(http::Request request, http::Peer peer) {
        const auto base = world.api_base();
        const bool git = is_git(request.target);
        const bool api = !git && request.target.starts_with(base + "/");
        if (api) request.target.erase(0, base.size());
        const auto place = seen.size();
        seen.push_back({request.method, request.target, request.headers, request.body, 0});
        auto reply = co_await answer(std::move(request), peer, git, api);
        seen[place].status = reply.head.status;
        co_return reply;
    }

    Task<http::Reply> answer(http::Request request, http::Peer peer, bool git, bool api) {
        if (auto fault = fault_for(request, false)) {
            auto failed = co_await fail_as(std::move(*fault));
            co_return failed;
        }
        auto after = fault_for(request, true);
        http::Reply reply;
        if (git)
            reply = co_await github::serve_git(&world, std::move(request));
        else if (request.target.starts_with(kStorage))
            reply.head = stored(request);
        else if (api)
            reply = co_await serve_api(std::move(request), peer);
        else
            reply.head = github::refuse(404, "Not Found");
        if (after) reply = co_await fail_as(std::move(*after));
        co_return reply;
    }

    // Where logs lie: signed, and refusing whoever brings a token along, as the real place does.
    http::Response stored(const http::Request& request) const {
        if (request.headers.get("Authorization")) return github::refuse(400, "one way to authenticate at a time");
        for (const auto& [name, hosted] : world.repositories)
            for (const auto& run : hosted.runs)
                if (request.target == fmt::format("{}{}?sig=signed", kStorage, run.id)) {
                    http::Response response;
                    response.headers.set("Content-Type", "application/zip");
                    response.body = run.logs;
                    return response;
                }
        return github::refuse(404, "The specified resource does not exist.");
    }

    Task<http::Reply> serve_api(http::Request request, http::Peer peer) {
        const bool limited = request.headers.get("Authorization").value_or("").starts_with("Bearer ghs_");
        if (world.now() >= world.window_end) {
            world.used = 0;
            world.window_end = world.now() + std::chrono::hours(1);
        }
        http::Reply reply;
        if (limited && world.used >= world.options.hourly_limit) {
            reply.head = github::refuse(403, "API rate limit exceeded for installation ID 4711.");
        } else {
            if (limited) ++world.used;
            const auto method = request.method;
            const std::string known(request.headers.get("If-None-Match").value_or(""));
            reply = co_await router.dispatch(std::move(request), peer);
            if (method == "GET" && reply.head.status == 200) {
                const auto etag = "W/\"" + hash_of(reply.head.body) + "\"";
                reply.head.headers.set("ETag", etag);
                if (known == etag) {
                    reply.head.status = 304;
                    reply.head.body.clear();
                    if (limited) --world.used;
                }
            }
        }
        if (!limited) co_return reply;
        const auto set = [&](std::string_view name, std::int64_t value) {
            reply.head.headers.set(name, std::to_string(value));
        };
        set("x-ratelimit-limit", world.options.hourly_limit);
        set("x-ratelimit-remaining", std::max<std::int64_t>(world.options.hourly_limit - world.used, 0));
        set("x-ratelimit-used", world.used);
        set("x-ratelimit-reset", std::chrono::ceil<std::chrono::seconds>(world.window_end.time_since_epoch()).count());
        reply.head.headers.set("x-ratelimit-resource", "core");
        co_return reply;
    }

    static Task<void> make_repository(World* world, std::string name, bool empty) {
        github::Hosted made;
        made.id = world->next_id++;
        made.name = name;
        made.path = world->directory / world->options.organization / (name + ".git");
        co_await github::make_bare(made.path, made.default_branch);
        if (!empty)
            co_await github::commit_file(made.path, made.default_branch, "README.md", "# " + name + "\n",
                                         "Initial commit");
        world->repositories[name] = std::move(made);
    }
};

FakeGitHub::FakeGitHub(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
FakeGitHub::~FakeGitHub() = default;

std::string FakeGitHub::api_url() const { return impl_->world.base_url + impl_->world.api_base(); }
std::string FakeGitHub::web_url() const { return impl_->world.base_url; }
const std::string& FakeGitHub::private_key() const { return impl_->world.private_key; }
const FakeGitHub::Options& FakeGitHub::options() const { return impl_->world.options; }

void FakeGitHub::fail(GitHubFault fault) {
    impl_->ask([&] { impl_->faults.push_back(std::move(fault)); });
}

void FakeGitHub::release() {
    impl_->ask([&] {
        for (auto& timer : impl_->hanging) timer.cancel();
    });
}

void FakeGitHub::expire_tokens() {
    impl_->ask([&] {
        for (auto& [text, token] : impl_->world.tokens) token.expires = impl_->world.now();
    });
}

void FakeGitHub::advance(std::chrono::seconds by) {
    impl_->ask([&] { impl_->world.clock_offset += by; });
}

Timestamp FakeGitHub::now() const {
    return impl_->ask([&] { return impl_->world.now(); });
}

void FakeGitHub::use_requests(std::int64_t count) {
    impl_->ask([&] { impl_->world.used += count; });
}

void FakeGitHub::add_repository(const std::string& name, bool empty) {
    impl_->run(Impl::make_repository(&impl_->world, name, empty));
}

void FakeGitHub::name_default_branch(const std::string& repository, const std::string& branch) {
    const auto before =
        impl_->ask([&] { return std::exchange(impl_->world.repositories.at(repository).default_branch, branch); });
    if (!impl_->run(github::git(repository_path(repository), {"branch", "-m", before, branch})))
        throw std::runtime_error("branch " + before + " cannot be renamed");
}

void FakeGitHub::commit(const std::string& repository, const std::string& branch, const std::string& path,
                        const std::string& content) {
    impl_->run(github::commit_file(repository_path(repository), branch, path, content, "By somebody else"));
}

void FakeGitHub::add_names(std::size_t count) {
    impl_->ask([&] {
        for (std::size_t i = 0; i < count; ++i) {
            auto& made = impl_->world.repositories[fmt::format("r{:03}", i)];
            made.id = impl_->world.next_id++;
            made.name = fmt::format("r{:03}", i);
        }
    });
}

void FakeGitHub::refuse_pushes(const std::string& name, const std::string& message) {
    const auto file = repository_path(name) / "refuse";
    if (message.empty())
        std::filesystem::remove(file);
    else if (auto written = posix::write_file_atomically(file, message + "\n", 0600); !written)
        throw std::runtime_error(written.error().message);
}

bool FakeGitHub::has_repository(const std::string& name) const {
    return impl_->ask([&] { return impl_->world.repositories.contains(name); });
}

std::filesystem::path FakeGitHub::repository_path(const std::string& name) const {
    return impl_->world.directory / impl_->world.options.organization / (name + ".git");
}

std::optional<std::string> FakeGitHub::branch(const std::string& repository, const std::string& name) const {
    return impl_->run(
        github::git_line(repository_path(repository), {"rev-parse", "--verify", "--quiet", "refs/heads/" + name}));
}

std::optional<std::string> FakeGitHub::file(const std::string& repository, const std::string& ref,
                                            const std::string& path) const {
    return impl_->run(github::git(repository_path(repository), {"cat-file", "blob", ref + ":" + path}));
}

std::map<std::string, std::string> FakeGitHub::secrets(const std::string& repository) const {
    return impl_->ask([&] { return impl_->world.repositories.at(repository).secrets; });
}

void FakeGitHub::end_run(const std::string& repository, std::int64_t id, const std::string& conclusion,
                         const std::string& zipped_logs) {
    impl_->ask([&] {
        for (auto& run : impl_->world.repositories.at(repository).runs) {
            if (run.id != id) continue;
            run.status = "completed";
            run.conclusion = conclusion;
            run.logs = zipped_logs;
        }
    });
}

std::int64_t FakeGitHub::add_run(const std::string& repository, const std::string& workflow,
                                 const std::string& branch) {
    return impl_->ask([&] {
        github::Run run;
        run.id = impl_->world.next_id++;
        run.workflow = workflow;
        run.title = workflow;
        run.branch = branch;
        impl_->world.repositories.at(repository).runs.push_back(run);
        return run.id;
    });
}

void FakeGitHub::set_checks(const std::string& repository, boost::json::array checks) {
    impl_->ask([&] { impl_->world.repositories.at(repository).checks = checks; });
}

std::size_t FakeGitHub::pull_requests(const std::string& repository) const {
    return impl_->ask([&] { return impl_->world.repositories.at(repository).pulls.size(); });
}

std::vector<GitHubRequest> FakeGitHub::requests() const {
    return impl_->ask([&] { return impl_->seen; });
}

std::size_t FakeGitHub::count(const std::string& method, const std::string& path_begins) const {
    const auto all = requests();
    return static_cast<std::size_t>(std::ranges::count_if(all, [&](const GitHubRequest& request) {
        return request.method == method && request.target.starts_with(path_begins);
    }));
}

std::vector<std::string> FakeGitHub::tokens() const {
    return impl_->ask([&] {
        std::vector<std::string> out;
        for (const auto& [text, token] : impl_->world.tokens) out.push_back(text);
        return out;
    });
}

}  // namespace codegen::testing
