// Names of the Redis streams and their consumer groups (docs/protocols.md, "Queues").
#pragma once
#include <string>
#include <string_view>

#include "shared/contracts/vocabulary.hpp"

namespace codegen::contracts::streams {

inline constexpr std::string_view kEngineering = "engineering:queue";
inline constexpr std::string_view kDeploy = "deploy:queue";
inline constexpr std::string_view kWorkflowCommands = "workflow:commands";
inline constexpr std::string_view kScaffolder = "scaffolder:queue";
inline constexpr std::string_view kScaffolderResults = "scaffolder:results";
inline constexpr std::string_view kWorkerCommands = "worker:commands";
inline constexpr std::string_view kPOResponses = "worker:responses:po";
inline constexpr std::string_view kDeveloperResponses = "worker:responses:developer";
inline constexpr std::string_view kWorkerLifecycle = "worker:lifecycle";
inline constexpr std::string_view kDeveloperInput = "worker:developer:input";  // shared pool
inline constexpr std::string_view kDeveloperOutput = "worker:developer:output";
inline constexpr std::string_view kProvisioner = "provisioner:queue";
inline constexpr std::string_view kProvisionerResults = "provisioner:results";
inline constexpr std::string_view kWorkflowStatus = "workflow:status";

std::string worker_commands_of(std::string_view host);     // worker:commands:{host}
std::string worker_lifecycle_of(std::string_view host);    // worker:lifecycle:{host}
std::string worker_responses(WorkerType type);             // worker:responses:{type}
std::string worker_input(std::string_view worker_id);      // worker:{id}:input
std::string worker_output(std::string_view worker_id);     // worker:{id}:output
std::string worker_events(std::string_view worker_id);     // worker:{id}:events
std::string po_worker_input(std::string_view worker_id);   // worker:po:{id}:input
std::string po_worker_output(std::string_view worker_id);  // worker:po:{id}:output
std::string task_progress(std::string_view task_id);       // task_progress:{id}
std::string dead_letters(std::string_view stream);         // {stream}:dlq

// Consumer groups.
inline constexpr std::string_view kWorkerManagerGroup = "worker_manager";           // worker:commands
inline constexpr std::string_view kCapabilityWorkersGroup = "capability-workers";   // engineering, deploy
inline constexpr std::string_view kInfrastructureGroup = "infrastructure-workers";  // provisioner:queue
inline constexpr std::string_view kDeveloperWorkersGroup = "developer-workers";     // the shared pool
inline constexpr std::string_view kWorkflowGroup = "workflow";                      // else the owner's name
inline constexpr std::string_view kWorkerManagerOwnerGroup = "worker-manager";
inline constexpr std::string_view kWorkerWrapperGroup = "worker-wrapper";  // worker:{id}:input

}  // namespace codegen::contracts::streams
