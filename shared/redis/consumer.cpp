#include "shared/redis/consumer.hpp"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json.hpp>
#include <charconv>
#include <unordered_map>

#include "shared/async/log_context.hpp"
#include "shared/async/scope.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/logging/log.hpp"
#include "shared/metrics/metrics.hpp"
#include "shared/redis/consumer_core.hpp"
#include "shared/redis/streams.hpp"

namespace codegen::redis {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPause{100};  // after an error, before the next try
constexpr milliseconds kLongestPause{2000};

SteadyTime now() { return std::chrono::steady_clock::now(); }

Delivery make_delivery(StreamEntry entry, int attempt) {
    Delivery delivery{.entry = std::move(entry), .data = {}, .traceparent = {}, .attempt = attempt};
    if (const auto* trace = delivery.entry.field("traceparent")) delivery.traceparent = *trace;
    if (const auto* data = delivery.entry.field("data")) {
        delivery.data = *data;
    } else {
        boost::json::object fields;
        for (const auto& [name, value] : delivery.entry.fields) fields[name] = value;
        delivery.data = boost::json::serialize(fields);
    }
    return delivery;
}

using Order = std::pair<std::uint64_t, std::uint64_t>;  // of entries in their stream
Order order_of(std::string_view id) {
    Order order;
    const auto* end = id.data() + id.size();
    const auto parsed = std::from_chars(id.data(), end, order.first);
    if (parsed.ptr != end) std::from_chars(parsed.ptr + 1, end, order.second);
    return order;
}

// Found without parsing the message twice; for log lines only.
std::string_view correlation_id_of(std::string_view data) {
    constexpr std::string_view kName = R"("correlation_id":)";
    auto at = data.find(kName);
    if (at == data.npos) return {};
    at = data.find_first_not_of(' ', at + kName.size());
    if (at == data.npos || data[at] != '"') return {};
    const auto end = data.find('"', at + 1);
    return end == data.npos ? std::string_view() : data.substr(at + 1, end - at - 1);
}

}  // namespace

struct Consumer::Impl : std::enable_shared_from_this<Impl> {
    Impl(asio::any_io_executor e, Address address, ConsumerOptions o, DeliveryHandler h)
        : executor(e),
          options(std::move(o)),
          handler(std::move(h)),
          at{options.stream, options.group, options.consumer},
          reader(e, address, {.name = options.consumer + "-reader"}),
          writer(e, address, {.name = options.consumer}),
          core({.concurrency = options.concurrency, .in_hand = std::max<std::size_t>(256, options.concurrency * 4)},
               options.policy),
          retry_timer(e),
          room_timer(e),
          stop_timer(e),
          loops(e),
          handlers(e) {
        room_timer.expires_at(SteadyTime::max());
        stop_timer.expires_at(SteadyTime::max());
    }

    Task<Result<void>> run(std::shared_ptr<Impl> self);
    Task<void> read(std::shared_ptr<Impl> self);
    Task<void> maintain(std::shared_ptr<Impl> self);
    enum class Look { failed, part, whole };
    Task<Look> find_pending(std::shared_ptr<Impl> self);
    Task<void> handle(std::shared_ptr<Impl> self, ConsumerCore::Start start);
    static Task<Result<void>> invoke(std::shared_ptr<Impl> self, Delivery delivery);
    Task<Result<void>> call_handler(std::shared_ptr<Impl> self, Delivery delivery);
    Task<void> settle(std::shared_ptr<Impl> self, std::string id, std::optional<Error> failure, int attempts);
    void pump();
    void count_end(Verdict::Kind kind) const;
    void request_stop();
    void trouble(std::string_view what, const Error& error);

    const asio::any_io_executor executor;
    const ConsumerOptions options;
    const DeliveryHandler handler;
    const Membership at;
    Client reader;  // blocks in XREADGROUP
    Client writer;
    ConsumerCore core;
    std::unordered_map<std::string, StreamEntry> contents;  // of the entries that the core has as taken
    std::set<std::string> claimed;                          // abandoned, not looked at yet
    asio::steady_timer retry_timer;
    asio::steady_timer room_timer;  // never expires; cancelled when there may be room
    asio::steady_timer stop_timer;  // never expires; cancelled by stop
    OncePerSecond may_log;
    // What was pending at the start is from an earlier process: of that, (looked_to, inherited_to] was not looked at.
    std::optional<Order> inherited_to;
    Order looked_to{};
    bool look_again = true;  // something may be pending that nobody has in hand
    bool need_group = true;
    bool stopping = false;
    bool cancelled = false;
    std::optional<Error> fatal;
    async::Scope loops;
    async::Scope handlers;
};

