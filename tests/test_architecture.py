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

from tests.architecture import (
    MODULES,
    NOUNS,
    STAGES,
    VERBS,
    Stage,
    closure,
    imported,
    loaded_sections,
    logged_sections,
    neighbours,
    tree,
)
from tests.conftest import ROOT

WITHOUT_TORCH = [module for module in VERBS if module != "train"]
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


@of_each_stage
def test_a_stage_runs_a_verb_that_bears_its_name(stage: Stage) -> None:
    """train_ce and train_bce are both `train`."""
    assert stage.module in VERBS
    assert stage.name in (stage.module, f"{stage.module}_{shlex.split(stage.cmd)[3]}")


@of_each_stage
def test_a_stages_deps_are_its_modules_import_closure(stage: Stage) -> None:
    """DVC does not follow imports: a module left out gives stale results silently, one too many trains for nothing."""
    code = [dep for dep in stage.deps if dep.startswith("stages/") and dep.endswith(".py")]
    assert sorted(code) == sorted(f"stages/{module}.py" for module in closure(stage.module))


def test_templates_and_styles_are_deps_of_the_report_that_they_make() -> None:
    (report,) = (stage for stage in STAGES if stage.name == "report")
    beside_code = {f"stages/{path.name}" for path in (ROOT / "stages").iterdir() if path.is_file() and path.suffix != ".py"}
    assert {dep for dep in report.deps if dep.startswith("stages/") and not dep.endswith(".py")} == beside_code


@of_each_stage
def test_a_stage_declares_the_sections_it_reads(stage: Stage) -> None:
    read = {section for module in closure(stage.module) for section in loaded_sections(module)}
    assert sorted(stage.params) == sorted(read | logged_sections(stage.module))


@of_each_stage
def test_every_path_in_a_command_is_a_dep_or_an_out(stage: Stage) -> None:
    """The photos are a dep of `index` alone: later stages get the SHA-256 of each from it, and refuse another content."""
    known = [*stage.deps, *stage.outs]
    for word in shlex.split(stage.cmd)[3:]:
        is_path = "/" in word or word in ("data", "models", "metrics") or (word == "${data.root}" and stage.name == "index")
        if is_path:
            assert any(f"{path}/".startswith(f"{word}/") or f"{word}/".startswith(f"{path}/") for path in known), word


def test_verbs_and_nouns_are_told_apart() -> None:
    """A verb runs as a command, and nothing else does."""
    for module in MODULES:
        functions = {node.name for node in tree(module).body if isinstance(node, ast.FunctionDef)}
        assert ("main" in functions) == (module in VERBS), module


@pytest.mark.parametrize("module", MODULES)
def test_nothing_imports_a_verb(module: str) -> None:
    assert neighbours(module) <= set(NOUNS)


def test_one_module_imports_mlflow() -> None:
    assert [module for module in MODULES if any(name.split(".")[0] == "mlflow" for name in imported(module))] == ["tracking"]


def test_what_needs_no_torch_does_not_wait_for_it(tmp_path: Path) -> None:
    """Neither torch nor MLflow: seconds per command; `report` imports MLflow when it comes to publishing."""
    code = f"""
import importlib, json, sys
for module in {WITHOUT_TORCH}:
    importlib.import_module("stages." + module)
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}} & {{"torch", "torchvision", "mlflow"}})))
"""
    assert json.loads(python(code, tmp_path)) == []


def test_importing_prints_and_writes_nothing(tmp_path: Path) -> None:
    code = "".join(f"import stages.{module}\n" for module in MODULES)
    assert python(code, tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


def test_the_map_names_every_module_once() -> None:
    (docstring,) = tree("__init__").body  # and imports nothing
    assert isinstance(docstring, ast.Expr)
    blocks = ast.literal_eval(docstring.value).split("\n\n")
    verbs, nouns = (re.findall(r"^ {4}(\w+) {2,}\S", block, re.MULTILINE) for block in blocks[2:])
    assert Counter(verbs) == Counter(VERBS)
    assert Counter(nouns) == Counter(NOUNS)
