"""Small photo folders, stages and subcommands run as the shell would run them, for all tests."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import settings
from PIL import Image

from fakeface import __main__ as fakeface_command
from fakeface.core.errors import run_as_command
from fakeface.core.records import DIFFICULTIES

ROOT = Path(__file__).parents[1]


# A busy machine is slow, not wrong.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


LONGEST = ("test_pipeline.py", "test_tracking.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that the other cores have the rest to do meanwhile."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit status, what it printed, and its complaint."""

    status: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """`command(module, *arguments)` runs the command line of a stage, or of a subcommand of `fakeface`, in this process."""

    def run(module: ModuleType, *arguments: object) -> Outcome:
        room, _, name = module.__name__.rpartition(".")
        is_subcommand = room == "fakeface.commands"
        words = [name, *arguments] if is_subcommand else arguments
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exited:
            run_as_command(fakeface_command.main if is_subcommand else module.main)
        out, err = capsys.readouterr()
        return Outcome(int(exited.value.code or 0), out, err)

    return run


@contextmanager
def without_privileges() -> Iterator[None]:
    """Root may read everything: be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def write_params(path: Path, changes: Mapping[Any, Any]) -> None:
    """The project's params.yaml with other values: a stage that reads one section checks them all."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for section, values in changes.items():
        params[section] = params.get(section, {}) | values if isinstance(values, dict) else values
    path.write_text(yaml.safe_dump(params), encoding="utf-8")


def photo(seed: int, width: int = 48, height: int = 48) -> Image.Image:
    """Smooth colours, like a photo out of focus; another picture for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def write_photos(root: Path, counts: Mapping[str, int]) -> None:
    """`counts[folder]` photos, named like the set's, in each folder; the folder's name ends in real or fake."""
    for position, (folder, count) in enumerate(counts.items()):
        (root / folder).mkdir(parents=True)
        for number in range(count):
            fake_name = f"{DIFFICULTIES[number % 3]}_{number}_{number % 15 + 1:04b}.jpg"
            name = fake_name if folder.endswith("fake") else f"real_{number:05}.jpg"
            photo(1000 * position + number).save(root / folder / name, quality=90)