void Consumer::Impl::count_end(Verdict::Kind kind) const {
    const auto* end = kind == Verdict::Kind::acknowledge   ? "done"
                      : kind == Verdict::Kind::retry       ? "retried"
                      : kind == Verdict::Kind::dead_letter ? "dead_letter"
                                                           : "stopped";
    metrics::count("codegen_messages_total", {{"stream", at.stream}, {"end", end}});
}

void Consumer::Impl::request_stop() {
    stopping = true;
    stop_timer.cancel();
}

void Consumer::Impl::trouble(std::string_view what, const Error& error) {
    if (error.code == "NOGROUP") need_group = true;
    if (stopping || !may_log(now())) return;
    log::warning(what, {{"stream", at.stream}, {"group", at.group}, {"error", error.message}});
}

// Starts what may start, and comes back when the next retry is due.
void Consumer::Impl::pump() {
    if (stopping) return;
    for (auto& start : core.start(now())) {
        handlers.spawn("handler of " + at.stream, handle(shared_from_this(), std::move(start)));
    }
    room_timer.cancel();
    const auto due = core.next_wake();
    if (!due || retry_timer.expiry() == *due) return;
    retry_timer.expires_at(*due);
    retry_timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
        if (!error) self->pump();
    });
}

Task<Result<void>> Consumer::Impl::run(std::shared_ptr<Impl> self) {
    // Cancelled, there are still handlers to wait for and entries to give back.
    co_await asio::this_coro::throw_if_cancelled(false);
    loops.spawn("reader of " + at.stream, read(self));
    loops.spawn("claims of " + at.stream, maintain(self));
    if (!stopping) co_await stop_timer.async_wait(async::use_tuple);
    stopping = true;
    const auto state = co_await asio::this_coro::cancellation_state;
    cancelled = state.cancelled() != asio::cancellation_type::none;

    retry_timer.cancel();
    co_await loops.stop();
    if (cancelled) handlers.cancel();
    co_await handlers.drain();
    auto rest = core.unfinished();
    if (!rest.empty() && writer.connected()) {
        // These deliveries did not end with a death: they are not to be counted as if.
        auto given = co_await give_back(writer, at, std::move(rest));
        if (!given)
            log::warning("unfinished entries stay counted", {{"stream", at.stream}, {"error", given.error().message}});
    }
    reader.close();
    writer.close();
    if (fatal) co_return std::unexpected(*fatal);
    co_return Result<void>();
}

Task<void> Consumer::Impl::read(std::shared_ptr<Impl> self) {
    const std::string block = std::to_string(options.block.count());
    while (!self->stopping) {
        if (need_group) {
            auto made = co_await make_group(writer, at);
            if (made) made = co_await show_presence(writer, at);
            if (made) {
                need_group = false;
            } else {
                trouble("no consumer group yet", made.error());
                if (made.error().category == ErrorCategory::fatal) {
                    fatal = made.error();
                    request_stop();
                    co_return;
                }
                co_await async::sleep_for(kPause);
            }
            continue;
        }
        // With very much in hand there is no room for more: what is new goes on.
        if (look_again && core.size() <= options.most_found / 2) {
            const auto look = co_await find_pending(self);
            if (look == Look::failed) co_await async::sleep_for(kPause);
            if (look != Look::part) continue;
        }
        const auto room = core.room();
        if (room == 0) {
            co_await room_timer.async_wait(async::use_tuple);
            continue;
        }
        auto reply = co_await reader.command({"XREADGROUP", "GROUP", at.group, at.consumer, "COUNT",
                                              std::to_string(room), "BLOCK", block, "STREAMS", at.stream, ">"},
                                             options.block + milliseconds(5000));
        if (!reply) {
            trouble("stream cannot be read, trying again", reply.error());
            // The answer may have been lost on its way: then entries are pending here that never arrived.
            look_again = true;
            co_await async::sleep_for(kPause);
            continue;
        }
        for (auto& entry : parse_xread(*reply)) {
            std::string id = entry.id;
            if (core.on_new(id)) contents.insert_or_assign(std::move(id), std::move(entry));
        }
        pump();
    }
}

