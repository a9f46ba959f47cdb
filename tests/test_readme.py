"""Every command, file and parameter that the README names is there."""

import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from fakeface.commands import SUBCOMMANDS
from tests.architecture import STAGES
from tests.checkout import PROJECT
from tests.conftest import Command

README = (PROJECT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in README.splitlines() if line.startswith("    ")]
MADE_BY_A_RUN = tuple(out for stage in STAGES for out in stage.outs)


def test_make_targets_exist() -> None:
    targets = {
        line.split(":")[0] for line in (PROJECT / "Makefile").read_text().splitlines() if re.match(r"[a-z.][\w./-]*:", line)
    }
    named = {word for command in COMMANDS for word in re.findall(r"\bmake ([\w./-]+)", command)}
    assert named
    assert named <= targets


def test_stages_named_in_commands_exist() -> None:
    stages = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]
    for command in COMMANDS:
        for module in re.findall(r"python -m stages\.(\w+)", command):
            assert (PROJECT / f"stages/{module}.py").exists(), command
        for stage in re.findall(r"dvc repro (?:--\S+ )*(\w+)", command):
            assert stage in stages, command


def test_parameters_named_in_commands_exist() -> None:
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())
    for name in re.findall(r"-S '?([\w.]+)=", README):
        section, _, key = name.partition(".")
        assert section in params, name
        assert not key or key in params[section], name


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`((?:data|docs|metrics|published|recipes|stages|fakeface)/[\w./-]+)`", README)))
)
def test_files_named_exist(name: str) -> None:
    assert name.startswith(MADE_BY_A_RUN) or (PROJECT / name).exists()


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (PROJECT / target).exists(), target


def test_subcommands_and_their_options_exist(command: Command) -> None:
    named = [line.split("#")[0].split() for line in COMMANDS if line.startswith("fakeface ")]
    assert {words[1] for words in named} == SUBCOMMANDS.keys()
    for _, name, *words in named:
        told = command(import_module(f"fakeface.commands.{name}"), "--help").out
        assert {word for word in words if word.startswith("--")} <= set(re.findall(r"--\w+", told))


def test_every_version_is_locked() -> None:
    """Each dependency of pyproject.toml has one exact version, and torch no build of one machine."""
    lock = {
        line.split("==")[0].lower().replace("_", "-"): line.split("==")[1]
        for name in ("requirements.lock", "requirements-dev.lock")
        for line in Path(PROJECT / name).read_text().split()
    }
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(name for extra in project["optional-dependencies"].values() for name in extra)]
    for requirement in wanted:
        name = re.split(r"[=<>]", requirement)[0].strip().lower().replace("_", "-")
        assert name in lock, requirement
    assert lock["torch"] == "2.13.0"
    assert lock["torchvision"] == "0.28.0"
