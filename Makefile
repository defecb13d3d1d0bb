# Each command does the set-up that it needs: `make run` what a server needs, `make test` what tests need as well.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
SERVER := .venv/.installed
STAMP := .venv/.installed-dev
CODE := app worker client tests migrations celery_config.py gunicorn.conf.py wsgi.py
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes

.PHONY: run test chaos check format lock audit clean

run: $(SERVER)
	@$(BIN)/python -m app.launch

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

# A seeded run of faults against a real service: make chaos SEED=7 JOBS=300 SECONDS=90 DATABASE=postgresql
chaos: $(STAMP)
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(JOBS),--jobs $(JOBS)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(DATABASE),--database $(DATABASE))

check: $(STAMP)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	PYTHONPATH=client $(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

lock: $(STAMP)
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile -q requirements.in --generate-hashes --universal --python-version 3.11 --no-header -o requirements.txt
	$(BIN)/uv pip compile -q requirements-dev.in --generate-hashes --universal --python-version 3.11 --no-header -o requirements-dev.txt

# Known holes in what is pinned, as far as somebody who knows can be asked.
audit: $(SERVER)
	$(BIN)/python .ci/audit.py requirements.txt requirements-dev.txt

clean:
	rm -rf .venv

$(SERVER): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed: set PYTHON to it, as in: make PYTHON=/path/to/python3.11 run"; exit 1; }
	@$(BIN)/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear .venv || { rm -rf .venv; echo "On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing what a server needs into .venv ..."
	@$(PIP) -r requirements.txt
	@touch $@

$(STAMP): $(SERVER) requirements-dev.txt
	@echo "Installing what tests and checks need into .venv ..."
	@$(PIP) -r requirements-dev.txt
	@touch $@