// What is pending with this consumer and not in hand, the oldest first; `part`: there is more than fits.
Task<Consumer::Impl::Look> Consumer::Impl::find_pending(std::shared_ptr<Impl> self) {
    if (self->core.size() >= options.most_found) co_return Look::part;
    if (!inherited_to) {                                                        // before anything was read
        auto all = co_await writer.command({"XPENDING", at.stream, at.group});  // number, least id, greatest id, whose
        if (!all) {
            trouble("pending entries cannot be listed, trying again", all.error());
            co_return Look::failed;
        }
        if (!inherited_to) inherited_to = all->elements.size() == 4 ? order_of(all->elements[2].text) : Order();
    }
    auto pending = co_await own_pending(writer, at, options.most_found);
    if (!pending) {
        trouble("pending entries cannot be listed, trying again", pending.error());
        co_return Look::failed;
    }
    for (const auto& [id, deliveries] : *pending) {
        // Lost on the way to this living process, a delivery did not end with a death.
        const auto order = order_of(id);
        const bool inherited = looked_to < order && order <= *inherited_to;
        const bool died = claimed.erase(id) > 0 || inherited;
        core.on_found(id, std::max(0, died ? deliveries : deliveries - 1));
        if (inherited) looked_to = order;
    }
    const bool whole = pending->size() < options.most_found;
    look_again = !whole;
    pump();
    co_return whole ? Look::whole : Look::part;
}

Task<void> Consumer::Impl::maintain(std::shared_ptr<Impl> self) {
    const auto interval = std::min(options.claim_interval, options.claim_idle / 3);
    auto next_removal = now() + options.forget_idle;
    while (!self->stopping) {
        co_await async::sleep_for(interval);
        if (need_group) continue;
        auto seen = co_await show_presence(writer, at);
        if (!seen) {
            trouble("the consumer cannot show itself, trying again", seen.error());
            continue;
        }
        auto kept = co_await keep_alive(writer, at, core.taken());
        if (!kept) {
            trouble("entries in work cannot be refreshed, trying again", kept.error());
            continue;
        }
        auto abandoned = co_await claim_abandoned(writer, at, options.claim_idle);
        if (!abandoned) {
            trouble("abandoned entries cannot be claimed, trying again", abandoned.error());
            continue;
        }
        for (auto& id : *abandoned) {
            if (!core.holds(id)) claimed.insert(std::move(id));
        }
        if (co_await find_pending(self) == Look::whole) claimed.clear();  // the rest is with others by now
        if (now() < next_removal) continue;
        next_removal = now() + options.forget_idle;
        auto removed = co_await remove_idle_consumers(writer, at, options.forget_idle);
        if (!removed) trouble("idle consumers cannot be removed", removed.error());
    }
}

Task<void> Consumer::Impl::handle(std::shared_ptr<Impl> self, ConsumerCore::Start start) {
    // Cancelled, what the handler finished is still acknowledged.
    co_await asio::this_coro::throw_if_cancelled(false);
    const std::string id = start.id;
    if (start.fetch) {
        auto entries = co_await take_over(writer, at, id, start.deaths + 1);
        if (!entries || entries->empty()) {
            if (!entries) trouble("a pending entry cannot be read, trying again", entries.error());
            core.on_vanished(id);
            pump();
            co_return;
        }
        contents.insert_or_assign(id, std::move(entries->front()));
    }
    if (start.dead_letter) {
        core.on_condemned(id);
        count_end(Verdict::Kind::dead_letter);
        Error error{ErrorCategory::permanent,
                    "poison",
                    fmt::format("{} deliveries ended with the death of the consumer's process", start.deaths),
                    {}};
        co_await settle(self, id, std::move(error), start.deaths);
        co_return;
    }
    const auto began = now();
    auto delivery = make_delivery(contents.at(id), start.attempt);
    auto result = co_await call_handler(self, std::move(delivery));
    if (cancelled && !result) co_return;  // given back
    const Error* error = result ? nullptr : &result.error();
    metrics::observe("codegen_message_seconds", {{"stream", at.stream}}, now() - began);
    const Verdict verdict = core.on_handled(id, error, now());
    count_end(verdict.kind);
    switch (verdict.kind) {
        case Verdict::Kind::acknowledge:
            co_await settle(self, id, std::nullopt, verdict.attempts);
            break;
        case Verdict::Kind::dead_letter:
            co_await settle(self, id, result.error(), verdict.attempts);
            break;
        case Verdict::Kind::retry:
            log::warning("message failed, trying again", {{"stream", at.stream},
                                                          {"entry_id", id},
                                                          {"attempt", std::to_string(verdict.attempts)},
                                                          {"wait_ms", std::to_string(verdict.wait.count())},
                                                          {"error", error->message}});
            pump();
            break;
        case Verdict::Kind::stop:
            log::error("consumer stops", {{"stream", at.stream}, {"entry_id", id}, {"error", error->message}});
            fatal = *error;
            request_stop();
            break;
    }
}

