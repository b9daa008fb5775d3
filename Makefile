# labctl: `make help` lists what can be made.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

LOCKS := requirements/build.txt requirements/dev.txt
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Hashes, and no address of a registry: the lock serves any mirror.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make update'
OLDEST := $(VENV)/oldest
# JavaScript for the classroom's pages: npm fetches what requirements/browser/package-lock.json pins by hash.
LIBRARIES := labctl/board/static/lib
NPM := npm --prefix requirements/browser --ignore-scripts --no-audit --no-fund --no-update-notifier
TESTS ?= tests/hypervisor tests/integration
UNIT := $(BIN)/python -m pytest -q --numprocesses auto --dist worksteal tests/unit

STAGE ?=
WITH_KVM := import json, sys; kvm = [each["level"] for each in json.load(sys.stdin) if each["id"] == "kvm"]; \
	print("installed" if kvm == ["ok"] else "bare")

.DEFAULT_GOAL := help
.PHONY: help setup packages test-packages bench-packages update deb demo lint check test test-oldest bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: packages $(VENV)/ready $(LIBRARIES)/ready ## Install what labctl needs: Debian packages (as root), then a Python environment in .venv

packages: KINDS := run image build
test-packages: KINDS := test
bench-packages: KINDS := bench
packages test-packages bench-packages:
	@missing=$$(awk -v kinds=' $(KINDS) ' 'index(kinds, " " $$1 " ") { print $$2, $$3 }' labctl/host/packages.txt | \
		while read -r name program; do \
			dpkg-query -W -f '$${db:Status-Status}' "$$name" 2>/dev/null | grep -qx installed || \
			command -v "$$program" >/dev/null || echo "$$name"; \
		done); \
	[ -z "$$missing" ] || { set -ex; $(SUDO) apt-get update; \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $$missing; }

$(VENV)/ready: pyproject.toml $(LOCKS) | packages
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes --requirement requirements/build.txt
	$(PIP) --require-hashes --requirement requirements/dev.txt --no-build-isolation
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(LIBRARIES)/ready: requirements/browser/package-lock.json | packages
	@if $(NPM) ci --silent; then \
		rm -rf $(LIBRARIES) && mkdir -p $(LIBRARIES) && cd requirements/browser/node_modules && \
		cp -R --parents @xterm/xterm/LICENSE @xterm/xterm/lib/xterm.mjs @xterm/xterm/css/xterm.css \
			@xterm/addon-fit/LICENSE @xterm/addon-fit/lib/addon-fit.mjs @novnc/novnc/LICENSE.txt \
			@novnc/novnc/docs/LICENSE* @novnc/novnc/core @novnc/novnc/vendor $(CURDIR)/$(LIBRARIES) && \
		rm -rf ../node_modules && touch $(CURDIR)/$@; \
	else echo "npm cannot fetch the JavaScript libraries of requirements/browser." \
		"labctl works without them, except for terminals and consoles in the browser." \
		"Run make setup again where npm reaches a registry (npm config get registry)." >&2; fi

demo: setup ## Create lab team01 of topology gridka and check it (as root); its cloud, too, with KVM or STAGE=installed
	$(SUDO) $(BIN)/labctl doctor
	@set -e; stage=$(STAGE); \
	[ -n "$$stage" ] || stage=$$($(SUDO) $(BIN)/labctl doctor -o json | $(BIN)/python -c '$(WITH_KVM)'); \
	[ "$$stage" = "$(STAGE)" ] || [ "$$stage" = installed ] || \
		echo "Without KVM the nodes stay bare. make demo STAGE=installed brings the cloud up, too, in about 40 minutes."; \
	set -x; $(SUDO) $(BIN)/labctl create team01 --topology gridka --stage $$stage
	$(SUDO) $(BIN)/labctl status team01
	$(SUDO) $(BIN)/labctl check team01
	@echo
	@echo "The lab stands. Try next:"
	@echo "  . $(BIN)/activate"
	@echo "  labctl ssh db-node                          a shell on a node"
	@echo "  labctl enter team01 -- ping -c1 image-node  a command that stands in the lab's networks"
	@echo "  labctl sabotage --random                    break something realistic; then find it: labctl check"
	@echo "  labctl sabotage hint                        where to look"
	@echo "  labctl sabotage heal                        as it was, and checked"
	@echo "  labctl reset image-node                     a ruined node as it was"
	@echo "  labctl destroy team01                       nothing of it is left"

lint: setup ## Lint, check types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint ## Lint, check types and the import rules, run the unit tests
	$(UNIT)

test: setup test-packages ## Run all tests, having installed what they need; they boot emulated guests where there is no KVM (as root)
	$(SUDO) $(UNIT)
	$(SUDO) $(BIN)/python -m pytest $(TESTS)

test-oldest: setup ## Run the unit tests with the oldest versions that pyproject.toml allows, in .venv/oldest
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(OLDEST)
	$(BIN)/uv pip install --quiet --python $(OLDEST) --resolution lowest-direct --editable '.[classroom,cloud,paper]'
	$(BIN)/uv pip install --quiet --python $(OLDEST) --group dev pip
	$(OLDEST)/bin/python -m pytest -q --numprocesses auto --dist worksteal tests/unit

update: setup ## Lock the newest versions (requirements/), install them, make check; then commit the lock
	$(COMPILE) --upgrade --group build --output-file requirements/build.txt
	$(COMPILE) --upgrade pyproject.toml --extra classroom --extra cloud --extra paper --group dev \
		--constraint requirements/build.txt --output-file requirements/dev.txt
	$(COMPILE) pyproject.toml --extra classroom --extra cloud --no-emit-package libvirt-python \
		--constraint requirements/dev.txt --output-file requirements/run.txt
	$(NPM) update --package-lock-only --omit-lockfile-registry-resolved --save
	$(MAKE) check

deb: setup ## Build the Debian package, in dist/: for the Debian release of this machine
	rm -rf dist/deb
	PYTHON=$(BIN)/python .debian/python dist/deb
	PYTHON=$(BIN)/python .debian/files dist/deb
	dpkg-deb --root-owner-group --build dist/deb dist
	rm -r dist/deb

bench: setup bench-packages ## Measure against other tools and the raw libvirt calls (as root)
	$(SUDO) $(BIN)/python -m tests.bench
	$(SUDO) $(BIN)/python -m tests.bench.golden
	$(SUDO) $(BIN)/python -m tests.bench.many
	$(BIN)/python -m tests.bench.door
	$(BIN)/python -m tests.bench.board

clean: ## Remove the Python environment and caches; labs stay
	rm -rf $(VENV) $(LIBRARIES) dist .mypy_cache .pytest_cache .ruff_cache
	find labctl tests -name __pycache__ -type d -prune -exec rm -rf {} +
