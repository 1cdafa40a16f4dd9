# Two commands matter: `make demo` shows what jobkeep does, `make test` proves that it does.
# Everything happens in .venv; PYTHON=… chooses another interpreter than the first fitting one.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Tests mostly wait for processes: one worker more than there are cores, and no more than 8.
WORKERS := $(shell cores=$$(nproc 2>/dev/null || echo 2); echo $$(( cores < 7 ? cores + 1 : 8 )))
# Compiled code is kept, whoever else does not want it: the tests start hundreds of interpreters.
unexport PYTHONDONTWRITEBYTECODE
FITS := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

.PHONY: demo test lint docs shots bench bench-million torture hostile test-systemd compat-record test-controllers clean

demo: $(STAMP)
	@echo "== demo: a real batch, killed twice, that loses nothing (ARGS=--terminate: jobs that do not want to end)"
	@$(BIN)/python -m jobkeep.demo $(ARGS)

test: lint
	@echo "== tests"
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal $(ARGS)

lint: $(STAMP)
	@echo "== ruff: style and bans"
	@$(BIN)/ruff check client daemon tests
	@echo "== mypy: strict types"
	@$(BIN)/mypy
	@$(BIN)/mypy client/examples/*.py tests/client/consumer.py
	@echo "== pyright: what users' own checkers see of examples and public names"
	@$(BIN)/pyright
	@echo "== import-linter: who may import whom"
	@$(BIN)/lint-imports

docs: $(STAMP)
	@echo "== docs: the page about the protocol and the manual page, from what daemon and command line say of themselves"
	@cd tests && ../$(BIN)/python -m protocol.page && ../$(BIN)/python -m cli.man_page

shots: $(STAMP)
	@echo "== shots: the pictures of README.md, of commands and dashboard about the batch of the demo (a minute; in /tmp/demo)"
	@cd tests && ../$(BIN)/python -m shots

bench: $(STAMP)
	@echo "== bench: ratios to raw limits, measured in one interleaved run"
	@cd tests && ../$(BIN)/python -m bench $(ARGS)

bench-million: $(STAMP)
	@echo "== bench-million: what things cost with 1,000,000 jobs, against 1,000 (some minutes, 1 GiB of disk)"
	@cd tests && ../$(BIN)/python -m bench.million $(ARGS)

torture: $(STAMP)
	@echo "== torture: 1,000 processes killed at random under load, judged from outside"
	@cd tests && ../$(BIN)/python -m crash.torture $(ARGS)
	@echo "== torture: crash tests that take long, and 2,000 stories in virtual time"
	@$(BIN)/python -m pytest -q -m long -o timeout=0 tests/crash tests/daemon tests/dask_bridge tests/runner tests/supervisor

hostile: $(STAMP)
	@echo "== hostile: thousands of connections that are idle, slow, deaf or flooding, and 1,000,000 damaged messages (half an hour)"
	@cd tests && ../$(BIN)/python -m hostile $(ARGS)

test-systemd: $(STAMP)
	@echo "== test-systemd: the units, in a Debian that is booted for it (root, systemd-container, mmdebstrap; 5 minutes)"
	@$(BIN)/python -m pytest -q -rs -m systemd tests/systemd $(ARGS)

test-controllers: $(STAMP)
	@echo "== test-controllers: limits of jobs, by the kernel of an emulated machine (root, qemu-system-x86, mmdebstrap; 5 minutes)"
	@JOBKEEP_SYSTEMD_SUITE=$${JOBKEEP_SYSTEMD_SUITE:-trixie} $(BIN)/python -m pytest -q -rs -m controllers tests/systemd $(ARGS)

compat-record: $(STAMP)
	@echo "== compat-record: what this release says and writes, into tests/compat"
	@cd tests && ../$(BIN)/python -m compat.record $(ARGS)

$(STAMP): pyproject.toml
	@set -eu; \
	python=; \
	for candidate in $${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do \
	  if "$$candidate" -c "$(FITS)" >/dev/null 2>&1; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "error: jobkeep needs Python 3.11 or newer, with the venv module; $${PYTHON:-python3} is $$("$${PYTHON:-python3}" --version 2>&1 || echo missing)" >&2; \
	  echo "hint: install one (Debian: apt install python3 python3-venv), or say which: make PYTHON=/path/to/python3.12 …" >&2; \
	  exit 2; \
	fi; \
	echo "== installing jobkeep and its tools into $(VENV) ($$("$$python" --version))"; \
	"$$python" -m venv $(VENV); \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[daemon,dev]'; \
	touch $(STAMP)

clean:
	@echo "== removing $(VENV) and caches"
	@rm -rf $(VENV) .axe .venv-peers .venv-peers-debian build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find client daemon tests -name __pycache__ -type d -prune -exec rm -rf {} +
