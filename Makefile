# labctl: `make help` lists what can be made.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
PACKAGES := $(shell awk '$$1 ~ /^(run|image|build)$$/ { print $$2 }' labctl/host/packages.txt)
MISSING := $(shell dpkg-query -W -f '$${Package} $${db:Status-Status}\n' $(PACKAGES) 2>/dev/null | \
	awk -v want="$(PACKAGES)" '$$2 == "installed" { have[$$1] = 1 } \
	END { n = split(want, name, " "); for (i = 1; i <= n; i++) if (!have[name[i]]) print name[i] }')
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

LOCKS := requirements/build.txt requirements/dev.txt
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Hashes, and no address of a registry: the lock serves any mirror.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make update'
OLDEST := $(VENV)/oldest

.DEFAULT_GOAL := help
.PHONY: help setup packages demo test check bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: packages $(VENV)/ready ## Install what labctl needs: Debian packages (as root), then a Python environment in .venv

packages:
ifneq ($(strip $(MISSING)),)
	$(SUDO) apt-get update
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $(MISSING)
endif

$(VENV)/ready: pyproject.toml $(LOCKS) | packages
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes --requirement requirements/build.txt
	$(PIP) --require-hashes --requirement requirements/dev.txt --no-build-isolation
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

update: setup ## Lock the newest versions (requirements/*.txt), install them, run the unit tests with them
	$(COMPILE) --upgrade --group build --output-file requirements/build.txt
	$(COMPILE) --upgrade pyproject.toml --extra cloud --group dev --constraint requirements/build.txt \
		--output-file requirements/dev.txt
	$(MAKE) check

test-oldest: setup ## Run the unit tests with the oldest versions that pyproject.toml allows
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(OLDEST)
	$(BIN)/uv pip install --quiet --python $(OLDEST) --resolution lowest-direct --editable '.[cloud]'
	$(BIN)/uv pip install --quiet --python $(OLDEST) pip hatchling hypothesis pytest \
		oslo.config oslo.messaging sqlalchemy
	$(OLDEST)/bin/python -m pytest -q tests/unit

demo: setup ## Build the base image, create lab team01 of topology gridka, show it (as root)
	$(SUDO) $(BIN)/labctl doctor
	$(SUDO) $(BIN)/labctl image build debian-13 --if-missing
	$(SUDO) $(BIN)/labctl create team01 --topology gridka
	$(SUDO) $(BIN)/labctl status team01
	@echo
	@echo "The lab stands. Try next:"
	@echo "  . $(BIN)/activate"
	@echo "  labctl ssh db-node                          a shell on a node"
	@echo "  labctl enter team01 -- ping -c1 image-node  a command that stands in the lab's networks"
	@echo "  labctl reset image-node                     a ruined node as it was"
	@echo "  labctl destroy team01                       nothing of it is left"

test: setup ## Run all tests; they boot emulated guests where there is no KVM (as root)
	$(SUDO) $(BIN)/python -m pytest

check: setup ## Lint, check types and the import rules, run the unit tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/unit

bench: setup ## Measure against other tools and the raw libvirt calls (as root)
	$(SUDO) $(BIN)/python -m tests.bench
	$(SUDO) $(BIN)/python -m tests.bench.golden

clean: ## Remove the Python environment and caches; labs stay
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache
	find labctl tests -name __pycache__ -type d -prune -exec rm -rf {} +
