# shellcheck shell=bash disable=SC2034
# Sourced: starts and stops `orchestratord dev` for make run, up and down.
# control_plane_started is "yes" when this shell started it.
control_plane_started=no
control_plane_may_run_processes=no # "yes": plain processes where nothing else works, for scripted agents only

control_plane_state() {
    if [ -n "${CODEGEN_STATE_DIR:-}" ]; then echo "$CODEGEN_STATE_DIR"
    elif [ "$(id -u)" -eq 0 ]; then echo /var/lib/codegen
    else echo "${XDG_STATE_HOME:-$HOME/.local/state}/codegen"; fi
}

# control_plane_start [orchestratord dev options...]: uses a control plane that already answers, else starts one.
control_plane_start() {
    local state log
    state=$(control_plane_state)
    if build/bin/orchestrator --json diagnose api >/dev/null 2>&1; then
        echo "==> using the control plane that already runs on $state"
        if [ $# -gt 0 ]; then
            echo "RUNTIME cannot change while it runs: make down first" >&2
            return 2
        fi
        return 0
    fi
    [ "$control_plane_may_run_processes" = no ] || set -- "$@" --runtime demo
    mkdir -p "$state"
    log=$state/orchestratord.log
    echo "==> starting the control plane (state: $state, log: $log)"
    setsid build/bin/orchestratord dev "$@" --ready-fd 3 3>"$state/.ready" >>"$log" 2>&1 </dev/null &
    control_plane_pid=$!
    local tick=0
    until [ -s "$state/.ready" ]; do
        if ! kill -0 "$control_plane_pid" 2>/dev/null; then
            tail -n 5 "$log" >&2
            echo "the control plane ended; its log is $log" >&2
            return 1
        fi
        tick=$((tick + 1))
        if [ "$tick" -gt 1200 ]; then
            kill "$control_plane_pid"
            echo "the control plane was not ready within 60 s; its log is $log" >&2
            return 1
        fi
        sleep 0.05
    done
    # One line for people: the runtime that was chosen and why.
    cat "$state/.ready"
    rm -f "$state/.ready"
    control_plane_started=yes
}

control_plane_stop() {
    kill "$control_plane_pid" 2>/dev/null || return 0
    wait "$control_plane_pid" 2>/dev/null || true
    echo "==> the control plane is stopped"
}
