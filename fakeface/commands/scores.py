"""Print both classifiers' scores, what they have to beat, and what their difference means.

Reads what `evaluate` wrote. Writes nothing.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from fakeface.core.errors import FakefaceError
from fakeface.core.files import read_json
from fakeface.core.records import OBJECTIVE_NAMES, SHORT_NAMES

COLUMNS = ("accuracy", "roc_auc")
ROWS = ("average_precision", "equal_error_rate", "brier", "ece", "precision", "recall", "f1")
BASELINES = {"majority_class": "majority class", "jpeg_header": "JPEG header alone", "file_size": "file size alone"}
THRESHOLDS = {
    "half": "p_fake 0.5",
    "balanced_accuracy": "the p_fake best on valid",
    "few_false_alarms": "the p_fake that few reals reach on valid",
}
WIDTH = 100


def page(found: dict[str, Any]) -> str:
    what = "the drawn sample, not real photos" if found["data"] == "sample" else "photos"
    sentences = [
        found["comparison"]["sentence"],
        found["shift"]["sentence"],
        f"Related pairs across train, valid and test: {found['pairs_across_sides']}.",
    ]
    return "\n".join(
        [
            f"{found['test_images']} test images of {what}, in {found['test_groups']} groups",
            f"fake from {THRESHOLDS[found['threshold']]}; in brackets 95 % intervals",
            "",
            *ranking(found),
            "",
            *details([found[name] for name in OBJECTIVE_NAMES]),
            "",
            *(fill(sentence, WIDTH) for sentence in sentences),
        ]
    )


def ranking(found: dict[str, Any]) -> Iterator[str]:
    """A row per model and per baseline, which the models have to beat; a column per score."""
    yield _row("", COLUMNS)
    for name in OBJECTIVE_NAMES:
        yield _row(
            SHORT_NAMES[name], (_number(found[name]["test"][score], found[name]["intervals"][score]) for score in COLUMNS)
        )
    for name, of in found["baselines"].items():
        yield _row(f"to beat: {BASELINES[name]}", (_number(of[score], of["intervals"][score]) for score in COLUMNS))


def details(models: list[dict[str, Any]]) -> Iterator[str]:
    """A row per score; a column per model."""
    yield _row("", (SHORT_NAMES[name] for name in OBJECTIVE_NAMES))
    for name in ROWS:
        yield _row(name, (_number(model["test"][name], model["intervals"][name]) for model in models))
    for side in ("train", "valid"):
        yield _row(f"accuracy, {side}", (_number(model[side]["accuracy"]) for model in models))
    yield _row("accuracy, notebook's rule", (_number(model["argmax_rule"]["accuracy"]) for model in models))
    for name in models[0]["slices"]["difficulty"]:
        slices = [model["slices"]["difficulty"][name] for model in models]
        yield _row(f"roc_auc, {name} fakes", (_number(of["roc_auc"], of["roc_auc_interval"]) for of in slices))
    for name in models[0]["perturbed"]:
        changed = [model["perturbed"][name] for model in models]
        yield _row(f"roc_auc, {name}", (_number(of["roc_auc"], of["roc_auc_interval"]) for of in changed))


def _row(name: str, cells: Iterable[str]) -> str:
    return (f"{name:<28}" + "".join(f"{cell:<28}" for cell in cells)).rstrip()


def _number(value: float | None, interval: Sequence[float] | None = None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path",
        type=Path,
        nargs="?",
        default=Path("metrics/scores.json"),
        metavar="PATH",
        help="JSON to read, as `evaluate` writes it (default: %(default)s)",
    )


def run(path: Path) -> None:
    found = read_json(path)
    try:
        text = page(found)
    except (KeyError, TypeError):
        raise FakefaceError(f"{path}: not the scores that `evaluate` writes") from None
    print(text)
