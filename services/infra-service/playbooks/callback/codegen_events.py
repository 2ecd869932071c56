# What ansible-playbook does, as JSON lines on standard output, for infra-service (playbook_report.hpp reads them).
from __future__ import annotations

import json
import os
import sys

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: codegen_events
type: stdout
short_description: one JSON object a line for each thing that happens
description: Written for infra-service, which reads failures, counts and progress from it.
"""

SETUP = ("setup", "gather_facts", "ansible.builtin.setup", "ansible.builtin.gather_facts", "ansible.legacy.setup")


def message_of(result):
    """The words of a failure: what the module said, and the last line of what its program wrote."""
    texts = []
    for item in result.get("results") or []:
        if isinstance(item, dict) and (item.get("failed") or item.get("unreachable")):
            return message_of(item)
    for name in ("msg", "reason", "exception"):
        value = result.get(name)
        if value:
            texts.append(value if isinstance(value, str) else json.dumps(value, default=str))
            break
    for name in ("stderr", "module_stderr", "stdout", "module_stdout"):
        lines = [line for line in str(result.get(name) or "").splitlines() if line.strip()]
        if lines:
            texts.append(lines[-1])
            break
    if result.get("rc") not in (None, 0):
        texts.append("exit %s" % result["rc"])
    return ": ".join(text.strip() for text in texts) or "failed without a message"


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "codegen_events"

    def __init__(self):
        super().__init__()
        self._play = ""
        self._task = ""

    def _emit(self, event, **fields):
        sys.stdout.write(json.dumps({"event": event, **fields}, default=str) + "\n")
        sys.stdout.flush()

    def _result(self, event, result):
        task = result._task.get_name().strip()
        if result._task.no_log or result._result.get("_ansible_no_log"):
            text = "its output is kept secret"
        else:
            text = message_of(result._result)
        self._emit(event, play=self._play, task=task, host=result._host.get_name(), message=text)

    def v2_playbook_on_start(self, playbook):
        self._emit("started", pid=os.getpid())

    def v2_playbook_on_play_start(self, play):
        self._play = play.get_name().strip()

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._task = task.get_name().strip()
        self._emit("task", play=self._play, task=self._task)

    def v2_playbook_on_handler_task_start(self, task):
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        if not ignore_errors:
            self._result("failed", result)

    def v2_runner_on_unreachable(self, result):
        self._result("unreachable", result)

    def v2_runner_on_skipped(self, result):
        self._emit("skipped", play=self._play, task=result._task.get_name().strip(), host=result._host.get_name())

    def v2_runner_on_ok(self, result):
        host = result._host.get_name()
        if result._result.get("changed"):
            self._emit("changed", play=self._play, task=result._task.get_name().strip(), host=host)
        if result._task.action in SETUP:
            facts = result._result.get("ansible_facts") or {}
            root = [m for m in facts.get("ansible_mounts") or [] if m.get("mount") == "/"]
            self._emit(
                "facts",
                host=host,
                cpus=int(facts.get("ansible_processor_vcpus") or 0),
                ram_mb=int(facts.get("ansible_memtotal_mb") or 0),
                ram_free_mb=int((facts.get("ansible_memory_mb") or {}).get("nocache", {}).get("free") or 0),
                disk_mb=int(root[0].get("size_total") or 0) // 1048576 if root else 0,
                disk_free_mb=int(root[0].get("size_available") or 0) // 1048576 if root else 0,
                system="%s %s" % (facts.get("ansible_distribution", ""), facts.get("ansible_distribution_version", "")),
            )

    def v2_playbook_on_stats(self, stats):
        for host in sorted(stats.processed):
            counts = stats.summarize(host)
            self._emit("stats", host=host, **{name: int(count) for name, count in counts.items()})
