#include "shared/redis/consumer_core.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cassert>

namespace codegen::redis {

ConsumerCore::ConsumerCore(CoreOptions options, RetryPolicy policy) : options_(options), policy_(std::move(policy)) {}

std::size_t ConsumerCore::room() const {
    const auto busy = running_ + ready_.size();
    if (busy >= options_.concurrency || taken_ >= options_.in_hand) return 0;
    return std::min(options_.concurrency - busy, options_.in_hand - taken_);
}

bool ConsumerCore::on_new(const std::string& id) {
    if (!entries_.try_emplace(id).second) return false;
    ++taken_;
    ready_.push_back(id);
    return true;
}

bool ConsumerCore::on_found(const std::string& id, int deaths) {
    const auto [it, fresh] = entries_.try_emplace(id);
    if (!fresh) return false;
    it->second.fetched = false;
    it->second.deaths = deaths;
    (deaths > 0 ? suspects_ : ready_).push_back(id);
    return true;
}

std::vector<ConsumerCore::Start> ConsumerCore::start(SteadyTime now) {
    // Retries first: they are the oldest.
    for (auto due = retries_.begin(); due != retries_.end() && due->first <= now; due = retries_.erase(due)) {
        entries_.at(due->second).state = State::ready;
        ready_.push_front(due->second);
    }
    std::vector<Start> starts;
    const auto begin = [&](const std::string& id) {
        Entry& entry = entries_.at(id);
        const bool fetch = !entry.fetched;
        const bool dead = entry.deaths >= options_.deaths;
        if (fetch) ++taken_;
        entry.fetched = true;
        entry.state = State::running;
        ++running_;
        starts.push_back({id, fetch, dead, entry.attempt, entry.deaths});
    };
    if (running_suspect_.empty() && !suspects_.empty() && running_ < options_.concurrency) {
        running_suspect_ = suspects_.front();
        suspects_.pop_front();
        begin(running_suspect_);
    }
    while (running_ < options_.concurrency && !ready_.empty()) {
        const std::string id = std::move(ready_.front());
        ready_.pop_front();
        begin(id);
    }
    return starts;
}

void ConsumerCore::on_vanished(const std::string& id) {
    const auto it = entries_.find(id);
    assert(it != entries_.end() && it->second.state == State::running);
    --running_;
    --taken_;
    if (running_suspect_ == id) running_suspect_.clear();
    entries_.erase(it);
}

void ConsumerCore::on_condemned(const std::string& id) {
    Entry& entry = entries_.at(id);
    assert(entry.state == State::running);
    --running_;
    if (running_suspect_ == id) running_suspect_.clear();
    entry.state = State::settling;
}

Verdict ConsumerCore::on_handled(const std::string& id, const Error* error, SteadyTime now) {
    Entry& entry = entries_.at(id);
    assert(entry.state == State::running);
    --running_;
    if (running_suspect_ == id) running_suspect_.clear();  // it did not kill us
    Verdict verdict{.attempts = entry.attempt};
    entry.state = State::settling;
    if (error == nullptr) return verdict;
    if (error->category == ErrorCategory::fatal) {
        entry.state = State::ready;  // stays pending for the next process
        verdict.kind = Verdict::Kind::stop;
        return verdict;
    }
    const auto wait = policy_.next(error->category, entry.attempt - 1, error->retry_after);
    if (!wait) {
        verdict.kind = Verdict::Kind::dead_letter;
        return verdict;
    }
    verdict.kind = Verdict::Kind::retry;
    verdict.wait = *wait;
    entry.state = State::retrying;
    entry.attempt += 1;
    retries_.emplace(now + *wait, id);
    return verdict;
}

void ConsumerCore::on_settled(const std::string& id) {
    const auto it = entries_.find(id);
    assert(it != entries_.end() && it->second.state == State::settling);
    --taken_;
    entries_.erase(it);
}

std::optional<SteadyTime> ConsumerCore::next_wake() const {
    if (retries_.empty()) return std::nullopt;
    return retries_.begin()->first;
}

std::vector<std::pair<std::string, int>> ConsumerCore::unfinished() const {
    std::vector<std::pair<std::string, int>> result;
    for (const auto& [id, entry] : entries_)
        if (entry.fetched && entry.state != State::settling) result.emplace_back(id, entry.deaths);
    return result;
}

std::vector<std::string> ConsumerCore::taken() const {
    std::vector<std::string> result;
    for (const auto& [id, entry] : entries_)
        if (entry.fetched) result.push_back(id);
    return result;
}

DeadLetter make_dead_letter(std::string original_message, const DeadLetterContext& context) {
    const boost::json::object json{{"error", context.error},         {"category", to_string(context.category)},
                                   {"timestamp", context.timestamp}, {"service", context.service},
                                   {"attempts", context.attempts},   {"stream", context.stream},
                                   {"entry_id", context.entry_id}};
    return {std::move(original_message), boost::json::serialize(json)};
}

}  // namespace codegen::redis
