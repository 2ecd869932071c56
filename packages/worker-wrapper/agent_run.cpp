#include "packages/worker-wrapper/agent_run.hpp"

#include "packages/worker-wrapper/agent_names.hpp"
#include "packages/worker-wrapper/log.hpp"
#include "packages/worker-wrapper/oom.hpp"

namespace codegen::wrapper {

using contracts::AgentEventKind;

namespace {

constexpr std::string_view kAskAgain =
    "You have ended without reporting a result. Report it now, and do nothing else: run `orchestrator result --status "
    "success --summary \"what you did\"` (or `--status failure`), or answer with "
    "<result>{\"status\":\"success\",\"summary\":\"what you did\"}</result>.";
// Less is not worth another start.
constexpr std::chrono::seconds kLeastTimeToAsk{2};

contracts::AgentUsage sum(contracts::AgentUsage a, const contracts::AgentUsage& b) {
    a.input_tokens += b.input_tokens;
    a.output_tokens += b.output_tokens;
    a.cache_read_tokens += b.cache_read_tokens;
    a.cache_write_tokens += b.cache_write_tokens;
    a.turns += b.turns;
    if (b.cost_usd) a.cost_usd = a.cost_usd.value_or(0) + *b.cost_usd;
    if (b.model) a.model = b.model;
    return a;
}

}  // namespace

AgentRun::AgentRun(Loop& loop, const contracts::WrapperConfig& config, Body& body, Job job, std::string session_id,
                   Hooks hooks)
    : loop_(loop),
      config_(config),
      body_(body),
      job_(std::move(job)),
      session_id_(std::move(session_id)),
      hooks_(std::move(hooks)),
      collector_(loop, config, body),
      stream_(agent_of(config.agent_type).stream(job_.session_usage)),
      input_(loop),
      output_(loop,
              [this](std::string_view bytes) {
                  hooks_.output(bytes);
                  lines_.feed(bytes, [this](std::string_view line, bool cut) { take_line(line, cut); });
              }),
      errors_(loop, [this](std::string_view bytes) {
          hooks_.output(bytes);
          error_lines_.feed(bytes, [this](std::string_view line, bool cut) { take_error_line(line, cut); });
      }) {}

AgentRun::~AgentRun() {
    loop_.cancel(timeout_);
    loop_.cancel(grace_);
}

void AgentRun::start() {
    began_ = std::chrono::steady_clock::now();
    oom_kills_before_ = oom_kills(memory_cgroups(config_));
    facts_.timeout_seconds = job_.timeout_seconds;
    facts_.memory_limit = config_.memory_limit;
    facts_.needs_verdict = job_.developer.has_value();
    facts_.needs_final_record = stream_->final_record_expected();
    timeout_ = loop_.after(std::chrono::seconds(job_.timeout_seconds), [this] { on(RunEvent::timed_out); });
    session_lost_ = job_.session_lost;
    launch(job_);
}

void AgentRun::launch(const Job& job) {
    Body::Events events;
    events.session = [this](bool known) {
        if (known) return;
        session_lost_ = session_lost_ || job_.continues_session;
        stream_ = agent_of(config_.agent_type).stream(contracts::AgentUsage{});  // nothing was used in a new one
    };
    events.started = [this] {
        emit(AgentEventKind::status, std::nullopt,
             boost::json::object{{"status", "started"}, {"attempt", job_.attempt}});
        on(RunEvent::started);
    };
    events.failed = [this](std::string why) {
        facts_.start_error = facts_.last_error_line.empty() ? why : why + ": " + facts_.last_error_line;
        on(RunEvent::start_failed);
    };
    events.ended = [this](AgentEnd end) {
        facts_.end = end;
        on(RunEvent::agent_ended);
    };
    events.tree_gone = [this] { tree_gone(); };

    const Agent& agent = agent_of(config_.agent_type);
    auto input = input_.open(agent.input(job));
    auto output = output_.open();
    auto errors = errors_.open();
    const BodyStreams streams{input ? input->get() : -1, output ? output->get() : -1, errors ? errors->get() : -1};
    body_.start(agent_plan(config_, job, session_id_), streams, std::move(events));
}

// Ended well by its own account, but nobody was told what came of it. Only an agent with a conversation can be asked.
bool AgentRun::owes_verdict() const {
    const auto left = std::chrono::seconds(job_.timeout_seconds) - (std::chrono::steady_clock::now() - began_);
    const auto rule = agent_of(config_.agent_type).session_rule();
    const bool can_go_on =
        rule == SessionRule::chosen || (rule == SessionRule::reported && stream_->summary().session_id);
    if (left < kLeastTimeToAsk || !can_go_on) return false;
    auto facts = facts_;
    facts.summary = stream_->summary();
    facts.verdict = told_verdict_ ? told_verdict_ : stream_->verdict();
    return decide(facts).reason == contracts::FailureReason::no_verdict;
}

void AgentRun::ask_again() {
    log_info("asked again for a verdict", {{"request_id", job_.request_id}});
    emit(AgentEventKind::status, "the agent ended without a verdict and is asked for it",
         boost::json::object{{"status", "asked_again"}});
    if (const auto& usage = stream_->summary().usage) earlier_usage_ = usage;
    if (const auto& session = stream_->summary().session_id) session_id_ = *session;
    stream_ = agent_of(config_.agent_type).stream(stream_->summary().session_usage);
    told_verdict_.reset();  // `in_progress` is none
    facts_.asked_again = true;
    facts_.end = {};
    facts_.last_error_line.clear();
    oom_kills_before_ = oom_kills(memory_cgroups(config_));
    const auto left = std::chrono::seconds(job_.timeout_seconds) - (std::chrono::steady_clock::now() - began_);
    timeout_ = loop_.after(std::chrono::ceil<std::chrono::milliseconds>(left), [this] { on(RunEvent::timed_out); });
    Job asked = job_;
    asked.prompt = kAskAgain;
    launch(asked);
}

void AgentRun::stop() { on(RunEvent::stop_requested); }

void AgentRun::halt(contracts::FailureReason reason, std::string error) {
    facts_.halt_reason = reason;
    facts_.halt_error = std::move(error);
    on(RunEvent::halted);
}

std::string AgentRun::take_verdict(contracts::AgentVerdict verdict) {
    using State = RunLifecycle::State;
    if (lifecycle_.state() == State::collecting || lifecycle_.state() == State::done)
        return "the run has ended already";
    told_verdict_ = std::move(verdict);
    return {};
}

void AgentRun::on(RunEvent event) {
    for (RunAction action : lifecycle_.on(event)) act(action);
}

void AgentRun::act(RunAction action) {
    switch (action) {
        case RunAction::terminate:
            body_.terminate();
            grace_ =
                loop_.after(std::chrono::milliseconds(config_.kill_grace_ms), [this] { on(RunEvent::grace_over); });
            return;
        case RunAction::kill_tree:
            body_.kill();
            return;
        case RunAction::ask_again:
            ask_again();
            return;
        case RunAction::collect:
            collector_.start(job_.request_id, [this](Collected collected) {
                collected_ = std::move(collected);
                on(RunEvent::collected);
            });
            return;
        case RunAction::abort_collect:
            collector_.abort();
            return;
        case RunAction::finish:
            finish();
            return;
    }
}

void AgentRun::emit(AgentEventKind kind, std::optional<std::string> text, std::optional<boost::json::object> data) {
    contracts::AgentEvent event;
    event.worker_id = config_.worker_id;
    event.request_id = job_.request_id;
    event.seq = ++seq_;
    event.kind = kind;
    event.text = std::move(text);
    event.data = std::move(data);
    hooks_.event(std::move(event));
}

void AgentRun::take_line(std::string_view line, bool cut) {
    for (auto& event : stream_->line(valid_utf8(line), cut))
        emit(event.kind, std::move(event.text), std::move(event.data));
}

void AgentRun::take_error_line(std::string_view line, bool cut) {
    const std::string text = valid_utf8(line);
    if (!text.empty()) facts_.last_error_line = shortened(text, 500);
    std::optional<boost::json::object> data;
    if (cut) data = boost::json::object{{"truncated", true}};
    emit(AgentEventKind::stderr_, text, std::move(data));
}

void AgentRun::tree_gone() {
    loop_.cancel(timeout_);
    loop_.cancel(grace_);
    input_.close();
    // Nobody is left to write: what is in the pipes is all there will be.
    output_.drain();
    errors_.drain();
    lines_.finish([this](std::string_view line, bool cut) { take_line(line, cut); });
    error_lines_.finish([this](std::string_view line, bool cut) { take_error_line(line, cut); });
    facts_.oom_counter_rose = oom_kills(memory_cgroups(config_)) > oom_kills_before_;
    facts_.cut = lifecycle_.cut();
    boost::json::object data{{"status", "ended"}};
    if (facts_.end.exit_code) data["exit_code"] = *facts_.end.exit_code;
    if (facts_.end.signal) data["signal"] = *facts_.end.signal;
    emit(AgentEventKind::status, std::nullopt, std::move(data));
    if (owes_verdict()) on(RunEvent::owes_verdict);
    on(RunEvent::streams_closed);
    on(RunEvent::tree_gone);
}

void AgentRun::finish() {
    facts_.cut = lifecycle_.cut();
    facts_.summary = stream_->summary();
    facts_.verdict = told_verdict_ ? told_verdict_ : stream_->verdict();
    const Outcome outcome = decide(facts_);

    contracts::ResultFile file;
    contracts::DeveloperWorkerOutput& output = file.output;
    output.request_id = job_.request_id;
    output.status = outcome.status;
    output.reason = outcome.reason;
    output.error = outcome.error;
    output.duration_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began_).count();
    output.task_id = job_.developer ? job_.developer->task_id : config_.task_id.value_or("");
    output.worker_id = config_.worker_id;
    output.verdict = facts_.verdict;
    output.usage = facts_.summary.usage;
    if (earlier_usage_) output.usage = output.usage ? sum(*earlier_usage_, *output.usage) : earlier_usage_;
    if (facts_.summary.session_id) output.session_id = facts_.summary.session_id;
    if (!output.session_id && !session_id_.empty()) output.session_id = session_id_;
    if (session_lost_) output.session_lost = true;
    if (facts_.verdict) output.commit_sha = claimed_commit(*facts_.verdict);
    if (!output.commit_sha && collected_.head_sha && collected_.head_sha != config_.base_sha)
        output.commit_sha = collected_.head_sha;
    file.head_sha = collected_.head_sha;
    file.bundle = collected_.bundle;
    file.bundle_error = collected_.bundle_error;
    if (facts_.end.exit_code || facts_.end.signal) file.exit_code = facts_.end.shell_code();
    if (job_.product_owner) {
        contracts::POWorkerOutput answer;
        answer.request_id = job_.request_id;
        answer.user_id = job_.product_owner->user_id;
        answer.text = outcome.error ? "I could not answer: " + *outcome.error : facts_.summary.last_text;
        if (answer.text.empty() && facts_.verdict) answer.text = facts_.verdict->summary;
        answer.session_id = output.session_id;
        answer.session_lost = output.session_lost;
        file.po_output = std::move(answer);
    }
    log_info("run ended", {{"request_id", job_.request_id},
                           {"status", json::name_of(output.status)},
                           {"reason", outcome.reason ? json::name_of(*outcome.reason) : std::string_view("none")},
                           {"duration_ms", *output.duration_ms}});
    hooks_.done(std::move(file));
}

}  // namespace codegen::wrapper
