// Every contract by name, for what must cover them all: schemas, tests, the fuzz target. X(User) X(Project) ...
// Names only: who needs the types includes contracts.hpp and dto/manager.hpp.
#pragma once

#define CODEGEN_QUEUE_CONTRACTS(X) \
    X(EngineeringMessage)          \
    X(EngineeringResult)           \
    X(WorkflowCommand)             \
    X(DeployMessage)               \
    X(DeployResult)                \
    X(WorkflowTriggerRequest)      \
    X(WorkflowStatusResult)        \
    X(WorkflowStatusEvent)         \
    X(ScaffolderMessage)           \
    X(ScaffolderResult)            \
    X(ProvisionerMessage)          \
    X(ProvisionerResult)           \
    X(ProgressEvent)               \
    X(POWorkerInput)               \
    X(POWorkerOutput)              \
    X(DeveloperWorkerInput)        \
    X(DeveloperWorkerOutput)       \
    X(WorkerLifecycleEvent)        \
    X(AgentVerdict)                \
    X(AgentUsage)                  \
    X(AgentEvent)                  \
    X(WorkspaceSpec)               \
    X(WorkerConfig)                \
    X(CreateWorkerCommand)         \
    X(CollectWorkerCommand)        \
    X(DeleteWorkerCommand)         \
    X(StatusWorkerCommand)         \
    X(CreateWorkerResponse)        \
    X(DeleteWorkerResponse)        \
    X(StatusWorkerResponse)        \
    X(CollectWorkerResponse)       \
    X(DeadLetterContext)           \
    X(DeadLetter)

#define CODEGEN_DTO_CONTRACTS(X) \
    X(User)                      \
    X(UserCreate)                \
    X(UserUpsert)                \
    X(Token)                     \
    X(TokenCreate)               \
    X(TokenCreated)              \
    X(TokenSelf)                 \
    X(Project)                   \
    X(ProjectCreate)             \
    X(ProjectPatch)              \
    X(TaskRecord)                \
    X(TaskCreate)                \
    X(TaskPatch)                 \
    X(TaskExecution)             \
    X(ProblemDocument)           \
    X(Health)                    \
    X(Host)                      \
    X(HostAnnouncement)          \
    X(WorkerView)                \
    X(WorkerExec)                \
    X(WorkerExecAnswer)          \
    X(ImageView)                 \
    X(ImagePrune)                \
    X(ImagePruneAnswer)          \
    X(Server)                    \
    X(Allocation)                \
    X(Incident)                  \
    X(ServiceDeployment)         \
    X(AgentConfig)               \
    X(CliAgentConfig)            \
    X(ApiKey)                    \
    X(ApiKeyCreate)              \
    X(AvailableModel)            \
    X(Resource)                  \
    X(RagMessage)                \
    X(RagDocument)               \
    X(RagQuery)                  \
    X(RagHit)                    \
    X(RagSummary)
