#include "shared/redis/client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>

#include "shared/async/deadline.hpp"
#include "shared/async/scope.hpp"
#include "shared/logging/context.hpp"
#include "shared/logging/log.hpp"
#include "shared/redis/sentinel.hpp"
#include "shared/redis/wire.hpp"

namespace codegen::redis {
namespace {

using boost::system::error_code;
using std::chrono::milliseconds;
using SteadyTime = std::chrono::steady_clock::time_point;
using Done = std::move_only_function<void(Result<Reply>)>;

constexpr milliseconds kFirstWait{20};
constexpr milliseconds kLongestWait{2000};
constexpr std::size_t kReadBuffer = 64 * 1024;

struct Call {
    std::string wire;
    int replies = 1;  // the last one is the answer
    SteadyTime deadline;
    Done done;  // empty once answered; a sent call still waits for its replies then
    asio::cancellation_slot slot;

    Done release() {
        slot.clear();
        return std::exchange(done, nullptr);
    }
};
using CallPtr = std::shared_ptr<Call>;

Error transient(std::string code, std::string message) {
    return {ErrorCategory::transient, std::move(code), std::move(message), {}};
}

}  // namespace

// Not connected -> greeting (AUTH, SELECT, PING are answered) -> ready. Commands are sent when ready.
struct Client::Impl : std::enable_shared_from_this<Impl> {
    Impl(asio::any_io_executor e, Address a, ClientOptions o)
        : executor(e), address(std::move(a)), options(std::move(o)), timer(e), hung(e), down(e), scope(e) {}

    Task<void> run(std::shared_ptr<Impl> self);
    void greet();
    void greeted(const Reply& reply);
    void become_ready();
    void drop(Error why);
    void read_more();
    void on_bytes(const std::shared_ptr<Wire>& from, const error_code& error, std::size_t size);
    void take(Reply reply);
    void flush();
    void submit(CallPtr call);
    void check_deadlines();
    void arm(SteadyTime deadline);
    void finish_later(const CallPtr& call, Error error);
    void cancel(const CallPtr& call);
    void fail_waiting(const Error& error);
    void close();
    // `self` keeps this alive also when the client goes before the first step.
    Task<Result<Reply>> perform(std::shared_ptr<Impl> self, std::string wire, int replies, milliseconds timeout,
                                std::string name);

    const asio::any_io_executor executor;
    const Address address;
    const ClientOptions options;

    std::deque<CallPtr> waiting;  // not sent
    std::deque<CallPtr> sent;     // in the order of their replies
    std::shared_ptr<Wire> wire;
    ReplyReader reader;
    std::vector<char> buffer = std::vector<char>(kReadBuffer);
    std::string sending;
    int greetings = 0;  // replies to the greeting that are still to come
    bool ready = false;
    bool was_ready = false;  // this connection, before it was lost
    bool writing = false;
    bool closed = false;
    bool told_loss = false;  // logged once a loss, not once an attempt
    Error last_loss = transient("connection", "not connected yet");

