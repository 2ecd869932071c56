// The enumerated values of docs/protocols.md. Enumerators are the wire names; a trailing _ (C++ keyword) is dropped on
// the wire. json::name_of / json::enum_from convert.
#pragma once
#include <boost/describe/enum.hpp>
#include <boost/preprocessor/seq/enum.hpp>
#include <optional>
#include <string_view>

#include "shared/contracts/agent_types.hpp"

namespace codegen::contracts {

BOOST_DEFINE_ENUM_CLASS(ResultStatus, success, failed, error, timeout)
BOOST_DEFINE_ENUM_CLASS(ServiceModule, backend, telegram, frontend)  // "tg_bot" is read as telegram
BOOST_DEFINE_ENUM_CLASS(WorkflowConclusion, success, failure, cancelled, skipped)
BOOST_DEFINE_ENUM_CLASS(WorkflowRunStatus, queued, in_progress, completed)
BOOST_DEFINE_ENUM_CLASS(ProgressType, started, progress, completed, failed)
BOOST_DEFINE_ENUM_CLASS(LifecycleKind, started, completed, failed, stopped)
BOOST_DEFINE_ENUM_CLASS(WorkflowCommandKind, cancel, resume)
BOOST_DEFINE_ENUM_CLASS(VerdictStatus, success, failure, in_progress)
BOOST_DEFINE_ENUM_CLASS(AgentEventKind, text, thinking, tool_call, tool_result, usage, status, stderr_)

// Why a developer task failed (docs/protocols.md, "Errors, retries, dead letters").
BOOST_DEFINE_ENUM_CLASS(FailureReason, killed, out_of_memory, timeout, no_verdict, no_commit, commit_missing,
                        commit_rejected, agent_failure, provider_error, budget, cancelled, no_capacity, infrastructure)

BOOST_DEFINE_ENUM_CLASS(DeadLetterCategory, transient, upstream, permanent, fatal)

// Worker control. Agent types and capabilities are also read in upper case.
BOOST_DEFINE_ENUM_CLASS(WorkerType, po, developer)
BOOST_DEFINE_ENUM_CLASS(AgentType, BOOST_PP_SEQ_ENUM(CODEGEN_AGENT_TYPES))
BOOST_DEFINE_ENUM_CLASS(Capability, git, github_cli, curl, docker)
BOOST_DEFINE_ENUM_CLASS(AuthMode, api_key, host_session)
BOOST_DEFINE_ENUM_CLASS(WorkerCommandKind, create, delete_, status, collect)
BOOST_DEFINE_ENUM_CLASS(WorkerStatus, starting, running, paused, stopped, failed)
// `status` of the Redis hash worker:status:{id}.
BOOST_DEFINE_ENUM_CLASS(WorkerState, QUEUED, STARTING, RUNNING, PAUSED, COMPLETED, FAILED, STOPPED)

// REST resources.
BOOST_DEFINE_ENUM_CLASS(ProjectStatus, draft, scaffolding, scaffolded, developing, testing, deploying, active, failed,
                        archived, discovered, missing)
BOOST_DEFINE_ENUM_CLASS(TaskType, engineering, deploy, infrastructure)
BOOST_DEFINE_ENUM_CLASS(TaskStatus, queued, running, completed, failed, cancelled)
BOOST_DEFINE_ENUM_CLASS(ExecutionStatus, success, failure, in_progress, error)
BOOST_DEFINE_ENUM_CLASS(TokenKind, admin, user, service, worker)
// "new" and "active" are read as pending_setup and in_use.
BOOST_DEFINE_ENUM_CLASS(ServerStatus, discovered, pending_setup, provisioning, force_rebuild, ready, in_use, error,
                        unreachable, maintenance, reserved, missing, decommissioned)
BOOST_DEFINE_ENUM_CLASS(IncidentType, server_unreachable, provisioning_failed, service_down, resource_exhausted)
BOOST_DEFINE_ENUM_CLASS(IncidentSeverity, low, medium, high, critical)
BOOST_DEFINE_ENUM_CLASS(IncidentStatus, detected, recovering, resolved, failed)
BOOST_DEFINE_ENUM_CLASS(DeploymentStatus, running, stopped, failed, pending)
BOOST_DEFINE_ENUM_CLASS(ApiKeyType, system, project)
BOOST_DEFINE_ENUM_CLASS(RagRole, user, assistant, system)
BOOST_DEFINE_ENUM_CLASS(RagKind, document, message)

// Other spellings that are read (found by shared/json through argument-dependent lookup).
std::optional<ServiceModule> enum_alias(std::string_view text, ServiceModule);
std::optional<AgentType> enum_alias(std::string_view text, AgentType);
std::optional<Capability> enum_alias(std::string_view text, Capability);
std::optional<ServerStatus> enum_alias(std::string_view text, ServerStatus);

// queued -> running -> completed | failed | cancelled, and queued -> failed | cancelled. The same status again is no
// change and allowed. Project and server statuses may follow one another freely.
bool may_follow(TaskStatus from, TaskStatus to);
bool is_final(TaskStatus status);

}  // namespace codegen::contracts
