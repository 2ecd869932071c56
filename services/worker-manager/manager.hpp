// The inside of the service. Its parts are in manager.cpp (commands, answers), creation.cpp, body_spec.cpp,
// admitting.cpp, removal.cpp, keeping.cpp, sessions.cpp, idle.cpp, product_owner.cpp, collection.cpp, endings.cpp,
// adoption.cpp and routing.cpp; images are in images.cpp, what people see of it in people.cpp.
#pragma once
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "services/worker-manager/core/admission.hpp"
#include "services/worker-manager/core/ending.hpp"
#include "services/worker-manager/core/idleness.hpp"
#include "services/worker-manager/core/lifecycle.hpp"
#include "services/worker-manager/images.hpp"
#include "services/worker-manager/options.hpp"
#include "services/worker-manager/people/front.hpp"
#include "services/worker-manager/repository/remotes.hpp"
#include "services/worker-manager/runtime/worker_runtime.hpp"
#include "services/worker-manager/session_store.hpp"
#include "services/worker-manager/store.hpp"
#include "services/worker-manager/warm_start.hpp"
#include "services/worker-manager/worker.hpp"
#include "shared/async/scope.hpp"
#include "shared/clients/api/api_client.hpp"
#include "shared/redis/consumer.hpp"

namespace codegen::worker_manager {

// Which results of an ended worker go out again: those of requests that were asked (again), that the wrapper did not
// get out, or all that may have been lost.
enum class Republish { asked, unsent, all };

// What is said in the stead of a worker. `seen`: whether all could be read that it was asked; else ask once more.
struct Answers {
    std::vector<storage::OutboxItem> items;
    Result<void> seen;
};

// Another host with a manager on the same Redis, as it announced itself.
struct Neighbour {
    std::int64_t free = 0;     // slots
    std::string repositories;  // its folder of local repositories
    bool lives = false;        // announced itself lately
};

class Manager {
  public:
    Manager(asio::any_io_executor executor, Options options, storage::Database& database,
            std::shared_ptr<WorkerRuntime> runtime);

    Task<Result<void>> run();
    Task<void> stop();
    Images& images() { return images_; }

  private:
    friend class Service;

    // adoption.cpp
    Task<Result<void>> load_workers();
    void resume(WorkerPtr worker);
    Task<void> find_body(WorkerPtr worker);
    Task<void> reconcile();  // with the bodies that are there
    Task<Result<std::vector<Body>>> end_missing_bodies();
    Task<void> look_for_missing_bodies();
    Task<void> renew_token(WorkerPtr worker);
    void renew_old_tokens();
    Task<void> renew_old_token(WorkerPtr worker);

    // manager.cpp
    Task<Result<void>> consume();
    Task<void> consume_until_one_ends(redis::Consumer* consumer, Result<void>* result);
    Task<Result<void>> on_command(redis::Delivery delivery, bool own_stream);
    Task<Result<void>> on_lifecycle(contracts::WorkerLifecycleEvent event, redis::Delivery delivery, bool own_stream);
    Task<Result<void>> on_status(contracts::StatusWorkerCommand command);
    Task<Result<void>> deliver(storage::OutboxItem item);
    Task<void> stay_known();  // to the other hosts
    Task<void> sweep();
    Task<void> answer_ended_workers();
    void count_workers() const;          // for metrics
    Task<void> refresh_status_hashes();  // Redis may have lost them
    // The row and what the world must hear about it, in one transaction.
    Task<Result<void>> save(WorkerPtr worker, std::vector<storage::OutboxItem> items = {});
    Task<Result<void>> save_and_say(std::vector<storage::Statement> statements, std::vector<storage::OutboxItem> items);
    std::vector<storage::OutboxItem> answers(std::optional<contracts::WorkerType> type,
                                             const std::optional<std::string>& callback, const std::string& json) const;
    storage::OutboxItem status_item(const Worker& worker) const;
    std::vector<storage::OutboxItem> creation_answers(const WorkerPtr& worker,
                                                      const std::optional<std::string>& error) const;
    WorkerPtr find(const std::string& worker_id) const;
    WorkerDirectories directories(const std::string& worker_id) const;
    boost::json::object gateway_counts(const Worker& worker) const;

