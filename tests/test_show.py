from pathlib import Path
from typing import Any

import pytest

from stages import scores, show
from stages.records import write_json
from tests.conftest import Command, Outcome


def scores_of(value: float) -> dict[str, Any]:
    return {
        **dict.fromkeys(scores.HEADLINE, value),
        "by_difficulty": {
            "mid": {"images": 302, "recall": 0.1, "roc_auc": value + 0.01},
            "hard": {"images": 8, "recall": 0.1, "roc_auc": None},
        },
        "argmax_rule": {"accuracy": value - 0.2},
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_json(tmp_path / "scores.json", {"data": "photos", "test_images": 604, "ce": scores_of(0.75), "bce": scores_of(0.7)})
    return tmp_path / "scores.json"


TABLE = """\
604 test images of photos

                              cross-entropy            BCE
accuracy                              0.750          0.700
roc_auc                               0.750          0.700
precision                             0.750          0.700
recall                                0.750          0.700
f1                                    0.750          0.700
average_precision                     0.750          0.700
roc_auc, mid fakes                    0.760          0.710
roc_auc, hard fakes                       -              -
accuracy, notebook's rule             0.550          0.500
"""


def test_a_row_per_score_and_a_column_per_model(command: Command, path: Path) -> None:
    assert command(show, path) == Outcome(0, TABLE, "")


def test_what_is_drawn_is_called_drawn(command: Command, path: Path) -> None:
    path.write_text(path.read_text().replace('"photos"', '"sample"'))
    assert command(show, path).out.startswith("604 test images of the drawn sample, not real photos\n")


def test_every_headline_score_has_a_row() -> None:
    assert tuple(scores.HEADLINE) == show.ROWS


def test_before_the_first_run_one_line_says_what_is_missing(command: Command, tmp_path: Path) -> None:
    absent = tmp_path / "scores.json"
    assert command(show, absent) == Outcome(1, "", f"error: {absent}: No such file or directory\n")


@pytest.mark.parametrize("content", ["{}", "[]", '{"data": "photos", "test_images": 3, "accuracy": 0.5}', "3", "scores"])
def test_a_file_without_scores_is_one_line(command: Command, path: Path, content: str) -> None:
    path.write_text(content)
    outcome = command(show, path)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.startswith(f"error: {path}: not ")
    assert outcome.err.count("\n") == 1
