#include "services/worker-manager/people/front.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <charconv>
#include <map>

#include "services/worker-manager/gateway/identity.hpp"
#include "shared/contracts/contracts.hpp"
#include "shared/logging/log.hpp"

namespace codegen::worker_manager {
namespace {

namespace fs = std::filesystem;
using contracts::WorkerState;
using contracts::WorkerView;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kBodyLimit = 1u << 20;
constexpr std::size_t kMostExecs = 16;
constexpr std::size_t kExecOutput = 1u << 20;  // what run_inside() keeps
constexpr milliseconds kPoll{150};
constexpr seconds kDeletion{60};  // how long an answer waits for it

http::Response json_answer(unsigned status, std::string body) {
    http::Response response;
    response.status = status;
    response.headers.set("Content-Type", "application/json");
    response.body = std::move(body);
    return response;
}

http::Response no_worker(std::string_view id) {
    return http::problem(404, fmt::format("there is no worker \"{}\" on this host", id.substr(0, 80)));
}

http::Response answer_of(const Error& error) {
    if (error.code == "timeout") return http::problem(504, error.message);
    if (error.code == "not_found" || error.code == "conflict") return http::problem(409, error.message);
    if (error.category == ErrorCategory::transient || error.category == ErrorCategory::upstream)
        return http::problem(503, error.message);
    return http::problem(422, error.message);
}

std::expected<std::size_t, http::Response> number(const http::Match& match, const std::string& name,
                                                  std::size_t fallback, std::size_t most) {
    const auto given = match.query.find(name);
    if (given == match.query.end()) return fallback;
    const auto& text = given->second;
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc{} && end == text.data() + text.size() && value <= most) return value;
    return std::unexpected(http::problem(
        422, "the query is not valid", {{name, fmt::format("is \"{}\": expected 0 to {}", text.substr(0, 40), most)}}));
}

std::expected<bool, http::Response> flag(const http::Match& match, const std::string& name) {
    auto value = number(match, name, 0, 1);
    if (!value) return std::unexpected(value.error());
    return *value == 1;
}

std::expected<Record, http::Response> record_of(const http::Match& match) {
    const auto given = match.query.find("record");
    if (given == match.query.end()) return Record::log;
    if (const auto record = json::enum_from<Record>(given->second)) return *record;
    return std::unexpected(
        http::problem(422, "the query is not valid",
                      {{"record", fmt::format("unknown value \"{}\", expected one of {}", given->second.substr(0, 40),
                                              json::names_of<Record>())}}));
}

std::string_view content_type(Record record) {
    return record == Record::output ? "text/plain; charset=utf-8" : "application/x-ndjson";
}

// Has its last word been written?
bool is_over(const std::optional<WorkerView>& view) {
    return !view || view->ended || view->status == WorkerState::STOPPED;
}

// Counts what is under way.
class Held {
  public:
    explicit Held(std::size_t& count) : count_(&count) { ++count; }
    Held(const Held&) = delete;
    ~Held() { --*count_; }

  private:
    std::size_t* count_;
};

}  // namespace

struct Front::Impl {
    Impl(asio::any_io_executor executor, PeopleOptions o, Callers c, FrontDoorways d, WorkerRuntime& r, Evidence& e,
         std::shared_ptr<const Redactor> redactor)
        : options(std::move(o)),
          callers(std::move(c)),
          doorways(std::move(d)),
          runtime(r),
          evidence(e),
          redact(std::move(redactor)),
          server(executor,
                 [this](http::Request request, http::Peer peer) { return handle(this, std::move(request), peer); },
                 {.body_limit = kBodyLimit, .max_connections = 256}) {
        route("GET", "/workers", "worker.list", list);
        route("GET", "/workers/{id}", "worker.show", show);
        route("GET", "/workers/{id}/logs", "worker.logs", logs);
        route("POST", "/workers/{id}/exec", "worker.exec", exec);
        route("DELETE", "/workers/{id}", "worker.delete", remove);
        route("GET", "/images", "image.list", list_images);
        route("POST", "/images/prune", "image.prune", prune_images);
    }

    // Lives while its handler runs.
    struct Context {
        Impl* self;
        const http::Request& request;
        const http::Match& match;
        const Caller& caller;
        std::string id() const {
            const auto found = match.params.find("id");
            return found == match.params.end() ? std::string() : found->second;
        }
    };
    using Route = Task<http::Reply> (*)(const Context*);

