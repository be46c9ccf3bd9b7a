# The one door. `make help` lists what it opens.

SHELL := /bin/sh
BIN := .venv/bin
LOCK := pyproject.toml uv.lock provisioning/setup/python.sh provisioning/setup/uv.txt
DEBIAN := provisioning/setup/debian.sh
# Several at a time, a module staying together: much of a test is waiting for a wire.
PYTEST_ARGS ?= -n auto --dist loadscope
EID := $(addprefix tests/device/drivers/eid/test_,$(addsuffix .py,apdu tlv identity dates_and_numbers judge pieces literal_cards trust fuzz))
VISIT := $(addprefix tests/device/agent/test_,$(addsuffix .py,visit visit_possession any_visit))
PURE := tests/protocol tests/competent tests/test_house.py $(EID) $(VISIT)

export UV_SYSTEM_CERTS := 1
export NODE_USE_SYSTEM_CA := 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-demo demo demo-clean test test-pure check format bench mutation shots clean
.DELETE_ON_ERROR:

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: .venv/.ready-test build/portrait.jpg ## everything for the demo, the tests and the tools, into .venv/

setup-demo: .venv/.ready-demo build/portrait.jpg ## only what the demo needs

demo: setup-demo ## a whole fleet on loopback, to play with (HEADLESS=1: plays one home visit by itself; WITH_PIN=1: the citizen gives the PIN too; WITH_RECAPTURE=1, with HEADLESS=1: the photo is asked again, then the signature)
	@exec $(BIN)/thuisloket-provision demo $(if $(filter-out 0,$(HEADLESS)),--headless) $(if $(filter-out 0,$(WITH_PIN)),--with-pin) $(if $(filter-out 0,$(WITH_RECAPTURE)),--with-recapture)

demo-clean: ## remove the demo's folder .demo/
	@rm -rf .demo

test: setup ## the whole test suite (PYTEST_ARGS adds options)
	@$(BIN)/pytest $(PYTEST_ARGS)

test-pure: setup ## the pure rooms on Python 3.13 as well, where one is found
	@provisioning/setup/python313.sh $(PURE)

check: .venv/.ready-test ## format, lint, types and the direction of imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .venv/.ready-test ## let ruff format and repair
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup ## the benchmarks: a table, and build/bench.json
	@$(BIN)/python -m benchmarks

mutation: setup ## mistakes in sealing, vault and lifecycle, and how many the tests notice (ROOMS=sealed,vault SAMPLE=60 SEED=2; SAMPLE=0: all)
	@$(BIN)/python -m tests.mutation $(if $(ROOMS),--rooms $(ROOMS)) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED))

shots: setup ## take the README's picture and every other screen into docs/ and build/shots/
	@$(BIN)/python -m tests.browser.shots

clean: demo-clean ## remove everything that make has made
	@rm -rf .venv .venv-* build tests/node/node_modules

.venv/.ready-demo: $(LOCK) $(DEBIAN)
	@$(DEBIAN) demo
	@provisioning/setup/python.sh demo
	@touch $@

.venv/.ready-test: $(LOCK) $(DEBIAN) $(wildcard tests/node/package-lock.json)
	@$(DEBIAN) test
	@provisioning/setup/python.sh test
	@if [ -f tests/node/package-lock.json ]; then \
		echo "setup: browser and age libraries for the tests (npm)"; \
		PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --prefix tests/node --loglevel error --no-audit --no-fund --ignore-scripts; fi
	@touch .venv/.ready-demo $@

build/portrait.jpg: | .venv/.ready-demo
	@mkdir -p build
	@$(BIN)/python -m device.emulators portrait --out $@
