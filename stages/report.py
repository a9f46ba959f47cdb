"""Tell what came out: a page, a model card, figures, and both MLflow runs.

reads   METRICS, what the stages before left; SPLIT, PREDICTIONS, the cards and run records in MODELS; params.yaml;
        ROOT's photos, where thumbnails are asked for
does    draws the figures, fills in the templates
writes  METRICS/figures/*.png; PAGE, one HTML file that loads nothing; CARD, the model card; and the MLflow runs of both models,
        restored where the store lacks them
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from pydantic import Field
from pydantic.dataclasses import dataclass

from fakeface import tracking
from fakeface.core.errors import FakefaceError, run_as_command
from fakeface.core.files import read_json, read_rows, replacing
from fakeface.core.params import STRICT, load_params, read_yaml
from fakeface.core.records import OBJECTIVE_NAMES, EpochRecord, ObjectiveName, SplitRecord
from fakeface.detector import CARD_FILE, RUN_FILE
from fakeface.reporting import figures
from fakeface.reporting.mistakes import Mistake, confident_mistakes, shown
from fakeface.reporting.pages import difficulties, rendered, robustness_rows, slice_rows, unchanged
from fakeface.scoring import scores
from fakeface.scoring.predictions import Judged, load_images, load_predictions

LOGGED_SECTIONS = (
    "loss", "threshold", "data", "index", "relate", "split", "pack", "augment", "model", "train", "evaluate", "report",
)  # fmt: skip
"""What the page tells of params.yaml."""
COUNTS = ("evaluate", "scores", "index", "relate", "split", "stats")
DESCRIPTIONS = {
    "curves": "Training and validation loss of both models by epoch",
    "roc": "ROC curves of both models: fakes found against real images called fake",
    "reliability": "Share of fakes against predicted p_fake, both models",
    "slices": "AUC of both models by slice of the test images, with intervals",
    "robustness": "AUC of both models after each change to the test images, with intervals",
}
"""The figures of the page, for those who do not see them; the others are for MLflow and DVC."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ReportParams:
    """Section `report`."""

    mistakes: int = Field(ge=0)
    thumbnails: bool


class Paths(NamedTuple):
    split: Path
    predictions: Path
    models: Path
    metrics: Path
    page: Path
    card: Path
    params: Path


def drawn(
    found: Mapping[str, Any], histories: Mapping[str, Sequence[EpochRecord]], judged: Mapping[str, Judged]
) -> dict[str, Figure]:
    """Every figure by name; `judged` are the test images."""
    where = "drawn sample" if found["data"] == "sample" else "photos"
    test = f"test set of the {where}"
    used = {name: found[name]["thresholds"][found["threshold"]] for name in OBJECTIVE_NAMES}
    marks = {name: (of["false_positive_rate"], of["recall"]) for name, of in used.items()}
    curves = {name: scores.roc_curve(of.labels, of.p_fake) for name, of in judged.items()}
    sliced = [unchanged(found, "all test images"), *(row for rows in slice_rows(found).values() for row in rows)]
    bins = {name: found[name]["reliability"] for name in OBJECTIVE_NAMES}
    one_model = {
        f"{kind}_{name}": figure
        for name in OBJECTIVE_NAMES
        for kind, figure in (
            ("confusion", figures.confusion_figure(found[name]["confusion_matrix"], f"{figures.NAMES[name]}, {test}")),
            ("curves", figures.curves_figure({name: histories[name]}, f"{figures.NAMES[name]}, {where}")),
        )
    }
    return one_model | {
        "curves": figures.curves_figure(histories, f"Both models, {where}"),
        "roc": figures.roc_figure(curves, {name: mark for name, mark in marks.items() if None not in mark}, f"ROC, {test}"),
        "reliability": figures.reliability_figure(bins, f"Reliability, {test}"),
        "slices": figures.slices_figure(sliced, f"Slices, {test}"),
        "robustness": figures.robustness_figure(robustness_rows(found), f"Robustness, {test}"),
    }


def page(
    loss: ObjectiveName,
    pictures: Mapping[str, Figure],
    mistakes: Mapping[str, Sequence[Mistake]],
    counts: dict[str, Any],
    paths: Paths,
) -> str:
    """The report, one HTML file."""
    params = flat(read_yaml(paths.params))
    return rendered(
        "report.html.jinja",
        counts
        | {
            "loss": loss,
            "names": figures.NAMES,
            "params": {key: value for key, value in params.items() if key.partition(".")[0] in LOGGED_SECTIONS},
            "runs": {name: read_json(paths.models / name / RUN_FILE) for name in OBJECTIVE_NAMES},
            "cards": {name: read_json(paths.models / name / CARD_FILE) for name in OBJECTIVE_NAMES},
            "figures": {name: figures.svg(pictures[name], name, words) for name, words in DESCRIPTIONS.items()},
            "difficulties": difficulties(counts["split"]),
            "mistakes": mistakes,
        },
    )


