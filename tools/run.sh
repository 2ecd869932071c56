#!/usr/bin/env bash
# `make run`: installs, builds, then does the main job once: a task goes in, an agent works on it in an isolated worker, a
# verified commit comes out. Reads CODEGEN_RUN_{PROMPT,AGENT,AGENT_COMMAND,RUNTIME} (set by the Makefile).
set -euo pipefail
cd "$(dirname "$0")/.."

# make strips white space in front of a command line value; its own argv still has it.
if [ -r "/proc/$PPID/cmdline" ]; then
    while IFS= read -r -d '' argument; do
        case $argument in
            PROMPT=*) CODEGEN_RUN_PROMPT=${argument#PROMPT=} ;;
            AGENT_COMMAND=*) CODEGEN_RUN_AGENT_COMMAND=${argument#AGENT_COMMAND=} ;;
        esac
    done <"/proc/$PPID/cmdline"
fi
prompt=${CODEGEN_RUN_PROMPT:-}
agent=${CODEGEN_RUN_AGENT:-}
agent_command=${CODEGEN_RUN_AGENT_COMMAND:-}
runtime=${CODEGEN_RUN_RUNTIME:-}
case $runtime in '' | docker | sandbox | process) ;; *)
    echo "RUNTIME is \"$runtime\": expected docker, sandbox or process" >&2
    exit 2
    ;;
esac
if [ -n "$agent" ] && [ ! -d "shared/agents/$agent" ]; then
    echo "AGENT is \"$agent\": expected one of$(cd shared/agents && printf ' %s' */ | tr -d /)" >&2
    exit 2
fi

tools/install_packages.sh run
tools/copier.sh
tools/build.sh
[ "$runtime" != docker ] || tools/docker_engine.sh start

scripted=no
# Whether one of the variables that the agent needs is set.
has_key() {
    local name
    for name in $(head -n 1 "shared/agents/$1/keys"); do [ -z "${!name:-}" ] || return 0; done
    return 1
}
if [ -z "$agent" ]; then
    agent=custom
    [ -n "$agent_command" ] || for keys in shared/agents/*/keys; do
        candidate=$(basename "$(dirname "$keys")")
        if has_key "$candidate"; then
            agent=$candidate
            break
        fi
    done
fi
if [ -f "shared/agents/$agent/keys" ] && ! has_key "$agent"; then
    echo "AGENT=$agent needs $(sed -n 2p "shared/agents/$agent/keys") in the environment" >&2
    exit 2
fi
if [ "$agent" = custom ] && [ -z "$agent_command" ]; then
    agent_command=$(cat tools/demo_agent.sh)
    scripted=yes
fi
if [ -z "$prompt" ]; then
    prompt="Add a file NOTES.md that says what this project is for. (demo $(date -u +%Y%m%dT%H%M%SZ)-$RANDOM)"
fi

# shellcheck source=tools/control_plane.sh
. tools/control_plane.sh
# Only the demo, which nobody's model drives, may fall back to plain processes where neither Docker nor bubblewrap works.
if [ "$scripted" = yes ] && [ -z "${runtime}${RUNTIME:-}${WORKER_RUNTIME:-}" ]; then
    control_plane_may_run_processes=yes
fi
control_plane_start ${runtime:+--runtime "$runtime"}
if [ "$control_plane_started" = yes ]; then trap control_plane_stop EXIT; fi

orchestrator=build/bin/orchestrator
if [ "$scripted" = yes ]; then
    echo "==> no model key found: the agent is a scripted demo (tools/demo_agent.sh), not a model"
else
    echo "==> the agent is: $agent"
fi
project=$("$orchestrator" --json project create --name "demo-$(date -u +%H%M%S)" --modules backend --description "Made by make run" | jq -er .data.id)
echo "==> project $project"

prompt_file=$(mktemp)
command_file=$(mktemp)
printf '%s' "$prompt" >"$prompt_file"
printf '%s' "$agent_command" >"$command_file"
arguments=(--project "$project" --spec "@$prompt_file" --agent "$agent")
[ "$agent" != custom ] || arguments+=(--agent-command "@$command_file")
task=$("$orchestrator" --json engineering start "${arguments[@]}" | jq -er .data.id) || {
    rm -f "$prompt_file" "$command_file"
    exit 1
}
rm -f "$prompt_file" "$command_file"
echo "==> task $task"
waited=0
# The record that `wait` ends with comes below, after the commit.
"$orchestrator" --text engineering wait "$task" --timeout 2400 --follow | sed -u '/^task: /,$d' || waited=$?

record=$("$orchestrator" --json engineering status "$task")
status=$(jq -r '.data.status' <<<"$record")
commit=$(jq -r '.data.result.commit_sha // ""' <<<"$record")
repository=$("$orchestrator" --json project get "$project" | jq -r '.data.repository_url // ""')
if [ -n "$commit" ]; then
    echo "==> the commit"
    git -c safe.directory='*' -C "$repository" --no-pager show --stat --format=medium "$commit"
fi
echo "==> the task's record"
"$orchestrator" --text engineering status "$task"
echo "==> the repository: git clone --branch task/$task $repository"
# The last three lines are for programs.
if [ "$control_plane_started" = yes ]; then
    trap - EXIT
    control_plane_stop
fi
printf 'task: %s %s\ncommit: %s\nrepository: %s\n' "$task" "$status" "$commit" "$repository"
[ "$status" = completed ] || exit $((waited == 0 ? 1 : waited))
