#!/usr/bin/env bash
# The scripted demo agent of `make run`: what any program must do to be an agent. It reads its task from standard input,
# works in the current directory (a clone of the project), commits, and reports a verdict. Run under `bash -c`.
set -euo pipefail
task=$(cat)
echo "I am a scripted demo, not a model. The task has ${#task} characters."
echo "Looking at the repository: $(git log --oneline | wc -l) commit(s), $(git ls-files | wc -l) file(s)."
printf '# Notes\n\nThe task was:\n\n%s\n' "$task" >NOTES.md
echo "Wrote NOTES.md."
git add NOTES.md
git commit --quiet --message "Add notes about the task"
echo "Committed $(git rev-parse --short HEAD)."
orchestrator result --status success --summary "Wrote NOTES.md with the task's text" >/dev/null
