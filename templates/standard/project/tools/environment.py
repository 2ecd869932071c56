#!/usr/bin/env python3
"""The environment contract in .project.yml.

check    code, workflows, compose.yml and the contract name the same variables and secrets
require  everything that has no default is set
write    KEY=value lines for the services, from the environment
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = re.compile(r"""(?:environ(?:\.get\(\s*|\[\s*)["']|process\.env\.|\bsetting\(\s*["'])([A-Z][A-Z0-9_]*)""")
WORKFLOW = re.compile(r"\b(secrets|vars)\.([A-Z][A-Z0-9_]*)")
SHELL = re.compile(r"\$\{?([A-Z][A-Z0-9_]*)")


def contract() -> list[dict]:
    """The entries: each is one line of JSON below `environment:`."""
    lines = (ROOT / ".project.yml").read_text(encoding="utf-8").splitlines()
    start = next((at for at, line in enumerate(lines) if line.startswith("environment:")), len(lines))
    entries = []
    for line in lines[start + 1 :]:
        if not line.startswith("  - "):
            break
        entries.append(json.loads(line[4:]))
    return entries


def texts(folder: Path, *suffixes: str) -> str:
    skipped = {"node_modules", "dist", "tests", "__pycache__"}
    return "\n".join(
        path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.suffix in suffixes and not skipped & set(path.parts)
    )


def check() -> list[str]:
    entries = contract()
    problems = []

    def compare(where: str, found: set, wanted: set) -> None:
        problems.extend(f"{where} uses {name}, which .project.yml does not name" for name in sorted(found - wanted))
        problems.extend(f".project.yml names {name}, which {where} does not use" for name in sorted(wanted - found))

    modules = sorted({user for entry in entries for user in entry["used_by"]} - {"deploy"})
    for module in modules:
        wanted = {entry["name"] for entry in entries if module in entry["used_by"]}
        compare(f"the code of {module}", set(CODE.findall(texts(ROOT / module, ".py", ".mjs"))), wanted)
    kinds = {"secret": "secrets", "variable": "vars"}
    compare(
        "the workflow deploy.yml",
        set(WORKFLOW.findall(texts(ROOT / ".github" / "workflows", ".yml"))),
        {(kinds[entry["kind"]], entry["name"]) for entry in entries},
    )
    compare("deploy/deploy.sh", set(SHELL.findall(texts(ROOT / "deploy", ".sh"))),
            {entry["name"] for entry in entries if "deploy" in entry["used_by"]})
    compose = set(SHELL.findall((ROOT / "compose.yml").read_text(encoding="utf-8")))
    compare("compose.yml", compose - {"PUBLISHED_PORT"},
            {entry["name"] for entry in entries if set(entry["used_by"]) - {"deploy"}})
    return problems


def require() -> list[str]:
    return [
        f"{entry['kind']} {entry['name']} is not set: {entry['description']}"
        for entry in contract()
        if "default" not in entry and not os.environ.get(entry["name"])
    ]


def write() -> None:
    for entry in contract():
        if entry["used_by"] == ["deploy"] and entry["name"] != "PUBLISHED_PORT":
            continue
        value = os.environ.get(entry["name"], str(entry.get("default", "")))
        if "\n" in value:
            sys.exit(f"{entry['name']} has more than one line")
        print(f"{entry['name']}='{value}'" if "'" not in value else f"{entry['name']}={value}")


def main() -> int:
    command = sys.argv[1] if len(sys.argv) == 2 else ""
    if command == "write":
        write()
        return 0
    if command not in ("check", "require"):
        sys.exit("usage: environment.py check | require | write")
    problems = check() if command == "check" else require()
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