// The handler itself already runs in the context of the delivery.
Task<Result<void>> Consumer::Impl::invoke(std::shared_ptr<Impl> self, Delivery delivery) {
    auto result = co_await self->handler(std::move(delivery));
    co_return result;
}

Task<Result<void>> Consumer::Impl::call_handler(std::shared_ptr<Impl> self, Delivery delivery) {
    std::string what;
    try {
        // With a cancellation state of its own.
        auto context = log::make_context(delivery.traceparent, correlation_id_of(delivery.data));
        auto work = invoke(self, std::move(delivery));
        auto inside = async::within(std::move(context), std::move(work));
        auto result = co_await asio::co_spawn(executor, std::move(inside), asio::use_awaitable);
        co_return result;
    } catch (const std::exception& e) {
        what = e.what();
    }
    co_return fail(ErrorCategory::permanent, "exception", "the handler threw: " + what);
}

Task<void> Consumer::Impl::settle(std::shared_ptr<Impl> self, std::string id, std::optional<Error> failure,
                                  int attempts) {
    DeadLetter letter;
    std::vector<std::pair<std::string, std::string>> more;
    if (failure) {
        const auto& entry = contents.at(id);
        if (!entry.field("data")) more.emplace_back(kDeadLetterForm, "fields");
        if (const auto* trace = entry.field("traceparent")) more.emplace_back(kDeadLetterTrace, *trace);
        letter = make_dead_letter(make_delivery(contents.at(id), attempts).data,
                                  {.error = failure->message,
                                   .category = failure->category,
                                   .timestamp = format_timestamp(system_now()),
                                   .service = options.service,
                                   .attempts = attempts,
                                   .stream = at.stream,
                                   .entry_id = id});
        log::error("dead letter", {{"stream", at.stream}, {"entry_id", id}, {"error", failure->message}});
    }
    milliseconds wait = kPause;
    for (;;) {
        Result<void> done;
        if (failure) {
            done = co_await dead_letter(self->writer, at, id, letter.original_message, letter.error_context, more);
        } else {
            auto reply = co_await writer.command({"XACK", at.stream, at.group, id});
            if (!reply) done = std::unexpected(std::move(reply.error()));
        }
        if (done) break;
        trouble("an entry cannot be settled, trying again", done.error());
        if (stopping) co_return;  // it stays pending; handlers are idempotent
        co_await async::sleep_for(wait);
        wait = std::min(wait * 2, kLongestPause);
    }
    core.on_settled(id);
    contents.erase(id);
    pump();
}

Consumer::Consumer(asio::any_io_executor executor, Address address, ConsumerOptions options, DeliveryHandler handler)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(address), std::move(options), std::move(handler))) {}

Consumer::~Consumer() { impl_->request_stop(); }

Task<Result<void>> Consumer::run() {
    // A coroutine of its own has a cancellation state of its own.
    return [](std::shared_ptr<Impl> impl) -> Task<Result<void>> {
        auto work = impl->run(impl);
        auto result = co_await asio::co_spawn(impl->executor, std::move(work), asio::use_awaitable);
        co_return result;
    }(impl_);
}

void Consumer::stop() { impl_->request_stop(); }

}  // namespace codegen::redis
