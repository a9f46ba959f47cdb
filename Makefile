# make run: install, run the pipeline on the sample, show the results.  make test: every check.  make ui: compare runs.
PYTHON ?= python3.11
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: run test ui lock clean

run: .venv/installed
	dvc repro
	@python -m fakeface.commands.scores
	@printf '\nNext:\n'
	@printf '  . .venv/bin/activate                 then dvc, mlflow and python are the project'"'"'s\n'
	@printf '  make ui                              compare the runs in a browser\n'
	@printf '  dvc exp run -S loss=bce              another candidate; dvc exp show lists them\n'
	@printf '  python -m fakeface.commands.predict photo.jpg judge a photo (of the drawn kind, so far)\n'
	@printf '  README.md                            how to train on real photos\n'

test: .venv/installed-dev
	ruff check
	ruff format --check
	mypy
	lint-imports
	OMP_NUM_THREADS=1 pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

ui: .venv/installed
	MLFLOW_DISABLE_TELEMETRY=true mlflow ui --host 127.0.0.1

.venv/installed: requirements.lock
	$(PYTHON) -m venv .venv
	pip install --quiet --progress-bar off -r requirements.lock
	touch $@

.venv/installed-dev: .venv/installed requirements-dev.lock
	pip install --quiet --progress-bar off -r requirements-dev.lock
	touch $@

# The exact versions of all that is installed, from what pyproject.toml asks for. A build's local part (+cpu) is left out.
lock:
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet torch==2.13.0 .
	build/lock/bin/pip freeze --exclude fakeface | sed 's/+cpu//' > requirements.lock
	build/lock/bin/pip install --quiet '.[dev]'
	build/lock/bin/pip freeze --exclude fakeface | sed 's/+cpu//' | grep -vxFf requirements.lock > requirements-dev.lock
	rm -rf build

clean:
	rm -rf .venv .resume build