    // routing.cpp
    Task<Result<void>> announce();
    // The host whose worker this is, "" when it is nobody's; `claim_for`: whose it becomes then (empty: nobody's).
    Task<Result<std::string>> host_of(std::string worker_id, std::string claim_for, std::string request_id);
    Task<Result<bool>> passed_on(contracts::WorkerCommand command, std::string data);
    Task<Result<void>> pass_on_event(std::string worker_id, std::string data);
    Task<void> hand_over_waiting();
    Task<void> hand_over(WorkerPtr worker, std::string host);

    // creation.cpp
    Task<Result<void>> on_create(contracts::CreateWorkerCommand command, bool handed_over);
    Task<Result<void>> begin(contracts::CreateWorkerCommand command, int attempt, bool handed_over);
    Result<void> check(const contracts::CreateWorkerCommand& command) const;
    void pump();  // admission
    Task<void> mirror_queue();
    Task<void> admission_clock();
    Task<void> create(WorkerPtr worker);
    Task<Result<void>> make_body_when_the_engine_answers(WorkerPtr worker);
    Task<Result<void>> make_body(WorkerPtr worker);
    Task<Result<void>> make_directories(WorkerPtr worker, AgentIdentity agent);
    Task<Result<void>> settle_prepared(WorkerPtr worker, AgentIdentity agent);
    Task<Result<void>> make_workspace(WorkerPtr worker, AgentIdentity agent);
    Task<Result<std::string>> clone_base(contracts::WorkspaceSpec spec, std::filesystem::path repository,
                                         std::filesystem::path directory);
    std::vector<storage::OutboxItem> name_token(const WorkerPtr& worker) const;
    Task<Result<void>> fetch_token(WorkerPtr worker, bool named = false);
    Result<void> open_gateway(const WorkerPtr& worker);
    Task<Result<void>> start_with_token(WorkerPtr worker, BodySpec spec);
    Task<Result<void>> start_body(WorkerPtr worker, BodySpec spec);
    BodySpec body_spec(const Worker& worker, AgentIdentity agent) const;
    bool can_be_prepared(const Worker& worker) const;
    std::string kind_of(const Worker& worker) const;  // workers of one kind can be prepared in each other's place
    std::size_t room_for_prepared() const;
    Task<void> give_up(WorkerPtr worker, std::string error);

    // admitting.cpp
    Result<WorkerLimits> limits_of(const contracts::WorkerConfig& config) const;
    void ask_admission(const Worker& worker);
    std::optional<HostMemory> host_memory() const;
    // task_rules.cpp
    Task<Result<void>> learn_egress(WorkerPtr worker);
    static std::vector<std::string> learned_egress(const Worker& worker);
    Task<Result<void>> count_earlier_usage(WorkerPtr worker);

    // removal.cpp
    Task<Result<void>> on_delete(contracts::DeleteWorkerCommand command);
    Task<void> remove(WorkerPtr worker);
    Task<Result<void>> dismantle(WorkerPtr worker);  // everything but the row
    Task<Answers> last_answers(WorkerPtr worker);
    std::vector<storage::OutboxItem> farewell(const Worker& worker) const;
    std::vector<redis::Arguments> last_traces(const Worker& worker) const;

    // sessions.cpp
    Task<Result<void>> choose_session(WorkerPtr worker);
    Task<Result<void>> take_session(WorkerPtr worker, AgentIdentity agent);
    Task<Result<void>> put_session_aside(WorkerPtr worker);
    Task<void> forget_old_sessions();

    // idle.cpp
    struct Inputs {
        std::map<std::string, std::string> last_ids;
        bool settled = true;  // nothing unread, nothing in flight
    };
    Task<void> idle_clock();
    Task<std::optional<Inputs>> look_at_inputs(std::string worker_id);
    Task<void> pause(WorkerPtr worker);
    Task<void> wake(WorkerPtr worker);
    Task<void> remove_idle(WorkerPtr worker);
    Task<void> expect_input(WorkerPtr worker);
    Task<void> make_again(WorkerPtr worker);
    void watch_inputs(const WorkerPtr& worker, std::map<std::string, std::string> last_ids);
    Task<void> renew_watch(std::uint64_t wanted);
    Task<void> watch_sleepers();