    asio::steady_timer timer;
    SteadyTime armed = SteadyTime::max();
    asio::steady_timer hung;  // the greeting is not answered
    asio::steady_timer down;  // never expires; cancelled when the connection is lost
    async::Scope scope;
};

Task<void> Client::Impl::run(std::shared_ptr<Impl> self) {
    // `self` keeps this alive; close() ends the loop. When the io_context goes before that, this frame goes with it,
    // and takes along the callers that wait in the queues (their frames hold this client: a cycle).
    const struct Forget {
        Impl& impl;
        ~Forget() {
            for (const auto& call : std::exchange(impl.waiting, {})) call->done = nullptr;
            for (const auto& call : std::exchange(impl.sent, {})) call->done = nullptr;
        }
    } forget{*this};
    milliseconds wait = kFirstWait;
    while (!self->closed) {
        std::shared_ptr<Wire> attempt;
        Result<void> opened;
        auto server = co_await find_server(address);
        if (closed) co_return;
        if (server) {
            attempt = make_wire(executor, *server);
            auto opening = attempt->open(std::move(*server));
            opened = co_await async::with_timeout(std::move(opening), options.command_timeout,
                                                  "connect to Redis at " + describe(address));
            if (closed) co_return;
        } else {
            opened = std::unexpected(std::move(server.error()));
        }
        if (opened) {
            wire = attempt;
            reader = ReplyReader();
            was_ready = false;
            down.expires_at(SteadyTime::max());
            greet();
            read_more();
            // A server that accepts but does not answer (stopped, half-open) is left again.
            hung.expires_after(options.command_timeout);
            hung.async_wait([self, attempt](const error_code& error) {
                if (!error && self->wire == attempt && !self->ready) {
                    self->drop(
                        transient("timeout", fmt::format("Redis at {} does not answer", describe(self->address))));
                }
            });
            co_await down.async_wait(async::use_tuple);
            hung.cancel();
            if (was_ready) wait = kFirstWait;
        } else {
            last_loss = std::move(opened.error());
        }
        if (closed) co_return;
        if (!told_loss) {
            log::warning("Redis is not reachable, trying again",
                         {{"address", describe(address)}, {"error", last_loss.message}});
            told_loss = true;
        }
        co_await async::sleep_for(wait);
        wait = std::min(wait * 2, kLongestWait);
    }
}

void Client::Impl::greet() {
    std::string bytes;
    greetings = 0;
    const auto say = [&](const Arguments& arguments) {
        encode_command(bytes, arguments);
        ++greetings;
    };
    if (!address.password.empty()) say({"AUTH", address.user, address.password});
    if (address.database != 0) say({"SELECT", std::to_string(address.database)});
    if (!options.name.empty()) say({"CLIENT", "SETNAME", options.name});
    if (!address.sentinels.empty()) say({"ROLE"});
    say({"PING"});
    sending = std::move(bytes);
    writing = true;
    wire->write_all(asio::buffer(sending), [self = shared_from_this(), to = wire](const error_code&, std::size_t) {
        if (self->wire != to) return;
        self->writing = false;
        self->flush();
    });
}

void Client::Impl::greeted(const Reply& reply) {
    --greetings;
    if (reply.is_error()) {
        const Error error = error_of(reply);
        // A user that may not set a name or ping is welcome.
        if (error.code != "NOPERM") {
            if (error.category != ErrorCategory::transient) fail_waiting(error);
            drop(error);
            return;
        }
    }
    // A sentinel may not have noticed yet.
    const bool role = reply.type == Reply::Type::array && !reply.elements.empty();
    if (role && reply.elements[0].text != "master")
        return drop(transient("connection", "the server is no master but " + reply.elements[0].text));
    if (greetings == 0) become_ready();
}

void Client::Impl::become_ready() {
    ready = was_ready = true;
    if (told_loss) log::info("Redis is reachable again", {{"address", describe(address)}});
    told_loss = false;
    if (options.on_connected) options.on_connected();
    flush();
}

void Client::Impl::drop(Error why) {
    if (!wire) return;
    wire->close();
    wire.reset();
    ready = writing = false;
    last_loss = std::move(why);
    for (auto lost = std::exchange(sent, {}); const auto& call : lost) {
        finish_later(call, transient("connection", fmt::format("Redis at {}: connection lost before the answer: {}",
                                                               describe(address), last_loss.message)));
    }
    down.cancel();
}

void Client::Impl::read_more() {
    wire->read_some(asio::buffer(buffer),
                    [self = shared_from_this(), from = wire](const error_code& error, std::size_t size) {
                        self->on_bytes(from, error, size);
                    });
}

void Client::Impl::on_bytes(const std::shared_ptr<Wire>& from, const error_code& error, std::size_t size) {
    if (wire != from) return;
    if (error) return drop(transient("connection", error.message()));
    reader.feed({buffer.data(), size});
    while (wire == from) {  // an answered caller may close the client
        auto reply = reader.next();
        if (!reply) return drop(reply.error());
        if (!*reply) return read_more();
        if (greetings > 0) {
            greeted(**reply);
        } else {
            take(std::move(**reply));
        }
    }
}

void Client::Impl::take(Reply reply) {
    if (sent.empty()) return drop(transient("protocol", "a reply that nobody asked for"));
    const CallPtr call = sent.front();
    if (--call->replies > 0) return;
    sent.pop_front();
    const bool demoted = !address.sentinels.empty() && reply.is_error() && reply.text.starts_with("READONLY");
    const auto from = wire;
    if (call->done) call->release()(std::move(reply));
    if (demoted && wire == from) drop(transient("connection", "the server is no master any more"));
}

void Client::Impl::flush() {
    if (!ready || writing || waiting.empty()) return;
    sending.clear();
    for (auto& call : waiting) {
        sending += std::exchange(call->wire, {});
        sent.push_back(std::move(call));
    }
    waiting.clear();
    writing = true;
    wire->write_all(asio::buffer(sending),
                    [self = shared_from_this(), to = wire](const error_code& error, std::size_t) {
                        if (self->wire != to) return;
                        self->writing = false;
                        if (error) return self->drop(transient("connection", error.message()));
                        self->flush();
                    });
}

void Client::Impl::submit(CallPtr call) {
    if (closed) return finish_later(call, transient("closed", "the Redis client is closed"));
    if (call->slot.is_connected()) {
        call->slot.assign([weak_self = weak_from_this(), weak_call = std::weak_ptr(call)](asio::cancellation_type) {
            const auto self = weak_self.lock();
            const auto cancelled = weak_call.lock();
            if (self && cancelled) self->cancel(cancelled);
        });
    }
    arm(call->deadline);
    waiting.push_back(std::move(call));
    flush();
}

void Client::Impl::cancel(const CallPtr& call) {
    std::erase(waiting, call);
    finish_later(call, transient("cancelled", "the Redis command was cancelled"));
}

void Client::Impl::arm(SteadyTime deadline) {
    if (deadline >= armed) return;
    armed = deadline;
    timer.expires_at(deadline);
    timer.async_wait([self = shared_from_this()](const error_code& error) {
        if (!error) self->check_deadlines();
    });
}

void Client::Impl::check_deadlines() {
    armed = SteadyTime::max();
    const auto now = std::chrono::steady_clock::now();
    auto next = SteadyTime::max();
    std::erase_if(waiting, [&](const CallPtr& call) {
        if (call->deadline > now) {
            next = std::min(next, call->deadline);
            return false;
        }
        finish_later(call, transient("timeout", fmt::format("Redis at {}: no connection in time: {}", describe(address),
                                                            last_loss.message)));
        return true;
    });
    bool silent = false;
    for (const auto& call : sent) {
        if (!call->done) continue;
        if (call->deadline > now) {
            next = std::min(next, call->deadline);
            continue;
        }
        silent = true;
        finish_later(call, transient("timeout", fmt::format("Redis at {}: no answer in time", describe(address))));
    }
    if (silent) drop(transient("timeout", "no answer in time"));
    if (next != SteadyTime::max()) arm(next);
}

void Client::Impl::finish_later(const CallPtr& call, Error error) {
    if (!call->done) return;
    asio::post(executor, [done = call->release(), error = std::move(error)]() mutable {
        done(std::unexpected(std::move(error)));
    });
}

void Client::Impl::fail_waiting(const Error& error) {
    for (auto lost = std::exchange(waiting, {}); const auto& call : lost) {
        finish_later(call, in_context(error, "Redis at " + describe(address)));
    }
}

void Client::Impl::close() {
    if (closed) return;
    closed = true;
    const Error why = transient("closed", "the Redis client was closed");
    for (auto lost = std::exchange(waiting, {}); const auto& call : lost) finish_later(call, why);
    for (auto lost = std::exchange(sent, {}); const auto& call : lost) finish_later(call, why);
    drop(why);
    timer.cancel();
    hung.cancel();
    scope.cancel();
}

Task<Result<Reply>> Client::Impl::perform(std::shared_ptr<Impl> self, std::string bytes, int replies,
                                          milliseconds timeout, std::string name) {
    auto call = std::make_shared<Call>();
    call->wire = std::move(bytes);
    call->replies = replies;
    call->deadline = std::chrono::steady_clock::now() + timeout;
    auto result = co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Result<Reply>)>(
        [self, call](auto handler) {
            call->slot = asio::get_associated_cancellation_slot(handler);
            // By its own executor: the caller's log context hangs on that (shared/async/log_context.hpp).
            const auto executor = asio::get_associated_executor(handler, self->executor);
            call->done = [executor, handler = std::move(handler)](Result<Reply> reply) mutable {
                asio::dispatch(executor, [handler = std::move(handler), reply = std::move(reply)]() mutable {
                    std::move(handler)(std::move(reply));
                });
            };
            self->submit(call);
        },
        asio::use_awaitable);
    if (result && result->is_error()) {
        co_return std::unexpected(in_context(error_of(*result), name));
    }
    co_return result;
}

