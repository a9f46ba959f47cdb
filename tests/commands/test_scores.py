from pathlib import Path
from typing import Any

import pytest

from fakeface.commands import scores as show
from fakeface.core.files import read_json, write_json
from fakeface.core.records import THRESHOLD_NAMES
from fakeface.scoring import scores
from fakeface.scoring.baselines import BASELINES
from tests.conftest import Command, Outcome


def scores_of(value: float) -> dict[str, Any]:
    """A model that has this value everywhere but in details."""
    of_test = dict.fromkeys(scores.NAMES, value)
    return {
        "train": of_test | {"accuracy": 0.95},
        "valid": of_test | {"accuracy": 0.7},
        "test": of_test,
        "intervals": {name: [value - 0.05, value + 0.05] for name in scores.NAMES},
        "slices": {
            "difficulty": {
                "mid": {"roc_auc": value + 0.01, "roc_auc_interval": [value - 0.06, value + 0.06]},
                "hard": {"roc_auc": None, "roc_auc_interval": None},
            },
        },
        "perturbed": {"jpeg_50": {"roc_auc": value - 0.1, "roc_auc_interval": [value - 0.15, value]}},
        "argmax_rule": {"accuracy": value - 0.2},
    }


BASELINE = {"accuracy": 0.5, "roc_auc": 0.6, "intervals": {"accuracy": [0.45, 0.55], "roc_auc": [0.55, 0.65]}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = {
        "data": "photos",
        "test_images": 302,
        "test_groups": 245,
        "threshold": "half",
        "pairs_across_sides": 0,
        "ce": scores_of(0.75),
        "bce": scores_of(0.7),
        "baselines": dict.fromkeys(BASELINES, BASELINE),
        "comparison": {"sentence": "Cross-entropy is ahead by a little: on these 302 images the difference means nothing."},
        "shift": {"sentence": "Valid is another mix."},
    }
    write_json(tmp_path / "scores.json", found)
    return tmp_path / "scores.json"


PAGE = """\
302 test images of photos, in 245 groups
fake from p_fake 0.5; in brackets 95 % intervals

                            accuracy                    roc_auc
cross-entropy               0.750 (0.700 to 0.800)      0.750 (0.700 to 0.800)
BCE                         0.700 (0.650 to 0.750)      0.700 (0.650 to 0.750)
to beat: majority class     0.500 (0.450 to 0.550)      0.600 (0.550 to 0.650)
to beat: JPEG header alone  0.500 (0.450 to 0.550)      0.600 (0.550 to 0.650)
to beat: file size alone    0.500 (0.450 to 0.550)      0.600 (0.550 to 0.650)

                            cross-entropy               BCE
average_precision           0.750 (0.700 to 0.800)      0.700 (0.650 to 0.750)
equal_error_rate            0.750 (0.700 to 0.800)      0.700 (0.650 to 0.750)
brier                       0.750 (0.700 to 0.800)      0.700 (0.650 to 0.750)
ece                         0.750 (0.700 to 0.800)      0.700 (0.650 to 0.750)
precision                   0.750 (0.700 to 0.800)      0.700 (0.650 to 0.750)
recall                      0.750 (0.700 to 0.800)      0.700 (0.650 to 0.750)
f1                          0.750 (0.700 to 0.800)      0.700 (0.650 to 0.750)
accuracy, train             0.950                       0.950
accuracy, valid             0.700                       0.700
accuracy, notebook's rule   0.550                       0.500
roc_auc, mid fakes          0.760 (0.690 to 0.810)      0.710 (0.640 to 0.760)
roc_auc, hard fakes         -                           -
roc_auc, jpeg_50            0.650 (0.600 to 0.750)      0.600 (0.550 to 0.700)

Cross-entropy is ahead by a little: on these 302 images the difference means nothing.
Valid is another mix.
Related pairs across train, valid and test: 0.
"""


def test_models_and_what_they_have_to_beat_then_details_then_what_it_means(command: Command, path: Path) -> None:
    assert command(show, path) == Outcome(0, PAGE, "")


def test_it_is_readable_in_100_columns(command: Command, path: Path) -> None:
    long = {"comparison": {"sentence": "A sentence of many words. " * 20}, "data": "sample", "threshold": "few_false_alarms"}
    write_json(path, read_json(path) | long)
    assert max(map(len, command(show, path).out.splitlines())) <= 100


def test_what_is_drawn_is_called_drawn(command: Command, path: Path) -> None:
    path.write_text(path.read_text().replace('"photos"', '"sample"'))
    assert command(show, path).out.startswith("302 test images of the drawn sample, not real photos, in 245 groups\n")


def test_every_score_baseline_and_threshold_has_its_words() -> None:
    assert sorted((*show.COLUMNS, *show.ROWS)) == sorted(scores.NAMES)
    assert tuple(show.BASELINES) == tuple(BASELINES)
    assert tuple(show.THRESHOLDS) == THRESHOLD_NAMES


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
