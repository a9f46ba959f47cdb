"""Contenders measured in turns, and what their numbers mean relative to each other."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PROJECT = Path(__file__).parents[1]
PACKAGES = ("torch", "torchvision", "pillow", "numpy", "onnxruntime", "dvc", "mlflow")

Measures = dict[str, float]
"""What one go of one contender gave: `s`, `peak_mib`, `ms_per_image`, `auc` ..."""
Go = Callable[[], Measures]
Rows = dict[str, dict[str, list[float]]]
"""Contender -> measure -> a value per round."""


@dataclass(frozen=True)
class Options:
    """What was asked for; `scratch` is a folder that goes when all is done, `photos` None where they are to be drawn."""

    scratch: Path
    images: int
    rounds: int
    photos: Path | None
    recipe: Path | None
    sizes: Sequence[int]
    relate_sizes: Sequence[int]
    drawn_photos: int


@dataclass(frozen=True)
class Goal:
    """How often `of`'s measure goes into `peer`'s should be `at_least`; or, the other way round, `at_most`.

    Without a peer the measure itself is bounded; without a bound the comparison is only told.
    """

    of: str
    peer: str | None = None
    measure: str = "s"
    at_least: float | None = None
    at_most: float | None = None


class Spread(NamedTuple):
    """Median and quartiles over rounds."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Result:
    """One part as measured; `images` is the number that every time `s` is for, where it is one."""

    part: str
    what: str
    rows: Rows
    goals: Sequence[Goal] = ()
    sizes: dict[str, Any] = field(default_factory=dict)
    images: int | None = None
    where: dict[str, str] = field(default_factory=dict)


def timed(action: Callable[..., object], *arguments: Any) -> Measures:
    started = time.perf_counter()
    action(*arguments)
    return {"s": time.perf_counter() - started}


def alternating(part: str, contenders: Mapping[str, Go], rounds: int) -> Rows:
    """Every contender once per round, every other round in reversed order, so that none always has the same neighbours."""
    rows: Rows = {name: {} for name in contenders}
    for number in range(rounds):
        for name in list(contenders)[:: -1 if number % 2 else 1]:
            measures = contenders[name]()
            for measure, value in measures.items():
                rows[name].setdefault(measure, []).append(value)
            shown = "  ".join(f"{measure} {value:.4g}" for measure, value in list(measures.items())[:8])
            print(f"{part}: round {number + 1} of {rounds}: {name}: {shown}", file=sys.stderr, flush=True)
    return rows


def spread(values: Sequence[float]) -> Spread:
    low, median, high = np.percentile(values, [25, 50, 75])
    return Spread(float(median), float(low), float(high))


def compared(rows: Rows, goal: Goal) -> Spread:
    """The ratio of medians, or the median where there is no peer; its spread is that of the rounds' own ratios."""
    own = rows[goal.of][goal.measure]
    if goal.peer is None:
        return spread(own)
    above, below = rows[goal.peer][goal.measure], own
    if goal.at_most is not None:
        above, below = below, above
    of_rounds = spread([over / under for over, under in zip(above, below, strict=True)])
    return of_rounds._replace(median=spread(above).median / spread(below).median)


def is_reached(rows: Rows, goal: Goal) -> bool | None:
    """None where nothing is asked for."""
    ratio = compared(rows, goal).median
    if goal.at_least is not None:
        return ratio >= goal.at_least
    return None if goal.at_most is None else ratio <= goal.at_most


def where() -> dict[str, str]:
    """Machine, commit and versions, for the page."""
    import torch

    from fakeface.core.cores import available_cores
    from fakeface.training.devices import cpu_name

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False).stdout.strip()

    changed = " and changes not committed" if git("status", "--porcelain", "--", "fakeface", "stages", "bench") else ""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return {
        "machine": f"{cpu_name()}, {available_cores()} cores, {memory:.0f} GiB of memory, {gpu}",
        "commit": (git("rev-parse", "--short", "HEAD") or "unknown") + changed,
        "versions": ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in PACKAGES)]),
        "measured": f"{time.strftime('%Y-%m-%d')}, load before it {os.getloadavg()[0]:.1f}",
    }