Client::Client(asio::any_io_executor executor, Address address, ClientOptions options)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(address), std::move(options))) {
    impl_->scope.spawn("redis client", impl_->run(impl_));
}

Client::~Client() { impl_->close(); }

Task<Result<Reply>> Client::command(Arguments arguments) {
    const auto timeout = impl_->options.command_timeout;
    return command(std::move(arguments), timeout);
}

Task<Result<Reply>> Client::command(Arguments arguments, milliseconds timeout) {
    std::string wire;
    encode_command(wire, arguments);
    return impl_->perform(impl_, std::move(wire), 1, timeout, arguments.empty() ? "" : arguments.front());
}

Task<Result<Reply>> Client::transaction(std::vector<Arguments> commands) {
    std::string wire;
    encode_command(wire, Arguments{"MULTI"});
    for (const auto& arguments : commands) encode_command(wire, arguments);
    encode_command(wire, Arguments{"EXEC"});
    return impl_->perform(impl_, std::move(wire), static_cast<int>(commands.size()) + 2, impl_->options.command_timeout,
                          "EXEC");
}

bool Client::connected() const { return impl_->ready; }

void Client::close() { impl_->close(); }

Error error_of(const Reply& reply) {
    constexpr std::array<std::string_view, 7> kTransient{"LOADING",  "BUSY",        "TRYAGAIN", "MASTERDOWN",
                                                         "READONLY", "CLUSTERDOWN", "OOM"};
    const std::string_view text = reply.text;
    const std::string code(text.substr(0, text.find(' ')));
    auto category = ErrorCategory::permanent;
    if (std::ranges::find(kTransient, code) != kTransient.end()) category = ErrorCategory::transient;
    if (code == "NOAUTH" || code == "WRONGPASS") category = ErrorCategory::fatal;
    return {category, code, reply.text, {}};
}

Task<Result<std::string>> publish(Client& client, std::string stream, std::string data, std::size_t approximate_cap,
                                  std::string traceparent) {
    Arguments arguments{"XADD", std::move(stream)};
    if (approximate_cap > 0) {
        arguments.insert(arguments.end(), {"MAXLEN", "~", std::to_string(approximate_cap)});
    }
    arguments.insert(arguments.end(), {"*", "data", std::move(data)});
    if (traceparent.empty()) traceparent = log::traceparent_to_send();
    if (!traceparent.empty()) arguments.insert(arguments.end(), {"traceparent", std::move(traceparent)});
    auto reply = co_await client.command(std::move(arguments));
    if (!reply) co_return std::unexpected(std::move(reply.error()));
    co_return std::move(reply->text);
}

}  // namespace codegen::redis
