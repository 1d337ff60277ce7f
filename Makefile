# Needs Python 3.11 to 3.13 and make; everything else goes into .venv. PYTHON=… chooses the interpreter.

.PHONY: help setup up test check bench clean
.DEFAULT_GOAL := help

ARGS =
VENV := .venv
STAMP := $(VENV)/.installed
NPM_STAMP := $(VENV)/.npm-installed

help:
	@echo 'make up      start three nodes that talk to each other; on a terminal with the dashboard'
	@echo '             (ARGS="--for 5" is handed to "actors up", and shows a table instead)'
	@echo 'make test    install what tests need and run the gate: format, lint, types, imports, tests'
	@echo 'make check   the same as make test'
	@echo 'make bench   measure it beside raw Trio and, where installed, its peers; takes minutes'
	@echo '             (ARGS="--only T3,T8 --plot b.svg" is handed to scripts/bench.py)'
	@echo 'make setup   only install, into .venv'
	@echo 'make clean   remove .venv, caches and build results'

setup: $(STAMP)

up: $(STAMP)
	@if [ -t 0 ] && [ -t 1 ] && [ "$$TERM" != dumb ]; then ui=--ui; else ui=; fi; \
	$(VENV)/bin/actors up 3 $(if $(strip $(ARGS)),$(ARGS),$$ui)

test check: $(STAMP) $(NPM_STAMP)
	@scripts/check

bench: $(STAMP)
	@$(VENV)/bin/python scripts/bench.py $(ARGS)

$(STAMP): pyproject.toml constraints.txt scripts/find-python
	@python=$$(scripts/find-python $(PYTHON)) || exit 1; \
	echo "installing into $(VENV) with $$($$python --version); this is done once and needs the network" >&2; \
	rm -rf $(VENV); \
	said=$$($$python -m venv $(VENV) 2>&1) || { \
		rm -rf $(VENV); echo "$$said" >&2; \
		echo "make: $$python cannot make a virtual environment; on Debian run: apt-get install python3-venv" >&2; exit 1; \
	}; \
	$(VENV)/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]' || { \
		echo 'make: the installation failed, see above; the same command tries it again' >&2; exit 1; \
	}
	@touch $(STAMP)

# The peer in Node.js is tested where Node.js is.
$(NPM_STAMP): $(STAMP)
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
		npm install --silent --no-audit --no-fund --prefix $(VENV) ws@8 @msgpack/msgpack@3 || { \
			echo 'make: npm could not install what the peer in Node.js needs; its tests will be skipped' >&2; exit 0; \
		}; \
	fi
	@touch $(NPM_STAMP)

clean:
	rm -rf $(VENV) build dist .coverage .coverage.* htmlcov .hypothesis
	rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
