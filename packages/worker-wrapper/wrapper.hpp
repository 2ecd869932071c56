// The worker: takes requests from its streams, runs the agent for one after the other, publishes events and results,
// gives signs of life, stops when told. The only one here that speaks to Redis.
#pragma once
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "packages/worker-wrapper/agent_run.hpp"
#include "packages/worker-wrapper/agent_socket.hpp"
#include "packages/worker-wrapper/event_buffer.hpp"
#include "packages/worker-wrapper/forwarder.hpp"
#include "packages/worker-wrapper/gateway_link.hpp"
#include "packages/worker-wrapper/input_reader.hpp"
#include "packages/worker-wrapper/outbox.hpp"
#include "packages/worker-wrapper/record_file.hpp"
#include "packages/worker-wrapper/request_ledger.hpp"
#include "packages/worker-wrapper/result_store.hpp"

namespace codegen::wrapper {

class Wrapper {
  public:
    Wrapper(Loop& loop, contracts::WrapperConfig config, std::string own_program);
    ~Wrapper();
    // Until stopped by a signal. Errors: what must be there from the start (agent.sock, the loopback port).
    Result<void> run();

  private:
    void link_up();
    void learn_session();
    void start_readers();
    void reader_ready();
    void beat();
    void before_wait();

    void take_entry(const InputStream& from, const redis::StreamEntry& entry);
    void bury(const InputStream& from, const redis::StreamEntry& entry, const std::string& original, const Error& why,
              int attempts);
    void acknowledge(const std::string& stream, const std::string& group, const std::string& id);
    void begin(Job job);
    void end(contracts::ResultFile file);
    void say_lost(Job job);
    void conclude(const Job& job, contracts::ResultFile file);  // kept, published, acknowledged
    void run_next();
    void look_once_more();  // then a worker of one task ends
    void hold_readers();

    void publish(const contracts::ResultFile& file);
    void publish_lifecycle(contracts::LifecycleKind kind, const contracts::ResultFile* file);
    void store_session();
    void stop();
    void leave_when_flushed();

    Loop& loop_;
    contracts::WrapperConfig config_;  // constant once run() knows the loopback port
    const ResultStore store_;
    RedisLink link_;
    Outbox outbox_;
    GatewayLink gateway_;
    std::vector<std::unique_ptr<InputReader>> readers_;
    Body body_;
    AgentSocket agent_socket_;
    std::optional<Forwarder> forwarder_;  // Docker; in the sandbox it is in init
    RequestLedger<Job> ledger_;
    EventBuffer events_;
    StreamBudget event_budget_;
    RecordFile transcript_;  // the same events, for people, also after the worker's end
    RecordFile raw_output_;
    std::unique_ptr<AgentRun> run_;
    std::set<std::pair<std::string, std::string>>
        held_entries_;  // stream, id: delivered, to be acknowledged when their result is published
    std::string session_id_;
    std::optional<contracts::AgentUsage> session_usage_;  // of the conversation session_id_ so far; absent: not known
    bool session_known_ = false;
    bool session_begun_ = false;  // something was said in it
    bool session_lost_ = false;   // to be said with the next result
    std::size_t readers_ready_ = 0;
    bool said_started_ = false;
    bool stopping_ = false;
    Loop::TimerId heartbeat_ = 0;
};

}  // namespace codegen::wrapper
