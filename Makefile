# `make up` deploys an environment, `make test` checks the checkout; both set up what they need.
ENV ?= local
PYTHON ?= python3
UV_VERSION := 0.13.9
# imports of the large libraries are three times faster with bytecode kept
unexport PYTHONDONTWRITEBYTECODE
# a proxy that looks into TLS has its certificate among the system's
export UV_SYSTEM_CERTS ?= $(if $(wildcard /etc/ssl/certs/ca-certificates.crt),true,false)

.PHONY: help up test check docs install lock release clean

help: ## list the targets (so does a bare `make`)
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: install ## deploy ENV (default: local; there it also trains, serves and scores)
	.venv/bin/plinth up $(ENV) $(if $(filter local,$(ENV)),--with-model)

test: install ## run the tests, as CI does (PYTEST_ARGS=--nightly: every one)
	.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: install ## ruff, ruff format and mypy --strict
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

docs: install ## write the parts of documents that are made from code
	.venv/bin/python -m stacks.docs

install: .venv/installed ## make .venv with what requirements.lock names

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 2) and "plinth: Python must be 3.11.2 or newer, got " + sys.version.split()[0] + "\n  fix: make up PYTHON=python3.11")'
	@test -x .venv/bin/python || { echo "making .venv"; $(PYTHON) -m venv .venv; }
	@test -x .venv/bin/uv || { echo "getting uv $(UV_VERSION)"; .venv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); }
	.venv/bin/uv pip install --python .venv/bin/python --require-hashes -r requirements.lock
	@.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
	@touch $@

lock: ## write requirements.lock from pyproject.toml, and those of PySpark
	.venv/bin/uv pip compile --universal --generate-hashes --all-extras --python-version 3.11 --quiet pyproject.toml -o requirements.lock
	for name in requirements build; do .venv/bin/uv pip compile --universal --generate-hashes --python-version 3.11 --quiet stacks/toolchain/pyspark/$$name.in -o stacks/toolchain/pyspark/$$name.lock || exit; done

release: ## tag the version of pyproject.toml with its part of CHANGELOG.md
	$(PYTHON) .ci/release.py

clean: ## delete .venv and .plinth
	rm -rf .venv .plinth
