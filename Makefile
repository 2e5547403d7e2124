# Every target works on a fresh clone: Python 3.11, make and git are all that is needed.
SHELL := /bin/sh
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
BIN := .venv/bin
DEVELOPMENT := IDP_ENVIRONMENT=development IDP_DEMO=1
# Without compiled modules each start of a server or a command takes a second longer.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV PYTHONDONTWRITEBYTECODE

.PHONY: help run dev test check types rules static translations bench rehearse fmt migration lock release env env-run

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' Makefile

run: env-run ## set up what is missing, then serve with an administrator and demo clients
	@$(DEVELOPMENT) $(BIN)/idp setup
	@$(DEVELOPMENT) exec $(BIN)/idp serve

dev: env ## like run, and start again whenever a file changes
	@$(DEVELOPMENT) $(BIN)/idp setup
	@$(DEVELOPMENT) exec $(BIN)/flask --app idp.wsgi:app run --debug --port 8000

test: env ## all tests on SQLite, and on PostgreSQL what differs there; T=tests/flows runs a part, serially
ifdef T
	$(BIN)/python -m pytest -n0 $(T)
else
	$(BIN)/python -m pytest -q -n3 --dist worksteal --note-statements=var/statements
	$(BIN)/python -m pytest -q -n3 --dist worksteal --database postgresql -m "not no_database" \
		--by-statements=var/statements
endif

check: env ## format, lint, types, import rules, templates, dependencies, migrations
	@$(MAKE) --no-print-directory --jobs=2 types rules

types:
	$(BIN)/mypy

rules:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/djlint --check --lint --quiet templates
	$(BIN)/deptry .
	$(BIN)/python .ci/drift
	$(BIN)/python .ci/static --check

static: env ## write the style rules that pages use, and compressed copies of what browsers load
	$(BIN)/python .ci/static

translations: env ## collect the texts of pages, update the catalogues and compile them
	@mkdir -p var
	$(BIN)/pybabel --quiet extract -F idp/translations/babel.cfg -k lazy_gettext --no-location --sort-output -o var/messages.pot .
	$(BIN)/pybabel --quiet update -i var/messages.pot -d idp/translations \
		--no-fuzzy-matching --ignore-obsolete --no-wrap --ignore-pot-creation-date
	$(BIN)/pybabel --quiet compile -d idp/translations
	@rm var/messages.pot

bench: env ## measure; T=lists measures a part
	$(BIN)/python -m bench $(T)

rehearse: env ## strike an installation under load: databases, nodes, network, an upgrade; T=node_killed is a part
	$(BIN)/python -m tests.rehearsal $(T)

fmt: env ## format the code and apply safe fixes
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	-$(BIN)/djlint --reformat --quiet templates

migration: env ## write a migration for what changed in the models: M="what it does"
	@test -n "$(M)" || { echo 'usage: make migration M="what it does"'; exit 2; }
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT \
		&& export $(DEVELOPMENT) IDP_DATA_DIR="$$folder" && unset IDP_DATABASE_URL \
		&& $(BIN)/flask --app idp.commands.migrating:app db upgrade \
		&& $(BIN)/flask --app idp.commands.migrating:app db revision --autogenerate -m "$(M)"
	@$(BIN)/ruff format --quiet migrations

# An index may be behind a proxy that signs with an authority of its own.
lock: export UV_SYSTEM_CERTS ?= true
lock: env ## write the lock files again with the newest versions that fit
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-header -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-header --group dev --all-extras -c requirements.lock -o requirements-dev.lock pyproject.toml
	echo hatchling | $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate -c requirements-dev.lock -o deploy/build.lock -

release: env ## write wheel, lock file, bill of materials and checksums of this commit to dist
	@$(BIN)/python .ci/release

env:
	@$(PYTHON) .ci/environment test

env-run:
	@$(PYTHON) .ci/environment run
