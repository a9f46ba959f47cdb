"""Report the results: a page, a model card, figures, both MLflow runs, and the candidate in MLflow's registry.

reads   METRICS, written by the stages before; SPLIT, PREDICTIONS, model.json and run.json of each model in MODELS;
        params.yaml; the photos in data.root, where `report.thumbnails` is true
does    plots the figures, fills in the templates
writes  METRICS/figures/*.png; PAGE, one HTML file that loads nothing; CARD, the model card; the MLflow runs of both
        models, restored where the store lacks them; and a version of the registered model fakeface
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from matplotlib.figure import Figure

from fakeface.core.arguments import ParamsPath, parse_paths
from fakeface.core.errors import run_as_command
from fakeface.core.files import read_json, read_rows, replacing
from fakeface.core.params import flat_params, read_yaml
from fakeface.core.records import MODEL_LABELS, OBJECTIVE_NAMES, EpochRecord, ObjectiveName
from fakeface.detector import CARD_FILE, RUN_FILE
from fakeface.params import DataParams, ReportParams, load_params
from fakeface.reporting import figures
from fakeface.reporting.mistakes import Mistake, confident_mistakes
from fakeface.reporting.pages import difficulties, rendered, standing_against_baselines
from fakeface.reporting.rows import robustness_rows, slice_rows, unperturbed_row
from fakeface.reporting.terminal import number
from fakeface.scoring.predictions import SidePredictions, load_images, load_predictions
from fakeface.scoring.results import HEADLINE, SCORE_NAMES, WEB_HEADLINE, Scores, read_scores
from fakeface.scoring.scores import roc_curve
from fakeface.tracking import registry, runs
from fakeface.tracking.contact import Contact
from fakeface.tracking.redaction import redacted_values

LOGGED_SECTIONS = (
    "loss", "threshold", "data", "elsewhere", "index", "relate", "split", "pack", "augment", "model", "train", "answers",
    "evaluate", "report",
)  # fmt: skip
"""The sections of params.yaml that the page lists."""
COUNTS = ("evaluate", "index", "relate", "split", "stats")
DESCRIPTIONS = {
    "curves": "Training and validation loss of both models by epoch",
    "roc": "ROC curves of both models: true positive rate against false positive rate",
    "reliability": "Reliability diagram of both models: share of fakes against mean p_fake",
    "slices": "AUC of both models by slice of the test images, with intervals",
    "robustness": "AUC of both models after each perturbation of the test images, with intervals",
}
"""The figures on the page, in words for screen readers; the other figures are for MLflow and DVC."""


@dataclasses.dataclass(frozen=True)
class Paths:
    split: Annotated[Path, "CSV to read: every image's side"]
    predictions: Annotated[Path, "CSV to read: every image's p_fake by both models"]
    models: Annotated[Path, "folder to read the model folders ce and bce from"]
    metrics: Annotated[Path, "folder to read the scores from and to write figures/ to"]
    page: Annotated[Path, "HTML to write: the report"]
    card: Annotated[Path, "Markdown to write: the model card"]
    params: ParamsPath = Path("params.yaml")


def make_figures(
    scores: Scores,
    histories: Mapping[ObjectiveName, Sequence[EpochRecord]],
    predictions: Mapping[ObjectiveName, SidePredictions],
) -> dict[str, Figure]:
    """Every figure by name; `predictions` are those for the test images."""
    data = "drawn sample" if scores.data == "sample" else "photos"
    test = f"test set of the {data}"
    points = {objective: scores.operating_point(objective) for objective in OBJECTIVE_NAMES}
    operating_points = {
        objective: (point.false_positive_rate, point.recall)
        for objective, point in points.items()
        if point.false_positive_rate is not None and point.recall is not None
    }
    curves = {objective: roc_curve(side.labels, side.p_fake) for objective, side in predictions.items()}
    bins = {objective: model.reliability for objective, model in scores.models.items()}
    sliced = [unperturbed_row(scores, "all test images"), *(row for rows in slice_rows(scores).values() for row in rows)]
    made = {}
    for objective, model in scores.models.items():
        label = MODEL_LABELS[objective]
        made[f"confusion_{objective}"] = figures.confusion_figure(model.confusion_matrix, f"{label}, {test}")
        made[f"curves_{objective}"] = figures.curves_figure({objective: histories[objective]}, f"Loss of {label}, {data}")
    return made | {
        "curves": figures.curves_figure(histories, f"Loss of both models, {data}"),
        "roc": figures.roc_figure(curves, operating_points, f"ROC curves, {test}"),
        "reliability": figures.reliability_figure(bins, f"Reliability diagram, {test}"),
        "slices": figures.intervals_figure(sliced, f"AUC by slice, {test}"),
        "robustness": figures.intervals_figure(robustness_rows(scores), f"AUC after perturbations, {test}"),
    }


def page(
    loss: ObjectiveName,
    plots: Mapping[str, Figure],
    mistakes: Mapping[ObjectiveName, Sequence[Mistake]],
    results: dict[str, Any],
    paths: Paths,
) -> str:
    """The report, one HTML file."""
    params = flat_params(read_yaml(paths.params))
    facts = {
        "loss": loss,
        "params": redacted_values({key: value for key, value in params.items() if key.partition(".")[0] in LOGGED_SECTIONS}),
        "runs": {objective: read_json(paths.models / objective / RUN_FILE) for objective in OBJECTIVE_NAMES},
        "cards": {objective: read_json(paths.models / objective / CARD_FILE) for objective in OBJECTIVE_NAMES},
        "figures": {name: figures.svg(plots[name], name, words) for name, words in DESCRIPTIONS.items()},
        "mistakes": mistakes,
    }
    return rendered("report.html.jinja", results | facts)


def card(metrics: Path, params: Path) -> str:
    """The model card, Markdown: from metrics/ and params.yaml alone, which Git tracks, so that a test can write it again."""
    training = {objective: read_json(metrics / f"train_{objective}.json") for objective in OBJECTIVE_NAMES}
    return rendered(
        "model-card.md.jinja", read_results(metrics) | {"training": training, "params": redacted_values(read_yaml(params))}
    )


def read_results(metrics: Path) -> dict[str, Any]:
    """The files in metrics/ that the templates read, by name."""
    results = {name: read_json(metrics / f"{name}.json") for name in COUNTS}
    return results | {"scores": read_scores(metrics / "scores.json"), "difficulties": difficulties(results["split"])}


def mlflow_metrics(scores: Scores, objective: ObjectiveName) -> dict[str, float]:
    """The metrics that MLflow compares runs by: scores of the test images by name, and of valid's those after the web.

    `localization` is within_photo_accuracy. Undefined ones are left out.
    """
    model = scores.models[objective]
    (true_real, false_fake), (false_real, true_fake) = model.confusion_matrix
    values: dict[str, float | None] = {name: getattr(model.test, name) for name in SCORE_NAMES}
    values |= {"true_real": true_real, "false_fake": false_fake, "false_real": false_real, "true_fake": true_fake}
    values["argmax_accuracy"] = model.argmax_rule.accuracy
    values |= model.answered()
    values |= model.headline("test") | {"same_table_roc_auc": model.same_table.value}
    for name in WEB_HEADLINE:
        values[f"{name}_low"], values[f"{name}_high"] = model.estimate(name).interval or (None, None)
        values[f"web_{name}_low"], values[f"web_{name}_high"] = model.web.estimate(name).interval or (None, None)
    for difficulty, sliced in model.slices["difficulty"].items():
        values |= {f"recall_{difficulty}": sliced.recall, f"roc_auc_{difficulty}": sliced.roc_auc}
    values |= {f"roc_auc_{perturbation}": perturbed.roc_auc for perturbation, perturbed in model.perturbed.items()}
    logged = {f"test_{name}": value for name, value in values.items()}
    logged |= {f"valid_{name}": value for name, value in model.headline("valid").items() if name not in HEADLINE}
    logged["train_valid_gap"] = model.train_valid_gap
    logged["elsewhere_false_positive_rate"] = scores.elsewhere.false_positive_rate(objective)
    for side, found in (("test", model.localization), ("valid", model.valid_localization)):
        logged[f"{side}_localization"] = found.within_photo_accuracy if found else None
    return {name: float(value) for name, value in logged.items() if value is not None}


def run(paths: Paths, root: Path, loss: ObjectiveName, params: ReportParams) -> None:
    results = read_results(paths.metrics)
    scores: Scores = results["scores"]
    images = load_images(paths.split)
    predictions = {objective: sides["test"] for objective, sides in load_predictions(paths.predictions, images).items()}
    histories = {objective: read_rows(paths.metrics / f"{objective}_history.csv", EpochRecord) for objective in OBJECTIVE_NAMES}
    plots = make_figures(scores, histories, predictions)
    for name, figure in plots.items():
        figures.save(figure, paths.metrics / "figures" / f"{name}.png")
    thumbnail_root = root if params.thumbnails else None
    mistakes = {
        objective: confident_mistakes(
            images["test"], side, scores.operating_point(objective).threshold, params.mistakes, thumbnail_root
        )
        for objective, side in predictions.items()
    }
    write_text(paths.page, page(loss, plots, mistakes, results, paths))
    write_text(paths.card, card(paths.metrics, paths.params))
    publish(paths, root, loss, scores, sorted(plots))


def publish(paths: Paths, root: Path, loss: ObjectiveName, scores: Scores, figure_names: Sequence[str]) -> None:
    """Log the scores and the files to both models' MLflow runs."""
    files = [paths.metrics / "figures" / f"{name}.png" for name in figure_names]
    files += [paths.metrics / "scores.json", paths.split, paths.predictions, paths.page]
    contact = Contact()  # one for all, so that a dead store is waited for once
    for objective in OBJECTIVE_NAMES:
        tags = {"data": scores.data, "data.root": str(root), "candidate": str(objective == loss).lower()}
        metrics = mlflow_metrics(scores, objective)
        runs.publish_evaluation(contact, paths.models / objective, paths.split, metrics, files, tags)
    code = Path(figures.__file__).with_name("served.py")
    registry.register(contact, paths.models, loss, code, registered_tags(paths, loss, scores))


def registered_tags(paths: Paths, loss: ObjectiveName, scores: Scores) -> dict[str, str]:
    """What a version in the registry is known by: its data, its code, the candidate's scores of the test images."""
    commit = read_json(paths.models / loss / RUN_FILE)["tags"].get("mlflow.source.git.commit", "none")
    tags = {"data": scores.data, "data_sha256": read_json(paths.metrics / "split.json")["split_sha256"], "git_commit": commit}
    model = scores.models[loss]
    for name in WEB_HEADLINE:
        tags[name], tags[f"web_{name}"] = number(*model.estimate(name)), number(*model.web.estimate(name))
    return tags | {"against_baselines": standing_against_baselines(scores, loss)[0]}


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def main(argv: list[str]) -> None:
    paths = parse_paths(Paths, argv)
    root = load_params(paths.params, "data", DataParams).root
    loss: ObjectiveName = load_params(paths.params, "loss", ObjectiveName)  # type: ignore[arg-type]
    run(paths, root, loss, load_params(paths.params, "report", ReportParams))


if __name__ == "__main__":
    run_as_command(main)
