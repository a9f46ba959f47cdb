# make run: install, run the pipeline on the sample, show the results.  make test: every check.  make ui: compare runs.  make web: judge a photo on a page.
# make publish: put this machine's results on the sample into published/.  make clean: remove what is installed and cached.
PYTHON ?= python3.11
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
MADE_HERE := $(wildcard .venv .resume .cache build *.egg-info)

.PHONY: run test ui web publish lock clean

run: .venv/installed
	dvc repro
	@fakeface scores
	@printf '\nNext:\n'
	@printf '  . .venv/bin/activate             then fakeface, dvc, mlflow and python are the project'"'"'s\n'
	@printf '  make ui                          compare the runs in a browser\n'
	@printf '  dvc exp run --temp -S loss=bce   another candidate; README.md shows how to list them\n'
	@printf '  make web                         judge a photo on a page (of the drawn kind, so far)\n'
	@printf '  fakeface predict photo.jpg       the same in the shell\n'
	@printf '  README.md                        how to train on real photos\n'

test: .venv/installed-dev
	ruff check
	ruff format --check
	mypy
	lint-imports
	OMP_NUM_THREADS=1 pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

# A checkout that was moved finds its runs' artifacts.
ui: .venv/installed
	@python -c 'from fakeface.tracking.store import prepare_own_database; prepare_own_database()'
	MLFLOW_DISABLE_TELEMETRY=true mlflow ui --host 127.0.0.1

# At http://127.0.0.1:8000, with what `make run` trained.
web: .venv/installed
	@fakeface web

# What this machine measured on the sample becomes the project's own result, if it is that of the code and parameters as they are.
publish: .venv/installed
	@cmp -s params.yaml recipes/sample.yaml || { echo 'error: params.yaml: differs from recipes/sample.yaml' >&2; exit 1; }
	@grep -q '"data": "sample"' metrics/scores.json || { echo 'error: metrics/scores.json: not of the sample' >&2; exit 1; }
	@test "$$(dvc status --json)" = '{"scan": ["always changed"]}' || { echo 'error: metrics/: not of the code as it is: make run' >&2; exit 1; }
	cp metrics/*.json metrics/model-card.md metrics/figures/curves.png dvc.lock published/

# The project itself as links to this folder, so that `fakeface` runs the code that stands here.
.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	pip install --quiet --progress-bar off -r requirements.lock
	pip install --quiet --progress-bar off --no-deps --editable .
	touch $@

.venv/installed-dev: .venv/installed requirements-dev.lock
	pip install --quiet --progress-bar off -r requirements-dev.lock
	touch $@

# The exact versions of all that is installed, from what pyproject.toml asks for. A build's local part (+cpu) is left out.
lock:
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet torch==2.13.0 '.[pipeline,web]'
	build/lock/bin/pip freeze --exclude fakeface | sed 's/+cpu//' > requirements.lock
	build/lock/bin/pip install --quiet '.[pipeline,web,cluster,dev]'
	build/lock/bin/pip freeze --all --exclude fakeface --exclude pip | sed 's/+cpu//' | grep -vxFf requirements.lock > requirements-dev.lock
	rm -rf build

# Photos, models, metrics, runs and DVC's cache stay.
clean:
	@$(if $(MADE_HERE),echo 'Removes:' && du -shc $(MADE_HERE),echo 'Nothing to remove.')
	@$(if $(MADE_HERE),rm -rf $(MADE_HERE))
