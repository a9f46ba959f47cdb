"""The text of the report and the model card: templates filled in, numbers formatted, and the conclusions in a sentence."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from fakeface.core.console import printable
from fakeface.core.records import ANSWER_NAMES, LABEL_NAMES, MODEL_LABELS, OBJECTIVE_NAMES, ObjectiveName, Side
from fakeface.reporting.rows import localization_rows, robustness_rows, slice_rows
from fakeface.scoring.results import (
    BASELINE_LABELS,
    HEADLINE,
    THRESHOLD_LABELS,
    WEB_HEADLINE,
    BaselineName,
    DataName,
    Estimate,
    Interval,
    Score,
    Scores,
)
from fakeface.scoring.slices import easiest_first

TEST_IMAGES: dict[DataName, str] = {"sample": "test images of the drawn sample", "photos": "test photos"}
Standing = Literal["does not beat", "not clearly", "beats"]
STANDINGS: tuple[Standing, ...] = get_args(Standing)


def rendered(template: str, facts: Mapping[str, Any]) -> str:
    """A template of this folder, filled in; in HTML every fact is escaped."""
    return environment().get_template(template).render(facts)


@cache
def environment() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(("html.jinja",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters = (score, percent, bounds, utc, duration, sentence, printable)
    templates.filters |= {function.__name__: function for function in filters} | {"count": "{:,}".format}
    functions = (answer, against_baselines, what_evidence_shows, slice_rows, robustness_rows, localization_rows)
    templates.globals |= {function.__name__: function for function in functions}
    templates.globals |= {
        "models": OBJECTIVE_NAMES,
        "model_labels": MODEL_LABELS,
        "baseline_labels": BASELINE_LABELS,
        "threshold_labels": THRESHOLD_LABELS,
        "answer_names": ANSWER_NAMES,
        "headline": HEADLINE,
        "web_headline": WEB_HEADLINE,
    }
    return templates


def score(value: Score) -> str:
    return "–" if value is None else f"{value:.3f}"


def percent(value: Score) -> str:
    """A share; no line break parts its number from its sign."""
    return "–" if value is None else f"{value:.1%}".replace("%", "\N{NO-BREAK SPACE}%")


def bounds(interval: Interval) -> str:
    return "no interval" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def utc(milliseconds: int) -> str:
    """A moment, to the minute; the same text in every time zone."""
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def sentence(text: str) -> str:
    """With a capital first letter; the others as they are, unlike `capitalize`."""
    return text[:1].upper() + text[1:]


def answer(scores: Scores, objective: ObjectiveName) -> str:
    """How good the candidate is on the test images, as distributed and after the web, with n and intervals."""
    model = scores.models[objective]
    accuracy, auc = (model.estimate(name) for name in WEB_HEADLINE)
    web_accuracy, web_auc = (model.web.estimate(name) for name in WEB_HEADLINE)
    images = f"{scores.test_images:,} {TEST_IMAGES[scores.data]}"
    if accuracy.value is None or auc.value is None:
        return f"On {images} the scores are undefined: both real and fake images are needed."
    return (
        f"On {images}, the network trained with {MODEL_LABELS[objective]} has an accuracy of {_estimate(accuracy, percent)} "
        f"and an AUC of {_estimate(auc, score)} as the images are distributed; after the web, where photos are reduced a "
        f"little and compressed again, {_estimate(web_accuracy, percent)} and {_estimate(web_auc, score)}."
    )


def against_baselines(scores: Scores, objective: ObjectiveName) -> str:
    """Whether the candidate is better than the best baseline, which sees no face."""
    standing, best = standing_against_baselines(scores, objective)
    baseline = scores.baselines[best]
    verdict = {
        "beats": "As distributed, it beats the best baseline that sees no face",
        "not clearly": "As distributed, it is ahead of the best baseline that sees no face, but the intervals overlap",
        "does not beat": "As distributed, it does not beat the best baseline that sees no face",
    }[standing]
    return (
        f"{verdict}: the {BASELINE_LABELS[best]}, with an accuracy of {percent(baseline.accuracy)} "
        f"and an AUC of {score(baseline.roc_auc)}."
    )


def what_evidence_shows(scores: Scores, objective: ObjectiveName) -> str:
    """Whether a model's evidence may be read as what was edited, by the test images."""
    found, label = scores.models[objective].localization, MODEL_LABELS[objective]
    if found is None:
        return f"The network trained with {label} does not say where its score comes from."
    if found.shows_edits:
        return (
            f"Where the score of {label} comes from may be read as what was edited: within a fake, its evidence finds the "
            "replaced parts clearly better than a map that is the same everywhere and than one that is the same in all fakes."
        )
    unbeaten = {
        (False, False): "a map that is the same everywhere, nor one that is the same in all fakes",
        (False, True): "a map that is the same everywhere",
        (True, False): "a map that is the same in all fakes",
    }[found.beats_constant_map, found.beats_mean_map]
    return (
        f"Where the score of {label} comes from must not be read as what was edited: at finding the replaced parts within a "
        f"fake, its evidence does not clearly beat {unbeaten}."
    )


def standing_against_baselines(scores: Scores, objective: ObjectiveName) -> tuple[Standing, BaselineName]:
    """How the candidate compares with the best baseline, by accuracy or AUC, whichever is worse; and that baseline."""
    standings = [_standing(scores, objective, name) for name in ("accuracy", "roc_auc")]
    return min(standings, key=lambda standing: STANDINGS.index(standing[0]))


def _standing(scores: Scores, objective: ObjectiveName, name: str) -> tuple[Standing, BaselineName]:
    model = scores.models[objective].estimate(name)
    baselines = {baseline: values.estimate(name) for baseline, values in scores.baselines.items()}
    best = max(baselines, key=lambda baseline: baselines[baseline].value or 0)
    if (model.value or 0) <= (baselines[best].value or 0):
        return "does not beat", best
    ours, theirs = model.interval, baselines[best].interval
    return ("beats" if ours and theirs and ours[0] > theirs[1] else "not clearly"), best


def difficulties(split: Mapping[str, Any]) -> list[str]:
    """The difficulties that metrics/split.json counts on any side, the easiest first."""
    return easiest_first({name for side in get_args(Side) for name in split[side]} - {"images", *LABEL_NAMES})


def _estimate(estimate: Estimate, formatted: Callable[[Score], str]) -> str:
    value, interval = formatted(estimate.value), estimate.interval
    if interval is None:
        return value
    return f"{value} (95\N{NO-BREAK SPACE}% interval {formatted(interval[0])} to {formatted(interval[1])})"