    void route(std::string_view method, std::string_view pattern, std::string_view permission, Route handler) {
        router.add(method, pattern, [this, permission, handler](http::Request request, http::Match match, http::Peer) {
            return serve(this, permission, handler, std::move(request), std::move(match));
        });
    }

    static Task<http::Reply> handle(Impl* self, http::Request request, http::Peer peer) {
        auto reply = co_await self->router.dispatch(std::move(request), peer);
        co_return reply;
    }

    static Task<http::Reply> serve(Impl* self, std::string_view permission, Route handler, http::Request request,
                                   http::Match match) {
        auto caller = co_await self->callers.identify(&request.headers);
        if (!caller) {
            audit(request, "nobody", caller.error().status);
            co_return http::Reply{caller.error(), {}, {}};
        }
        http::Reply reply;
        if (!caller->self.actions.empty() && !allows(caller->self.actions, permission)) {
            reply.head = http::problem(403, fmt::format("this token does not allow {}", permission));
        } else {
            const Context context{self, request, match, *caller};
            reply = co_await handler(&context);
        }
        audit(request, caller->description(), reply.head.status);
        co_return reply;
    }

    // Who, what, allowed or not. Looking is no news unless it is refused.
    static void audit(const http::Request& request, const std::string& who, unsigned status) {
        const auto write = request.method == "GET" && status < 400 ? log::debug : log::info;
        write("a person's request",
              {{"method", request.method},
               {"path", request.target.substr(0, std::min<std::size_t>(request.target.find('?'), 200))},
               {"caller", who},
               {"status", std::to_string(status)}});
    }

    std::optional<WorkerView> find(const std::string& id) const {
        for (auto& view : doorways.workers())
            if (view.worker_id == id) return std::move(view);
        return evidence.newest(id);
    }

    // The worker that the path names, if the caller may see it. Another one's is as absent as none.
    static Task<std::expected<WorkerView, http::Response>> the_worker(const Context* context) {
        auto view = context->self->find(context->id());
        if (!view) co_return std::unexpected(no_worker(context->id()));
        auto seen = co_await context->self->callers.may_see(&context->caller, &*view);
        if (!seen) co_return std::unexpected(seen.error());
        if (!*seen) co_return std::unexpected(no_worker(context->id()));
        co_return std::move(*view);
    }

    static Task<http::Reply> list(const Context* context) {
        const auto all = flag(context->match, "all");
        if (!all) co_return http::Reply{all.error(), {}, {}};
        std::vector<WorkerView> out;
        std::map<std::string, bool> known;  // task -> seen: one question a task
        for (auto& view : context->self->doorways.workers()) {
            if (view.status == WorkerState::STOPPED && !*all) continue;
            const bool own = view.user_id && view.user_id == context->caller.self.user_id;
            const auto task = view.task_id.value_or("");
            if (!own && !known.contains(task)) {
                auto seen = co_await context->self->callers.may_see(&context->caller, &view);
                if (!seen) co_return http::Reply{seen.error(), {}, {}};
                known[task] = *seen;
            }
            if (own || known[task]) out.push_back(std::move(view));
        }
        co_return http::Reply{json_answer(200, json::write(out)), {}, {}};
    }

    static Task<http::Reply> show(const Context* context) {
        auto view = co_await the_worker(context);
        if (!view) co_return http::Reply{view.error(), {}, {}};
        co_return http::Reply{json_answer(200, json::write(*view)), {}, {}};
    }

    // Where its records are now.
    std::optional<fs::path> records(const WorkerView& view) const {
        std::error_code ec;
        auto living = doorways.state_directory(view.worker_id);
        if (view.status != WorkerState::STOPPED && fs::is_directory(living, ec)) return living;
        return evidence.records_of(view.worker_id, view.created_at);
    }

