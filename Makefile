# make demo: a scripted session, no key needed.   make test: everything that has to hold.

.PHONY: setup demo test bench lock
PYTHON ?= python3
STAMP := .venv/installed

setup: $(STAMP)

# By one lock, with hashes; then the project itself, without fetching anything more.
$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || \
	  { echo "There is no $(PYTHON) here; autoagent needs Python 3.11 or newer: make PYTHON=…"; exit 1; } >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$$($(PYTHON) --version) is too old; autoagent needs 3.11 or newer: make PYTHON=python3.12"; exit 1; } >&2
	@$(PYTHON) -m venv --clear .venv || \
	  { echo "Python can't make an environment; on Debian: apt-get install python3-venv"; exit 1; } >&2
	.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
	@echo "In the folder that it is to work in: $(CURDIR)/.venv/bin/autoagent"

demo: setup
	.venv/bin/autoagent demo

test: setup
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile

# Ratios in one run; a figure of another machine means nothing here.
bench: setup
	@for each in run retrieval cage quality longrun thousand team terminal; do echo "== $$each"; .venv/bin/python bench/$$each.py || exit 1; done

# Needs uv. No address of an index goes into the file.
lock:
	{ echo "# Made by \`make lock\`: what runs, tests and builds autoagent, on each Python from 3.11 on."; \
	  uv pip compile -q --universal --generate-hashes --no-header --no-annotate \
	    --python-version 3.11 pyproject.toml --group dev --group build; } > requirements.new
	mv requirements.new requirements.lock
