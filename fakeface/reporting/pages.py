"""What a report and a model card say: templates filled in, numbers as they are read, and the answer in a sentence."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from fakeface.core.records import LABEL_NAMES, OBJECTIVE_NAMES, Side

BASELINES = {
    "majority_class": "always saying the more frequent class",
    "jpeg_header": "the JPEG header alone",
    "file_size": "the file's size alone",
}
DIMENSIONS = {
    "difficulty": "how hard, by the set's authors",
    "part": "what was replaced",
    "parts": "how many parts were replaced",
    "jpeg_table": "the file's JPEG table",
    "size": "size of the image",
}
SLICES = {
    "part": {"left_eye": "left eye", "right_eye": "right eye"},
    "parts": {"1": "1 part", "2": "2 parts", "3": "3 parts", "4": "4 parts"},
    "jpeg_table": {"same": "JPEG table as real photos", "other": "another JPEG table"},
}
PERTURBATIONS = {
    "jpeg_95": "JPEG, quality 95",
    "jpeg_75": "JPEG, quality 75",
    "jpeg_50": "JPEG, quality 50",
    "half_size": "half the size",
    "blur": "blurred",
    "noise": "with noise",
}
EASIEST_FIRST = ("easy", "mid", "hard")
TEST_IMAGES = {"sample": "test images of the drawn sample", "photos": "test photos"}
Row = dict[str, Any]
"""A name and each model's scores."""
Standing = Literal["does not beat", "not clearly", "beats"]
STANDINGS = get_args(Standing)


def rendered(template: str, facts: Mapping[str, Any]) -> str:
    """A template of this folder, filled in; in HTML every fact is escaped."""
    return environment().get_template(template).render(facts)


@cache
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(("html.jinja",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "score": score,
        "percent": percent,
        "bounds": bounds,
        "count": "{:,}".format,
        "utc": utc,
        "duration": duration,
        "sentence": sentence,
    }
    sentences = (answer, against_baselines, slice_rows, robustness_rows)
    made.globals |= {function.__name__: function for function in sentences} | {"baseline_names": BASELINES}
    return made


def score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def percent(value: float | None) -> str:
    """A share, its number and its sign not to be parted by a line's end."""
    return "–" if value is None else f"{value:.1%}".replace("%", "\N{NO-BREAK SPACE}%")


def bounds(interval: Sequence[float] | None) -> str:
    return "no interval" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def utc(milliseconds: int) -> str:
    """A moment, to the minute; the same text wherever it is read."""
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def sentence(text: str) -> str:
    """With a capital first letter; the others as they are, unlike `capitalize`."""
    return text[:1].upper() + text[1:]


def answer(scores: Mapping[str, Any], loss: str, name: str) -> str:
    """How good the candidate is on the test images, with n and intervals; `name` is what the candidate is called."""
    found = scores[loss]
    accuracy, auc = found["test"]["accuracy"], found["test"]["roc_auc"]
    images = f"{scores['test_images']:,} {TEST_IMAGES[scores['data']]}"
    if accuracy is None or auc is None:
        return f"On {images} nothing can be told: both real and fake ones are needed."
    right = f"is right on {percent(accuracy)}{_interval(found, 'accuracy', percent)}"
    return f"On {images}, the network trained with {name} {right}; its AUC is {score(auc)}{_interval(found, 'roc_auc', score)}."


def against_baselines(scores: Mapping[str, Any], loss: str) -> str:
    """Whether the candidate is better than what is told without looking at the picture, and what that is worth."""
    standing, best = rival(scores, loss)
    found = scores["baselines"][best]
    says = {
        "beats": "It beats the best rule that never looks at the picture",
        "not clearly": "It is ahead of the best rule that never looks at the picture, but the intervals overlap",
        "does not beat": "It does not beat the best rule that never looks at the picture",
    }[standing]
    return f"{says}: {BASELINES[best]}, right on {percent(found['accuracy'])} (AUC {score(found['roc_auc'])})."


def rival(scores: Mapping[str, Any], loss: str) -> tuple[Standing, str]:
    """How the candidate stands beside the best baseline, in accuracy or in AUC, where it stands worse; and which that is."""
    stands = [_stand(scores, loss, name) for name in ("accuracy", "roc_auc")]
    return min(stands, key=lambda stand: STANDINGS.index(stand[0]))


def _stand(scores: Mapping[str, Any], loss: str, name: str) -> tuple[Standing, str]:
    baselines: Mapping[str, Any] = scores["baselines"]
    best = max(baselines, key=lambda baseline: baselines[baseline][name] or 0)
    if (scores[loss]["test"][name] or 0) <= (baselines[best][name] or 0):
        return "does not beat", best
    ours, theirs = scores[loss]["intervals"][name], baselines[best]["intervals"][name]
    return ("beats" if ours and theirs and ours[0] > theirs[1] else "not clearly"), best


def difficulties(split: Mapping[str, Any]) -> list[str]:
    """Those that the split counts, the easiest first, names that the set does not know last."""
    names = {name for side in get_args(Side) for name in split[side]} - {"images", *LABEL_NAMES}
    return sorted(names, key=lambda name: (EASIEST_FIRST.index(name) if name in EASIEST_FIRST else len(EASIEST_FIRST), name))


def unchanged(scores: Mapping[str, Any], name: str) -> Row:
    """Both models on all test images, as they are."""
    interval = {model: scores[model]["intervals"]["roc_auc"] for model in OBJECTIVE_NAMES}
    return {"name": name} | {model: scores[model]["test"] | {"roc_auc_interval": interval[model]} for model in OBJECTIVE_NAMES}


def slice_rows(scores: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Each dimension's slices by what it is called; one with a single slice tells nothing and is left out."""
    return {
        words: [
            {"name": SLICES.get(dimension, {}).get(name, name), "fakes": found["fakes"]}
            | {model: scores[model]["slices"][dimension][name] for model in OBJECTIVE_NAMES}
            for name, found in scores["ce"]["slices"][dimension].items()
        ]
        for dimension, words in DIMENSIONS.items()
        if len(scores["ce"]["slices"][dimension]) > 1
    }


def robustness_rows(scores: Mapping[str, Any]) -> list[Row]:
    """The test images as they are, and after each perturbation."""
    changed = [
        {"name": PERTURBATIONS.get(name, name)} | {model: scores[model]["perturbed"][name] for model in OBJECTIVE_NAMES}
        for name in scores["ce"]["perturbed"]
    ]
    return [unchanged(scores, "as they are"), *changed]


def _interval(found: Mapping[str, Any], name: str, shown: Callable[[float], str]) -> str:
    interval = found["intervals"][name]
    return "" if interval is None else f" (95\N{NO-BREAK SPACE}% interval {shown(interval[0])} to {shown(interval[1])})"
