#include "packages/worker-wrapper/wrapper.hpp"

#include <csignal>

#include "packages/worker-wrapper/agent_names.hpp"
#include "packages/worker-wrapper/agent_plan.hpp"
#include "packages/worker-wrapper/inner_engine.hpp"
#include "packages/worker-wrapper/input_message.hpp"
#include "packages/worker-wrapper/log.hpp"
#include "shared/base/ids.hpp"
#include "shared/base/trace.hpp"
#include "shared/contracts/input_entry.hpp"
#include "shared/contracts/keys.hpp"
#include "shared/contracts/streams.hpp"

namespace codegen::wrapper {

namespace streams = contracts::streams;
using contracts::LifecycleKind;
using contracts::WorkerType;

namespace {

constexpr std::size_t kKeptEvents = 10000;
constexpr std::size_t kKeptEventBytes = 16u << 20;  // the transcript keeps more
constexpr std::size_t kLargestEvent = 256u << 10;   // kLongestEventText of text and of data, with JSON's escapes
constexpr std::string_view kKeptOutputs = "1000";
constexpr std::size_t kBufferedEvents = 5000;
constexpr std::size_t kBufferedBytes = 8u << 20;
constexpr std::size_t kUnsentBytes = 4u << 20;
constexpr int kAttempts = 3;
constexpr std::chrono::seconds kFlushPatience{3};

std::vector<InputStream> own_streams(const contracts::WrapperConfig& config) {
    std::vector<InputStream> out{{streams::worker_input(config.worker_id), std::string(streams::kWorkerWrapperGroup)}};
    if (config.worker_type == WorkerType::po)
        out.push_back({streams::po_worker_input(config.worker_id), std::string(streams::kWorkerWrapperGroup)});
    return out;
}

// The entry goes on with the trace of the request.
redis::Arguments traced(redis::Arguments entry, const contracts::ResultFile& file) {
    if (auto trace = next_traceparent(file.traceparent.value_or("")); !trace.empty())
        entry.insert(entry.end(), {"traceparent", std::move(trace)});
    return entry;
}

// The answer continues in this body, for as long as its creator lets it.
bool waits_for_person(const contracts::ResultFile& file) {
    const auto& verdict = file.output.verdict;
    if (file.output.status != contracts::ResultStatus::failed || !verdict ||
        verdict->status != contracts::VerdictStatus::failure)
        return false;
    const auto* blocked = verdict->data.if_contains("blocked");
    return blocked != nullptr && blocked->is_bool() && blocked->get_bool();
}

}  // namespace

Wrapper::Wrapper(Loop& loop, contracts::WrapperConfig config, std::string own_program)
    : loop_(loop),
      config_(std::move(config)),
      store_(config_.state_directory),
      link_(
          loop, config_.redis_socket, [this] { link_up(); }, [] {}),
      outbox_(loop, link_),
      gateway_(loop, std::filesystem::path(config_.redis_socket).replace_filename("control.sock").string(),
               [this](contracts::FailureReason reason, std::string error) {
                   if (run_) run_->halt(reason, std::move(error));
               }),
      body_(loop, config_, std::move(own_program)),
      agent_socket_(loop,
                    [this](std::string_view line) {
                        return answer_agent_line(line, commands_of(config_, run_ ? &run_->job() : nullptr),
                                                 [this](contracts::AgentVerdict verdict) {
                                                     return run_ ? run_->take_verdict(std::move(verdict))
                                                                 : std::string("no request is running");
                                                 });
                    }),
      events_(kBufferedEvents, kBufferedBytes),
      event_budget_(kKeptEventBytes, kLargestEvent, kKeptEvents),
      transcript_(config_.state_directory + "/transcript.ndjson", static_cast<std::size_t>(config_.record_limit)),
      raw_output_(config_.state_directory + "/output.log", static_cast<std::size_t>(config_.record_limit)),
      session_lost_(config_.session_lost) {
    auto add_reader = [this](std::vector<InputStream> of) {
        readers_.push_back(std::make_unique<InputReader>(
            loop_, config_.redis_socket, std::move(of), config_.worker_id, [this] { reader_ready(); },
            [this](const InputStream& from, const redis::StreamEntry& entry) { take_entry(from, entry); }));
    };
    add_reader(own_streams(config_));
    if (config_.pool && config_.worker_type == WorkerType::developer)
        add_reader({{std::string(streams::kDeveloperInput), std::string(streams::kDeveloperWorkersGroup)}});
}

Wrapper::~Wrapper() { loop_.cancel(heartbeat_); }

Result<void> Wrapper::run() {
    for (const auto& known : store_.known()) {
        ledger_.finished(known.request_id);
        if (known.published) continue;
        auto file = store_.load(known.request_id);
        if (file) {
            publish(*file);
        } else {
            log_error("cannot read a kept result", {{"request_id", known.request_id}, {"error", file.error().message}});
        }
    }
    if (auto listening = agent_socket_.listen(config_); !listening) return std::unexpected(listening.error());
    if (!config_.sandbox) {
        forwarder_.emplace(loop_, config_.gateway_directory + "/http.sock",
                           std::chrono::milliseconds(config_.gateway_wait_ms));
        auto port = forwarder_->listen(config_.loopback_port);
        if (!port) return std::unexpected(port.error());
        config_.loopback_port = *port;
    }
    if (config_.own_engine)
        if (auto engine = start_inner_engine(config_); !engine) return std::unexpected(engine.error());
    loop_.on_signals({SIGCHLD, SIGTERM, SIGINT, SIGHUP}, [this](const signalfd_siginfo& info) {
        if (info.ssi_signo == SIGCHLD) {
            body_.on_child_signal();
        } else {
            stop();
        }
    });
    loop_.before_wait([this] { before_wait(); });
    link_.start();
    gateway_.start();
    body_.prepare();
    loop_.run();
    return {};
}

void Wrapper::link_up() {
    loop_.cancel(heartbeat_);
    beat();
    if (!session_known_) learn_session();
    outbox_.link_up();
}

// Only then the input: a conversation that Redis knows is resumed.
void Wrapper::learn_session() {
    if (agent_of(config_.agent_type).session_rule() == SessionRule::none && !config_.session_id) {
        session_known_ = true;
        return start_readers();
    }
    link_.send({"GET", contracts::keys::worker_session(config_.worker_id)}, [this](const redis::Reply* reply) {
        if (reply == nullptr || session_known_) return;
        session_known_ = true;
        session_begun_ = config_.session_named || !store_.known().empty();
        if (reply->type == redis::Reply::Type::string) {
            const auto value = json::parse_any(reply->text);
            const auto* kept = value ? value->if_object() : nullptr;
            const auto* id = kept != nullptr ? kept->if_contains("session_id") : nullptr;
            if (id != nullptr && id->is_string() && is_uuid(id->get_string())) {
                session_id_ = std::string(id->get_string());
                if (const auto* usage = kept->if_contains("usage"))
                    if (auto known = json::from_value<contracts::AgentUsage>(*usage)) session_usage_ = *known;
            }
        }
        // One that the agent names itself is known by its own name only after it was begun.
        const bool own_name = agent_of(config_.agent_type).session_rule() == SessionRule::reported;
        if (session_id_.empty() && config_.session_id && is_uuid(*config_.session_id) &&
            (config_.session_named || !own_name)) {
            session_id_ = *config_.session_id;
            if (config_.session_named && !config_.session_lost) session_usage_.reset();
        }
        start_readers();
    });
}

void Wrapper::start_readers() {
    for (auto& reader : readers_) reader->start();
}

void Wrapper::reader_ready() {
    if (said_started_ || ++readers_ready_ < readers_.size()) return;
    said_started_ = true;
    publish_lifecycle(LifecycleKind::started, nullptr);
}

void Wrapper::beat() {
    const auto ttl = std::to_string(contracts::keys::kHeartbeatTtl.count());
    link_.send({"SET", contracts::keys::worker_heartbeat(config_.worker_id), format_timestamp(system_now()), "EX", ttl},
               {});
    heartbeat_ = loop_.after(std::chrono::milliseconds(config_.heartbeat_ms), [this] { beat(); });
}

void Wrapper::before_wait() {
    if (link_.up() && link_.unsent_bytes() < kUnsentBytes) {
        if (const auto lost = events_.take_lost(); lost != 0)
            log("warning", "events were lost while redis was away", {{"count", lost}});
        const std::string stream = streams::worker_events(config_.worker_id);
        events_.drain([&](std::string event) {
            const auto kept = std::to_string(event_budget_.keep_with(event.size()));
            link_.send({"XADD", stream, "MAXLEN", "~", kept, "*", "data", std::move(event)}, {});
        });
    }
    link_.flush();
    for (auto& reader : readers_) reader->flush();
}

void Wrapper::take_entry(const InputStream& from, const redis::StreamEntry& entry) {
    if (stopping_ || held_entries_.contains({from.stream, entry.id})) return;
    const std::string text = contracts::input_text(entry.fields);
    auto job = read_job(config_.worker_type, text);
    if (!job) return bury(from, entry, text, job.error(), 1);
    job->stream = from.stream;
    job->group = from.group;
    job->entry_id = entry.id;
    if (const auto* trace = entry.field("traceparent"); trace && is_traceparent(*trace)) job->traceparent = *trace;
    using Answer = RequestLedger<Job>::Answer;
    const bool known = ledger_.running() == job->request_id || ledger_.waiting(job->request_id);
    switch (ledger_.offer(job->request_id, *job)) {
        case Answer::run:
            held_entries_.emplace(from.stream, entry.id);
            begin(std::move(*job));
            break;
        case Answer::ignore:
            if (known) {
                acknowledge(from.stream, from.group, entry.id);
            } else {
                held_entries_.emplace(from.stream, entry.id);
            }
            break;
        case Answer::republish:
            if (auto file = store_.load(job->request_id)) {
                publish(*file);
            } else {
                log_error("cannot read a kept result",
                          {{"request_id", job->request_id}, {"error", file.error().message}});
            }
            acknowledge(from.stream, from.group, entry.id);
            break;
    }
    hold_readers();
}

void Wrapper::bury(const InputStream& from, const redis::StreamEntry& entry, const std::string& original,
                   const Error& why, int attempts) {
    log("warning", "dead letter", {{"stream", from.stream}, {"entry_id", entry.id}, {"error", why.message}});
    redis::Arguments letter{"XADD",
                            streams::dead_letters(from.stream),
                            "*",
                            "original_message",
                            original,
                            "error_context",
                            dead_letter_context(why, from.stream, entry.id, attempts)};
    // So that a retry adds the entry as it was (shared/redis/streams.hpp).
    if (!entry.fields.empty() && !entry.field("data"))
        letter.insert(letter.end(), {"original_form", "fields"});
    else if (const auto* trace = entry.field("traceparent"))
        letter.insert(letter.end(), {"traceparent", *trace});
    outbox_.push(std::move(letter), Outbox::Care::until_done);
    acknowledge(from.stream, from.group, entry.id);
}

void Wrapper::acknowledge(const std::string& stream, const std::string& group, const std::string& id) {
    outbox_.push({"XACK", stream, group, id}, Outbox::Care::best_effort,
                 [this, stream, id] { held_entries_.erase({stream, id}); });
}

void Wrapper::begin(Job job) {
    set_log_trace(job.traceparent);
    job.attempt = store_.count_attempt(job.request_id);
    if (job.product_owner && job.attempt > 1) return say_lost(std::move(job));
    if (job.attempt > kAttempts) {
        const std::string text =
            "this request ended " + std::to_string(kAttempts) + " times with the death of its worker-wrapper";
        const redis::StreamEntry entry{job.stream, job.entry_id, {}};
        const std::string original = job.developer ? json::write(*job.developer) : json::write(*job.product_owner);
        bury({job.stream, job.group}, entry, original, {ErrorCategory::permanent, "killed", text, {}}, kAttempts);
        ledger_.finished(job.request_id);
        return run_next();
    }
    if (job.developer && job.developer->session_id && *job.developer->session_id != session_id_) {
        session_id_ = *job.developer->session_id;
        session_begun_ = true;
        session_usage_.reset();
    }
    if (session_id_.empty()) {
        session_usage_ = contracts::AgentUsage{};
        if (agent_of(config_.agent_type).session_rule() == SessionRule::chosen) session_id_ = new_uuid();
    }
    job.session_usage = session_usage_;
    job.continues_session = session_begun_;
    job.session_lost = std::exchange(session_lost_, false);
    if (!session_id_.empty()) store_session();
    log_info("run begins",
             {{"request_id", job.request_id}, {"attempt", job.attempt}, {"prompt_bytes", job.prompt.size()}});
    AgentRun::Hooks hooks;
    hooks.event = [this](const contracts::AgentEvent& event) {
        auto text = json::write(event);
        transcript_.append(text + "\n");
        events_.push(std::move(text));
    };
    hooks.output = [this](std::string_view bytes) { raw_output_.append(bytes); };
    hooks.done = [this](contracts::ResultFile file) { end(std::move(file)); };
    const bool bound = job.developer && job.developer->allowed_commands;
    gateway_.begin(job.request_id, job.developer ? job.developer->budget_usd : std::nullopt,
                   bound ? std::optional(commands_of(config_, &job)) : std::nullopt);
    run_ = std::make_unique<AgentRun>(loop_, config_, body_, std::move(job), session_id_, std::move(hooks));
    run_->start();
}

// What an agent had begun to do for a person is not done twice: the person decides.
void Wrapper::say_lost(Job job) {
    contracts::ResultFile file;
    file.output.request_id = job.request_id;
    file.output.status = contracts::ResultStatus::error;
    file.output.reason = contracts::FailureReason::killed;
    file.output.error = "the worker ended while it worked on this";
    file.output.worker_id = config_.worker_id;
    contracts::POWorkerOutput answer;
    answer.request_id = job.request_id;
    answer.user_id = job.product_owner->user_id;
    answer.text = "I could not answer: " + *file.output.error + ". Please ask again.";
    if (!session_id_.empty()) file.output.session_id = answer.session_id = session_id_;
    file.po_output = std::move(answer);
    conclude(job, file);
    loop_.after(std::chrono::milliseconds(0), [this] { run_next(); });
}

void Wrapper::end(contracts::ResultFile file) {
    const Job& job = run_->job();
    gateway_.end();
    if (file.output.session_id && agent_of(config_.agent_type).session_rule() == SessionRule::reported)
        session_id_ = *file.output.session_id;
    session_usage_ = run_->session_usage();
    if (!session_id_.empty()) store_session();
    if (file.output.status == contracts::ResultStatus::success) session_begun_ = true;
    conclude(job, file);
    if (stopping_) return leave_when_flushed();
    const bool last = config_.one_task && ledger_.idle() && !waits_for_person(file);
    // The run that calls this must not be destroyed yet, and from here on the next request may begin at any moment.
    loop_.after(std::chrono::milliseconds(0), [this, last, ended = std::shared_ptr<AgentRun>(std::move(run_))] {
        last ? look_once_more() : run_next();
    });
}

// A request that was there before the end of a short run may still be on its way from Redis: what it answers to us
// after that one comes after it, but for the moment that two connections may differ by.
void Wrapper::look_once_more() {
    static constexpr std::chrono::milliseconds kApart{10};
    link_.send({"PING"}, [this](const redis::Reply*) {
        loop_.after(kApart, [this] {
            if (ledger_.idle()) stop();
        });
    });
}

void Wrapper::conclude(const Job& job, contracts::ResultFile file) {
    if (!job.traceparent.empty()) file.traceparent = job.traceparent;
    if (auto saved = store_.save(file); !saved)
        log_error("the result cannot be kept in a file",
                  {{"request_id", job.request_id}, {"error", saved.error().message}});
    ledger_.finished(job.request_id);
    before_wait();  // its last events before its result
    publish(file);
    acknowledge(job.stream, job.group, job.entry_id);
    publish_lifecycle(
        file.output.status == contracts::ResultStatus::success ? LifecycleKind::completed : LifecycleKind::failed,
        &file);
    set_log_trace({});
}

void Wrapper::run_next() {
    hold_readers();
    if (stopping_) return;
    if (auto job = ledger_.next()) return begin(std::move(*job));
    body_.prepare();
}

// The shared pool is only asked while there is nothing to do: another worker may be idle.
void Wrapper::hold_readers() {
    readers_[0]->hold(ledger_.full());
    if (readers_.size() > 1) readers_[1]->hold(ledger_.running().has_value(), true);
}

void Wrapper::publish(const contracts::ResultFile& file) {
    const std::string text = file.po_output ? json::write(*file.po_output) : json::write(file.output);
    const std::string stream =
        file.po_output ? streams::po_worker_output(config_.worker_id) : std::string(streams::kDeveloperOutput);
    const std::string request_id = file.output.request_id;
    outbox_.push(traced({"XADD", stream, "*", "data", text}, file), Outbox::Care::until_done,
                 [this, request_id] { store_.mark_published(request_id); });
    outbox_.push(traced({"XADD", streams::worker_output(config_.worker_id), "MAXLEN", "~", std::string(kKeptOutputs),
                         "*", "data", text},
                        file),
                 Outbox::Care::best_effort);
}

void Wrapper::publish_lifecycle(LifecycleKind kind, const contracts::ResultFile* file) {
    contracts::WorkerLifecycleEvent event;
    event.worker_id = config_.worker_id;
    event.event = kind;
    if (file != nullptr) {
        event.result = boost::json::object{{"request_id", file->output.request_id},
                                           {"status", json::name_of(file->output.status)}};
        event.error = file->output.error;
        event.exit_code = file->exit_code;
        event.reason = file->output.reason;
    }
    redis::Arguments entry{"XADD", std::string(streams::kWorkerLifecycle), "*", "data", json::write(event)};
    if (file != nullptr) entry = traced(std::move(entry), *file);
    outbox_.push(std::move(entry), Outbox::Care::until_done);
}

void Wrapper::store_session() {
    boost::json::object value{{"session_id", session_id_}};
    if (session_usage_) value["usage"] = json::to_value(*session_usage_);
    link_.send({"SET", contracts::keys::worker_session(config_.worker_id), boost::json::serialize(value), "EX",
                std::to_string(config_.session_ttl_s)},
               {});
}

void Wrapper::stop() {
    if (std::exchange(stopping_, true)) return;
    log_info("stopping");
    ledger_.stop();
    for (auto& reader : readers_) reader->stop();
    if (ledger_.running() && run_) {
        run_->stop();
    } else {
        leave_when_flushed();
    }
}

void Wrapper::leave_when_flushed() {
    publish_lifecycle(LifecycleKind::stopped, nullptr);
    // Redis may be away for long; what matters is in the state directory.
    loop_.after(kFlushPatience, [this] { loop_.stop(); });
    outbox_.when_empty([this] { loop_.stop(); });
}

}  // namespace codegen::wrapper
