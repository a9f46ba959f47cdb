from pathlib import Path

import pytest

from fakeface.core.files import read_json, write_json
from fakeface.detector import CARD_FILE, Detector, load_detectors
from fakeface.scoring.results import Scores, read_scores
from fakeface.web.about import MODEL_CARD_FILE, read_about
from tests.reported import images, write_results
from tests.tiny_models import write_model


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a run leaves them: cross-entropy gives evidence, mostly where the edit is, BCE none."""
    folder = write_results(tmp_path_factory.mktemp("results"), images(), evidence=("ce",)).root / "metrics"
    (folder / MODEL_CARD_FILE).write_text("# Of this run\n")
    return folder


@pytest.fixture(scope="module")
def scores(metrics: Path) -> Scores:
    return read_scores(metrics / "scores.json")


@pytest.fixture
def models(tmp_path: Path, scores: Scores) -> Path:
    """As if the scores were theirs."""
    for name, model in scores.models.items():
        write_model(tmp_path / "models" / name, name)
        card = tmp_path / "models" / name / CARD_FILE
        write_json(card, read_json(card) | {"temperature": model.temperature})
    return tmp_path / "models"


@pytest.fixture
def detectors(models: Path) -> dict[str, Detector]:
    return load_detectors(models)


def test_a_map_may_be_read_as_the_edit_where_the_models_own_scores_say_so(
    models: Path, detectors: dict[str, Detector], metrics: Path
) -> None:
    about = read_about(models, metrics, detectors)
    assert about.card == "# Of this run\n"
    assert about.shows_edits == {"ce": True, "bce": False}


def test_scores_of_other_models_say_nothing(models: Path, detectors: dict[str, Detector], metrics: Path) -> None:
    write_json(models / "ce" / CARD_FILE, read_json(models / "ce" / CARD_FILE) | {"temperature": 1.0})
    about = read_about(models, metrics, detectors)
    assert about.shows_edits == {"ce": False, "bce": False}
    assert "No scores of these models are at hand" in about.card


@pytest.mark.parametrize("content", [None, "{}", "no JSON"])
def test_without_scores_or_with_those_of_another_version_it_is_the_same(
    models: Path, detectors: dict[str, Detector], tmp_path: Path, content: str | None
) -> None:
    (tmp_path / "metrics").mkdir()
    if content is not None:
        (tmp_path / "metrics/scores.json").write_text(content)
    assert (
        "| cross-entropy | 32 px, centre | below 0.400 | from 0.600 | 10% |"
        in read_about(models, tmp_path / "metrics", detectors).card
    )