    static Task<http::Reply> logs(const Context* context) {
        auto* self = context->self;
        const auto record = record_of(context->match);
        if (!record) co_return http::Reply{record.error(), {}, {}};
        const auto lines = number(context->match, "tail", 0, 1'000'000);
        if (!lines) co_return http::Reply{lines.error(), {}, {}};
        const auto following = flag(context->match, "follow");
        if (!following) co_return http::Reply{following.error(), {}, {}};
        auto view = co_await the_worker(context);
        if (!view) co_return http::Reply{view.error(), {}, {}};

        auto place = self->records(*view);
        const bool waiting = view->status == WorkerState::QUEUED || view->status == WorkerState::STARTING;
        if (!place && waiting) place = self->doorways.state_directory(view->worker_id);
        if (!place)
            co_return http::Reply{
                http::problem(404,
                              fmt::format("worker {} left no {}, or it was removed by age (WORKER_LOG_DAYS) or size "
                                          "(WORKER_LOG_TOTAL)",
                                          view->worker_id, json::name_of(*record))),
                {},
                {}};
        http::Reply reply;
        reply.head.headers.set("Content-Type", std::string(content_type(*record)));
        if (*following && !is_over(*view)) {
            const auto limit = self->options.evidence.record_bytes;
            reply.body = [self, id = view->worker_id, at = *place, what = *record, first = *lines,
                          limit](http::Stream& out) {
                return follow(self, &out, id, std::make_unique<RecordFollower>(at, what, limit), first);
            };
            co_return reply;
        }
        const auto text = (*self->redact)(read_record(*place, *record, self->options.evidence.record_bytes));
        reply.head.body = last_lines(text, *lines);
        co_return reply;
    }

    static Task<Result<void>> follow(Impl* self, http::Stream* out, std::string id,
                                     std::unique_ptr<RecordFollower> follower, std::size_t lines) {
        Redactor::State redaction;
        for (bool first = true;; first = false) {
            // Asked before it is read: what was written until the end is in what is read now.
            const bool over = self->stopping || is_over(self->find(id));
            const auto text = (*self->redact)(follower->take(over), redaction);
            const auto shown = first ? last_lines(text, lines) : std::string_view(text);
            if (!shown.empty()) {
                auto written = co_await out->write(shown);
                if (!written) co_return written;
            }
            if (over) co_return Result<void>{};
            co_await async::sleep_for(kPoll);
        }
    }

    static Task<http::Reply> exec(const Context* context) {
        auto* self = context->self;
        auto wanted = json::parse<contracts::WorkerExec>(context->request.body);
        if (!wanted) co_return http::Reply{http::problem(422, "the body is not valid", wanted.error()), {}, {}};
        auto view = co_await the_worker(context);
        if (!view) co_return http::Reply{view.error(), {}, {}};
        if (is_over(*view) || view->status == WorkerState::QUEUED || view->status == WorkerState::STARTING)
            co_return http::Reply{http::problem(409, fmt::format("worker {} does not run: it is {}", view->worker_id,
                                                                 json::name_of(view->status))),
                                  {},
                                  {}};
        if (self->execs >= kMostExecs)
            co_return http::Reply{
                http::problem(429, fmt::format("{} commands run already; try again when one has ended", kMostExecs)),
                {},
                {}};
        const Held held(self->execs);
        auto ended =
            co_await self->runtime.run_inside(view->worker_id, std::move(wanted->command), seconds(wanted->timeout));
        if (!ended) co_return http::Reply{answer_of(ended.error()), {}, {}};
        contracts::WorkerExecAnswer answer;
        answer.exit_code = ended->first;
        answer.truncated = ended->second.size() >= kExecOutput;
        answer.output = (*self->redact)(ended->second);
        co_return http::Reply{json_answer(200, json::write(answer)), {}, {}};
    }

    static Task<http::Reply> remove(const Context* context) {
        auto* self = context->self;
        auto view = co_await the_worker(context);
        if (!view) co_return http::Reply{view.error(), {}, {}};
        const auto id = view->worker_id;
        const auto gone = [self, id] {
            const auto now = self->find(id);
            return !now || now->status == WorkerState::STOPPED;
        };
        // Also of one that is gone: what is kept of it goes, and nobody makes it again.
        auto asked = co_await self->doorways.remove(id);
        if (!asked) co_return http::Reply{answer_of(asked.error()), {}, {}};
        const auto deadline = std::chrono::steady_clock::now() + kDeletion;
        while (!gone() && !self->stopping && std::chrono::steady_clock::now() < deadline)
            co_await async::sleep_for(milliseconds(20));
        http::Response answer;
        answer.status = gone() ? 204 : 202;  // 202: it goes on, also after a restart
        co_return http::Reply{std::move(answer), {}, {}};
    }

