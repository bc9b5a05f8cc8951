# Thin: all of it is in tools/, which does the same without make: `python -m tools --help`.
#
#   make run                  serve the function at http://127.0.0.1:7071/api/resource (PORT=..., TABLE_PORT=...)
#   make demo                 replay a customer's life cycle, and show what is stored
#   make test                 run the tests (ARGS="-k secret" hands options to pytest)
#   make check                what has to pass before a commit: ruff, mypy, tests, coverage
#   make soak                 a Marketplace, killed instances and failing storage: minutes (ARGS="--customers 200")
#   make bench                measure what a call costs; 5 minutes (ARGS="latency --quick": a glance; ARGS=console: 20 minutes)
#   make lock                 compile requirements*.txt anew (ARGS=--upgrade takes the newest versions)
#   make clean                remove what the others made, except local.settings.json
#
# PYTHON=... names the Python to use, 3.13 or newer. Otherwise it is the first of these that runs and is new enough: a
# shim of pyenv can be there and not run.

ifeq ($(strip $(PYTHON)),)
PYTHON := $(shell for python in python3.14 python3.13 python3 /usr/bin/python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 13))' >/dev/null 2>&1 && echo "$$python" && break; done)
endif

ifeq ($(strip $(PYTHON)),)
ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),help)),)
$(error No Python 3.13 or newer was found. Install one, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.13)
endif
endif

TOOLS = @exec $(PYTHON) -m tools

.PHONY: help run demo test check soak bench lock clean

help:
	@sed -n 's/^#   //p' Makefile

run:
	$(TOOLS) run $(if $(PORT),--port $(PORT)) $(if $(TABLE_PORT),--table-port $(TABLE_PORT))

demo:
	$(TOOLS) demo

test:
	$(TOOLS) test $(ARGS)

check:
	$(TOOLS) check

soak:
	$(TOOLS) soak $(ARGS)

bench:
	$(TOOLS) bench $(ARGS)

lock:
	$(TOOLS) lock $(ARGS)

clean:
	rm -rf .venv .azurite build *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
