// What is tried again (docs/protocols.md, "Retries of a task").
#include <fmt/format.h>

#include <charconv>

#include "services/workflow/nodes/node.hpp"

namespace codegen::workflow {
namespace {

int tried_again(const Run& run, Reason reason) {
    const auto* count = run.data.retries.if_contains(json::name_of(reason));
    return count && count->is_int64() ? static_cast<int>(count->get_int64()) : 0;
}

// "512m", "1.5g", "1073741824" as the worker-manager reads them. A text that is no size was refused by it before.
std::optional<std::int64_t> bytes_of(std::string_view text) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || number <= 0) return {};
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    const char letter = unit.empty() ? '\0' : static_cast<char>(unit[0] | 0x20);
    const int shift = letter == 'k' ? 10 : letter == 'm' ? 20 : letter == 'g' ? 30 : 0;
    return static_cast<std::int64_t>(number * static_cast<double>(1ll << shift));
}

// Twice the memory of the attempt that ran out of it; nothing when the cap leaves no more.
std::optional<std::int64_t> more_memory(const Run& run, const Policy& policy) {
    const auto asked = text_setting(run, "memory_limit");
    const auto had = run.data.memory_limit.value_or(asked ? bytes_of(*asked).value_or(policy.memory_default)
                                                          : policy.memory_default);
    const auto next = std::min(had * 2, policy.memory_cap);
    return next > had ? std::optional(next) : std::nullopt;
}

// For who knows nothing of what was before.
std::string whole_story(const RunData& data) {
    std::string out = data.prompt;
    for (const auto& guidance : data.guidance)
        out += fmt::format("\n\nA person answered a question about this task:\n{}", guidance);
    return out;
}

}  // namespace

bool try_again(Mover& mover, const Outcome& failure, Node from) {
    auto& run = mover.run;
    const auto reason = failure.reason.value_or(Reason::infrastructure);
    const auto allowed = mover.context.policy.retries.find(reason);
    const int before = tried_again(run, reason);
    if (allowed == mover.context.policy.retries.end() || before >= allowed->second) return false;
    if (reason == Reason::out_of_memory) {
        const auto memory = more_memory(run, mover.context.policy);
        if (!memory) return false;
        run.data.memory_limit = memory;
    }
    run.data.retries[json::name_of(reason)] = before + 1;
    run.data.attempt_failure = failure;
    run.data.after_pause = from;
    mover.progress(contracts::ProgressType::progress, "retry",
                   fmt::format("{}: {}; retry {} of {}", json::name_of(reason), failure.error.value_or(""), before + 1,
                               allowed->second),
                   10);
    return true;
}

void Mover::fail_attempt(Reason reason, std::string error) {
    Outcome failure{Ending::failed, reason, std::move(error)};
    if (!try_again(*this, failure, Node::create_worker)) return end(std::move(failure));
    go(run.data.worker_exists ? Node::remove_worker : Node::pause);
}

// An agent that never named its conversation has none to go on in, so it hears the task again. A custom one remembers
// by its workspace, and gets the message byte for byte.
void continue_with(Run& run, std::string message) {
    auto& data = run.data;
    const bool remembers = data.session_id || text_setting(run, "agent") == "custom";
    data.message = remembers ? std::move(message) : fmt::format("{}\n\n{}", whole_story(data), message);
    data.continuing = true;
}

void begin_attempt(Run& run) {
    auto& data = run.data;
    ++run.attempt;
    data.worker_exists = false;
    data.continuing = false;
    data.workspace_kept = false;
    data.session_id.reset();
    data.claim.reset();
    data.collected.reset();
    data.message.reset();
    if (!data.guidance.empty()) data.message = whole_story(data);
}

}  // namespace codegen::workflow