    // product_owner.cpp
    storage::OutboxItem serves_item(const Worker& worker) const;
    WorkerPtr serving(const contracts::CreateWorkerCommand& command) const;
    Task<bool> revive(WorkerPtr worker);
    Task<Answers> answer_person(WorkerPtr worker);

    // keeping.cpp
    std::filesystem::path kept_directory(const std::string& worker_id) const;
    bool keeps_workspace(const Worker& worker) const;
    Task<Result<void>> put_workspace_aside(WorkerPtr worker);
    Task<Result<void>> take_workspace_again(WorkerPtr worker, AgentIdentity agent);
    std::set<std::string> kept_sessions() const;  // of kept workspaces
    Result<void> check_login(const contracts::WorkerConfig& config) const;
    Task<Result<void>> take_login(WorkerPtr worker, AgentIdentity agent);
    void find_login_again(Worker& worker) const;
    void lend_login(const Worker& worker, BodySpec& spec) const;
    Task<void> keep_whereabouts();  // of kept workspaces
    Task<Result<void>> forget_workspace(std::string worker_id);

    // collection.cpp
    Task<Result<void>> on_collect(contracts::CollectWorkerCommand command);
    Task<Result<Collected>> collect_from(WorkerPtr worker, contracts::CollectWorkerCommand command);
    Task<Result<Collected>> collect_and_push(std::string url, CollectRequest request);

    // endings.cpp
    Task<void> on_body_end(BodyEnd end);
    Task<void> end(WorkerPtr worker, BodyEnd end);
    Task<Answers> answer_pending(WorkerPtr worker, Republish republish);
    Task<Result<std::set<std::string>>> leave_pool(WorkerPtr worker);

    // people.cpp
    Result<void> prepare_front();
    Task<void> announce_to_people();  // to the API: where people find this manager
    contracts::WorkerView view(const Worker& worker) const;
    Task<void> keep_evidence(WorkerPtr worker);

    // Constant after construction.
    const asio::any_io_executor executor_;
    const Options options_;
    const std::shared_ptr<WorkerRuntime> runtime_;
    std::filesystem::path programs_;
    std::shared_ptr<const GatewaySettings> gateway_settings_;
    std::unique_ptr<clients::ApiClient> api_;
    std::unique_ptr<Evidence> evidence_;
    std::unique_ptr<Front> front_;

    Store store_;
    SessionStore sessions_;
    redis::Client redis_;
    storage::Outbox outbox_;
    Images images_;
    Remotes remotes_;
    Admission admission_;
    WarmStart warm_;
    asio::steady_timer admission_timer_;
    std::vector<std::string> mirrored_;  // who waits, as Redis was told
    std::map<std::string, WorkerPtr> workers_;
    bool stopping_ = false;
    // Who waits for input: the numbers of the newest list and of the one that is being read.
    std::uint64_t watch_wanted_ = 0;
    std::uint64_t watch_reads_ = 0;
    std::int64_t watch_client_ = 0;  // of the read under way, at Redis
    asio::steady_timer watch_timer_;
    std::map<std::string, Neighbour> neighbours_;
    // Until then an unknown worker may be a neighbour's whose status Redis has lost.
    std::chrono::steady_clock::time_point quiet_until_{};
    std::vector<std::unique_ptr<redis::Consumer>> consumers_;
    async::Scope scope_;
};

// An outbox item: Redis commands, done in order. Items of one target are done in order too.
storage::OutboxItem redis_item(std::string target, const std::vector<redis::Arguments>& commands);
storage::OutboxItem stream_item(const std::string& stream, const std::string& json);

// The error of a worker that was removed because nobody spoke to it, and the request that did it.
inline constexpr const char* kIdleRemoval = "removed-when-idle";
bool serves_person(const Worker& worker);
bool removed_idle(const Worker& worker);
std::vector<std::string> po_inputs(const std::string& worker_id);

}  // namespace codegen::worker_manager
