"""The model card: what it always says, and that its numbers are those of metrics/."""

import re
from pathlib import Path

import pytest

from fakeface.core.files import read_json
from fakeface.core.records import MODEL_LABELS, OBJECTIVE_NAMES, ElsewhereRecord
from fakeface.reporting.pages import bounds, score, what_evidence_shows
from fakeface.scoring.elsewhere import NOT_MEASURED
from fakeface.scoring.results import read_scores
from stages.report import card
from tests.checkout import PROJECT
from tests.reported import images, write_results


def test_the_published_card_is_that_of_the_published_results() -> None:
    """`make publish` copies all of them at once."""
    published = (PROJECT / "published/model-card.md").read_text(encoding="utf-8")
    assert published == card(PROJECT / "published", PROJECT / "recipes/sample.yaml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(tmp_path_factory.mktemp("results"), images(), is_sample=False).root


def test_the_card_needs_nothing_but_metrics_and_parameters(folder: Path, tmp_path: Path) -> None:
    """A clone has no models and no photos."""
    (folder / "metrics").rename(tmp_path / "metrics")
    (folder / "params.yaml").rename(tmp_path / "params.yaml")
    try:
        assert card(tmp_path / "metrics", tmp_path / "params.yaml").startswith("<!--")
    finally:
        (tmp_path / "metrics").rename(folder / "metrics")
        (tmp_path / "params.yaml").rename(folder / "params.yaml")


@pytest.mark.parametrize(
    "words",
    [
        "## Intended use",
        "## Not intended",
        "## Limits",
        "## Ethics",
        "## Licence",
        "CC BY-NC-SA 4.0",
        "Evidence against a person",
        "GAN or a diffusion model",
        "non-commercial",
    ],
)
def test_the_card_says(folder: Path, words: str) -> None:
    assert words in card(folder / "metrics", folder / "params.yaml")


def test_the_cards_numbers_are_those_of_the_scores(folder: Path) -> None:
    text, found = card(folder / "metrics", folder / "params.yaml"), read_json(folder / "metrics/scores.json")
    for name in OBJECTIVE_NAMES:
        model = found[name]
        for key in ("accuracy", "roc_auc", "average_precision", "equal_error_rate", "brier", "ece"):
            low, high = model["intervals"][key]
            assert f"{model['test'][key]:.3f} ({low:.3f} to {high:.3f})" in text
        for key in ("accuracy", "roc_auc"):
            (low, high), (web_low, web_high) = model["intervals"][key], model["web"]["intervals"][key]
            assert (
                f"| {model['test'][key]:.3f} ({low:.3f} to {high:.3f}) "
                f"| {model['web'][key]:.3f} ({web_low:.3f} to {web_high:.3f}) |"
            ) in text
        assert f" {model['web']['drop']['difference']:.3f} (" in text
        assert f" {model['train_valid_gap']:.3f} |" in text
        for goal, threshold in model["thresholds"].items():
            row = next(line for line in text.splitlines() if line.startswith(f"| {MODEL_LABELS[name]} | `{goal}`"))
            shares = [threshold[key] for key in ("threshold", "recall", "false_positive_rate", "accuracy")]
            assert row.endswith(f"| {' | '.join(f'{share:.3f}' for share in shares)} |")
        for answer, scored in model["answers"]["test"].items():
            row = next(line for line in text.splitlines() if line.startswith(f"| {MODEL_LABELS[name]} | {answer}, "))
            low, high = scored["coverage_interval"]
            assert f" | {scored['coverage']:.3f} ({low:.3f} to {high:.3f}) | " in row
            if scored["error"] is not None:
                assert f" | {scored['error']:.3f} (" in row
        assert f"a temperature of {model['temperature']:.3f}" in text
    assert found["comparison"]["sentence"] in text


def test_every_table_has_rows_as_wide_as_its_head(folder: Path) -> None:
    text = card(folder / "metrics", folder / "params.yaml")
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(tables) == 8
    for table in tables:
        widths = {line.count("|") for line in table.splitlines()}
        assert len(widths) == 1, table
        assert len(table.splitlines()) > 2
    assert not re.search(r"\n{3,}", text)


def test_where_the_score_comes_from_is_told_of_models_that_say_so(folder: Path, tmp_path: Path) -> None:
    assert "Where the score comes from" not in card(folder / "metrics", folder / "params.yaml")
    results = write_results(tmp_path, images(), evidence=["bce"]).root
    text, found = card(results / "metrics", results / "params.yaml"), read_scores(results / "metrics/scores.json")
    localization = found.bce.localization
    assert localization is not None
    low, high = localization.interval or (0, 0)
    told = f"{localization.within_photo_accuracy:.3f} ({low:.3f} to {high:.3f}; {localization.pairs} pairs in"
    assert f"| within a photo, test | – | {told} {localization.fakes} fakes) |" in text
    for name in OBJECTIVE_NAMES:
        assert what_evidence_shows(found, name) in text
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(tables) == 9
    assert all(len({line.count("|") for line in table.splitlines()}) == 1 for table in tables)
    assert not re.search(r"\n{3,}", text)


def test_photos_from_elsewhere_have_a_sentence_and_a_table_where_there_are_any(folder: Path, tmp_path: Path) -> None:
    assert f"\n{NOT_MEASURED}\n" in card(folder / "metrics", folder / "params.yaml")
    faces = [ElsewhereRecord(f"{number}.jpg", 1, number / 20, 1 - number / 20) for number in range(20)]
    results = write_results(tmp_path, images(), elsewhere=faces).root
    text, found = card(results / "metrics", results / "params.yaml"), read_scores(results / "metrics/scores.json").elsewhere
    assert found.sentence in text
    for name, scored in found.models.items():
        cells = [f"{score(answer.coverage)} ({bounds(answer.coverage_interval)})" for answer in scored.answers.values()]
        assert f"| {MODEL_LABELS[name]} | {' | '.join(cells)} |" in text
    assert len(re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)) == 9
    assert not re.search(r"\n{3,}", text)


def test_a_cards_words_follow_from_its_numbers(folder: Path, tmp_path: Path) -> None:
    text = card(folder / "metrics", folder / "params.yaml")
    assert "drawn sample**" not in text
    sample = write_results(tmp_path, images()).root
    assert "**These numbers are those of the drawn sample**" in card(sample / "metrics", sample / "params.yaml")
