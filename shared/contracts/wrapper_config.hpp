// What the worker-manager tells one worker-wrapper, in a file that only the wrapper reads: <state>/config.json, whose
// path is in WRAPPER_CONFIG. Not wire format: both programs come from one build. Holds no secret. All paths are as the
// wrapper sees them (Docker: inside the container; sandbox: on the host).
#pragma once
#include <array>
#include <boost/describe.hpp>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/contracts/contracts.hpp"
#include "shared/json/json.hpp"

namespace codegen::contracts {

// Inside a worker with an engine of its own.
inline constexpr std::string_view kInnerEngineSocket = "/run/engine/docker.sock";
inline constexpr std::string_view kInnerEngineData = "/var/lib/docker";

// A host path that the sandbox shows at another place, read-only.
struct ReadOnlyMount {
    std::string source;
    std::string target;
};
BOOST_DESCRIBE_STRUCT(ReadOnlyMount, (), (source, target))

// Only for runtime "sandbox": the wrapper is on the host and starts one bubblewrap for each agent run.
struct SandboxConfig {
    std::string bwrap = "/usr/bin/bwrap";
    std::string wrapper_program;                // this program, started again as PID 1 inside ("init")
    std::vector<ReadOnlyMount> mounts;          // beyond /usr: the command and the agent's binary
    std::optional<std::string> login;           // host directory shown, writable, at WrapperConfig::login
    std::optional<std::string> seccomp_filter;  // a compiled BPF file for bwrap --seccomp
    std::vector<std::string> cgroups;           // directories whose cgroup.procs the agent's processes join
    std::int64_t max_processes = 512;           // RLIMIT_NPROC-like bound where no cgroup is permitted
};
BOOST_DESCRIBE_STRUCT(SandboxConfig, (),
                      (bwrap, wrapper_program, mounts, login, seccomp_filter, cgroups, max_processes))

// Only for runtime "process": the wrapper is on the host and the agent a process beside it, with nothing in between but
// its uid - none when the control plane is not root - and these limits. The agent sees the host's paths.
struct ProcessConfig {
    std::string temporary;             // its TMPDIR, its own
    std::vector<std::string> cgroups;  // as in SandboxConfig
    std::int64_t memory_bytes = 0;     // of each process (RLIMIT_DATA) where no cgroup is permitted; 0: no limit
    std::int64_t processes = 0;        // RLIMIT_NPROC of a uid of its own; 0: no limit
};
BOOST_DESCRIBE_STRUCT(ProcessConfig, (), (temporary, cgroups, memory_bytes, processes))

struct WrapperConfig {
    std::string worker_id;
    WorkerType worker_type{};
    AgentType agent_type{};
    std::string redis_socket;       // Docker: /run/codegen/wrapper/redis.sock
    std::string gateway_directory;  // Docker: /run/codegen; holds http.sock; agent.sock is made in its agent/
    std::string state_directory;    // Docker: /var/lib/codegen-worker; results, bundles; not reachable by the agent
    std::string workspace;          // Docker: /workspace
    std::string home;               // Docker: /home/agent
    int agent_uid = 10001;
    int agent_gid = 10001;
    std::vector<int> agent_groups;         // Docker: supplementary ones
    std::optional<SandboxConfig> sandbox;  // neither this nor `process`: Docker
    std::optional<ProcessConfig> process;
    std::optional<std::string> base_sha;  // HEAD of the workspace as it was handed over; absent: no repository
    std::string instructions;
    std::vector<std::string> allowed_commands;
    std::map<std::string, std::string> env_vars;
    std::map<std::string, std::string> image_environment;  // of the user's own image; whatever else is set wins
    std::vector<std::string> command;                      // agent_type custom
    std::optional<std::string>
        agent_program;              // the agent's binary as the agent sees it, e.g. /opt/codegen/agents/claude/claude
    std::vector<std::string> path;  // the agent's PATH, first of all the folder of `orchestrator`
    // The folder of its home with a login of its own: then it speaks to its provider itself, through the proxy.
    std::optional<std::string> login;
    bool own_engine = false;  // Docker: PID 1 starts a Docker engine for the agent (an isolating runtime)
    bool pool = false;        // also reads the shared developer stream
    bool one_task = false;    // ends by itself after its last request, unless that waits for a person
    std::optional<std::string> model;
    std::vector<std::string> providers;  // model providers that a key is there for: "anthropic", "openai"
    std::optional<std::string> session_id;
    bool session_named = false;         // it was begun before; one that is not found is lost
    bool session_lost = false;          // its files are gone: the first result says so
    std::int64_t session_ttl_s = 7200;  // of worker:session:{id}
    std::optional<std::string> task_id;
    std::optional<std::string> project_id;
    std::optional<std::string> user_id;
    int loopback_port = 18790;              // in the worker's own network namespace; without one 0: any free port
    std::int64_t bundle_limit = 100 << 20;  // bytes
    std::int64_t memory_limit = 0;          // bytes, for the error text; 0: unknown
    std::int64_t record_limit = 4 << 20;    // bytes of the log, the transcript and the raw output, each
    int heartbeat_ms = 10000;
    int gateway_wait_ms = 60000;  // how long the loopback forwarder holds a connection while the gateway is away
    int kill_grace_ms = 2000;     // SIGTERM to SIGKILL
    std::map<std::string, std::string>
        provider_environment;  // placeholders and settings, e.g. CLAUDE_CODE_MAX_RETRIES; never a key
};
BOOST_DESCRIBE_STRUCT(WrapperConfig, (),
                      (worker_id, worker_type, agent_type, redis_socket, gateway_directory, state_directory, workspace,
                       home, agent_uid, agent_gid, agent_groups, sandbox, process, base_sha, instructions,
                       allowed_commands, env_vars, image_environment, command, agent_program, path, login, own_engine,
                       pool, one_task, model, providers, session_id, session_named, session_lost, session_ttl_s,
                       task_id, project_id, user_id, loopback_port, bundle_limit, memory_limit, record_limit,
                       heartbeat_ms, gateway_wait_ms, kill_grace_ms, provider_environment))

// <state>/result-<request_id>.json: what the wrapper publishes for one request, kept until the worker is deleted.
struct ResultFile {
    DeveloperWorkerOutput output;
    std::optional<std::string> head_sha;      // HEAD of the workspace when the agent ended
    std::optional<std::string> bundle;        // file name in the state directory
    std::optional<int> exit_code;             // of the agent
    std::optional<std::string> bundle_error;  // e.g. over the limit, with figure and limit
    std::optional<POWorkerOutput> po_output;  // what a Product Owner's worker publishes instead of `output`
    std::optional<std::string> traceparent;   // of the request
};
BOOST_DESCRIBE_STRUCT(ResultFile, (), (output, head_sha, bundle, exit_code, bundle_error, po_output, traceparent))

}  // namespace codegen::contracts
