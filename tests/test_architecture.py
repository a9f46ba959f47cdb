import ast
import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from fakeface import commands
from tests.architecture import (
    MODULES,
    ROOMS,
    STAGE_MODULES,
    STAGES,
    SUBCOMMANDS,
    Stage,
    closure,
    imported,
    loaded_sections,
    logged_sections,
    neighbours,
    room,
    tree,
)
from tests.conftest import ROOT

WITHOUT_TORCH = [name for name in (*STAGE_MODULES, "fakeface.__main__", *SUBCOMMANDS) if name != "stages.train"]
of_each_stage = pytest.mark.parametrize("stage", STAGES, ids=[stage.name for stage in STAGES])


def python(code: str, cwd: Path) -> str:
    """What a fresh interpreter prints, standard error included."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_stages_are_the_modules_of_stages() -> None:
    assert {stage.module for stage in STAGES} == set(STAGE_MODULES)


@of_each_stage
def test_a_stage_runs_the_module_that_bears_its_name(stage: Stage) -> None:
    """train_ce and train_bce are both `train`."""
    name = stage.module.removeprefix("stages.")
    assert stage.name in (name, f"{name}_{shlex.split(stage.cmd)[3]}")


@of_each_stage
def test_a_stages_deps_hold_its_import_closure_and_no_room_in_vain(stage: Stage) -> None:
    """DVC does not follow imports: a room left out gives stale results silently, one too many runs stages for nothing.

    `fakeface.params` is none of them: it checks values, which DVC watches itself, and changes none.
    """
    modules = closure(stage.module) - {"fakeface", "fakeface.params"}
    own = f"{stage.module.replace('.', '/')}.py"
    assert stage.code == {own} | {room(module) for module in modules - {stage.module}}


@of_each_stage
def test_a_stage_declares_the_sections_it_reads(stage: Stage) -> None:
    modules = closure(stage.module)
    read = {section for module in modules for section in loaded_sections(module)}
    assert stage.sections == read | logged_sections(stage.module)


@of_each_stage
def test_every_path_in_a_command_is_a_dep_or_an_out(stage: Stage) -> None:
    """The photos are a dep of none: `scan` lists each with its SHA-256, and later stages refuse another content."""
    known = [*stage.deps, *stage.outs]
    for word in shlex.split(stage.cmd)[3:]:
        is_path = "/" in word or word in ("data", "models", "metrics")
        if is_path:
            assert any(f"{path}/".startswith(f"{word}/") or f"{word}/".startswith(f"{path}/") for path in known), word


SERVED = "fakeface.reporting.served"
"""What MLflow's server runs; nothing imports it."""


def functions(module: str) -> set[str]:
    return {node.name for node in tree(module).body if isinstance(node, ast.FunctionDef)}


def test_stages_and_the_command_run_and_nothing_else_does() -> None:
    runnable = [module for module in MODULES if "main" in functions(module)]
    assert sorted(runnable) == sorted([*STAGE_MODULES, "fakeface.__main__"])


def test_every_subcommand_is_listed_and_has_its_parts() -> None:
    assert {f"fakeface.commands.{name}" for name in commands.SUBCOMMANDS} == set(SUBCOMMANDS)
    for module in SUBCOMMANDS:
        assert {"add_arguments", "run"} <= functions(module)
        assert ast.get_docstring(tree(module))


@pytest.mark.parametrize("module", MODULES)
def test_nothing_imports_a_stage_or_a_command(module: str) -> None:
    assert not [name for name in neighbours(module) if name.startswith(("stages", "fakeface.commands."))]


def test_mlflow_is_imported_where_its_store_is_and_where_its_server_runs() -> None:
    importers = [module for module in MODULES if any(name.split(".")[0] == "mlflow" for name in imported(module))]
    assert importers == [SERVED, "fakeface.tracking.store"]


def test_what_needs_no_torch_does_not_wait_for_it(tmp_path: Path) -> None:
    """Neither torch nor MLflow: seconds per command; `report` imports MLflow when it comes to publishing."""
    code = f"""
import importlib, json, sys
for module in {WITHOUT_TORCH}:
    importlib.import_module(module)
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}} & {{"torch", "torchvision", "mlflow"}})))
"""
    assert json.loads(python(code, tmp_path)) == []


def test_importing_prints_and_writes_nothing(tmp_path: Path) -> None:
    code = "".join(f"import {module}\n" for module in MODULES if module != SERVED)
    assert python(code, tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["stages", "fakeface"])
def test_the_map_names_every_module_or_room_once(package: str) -> None:
    """And it imports nothing, so that `fakeface --version` answers at once."""
    assert imported(package) == set()
    names = re.findall(r"^ {4}(\w+) {2,}\S", ast.get_docstring(tree(package), clean=False) or "", re.MULTILINE)
    modules = {name.split(".")[1] for name in MODULES if name.startswith(f"{package}.")}
    assert Counter(names) == Counter(modules - {"__main__"})


@pytest.mark.parametrize("name", ROOMS)
def test_every_room_says_what_belongs_in_it(name: str) -> None:
    assert ast.get_docstring(tree(name))
