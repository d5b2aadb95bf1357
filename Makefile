# Everything one does with this tree. `make help` lists it.

VENV := .venv
BIN := $(VENV)/bin
SOURCES := gateway tests bench helm deploy

# Any Python from 3.11 on will do; name another with `make setup PYTHON=/path/to/python3`.
PYTHON ?=
find_python = for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi; \
	  python=; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "No Python 3.11 or newer found (tried$(PYTHON:%= %) python3 python3.13 python3.12 python3.11)." >&2; \
	  echo "Install one, or name one with PYTHON=/path/to/python3." >&2; \
	  exit 1; \
	fi

# The environment is made anew when its interpreter is gone, else only brought up to date.
install = @set -eu; $(find_python); \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then "$$python" -m venv --clear $(VENV); fi; \
	echo "Installing $< into $(VENV)"; \
	rm -f $(VENV)/run-ready $(VENV)/dev-ready; \
	export PIP_DISABLE_PIP_VERSION_CHECK=1; \
	$(BIN)/python -m pip install --quiet --require-hashes -r $<; \
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .; \
	$(BIN)/python -m compileall -q gateway; \
	touch $@

# `make run` is content with what developers have installed, so that it never undoes it.
ready = $(if $(wildcard $(VENV)/dev-ready),$(VENV)/dev-ready,$(VENV)/run-ready)

.PHONY: help run setup servers format lint test bench kills fuzz soak chart image screenshots site sbom lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(ready) ## try it out: two gateways with storage of their own, on this machine; Ctrl-C ends them
	@trap : INT; $(BIN)/ocm-gateway demo || [ $$? -eq 130 ]

setup: $(VENV)/dev-ready ## install what developers need into .venv (needs Python 3.11 or newer)

servers: ## install the real servers and clients of the tests where that is allowed
	@sh tests/setup.sh

format: setup ## lay out the code
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

lint: setup ## check layout, style and types
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/mypy

test: setup servers lint ## check everything: lint, then all tests against real servers
	@$(BIN)/python -m pytest

bench: setup ## measure how fast it is, beside nginx and HAProxy; writes docs/performance.md
	@sh bench/setup.sh
	@$(BIN)/python -m bench

kills: setup ## kill -9 two hundred times under load; nothing promised may be lost
	@OCM_KILLS=200 $(BIN)/python -m pytest -s tests/test_kills.py

fuzz: setup ## feed the parsers with hostile bytes for MINUTES (10)
	@OCM_FUZZ_MINUTES=$(or $(MINUTES),10) $(BIN)/python -m pytest -s tests/fuzz

soak: setup ## mixed traffic for MINUTES (30): memory flat, no descriptor leaks, nothing fails
	@OCM_SOAK_MINUTES=$(or $(MINUTES),30) $(BIN)/python -m pytest -s tests/test_soak.py

chart: setup ## make the chart's schema and page from its values and the configuration model
	@$(BIN)/python helm/generate.py

image: ## build the container image with buildah and see that it starts; BASE=... names another base
	@sh deploy/image.sh

screenshots: setup ## draw the pictures of docs/screenshots anew
	@SCREENSHOTS= $(BIN)/python -m pytest -q tests/pages/test_screenshots.py

site: setup ## make a site of the documentation: build/site
	@$(BIN)/python -m sphinx -q -W --keep-going -c deploy/site . build/site

sbom: $(ready) ## write build/sbom.json: what is installed, as CycloneDX, from the lock file
	@mkdir -p build
	@$(BIN)/python deploy/sbom.py build/sbom.json

conformance: setup ## write docs/conformance.md: every item of the specification and its test
	@$(BIN)/python -m tests.conformance.checklist

lock: build/uv/bin/uv ## choose the newest allowed dependencies and write the lock files
	@for lock in "--extra demo -o requirements.lock" "--extra demo --extra otel -o requirements-otel.lock" \
	    "--extra dev -o requirements-dev.lock"; do \
	  build/uv/bin/uv pip compile pyproject.toml $$lock --quiet --upgrade --universal \
	    --python-version 3.11 --generate-hashes --no-header --no-annotate || exit; \
	done

clean: ## remove what the targets made, but for the demo's state
	rm -rf $(VENV) build dist ocm_gateway.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/dev-ready: requirements-dev.lock
	$(install)

$(VENV)/run-ready: requirements.lock
	$(install)

build/uv/bin/uv:
	@set -eu; $(find_python); "$$python" -m venv build/uv; \
	build/uv/bin/python -m pip install --quiet --disable-pip-version-check uv
