"""Score both classifiers on the test images.

Reads the packed test images, their split and both model folders. Writes the candidate's headline scores, all scores, the
predictions per image, the tables that DVC plots and figures, and tells both MLflow runs (restored where the store lacks them).
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from stages import scores, tracking
from stages.detector import THRESHOLD, load_detector
from stages.errors import run_as_command
from stages.figures import NAMES, confusion_figure, curves_figure, save
from stages.packed import PackedSide, load_side
from stages.params import load_params
from stages.records import (
    LABEL_NAMES,
    OBJECTIVE_NAMES,
    EpochRecord,
    ObjectiveName,
    PredictionRecord,
    read_json,
    read_rows,
    write_json,
    write_rows,
)


@dataclass(frozen=True)
class RocRecord:
    """One point of one model's ROC curve."""

    objective: str
    false_positive_rate: float
    true_positive_rate: float


@dataclass(frozen=True)
class ConfusionRecord:
    """One test image's label and verdict by name, for DVC's confusion plot."""

    label: str
    verdict: str


class Paths(NamedTuple):
    packed: Path
    split: Path
    index_counts: Path
    models: Path
    metrics: Path
    predictions: Path
    params: Path


@dataclass(frozen=True)
class Judged:
    """One model's judgement of the test images: `p_fake` (N,), `verdicts` (N,), and those of the arg-max rule."""

    p_fake: scores.Probabilities
    verdicts: scores.Verdicts
    argmax_verdicts: scores.Verdicts


def judged(model: Path, side: PackedSide) -> Judged:
    p_fake, logits = load_detector(model).scores(side.images)
    return Judged(p_fake, p_fake >= THRESHOLD, logits[:, 1] > logits[:, 0])


def all_scores(side: PackedSide, of_model: dict[str, Judged]) -> dict[str, Any]:
    """Every score of each model; `argmax_rule` is how the notebook decided, and why its BCE collapsed."""
    labels, difficulties = side.labels, [record.difficulty for record in side.records]
    return {
        objective: scores.headline(labels, judgement.p_fake, judgement.verdicts)
        | {
            "confusion_matrix": scores.confusion_matrix(labels, judgement.verdicts),
            "by_difficulty": scores.by_difficulty(labels, difficulties, judgement.p_fake, judgement.verdicts),
            "argmax_rule": {
                "accuracy": scores.accuracy(labels, judgement.argmax_verdicts),
                "confusion_matrix": scores.confusion_matrix(labels, judgement.argmax_verdicts),
            },
        }
        for objective, judgement in of_model.items()
    }


def predictions(side: PackedSide, of_model: dict[str, Judged]) -> Iterator[PredictionRecord]:
    ce, bce = of_model["ce"], of_model["bce"]
    for row, record in enumerate(side.records):
        yield PredictionRecord(
            record.path,
            record.label,
            record.difficulty,
            float(ce.p_fake[row]),
            float(bce.p_fake[row]),
            1 if bce.argmax_verdicts[row] else 0,
        )


def run(root: str, loss: ObjectiveName, paths: Paths) -> None:
    side = load_side(paths.packed, paths.split, "test")
    data = "sample" if read_json(paths.index_counts)["is_sample"] else "photos"
    of_model = {objective: judged(paths.models / objective, side) for objective in OBJECTIVE_NAMES}
    found = all_scores(side, of_model)
    headline = {name: found[loss][name] for name in scores.HEADLINE}
    write_json(paths.metrics / "evaluate.json", {"loss": loss, "data": data, "test_images": len(side.records)} | headline)
    write_json(paths.metrics / "scores.json", {"data": data, "test_images": len(side.records)} | found)
    write_rows(paths.predictions, PredictionRecord, predictions(side, of_model))
    write_plots(paths, side, of_model)
    draw_figures(paths, data, found)
    for objective in OBJECTIVE_NAMES:
        publish(
            paths, objective, found[objective], {"data": data, "data.root": root, "candidate": str(objective == loss).lower()}
        )


def write_plots(paths: Paths, side: PackedSide, of_model: dict[str, Judged]) -> None:
    """The tables that DVC draws."""
    points = [
        RocRecord(objective, *point)
        for objective, judgement in of_model.items()
        for point in scores.roc_curve(side.labels, judgement.p_fake)
    ]
    write_rows(paths.metrics / "plots" / "roc.csv", RocRecord, points)
    for objective, judgement in of_model.items():
        rows = (
            ConfusionRecord(LABEL_NAMES[label], LABEL_NAMES[verdict])
            for label, verdict in zip(side.labels, judgement.verdicts.astype(int), strict=True)
        )
        write_rows(paths.metrics / "plots" / f"confusion_{objective}.csv", ConfusionRecord, rows)


def draw_figures(paths: Paths, data: str, found: dict[str, Any]) -> None:
    folder, where = paths.metrics / "figures", "drawn sample" if data == "sample" else "photos"
    histories = {name: read_rows(paths.metrics / f"{name}_history.csv", EpochRecord) for name in OBJECTIVE_NAMES}
    for objective, history in histories.items():
        title = f"{NAMES[objective]}, test set of the {where}"
        save(confusion_figure(found[objective]["confusion_matrix"], title), folder / f"confusion_{objective}.png")
        save(curves_figure({objective: history}, f"{NAMES[objective]}, {where}"), folder / f"curves_{objective}.png")
    save(curves_figure(histories, f"Both models, {where}"), folder / "curves.png")


def publish(paths: Paths, objective: str, found: dict[str, Any], tags: dict[str, str]) -> None:
    """Tell a model's MLflow run what came out."""
    (real_right, real_wrong), (fake_wrong, fake_right) = found["confusion_matrix"]
    counts = {"true_real": real_right, "false_fake": real_wrong, "false_real": fake_wrong, "true_fake": fake_right}
    values = {name: found[name] for name in scores.HEADLINE} | counts | {"argmax_accuracy": found["argmax_rule"]["accuracy"]}
    for difficulty, slice_ in found["by_difficulty"].items():
        values |= {f"{name}_{difficulty}": slice_[name] for name in ("recall", "roc_auc")}
    known = {f"test_{name}": float(value) for name, value in values.items() if value is not None}
    figures = sorted((paths.metrics / "figures").glob("*.png"))
    files = [*figures, paths.metrics / "scores.json", paths.predictions]
    tracking.publish_evaluation(paths.models / objective, paths.split, known, files, tags)


def candidate(params: Path) -> ObjectiveName:
    """The parameter `loss`."""
    name: ObjectiveName = load_params(params, "loss", ObjectiveName)  # type: ignore[arg-type]
    return name


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.evaluate", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("root", help="data.root, to tell MLflow")
    parser.add_argument("--packed", type=Path, required=True, help="folder with test.npy")
    parser.add_argument("--split", type=Path, required=True, help="CSV to read: every image's side")
    parser.add_argument(
        "--index-counts", type=Path, required=True, help="JSON to read: whether the photos are the drawn sample"
    )
    parser.add_argument("--models", type=Path, required=True, help="folder with the model folders ce and bce")
    parser.add_argument(
        "--metrics", type=Path, required=True, help="folder to write evaluate.json, scores.json, plots/ and figures/ to"
    )
    parser.add_argument("--predictions", type=Path, required=True, help="CSV to write: p_fake per test image")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="YAML to read `loss`, the candidate, of")
    arguments = vars(parser.parse_args(argv))
    root = arguments.pop("root")
    paths = Paths(**arguments)
    run(root, candidate(paths.params), paths)


if __name__ == "__main__":
    run_as_command(main)