def card(metrics: Path, params: Path) -> str:
    """The model card, Markdown: from what Git keeps, metrics and params.yaml, and nothing else, so that a test can make it."""
    counts = read_counts(metrics)
    training = {name: read_json(metrics / f"train_{name}.json") for name in OBJECTIVE_NAMES}
    facts = {"training": training, "names": figures.NAMES, "params": read_yaml(params)}
    return rendered("model-card.md.jinja", counts | facts | {"difficulties": difficulties(counts["split"])})


def read_counts(metrics: Path) -> dict[str, Any]:
    """What the stages before left in metrics/, by file. Raises FakefaceError where the scores are not those of `evaluate`."""
    counts = {name: read_json(metrics / f"{name}.json") for name in COUNTS}
    missing = [
        name for name in ("threshold", *OBJECTIVE_NAMES, "baselines", "comparison", "shift") if name not in counts["scores"]
    ]
    if missing:
        raise FakefaceError(f"{metrics / 'scores.json'}: {missing[0]}: missing; `dvc repro evaluate` writes it anew")
    return counts


def flat(params: Mapping[str, Any]) -> dict[str, Any]:
    """`section.key: value`; a scalar is a section of its own."""
    found: dict[str, Any] = {}
    for section, values in params.items():
        found |= {f"{section}.{key}": value for key, value in values.items()} if isinstance(values, dict) else {section: values}
    return found


def told_metrics(found: Mapping[str, Any]) -> dict[str, float]:
    """What MLflow compares runs by: the test set's scores by name, those that are not defined left out."""
    (real_right, real_wrong), (fake_wrong, fake_right) = found["confusion_matrix"]
    counts = {"true_real": real_right, "false_fake": real_wrong, "false_real": fake_wrong, "true_fake": fake_right}
    values = {name: found["test"][name] for name in scores.NAMES} | counts
    values["argmax_accuracy"] = found["argmax_rule"]["accuracy"]
    for name in ("accuracy", "roc_auc"):
        values[f"{name}_low"], values[f"{name}_high"] = found["intervals"][name] or (None, None)
    for difficulty, of_slice in found["slices"]["difficulty"].items():
        values |= {f"{name}_{difficulty}": of_slice[name] for name in ("recall", "roc_auc")}
    values |= {f"roc_auc_{perturbation}": of["roc_auc"] for perturbation, of in found["perturbed"].items()}
    return {f"test_{name}": float(value) for name, value in values.items() if value is not None}


def run(root: Path, loss: ObjectiveName, params: ReportParams, paths: Paths) -> None:
    counts = read_counts(paths.metrics)
    found, images = counts["scores"], load_images(paths.split)
    judged = {name: sides["test"] for name, sides in load_predictions(paths.predictions, images).items()}
    histories = {name: read_rows(paths.metrics / f"{name}_history.csv", EpochRecord) for name in OBJECTIVE_NAMES}
    pictures = drawn(found, histories, judged)
    for name, figure in pictures.items():
        figures.save(figure, paths.metrics / "figures" / f"{name}.png")
    mistakes = {name: mistakes_of(name, found, images["test"], of, root, params) for name, of in judged.items()}
    write_text(paths.page, page(loss, pictures, mistakes, counts, paths))
    write_text(paths.card, card(paths.metrics, paths.params))
    tags = {"data": found["data"], "data.root": str(root)}
    files = [paths.metrics / "figures" / f"{name}.png" for name in sorted(pictures)]
    files += [paths.metrics / "scores.json", paths.predictions, paths.page]
    for name in OBJECTIVE_NAMES:
        candidate = {"candidate": str(name == loss).lower()}
        tracking.publish_evaluation(paths.models / name, paths.split, told_metrics(found[name]), files, tags | candidate)


def mistakes_of(
    name: str, found: Mapping[str, Any], images: Sequence[SplitRecord], judged: Judged, root: Path, params: ReportParams
) -> list[Mistake]:
    threshold = found[name]["thresholds"][found["threshold"]]["threshold"]
    positions = confident_mistakes(judged, threshold)[: params.mistakes]
    return shown(images, judged, positions, root if params.thumbnails else None)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.report", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("root", type=Path, help="data.root, the photos")
    parser.add_argument("--split", type=Path, required=True, help="CSV to read: every image's side")
    parser.add_argument("--predictions", type=Path, required=True, help="CSV to read: every image's p_fake by both models")
    parser.add_argument("--models", type=Path, required=True, help="folder with the model folders ce and bce")
    parser.add_argument("--metrics", type=Path, required=True, help="folder to read the scores of and to write figures/ to")
    parser.add_argument("--page", type=Path, required=True, help="HTML to write: the report")
    parser.add_argument("--card", type=Path, required=True, help="Markdown to write: the model card")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="YAML to read loss and report of, and to tell")
    arguments = vars(parser.parse_args(argv))
    root, paths = arguments.pop("root"), Paths(**arguments)
    loss: ObjectiveName = load_params(paths.params, "loss", ObjectiveName)  # type: ignore[arg-type]
    run(root, loss, load_params(paths.params, "report", ReportParams), paths)


if __name__ == "__main__":
    run_as_command(main)
