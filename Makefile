# The commands of this project; `make help` explains them. The work is done by CMake, Ninja and the scripts in tools/.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# $(value ...) keeps dollar signs; the scripts read these names, so the texts arrive byte for byte.
export CODEGEN_RUN_PROMPT := $(value PROMPT)
export CODEGEN_RUN_AGENT := $(value AGENT)
export CODEGEN_RUN_AGENT_COMMAND := $(value AGENT_COMMAND)
export CODEGEN_RUN_RUNTIME := $(value RUNTIME)
unexport PROMPT AGENT AGENT_COMMAND RUNTIME

.PHONY: help run up down build test check tidy soak bench clean packages format docs

help:  ## this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile
	@echo "  make run takes RUNTIME=docker|sandbox|process AGENT=claude|factory|codex|custom PROMPT=\"...\" AGENT_COMMAND=\"...\""

run:  ## install, build, then: a task goes in, a verified commit comes out
	@tools/run.sh

up:  ## start the control plane and leave it running
	@tools/up.sh

down:  ## stop the control plane that `make up` started
	@tools/down.sh

build:  ## install what is missing and build the programs
	@tools/build.sh

test:  ## install, build and run every test
	@tools/test.sh

check:  ## format, layout, scripts, docs, clang-tidy on the change
	@tools/check.sh

tidy:  ## clang-tidy on everything (slow)
	@tools/tidy.sh --all

soak:  ## long fuzzing and repeated fault tests, by hand
	@tools/soak.sh

bench:  ## the figures, each beside its floor
	@tools/bench.sh

format:  ## rewrite the sources with clang-format
	@tools/format.sh --write

docs:  ## regenerate the parts of docs/ that come from the code
	@tools/docs.sh --write

packages:  ## install the Debian packages that building and testing need
	@tools/install_packages.sh build run test

clean:  ## remove everything built
	@rm -rf build
