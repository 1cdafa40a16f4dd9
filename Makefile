# Two commands matter: `make demo` shows what jobkeep does, `make test` proves that it does.
# Everything happens in .venv; PYTHON=… chooses another interpreter than the first fitting one.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
FITS := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

.PHONY: demo test lint bench clean

demo: $(STAMP)
	@echo "== demo: a real batch, killed twice, that loses nothing"
	@$(BIN)/python -m jobkeep.demo $(ARGS)

test: lint
	@echo "== tests"
	@$(BIN)/python -m pytest -q $(ARGS)

lint: $(STAMP)
	@echo "== ruff: style and bans"
	@$(BIN)/ruff check client daemon tests
	@echo "== mypy: strict types"
	@$(BIN)/mypy
	@echo "== import-linter: who may import whom"
	@$(BIN)/lint-imports

bench: $(STAMP)
	@echo "== bench: ratios to raw limits, measured in one interleaved run"
	@cd tests && ../$(BIN)/python -m bench $(ARGS)

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
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find client daemon tests -name __pycache__ -type d -prune -exec rm -rf {} +
