# Each command does the set-up that it needs: `make run` what a server needs, `make test` what tests need as well.
PYTHONS := python3.11 python3.12 python3.13 python3.14 python3
PYTHON ?= $(shell for python in $(PYTHONS); do $$python -c '' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
SERVER := .venv/.installed
STAMP := .venv/.installed-dev
SLOW := .venv/.installed-slow
MUTANTS := .venv/.installed-mutants
MODULES := extension/node_modules/.installed
CODE := app worker client tests bench migrations celery_config.py gunicorn.conf.py wsgi.py
# Node comes with what tests need, as a Python package; npm finds it by PATH.
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm --prefix extension --silent
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes

# `make test PYTHON=python3.13` replaces an environment that was made with another version.
VERSION := import sys; print(*sys.version_info[:2])
ifeq ($(origin PYTHON),command line)
ifneq ($(shell $(PYTHON) -c '$(VERSION)'),$(shell $(BIN)/python -c '$(VERSION)' 2>/dev/null))
OTHER_VERSION := yes
.PHONY: $(SERVER)
endif
endif

.PHONY: run test test-slow mutants chaos hosts bench check check-server check-extension format lock vendor audit clean

run: $(SERVER)
	@$(BIN)/python -m app.launch

# Three workers for two cores, because many tests wait. Files keep their order: those that start services, which take longest,
# come before the many short ones of the web, which even out the end.
test: $(STAMP)
	$(BIN)/python -m pytest -m "not slow" -n 3 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

# What takes long, or needs a quiet machine or large packages.
test-slow: $(SLOW)
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

# Small changes of the core that its tests have to notice, a fixed sample of them: make mutants SIZE=40 WORKERS=1
mutants: $(MUTANTS)
	$(BIN)/python -m tests.mutants $(if $(SIZE),--size $(SIZE)) $(if $(WORKERS),--workers $(WORKERS))

# A seeded run of faults against a real service: make chaos SEED=7 JOBS=300 SECONDS=90 DATABASE=postgresql
chaos: $(STAMP)
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(JOBS),--jobs $(JOBS)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(DATABASE),--database $(DATABASE))

# The service on four hosts of a network made here, which are cut off and come back; needs root and iproute2:
# make hosts SEED=7 JOBS=300 SECONDS=100 CUT=15 BEATS=2 BARE=1 STORAGE=s3
hosts: $(STAMP)
	$(BIN)/python -m tests.hosts $(if $(SEED),--seed $(SEED)) $(if $(JOBS),--jobs $(JOBS)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(CUT),--cut $(CUT)) $(if $(BEATS),--beats $(BEATS)) $(if $(BARE),--bare) $(if $(STORAGE),--storage $(STORAGE))

# Measures this service on this machine: make bench ONLY=submit,handoff QUICK=1 DATABASE=postgresql GROWTH=full
bench: $(STAMP)
	$(BIN)/python -m bench run $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick) $(if $(DATABASE),--database $(DATABASE)) $(if $(GROWTH),--growth $(GROWTH))

check: check-server check-extension

check-server: $(STAMP)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	PYTHONPATH=client $(BIN)/lint-imports

check-extension: $(MODULES)
	@$(NPM) run lint
	@$(NPM) run types

format: $(STAMP) $(MODULES)
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)
	$(NPM) run lint -- --fix

lock: $(STAMP)
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile -q requirements.in --generate-hashes --universal --python-version 3.11 --no-header -o requirements.txt
	$(BIN)/uv pip compile -q requirements-dev.in --generate-hashes --universal --python-version 3.11 --no-header -o requirements-dev.txt
	$(BIN)/uv pip compile -q requirements-slow.in --generate-hashes --universal --python-version 3.11 --no-header -o requirements-slow.txt
	$(BIN)/uv pip compile -q requirements-mutants.in --generate-hashes --universal --python-version 3.11 --no-header -o requirements-mutants.txt

# Copies the browser libraries that vendor/package.json pins to app/web/static/vendor. To update one: change its version there,
# run `npm install --package-lock-only --prefix vendor` and then this.
vendor: $(STAMP)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm --prefix vendor ci --silent --ignore-scripts
	$(BIN)/python .ci/vendor.py

# Known vulnerabilities of the pinned packages, as far as the advisory service can be reached.
audit: $(SERVER)
	$(BIN)/python .ci/audit.py requirements.txt requirements-dev.txt requirements-slow.txt requirements-mutants.txt

clean:
	rm -rf .venv extension/node_modules

$(SERVER): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' || { echo "Python 3.11 to 3.14 is needed: set PYTHON to it, as in: make PYTHON=/path/to/python3.13 run"; exit 1; }
	@$(if $(OTHER_VERSION),rm -rf .venv)
	@$(BIN)/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear .venv || { rm -rf .venv; echo "On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing what a server needs into .venv ..."
	@$(PIP) -r requirements.txt
	@touch $@

$(STAMP): $(SERVER) requirements-dev.txt
	@echo "Installing what tests and checks need into .venv ..."
	@$(PIP) -r requirements-dev.txt
	@touch $@

$(SLOW): $(STAMP) requirements-slow.txt
	@echo "Installing what slow tests need into .venv ..."
	@$(PIP) -r requirements-slow.txt
	@touch $@

$(MUTANTS): $(STAMP) requirements-mutants.txt
	@echo "Installing what trying small changes needs into .venv ..."
	@$(PIP) -r requirements-mutants.txt
	@touch $@

$(MODULES): extension/package.json extension/package-lock.json | $(STAMP)
	@echo "Installing what checks of the extension need into extension/node_modules ..."
	@$(NPM) ci --ignore-scripts --no-audit --no-fund || { echo "npm could not install extension/package-lock.json: can its registry be reached? (make check-server needs none of it)"; exit 1; }
	@touch $@
