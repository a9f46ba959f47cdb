"""What the source files of stages/ say about themselves, and what dvc.yaml says about them."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from tests.conftest import ROOT

MODULES = sorted(path.stem for path in (ROOT / "stages").glob("*.py") if path.stem != "__init__")


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((ROOT / "stages" / f"{module}.py").read_text(encoding="utf-8"))


def imported(module: str) -> set[str]:
    """Dotted names of everything that a module imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"stages/{module}.py imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def neighbours(module: str) -> set[str]:
    """Modules of stages/ that a module imports itself."""
    parts = (name.split(".") for name in imported(module))
    return {name[1] for name in parts if name[0] == "stages" and name[1] in MODULES}


def closure(module: str) -> set[str]:
    """A module, the modules of stages/ that it imports, those that these import, and so on."""
    found, waiting = set[str](), {module}
    while waiting:
        found |= waiting
        waiting = {name for new in waiting for name in neighbours(new)} - found
    return found


def is_verb(module: str) -> bool:
    """A module that runs: `if __name__ == "__main__":`."""
    return any(isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'" for node in tree(module).body)


VERBS = [module for module in MODULES if is_verb(module)]
NOUNS = [module for module in MODULES if module not in VERBS]


def loaded_sections(module: str) -> dict[str, str]:
    """Sections of params.yaml that a module loads, with the name of the type that each is loaded as."""
    calls = [node for node in ast.walk(tree(module)) if isinstance(node, ast.Call)]
    loads = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "load_params"]
    return {ast.literal_eval(section): ast.unparse(kind) for _, section, kind in (call.args for call in loads)}


def logged_sections(module: str) -> set[str]:
    """Sections that a module tells MLflow, whether it loads them or not."""
    for node in tree(module).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LOGGED_SECTIONS":
            return set(ast.literal_eval(node.value))
    return set()


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml or data/dvc.yaml."""

    name: str
    described: dict[str, Any]

    @property
    def cmd(self) -> str:
        return str(self.described["cmd"])

    @property
    def module(self) -> str:
        found = re.match(r"python -m stages\.(\w+)( |$)", self.cmd)
        assert found, f"{self.name}: {self.cmd}: should be python -m stages.MODULE"
        return found[1]

    @property
    def deps(self) -> list[str]:
        return list(self.described["deps"])

    @property
    def outs(self) -> list[str]:
        outs = [out for kind in ("outs", "metrics", "plots") for out in self.described.get(kind, [])]
        return [out if isinstance(out, str) else next(iter(out)) for out in outs]

    @property
    def params(self) -> list[str]:
        return list(self.described.get("params", []))


STAGES = [
    Stage(name, described)
    for path in (ROOT / "dvc.yaml", ROOT / "data/dvc.yaml")
    for name, described in yaml.safe_load(path.read_text(encoding="utf-8"))["stages"].items()
]
