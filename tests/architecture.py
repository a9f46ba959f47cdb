"""What the source files of stages/ and fakeface/ say about themselves, and what dvc.yaml says about the stages."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT

FILES = sorted(path for folder in ("stages", "fakeface") for path in (ROOT / folder).rglob("*.py"))


def dotted(path: Path) -> str:
    """The name that a file is imported by."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {dotted(path): path for path in FILES}
SUBCOMMANDS = [name for name in MODULES if name.startswith("fakeface.commands.")]
STAGE_MODULES = [name for name in MODULES if name.startswith("stages.")]
LIBRARY = [name for name in MODULES if name.partition(".")[0] == "fakeface"]
ROOMS = sorted(
    dotted(path.parent / "__init__.py") for path in FILES if path.name == "__init__.py" and path.parent.parent != ROOT
)


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imported(module: str) -> set[str]:
    """Dotted names of everything that a module imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def neighbours(module: str) -> set[str]:
    """Modules of stages/ and fakeface/ that a module imports itself: the longest known part of each name."""
    found = set()
    for name in imported(module):
        parts = name.split(".")
        known = [prefix for count in range(1, len(parts) + 1) if (prefix := ".".join(parts[:count])) in MODULES]
        found |= set(known[-1:])
    return found - {module}


def closure(module: str) -> set[str]:
    """A module, the modules of this project that it imports, those that these import, and so on."""
    found, waiting = set[str](), {module}
    while waiting:
        found |= waiting
        waiting = {name for new in waiting for name in neighbours(new)} - found
    return found


def room(module: str) -> str:
    """What a stage's deps name for a module of the library: its room's folder, or its file where it stands in none."""
    parts = module.split(".")
    return "/".join(parts[:2]) if len(parts) > 2 or module in ROOMS else f"{'/'.join(parts)}.py"


def loaded_sections(module: str) -> set[str]:
    """Sections of params.yaml that a module loads; that `load_params` checks the others too makes nothing depend on them."""
    calls = [node for node in ast.walk(tree(module)) if isinstance(node, ast.Call)]
    loads = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "load_params"]
    return {ast.literal_eval(section) for _, section, _ in (call.args for call in loads)}


def logged_sections(module: str) -> set[str]:
    """Sections that a module logs to MLflow, whether it loads them or not."""
    for node in tree(module).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LOGGED_SECTIONS":
            return set(ast.literal_eval(node.value))
    return set()


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml."""

    name: str
    definition: dict[str, Any]

    @property
    def cmd(self) -> str:
        return str(self.definition["cmd"])

    @property
    def module(self) -> str:
        match = re.match(r"python -m (stages\.\w+)( |$)", self.cmd)
        assert match, f"{self.name}: {self.cmd}: should be python -m stages.MODULE"
        return match[1]

    @property
    def deps(self) -> list[str]:
        return list(self.definition["deps"])

    @property
    def code(self) -> set[str]:
        """Those of the deps that are code: modules and rooms."""
        return {dep for dep in self.deps if dep.startswith(("stages/", "fakeface/"))}

    @property
    def outs(self) -> list[str]:
        outs = [out for kind in ("outs", "metrics", "plots") for out in self.definition.get(kind, [])]
        return [out if isinstance(out, str) else next(iter(out)) for out in outs]

    @property
    def params(self) -> list[str]:
        return list(self.definition.get("params", []))

    @property
    def sections(self) -> set[str]:
        """Of the parameters, which are sections but for `train.refit`, all that `pack` depends on there."""
        return {name.partition(".")[0] for name in self.params}


STAGES = [
    Stage(name, definition)
    for name, definition in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].items()
]