    // Images belong to the host, not to a user: whoever sees all workers.
    static std::optional<http::Response> unless_for_the_host(const Caller& caller) {
        if (caller.self.sees_all) return std::nullopt;
        return http::problem(403, "images belong to the host: only an admin lists or removes them");
    }

    static Task<http::Reply> list_images(const Context* context) {
        if (auto refused = unless_for_the_host(context->caller)) co_return http::Reply{std::move(*refused), {}, {}};
        const auto& doorways = context->self->doorways;
        auto images = co_await doorways.images->list();
        if (!images) co_return http::Reply{answer_of(images.error()), {}, {}};
        std::vector<contracts::ImageView> out;
        for (const auto& image : *images) {
            contracts::ImageView view;
            view.tag = image.tag;
            view.host = doorways.host;
            if (!image.agent.empty()) view.agent = image.agent;
            view.bytes = image.bytes;
            view.built_at = image.built_at;
            view.last_used = image.last_used;
            view.in_use = image.in_use;
            out.push_back(std::move(view));
        }
        co_return http::Reply{json_answer(200, json::write(out)), {}, {}};
    }

    static Task<http::Reply> prune_images(const Context* context) {
        if (auto refused = unless_for_the_host(context->caller)) co_return http::Reply{std::move(*refused), {}, {}};
        contracts::ImagePrune wanted;
        if (!context->request.body.empty()) {
            auto given = json::parse<contracts::ImagePrune>(context->request.body);
            if (!given) co_return http::Reply{http::problem(422, "the body is not valid", given.error()), {}, {}};
            wanted = *given;
        }
        const auto& doorways = context->self->doorways;
        auto pruned = co_await doorways.images->prune(std::chrono::hours(wanted.unused_for_hours));
        if (!pruned) co_return http::Reply{answer_of(pruned.error()), {}, {}};
        contracts::ImagePruneAnswer answer;
        answer.host = doorways.host;
        answer.removed = std::move(pruned->removed);
        answer.kept = std::move(pruned->kept);
        answer.leftover_bytes = pruned->bytes;
        co_return http::Reply{json_answer(200, json::write(answer)), {}, {}};
    }

    const PeopleOptions options;
    Callers callers;
    const FrontDoorways doorways;
    WorkerRuntime& runtime;
    Evidence& evidence;
    const std::shared_ptr<const Redactor> redact;
    http::Router router;
    std::string url;
    std::size_t execs = 0;
    bool stopping = false;
    http::Server server;
};

Front::Front(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Front::~Front() = default;

Result<std::unique_ptr<Front>> Front::make(asio::any_io_executor executor, PeopleOptions options,
                                           const std::string& api_url, FrontDoorways doorways, WorkerRuntime& runtime,
                                           Evidence& evidence, std::shared_ptr<const Redactor> redact) {
    auto callers = Callers::make(executor, api_url);
    if (!callers) return std::unexpected(callers.error());
    return std::unique_ptr<Front>(new Front(std::make_unique<Impl>(
        executor, std::move(options), std::move(*callers), std::move(doorways), runtime, evidence, std::move(redact))));
}

Result<void> Front::open(const fs::path& socket) {
    auto& d = *impl_;
    d.url = "http+unix://" + socket.string();
    if (auto listening = d.server.listen_unix(socket, 0600); !listening) {
        if (listening.error().code != "conflict") return std::unexpected(in_context(listening.error(), "manager"));
        log::warning("people reach this manager by MANAGER_ADDRESS only", {{"error", listening.error().message}});
    }
    if (!d.options.address.empty()) {
        auto port = d.server.listen_tcp(d.options.address, d.options.port);
        if (!port) return fail(ErrorCategory::fatal, "configuration", "MANAGER_ADDRESS: " + port.error().message);
        const bool v6 = d.options.address.contains(':');
        d.url = fmt::format("http://{}{}{}:{}", v6 ? "[" : "", d.options.address, v6 ? "]" : "", *port);
        log::info("people reach this manager", {{"url", url()}});
    }
    return {};
}

std::string Front::url() const { return impl_->options.url.empty() ? impl_->url : impl_->options.url; }

Task<void> Front::stop() {
    impl_->stopping = true;
    co_await impl_->server.stop(seconds(2));
}

}  // namespace codegen::worker_manager
