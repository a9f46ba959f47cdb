"""Print both classifiers' scores, the baselines, and what their difference means.

Reads what `evaluate` wrote. Scores of the drawn sample are compared with the published ones, where published/ holds them.
Writes nothing.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill

from fakeface.core.errors import FakefaceError
from fakeface.core.files import read_json
from fakeface.core.records import LABEL_NAMES, MODEL_LABELS
from fakeface.reporting.published import published_lines
from fakeface.reporting.terminal import DATA_LABELS, number, table_row
from fakeface.scoring.results import BASELINE_LABELS, SCORE_NAMES, THRESHOLD_LABELS, WEB_HEADLINE, Scores, read_scores

PUBLISHED = Path("published")
"""A copy of the published run's metrics/, beside the project's own."""
WIDTH = 100
CELL_WIDTHS = (34, 28, 28)


def page(scores: Scores) -> str:
    sentences = [
        scores.comparison.sentence,
        scores.shift.sentence,
        scores.elsewhere.sentence,
        f"Related pairs across train, valid and test: {scores.pairs_across_sides}.",
    ]
    return "\n".join(
        [
            f"{scores.test_images} test images of {DATA_LABELS[scores.data]}, in {scores.test_groups} groups",
            f"threshold: {THRESHOLD_LABELS[scores.threshold]}; in brackets 95 % intervals",
            "",
            *ranking(scores),
            "",
            *details(scores),
            "",
            *(fill(sentence, WIDTH) for sentence in sentences),
        ]
    )


def ranking(scores: Scores) -> Iterator[str]:
    """A table per score, a row per model and per baseline: as distributed, and after the web where that is another number."""
    for at, score in enumerate(WEB_HEADLINE):
        if at:
            yield ""
        yield table_row(("", score, f"web_{score}"), CELL_WIDTHS)
        for objective, model in scores.models.items():
            cells = number(*model.estimate(score)), number(*model.web.estimate(score))
            yield table_row((MODEL_LABELS[objective], *cells), CELL_WIDTHS)
        for name, baseline in scores.baselines.items():
            yield table_row((f"baseline: {BASELINE_LABELS[name]}", number(*baseline.estimate(score)), ""), CELL_WIDTHS)


def details(scores: Scores) -> Iterator[str]:
    """A row per score; a column per model."""
    models = list(scores.models.values())
    rows = {"": list(MODEL_LABELS.values())}
    rows["web_drop"] = [number(model.web.drop.difference, model.web.drop.interval) for model in models]
    rows["same_table_roc_auc"] = [number(*model.same_table) for model in models]
    for name, linked in (
        ("pairwise_accuracy, {} pairs", [model.linked_pairs for model in models]),
        ("  of valid, {} pairs", [model.valid_linked_pairs for model in models]),
    ):
        rows[name.format(linked[0].pairs)] = [number(pairs.pairwise_accuracy, pairs.interval) for pairs in linked]
    for name in SCORE_NAMES:
        if name not in WEB_HEADLINE:
            rows[name] = [number(*model.estimate(name)) for model in models]
    for where, answers in (
        ("", [model.answers.test for model in models]),
        ("after the web, ", [model.answers.web for model in models]),
    ):
        for answer in LABEL_NAMES:
            given = [scored[answer] for scored in answers]
            rows[f"{where}called {answer}"] = [number(scored.coverage, scored.coverage_interval) for scored in given]
            rows[f"{where}{answer}, but wrong"] = [number(scored.error, scored.error_interval) for scored in given]
    rows["unlike what was learned from"] = [number(model.answers.test_novel) for model in models]
    rows["accuracy, train"] = [number(model.train.accuracy) for model in models]
    rows["accuracy, valid"] = [number(model.valid.accuracy) for model in models]
    rows["train_valid_gap"] = [number(model.train_valid_gap) for model in models]
    rows["accuracy, notebook's rule"] = [number(model.argmax_rule.accuracy) for model in models]
    for name in scores.ce.slices["difficulty"]:
        slices = [model.slices["difficulty"][name] for model in models]
        rows[f"roc_auc, {name} fakes"] = [number(scored.roc_auc, scored.roc_auc_interval) for scored in slices]
    for name in scores.ce.perturbed:
        perturbed = [model.perturbed[name] for model in models]
        rows[f"roc_auc, {name}"] = [number(scored.roc_auc, scored.roc_auc_interval) for scored in perturbed]
    yield from (table_row((name, *cells), CELL_WIDTHS) for name, cells in rows.items())


def beside_published(scores: Scores, metrics: Path) -> list[str]:
    """A line per model with its published scores; none but for the drawn sample, and none where published/ has no scores."""
    if scores.data != "sample" or not (PUBLISHED / "scores.json").is_file():
        return []
    own, published = split_hash(metrics), split_hash(PUBLISHED)
    try:
        published_scores = read_scores(PUBLISHED / "scores.json")
    except FakefaceError:
        return [f"The scores in {PUBLISHED}/ are of another version of the project: `make publish` replaces them by these."]
    return published_lines(scores, published_scores, same_split=own is not None and own == published)


def split_hash(metrics: Path) -> str | None:
    """The hash of the images and their sides, None where there is no split.json."""
    path = metrics / "split.json"
    return str(read_json(path)["split_sha256"]) if path.is_file() else None


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
    if not path.exists():
        raise FakefaceError(f"{path}: no such file: `dvc repro` writes it")
    scores = read_scores(path)
    lines = [fill(line, WIDTH) for line in beside_published(scores, path.parent)]
    print("\n".join([page(scores), *(["", *lines] if lines else [])]))
