// One run of the agent, from its start to the result that is to be stored and published: joins the lifecycle, the
// body, the stream parser and the collector. It stores and publishes nothing itself.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "packages/worker-wrapper/agent_names.hpp"
#include "packages/worker-wrapper/agent_plan.hpp"
#include "packages/worker-wrapper/body.hpp"
#include "packages/worker-wrapper/collector.hpp"
#include "packages/worker-wrapper/pipes.hpp"
#include "packages/worker-wrapper/run_lifecycle.hpp"

namespace codegen::wrapper {

class AgentRun {
  public:
    struct Hooks {
        std::function<void(contracts::AgentEvent)> event;
        std::function<void(std::string_view)> output;  // what the agent prints, both streams, as it comes
        std::function<void(contracts::ResultFile)>
            done;  // once, the last thing; may destroy the run later, not from within
    };

    AgentRun(Loop& loop, const contracts::WrapperConfig& config, Body& body, Job job, std::string session_id,
             Hooks hooks);
    ~AgentRun();

    void start();
    void stop();                                                    // the worker is being stopped: result `cancelled`
    void halt(contracts::FailureReason reason, std::string error);  // the gateway ends it: that is its result
    // What `orchestrator result` says; the last one wins over anything in the text. Returns why it comes too late, or
    // "".
    std::string take_verdict(contracts::AgentVerdict verdict);
    const Job& job() const { return job_; }
    const std::string& session_id() const { return session_id_; }
    // After its end: of the whole conversation, when the agent says so.
    const std::optional<contracts::AgentUsage>& session_usage() const { return stream_->summary().session_usage; }

  private:
    void on(RunEvent event);
    void act(RunAction action);
    void launch(const Job& job);
    bool owes_verdict() const;
    void ask_again();
    void emit(contracts::AgentEventKind kind, std::optional<std::string> text, std::optional<boost::json::object> data);
    void take_line(std::string_view line, bool cut);
    void take_error_line(std::string_view line, bool cut);
    void tree_gone();
    void finish();

    Loop& loop_;
    const contracts::WrapperConfig& config_;
    Body& body_;
    const Job job_;
    std::string session_id_;
    const Hooks hooks_;

    RunLifecycle lifecycle_;
    Collector collector_;
    std::unique_ptr<AgentStream> stream_;
    LineSplitter lines_{kLongestLine};
    LineSplitter error_lines_{kLongestEventText};
    PipeWriter input_;
    PipeReader output_;
    PipeReader errors_;
    Loop::TimerId timeout_ = 0;
    Loop::TimerId grace_ = 0;
    std::chrono::steady_clock::time_point began_;
    std::int64_t oom_kills_before_ = 0;
    std::int64_t seq_ = 0;
    bool session_lost_ = false;
    RunFacts facts_;
    std::optional<contracts::AgentVerdict> told_verdict_;
    std::optional<contracts::AgentUsage> earlier_usage_;  // of the run before it was asked again
    Collected collected_;
};

}  // namespace codegen::wrapper
