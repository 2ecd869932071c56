// Which requests this worker has seen: everything is delivered at least once, and each runs once. Pure.
#pragma once
#include <deque>
#include <optional>
#include <set>
#include <string>

namespace codegen::wrapper {

template <class Request>
class RequestLedger {
  public:
    enum class Answer { run, ignore, republish };

    // `run`: take it now, the ledger counts it as running. `ignore`: it runs or waits already, or waits from now on
    // (next() gives it out later). `republish`: it has ended, its result is kept.
    Answer offer(const std::string& request_id, Request request) {
        if (finished_.contains(request_id)) return Answer::republish;
        if (running_ == request_id || waiting(request_id)) return Answer::ignore;
        if (running_ || stopped_) {
            queue_.emplace_back(request_id, std::move(request));
            return Answer::ignore;
        }
        running_ = request_id;
        return Answer::run;
    }
    void finished(const std::string& request_id) {
        finished_.insert(request_id);
        if (running_ == request_id) running_.reset();
    }
    // The oldest that waits, when nothing runs; counts as running from now on.
    std::optional<Request> next() {
        if (running_ || stopped_ || queue_.empty()) return std::nullopt;
        running_ = queue_.front().first;
        Request request = std::move(queue_.front().second);
        queue_.pop_front();
        return request;
    }
    bool waiting(const std::string& request_id) const {
        for (const auto& [id, request] : queue_)
            if (id == request_id) return true;
        return false;
    }
    bool idle() const { return !running_ && queue_.empty(); }
    void stop() { stopped_ = true; }  // nothing new is given out
    bool full() const { return queue_.size() >= 16; }
    const std::optional<std::string>& running() const { return running_; }

  private:
    std::optional<std::string> running_;
    std::deque<std::pair<std::string, Request>> queue_;
    std::set<std::string> finished_;
    bool stopped_ = false;
};

}  // namespace codegen::wrapper
