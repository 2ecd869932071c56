#!/usr/bin/env bash
# Makes a Docker engine answer: uses the one that does, else installs docker.io and starts dockerd.
# usage: tools/docker_engine.sh start        leaves it running; prints where it answers when it had to be started
#        tools/docker_engine.sh stop         stops the engine that `start` started, no other
set -euo pipefail
cd "$(dirname "$0")/.."
socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
socket=${socket#unix://}
marker=/run/codegen-dockerd.pid

answers() { curl --silent --fail --max-time 5 --unix-socket "$socket" http://docker/_ping >/dev/null 2>&1; }

# The kernel keeps a version 1 hierarchy of control groups that was mounted once, also when nobody mounts it now. Every process
# is in it then, the engine looks for its mount at each start of a container, finds none, and never says that memory ran out.
mount_kept_hierarchies() {
    local controllers options
    while IFS=: read -r _ controllers _; do
        [ -n "$controllers" ] || continue   # version 2
        findmnt --noheadings --types cgroup --output FS-OPTIONS | tr , '\n' | grep -qxF "${controllers%%,*}" && continue
        options=$controllers
        case $controllers in name=*) options=none,$controllers ;; esac
        mkdir -p "/sys/fs/cgroup/${controllers#name=}" && mount -t cgroup -o "$options" cgroup "/sys/fs/cgroup/${controllers#name=}" ||
            echo "the control groups $controllers could not be mounted: the engine may call a worker without memory merely killed" >&2
    done </proc/self/cgroup
}

case ${1:-} in
    start)
        command -v curl >/dev/null || tools/install_packages.sh test
        answers && exit 0
        if [ "$(id -u)" -ne 0 ]; then
            echo "no Docker engine answers at $socket, and only root can start one: run make as root, or use RUNTIME=sandbox" >&2
            exit 1
        fi
        tools/install_packages.sh docker
        echo "==> starting dockerd"
        mount_kept_hierarchies
        rm -f /var/run/docker.pid
        setsid dockerd >/var/log/codegen-dockerd.log 2>&1 </dev/null &
        echo $! >"$marker"
        for _ in $(seq 600); do
            answers && exit 0
            kill -0 "$(cat "$marker")" 2>/dev/null || break
            sleep 0.1
        done
        tail -n 5 /var/log/codegen-dockerd.log >&2
        echo "dockerd did not answer; its log is /var/log/codegen-dockerd.log" >&2
        exit 1
        ;;
    stop)
        [ -f "$marker" ] || exit 0
        pid=$(cat "$marker")
        rm -f "$marker"
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] && kill "$pid"
        ;;
    *)
        echo "usage: $0 start|stop" >&2
        exit 2
        ;;
esac
