from dataclasses import asdict, replace
from pathlib import Path

import pytest

from fakeface.commands import scores as command_scores
from fakeface.core.files import write_json
from fakeface.scoring.results import (
    BASELINE_LABELS,
    SCORE_NAMES,
    ModelScores,
    PerturbedScores,
    ScoreIntervals,
    Scores,
    SideScores,
    SliceScores,
)
from tests.conftest import Command, Outcome
from tests.scored import baseline, elsewhere, model, scores


def model_at(value: float) -> ModelScores:
    """A model that has this value everywhere but in details."""
    test = SideScores(images=302, **dict.fromkeys(SCORE_NAMES, value))
    return replace(
        model(),
        train=replace(test, accuracy=0.95),
        valid=replace(test, accuracy=0.7),
        test=test,
        intervals=ScoreIntervals(**dict.fromkeys(SCORE_NAMES, (value - 0.05, value + 0.05))),
        slices={
            "difficulty": {
                "mid": SliceScores(40, 20, 0.5, value + 0.01, (value - 0.06, value + 0.06)),
                "hard": SliceScores(20, 0, None, None, None),
            },
            "part": {},
            "parts": {},
            "jpeg_table": {"same": SliceScores(200, 49, 0.5, 0.78, (0.7, 0.83))},
            "size": {},
        },
        perturbed={"jpeg_50": PerturbedScores(value - 0.1, (value - 0.15, value), 0.5)},
        argmax_rule=replace(model().argmax_rule, accuracy=value - 0.2),
    )


SCORES = scores(
    model_at(0.75),
    model_at(0.7),
    data="photos",
    test_images=302,
    baselines=dict.fromkeys(BASELINE_LABELS, baseline(0.5, 0.6, (0.45, 0.55), (0.55, 0.65))),
    comparison=replace(
        scores().comparison, sentence="Cross-entropy is ahead by a little: on these 302 images the difference means nothing."
    ),
    shift=replace(scores().shift, sentence="Valid is another mix."),
)


def written(folder: Path, content: Scores, split: str = "a6103476") -> Path:
    write_json(folder / "scores.json", asdict(content))
    write_json(folder / "split.json", {"split_sha256": split})
    return folder / "scores.json"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return written(tmp_path / "metrics", SCORES)


PAGE = """\
302 test images of photos, in 245 groups
threshold: fixed at 0.5; in brackets 95 % intervals

                                  accuracy                    web_accuracy
cross-entropy                     0.750 (0.700 to 0.800)      0.710 (0.660 to 0.760)
BCE                               0.700 (0.650 to 0.750)      0.710 (0.660 to 0.760)
baseline: majority class          0.500 (0.450 to 0.550)
baseline: JPEG header alone       0.500 (0.450 to 0.550)
baseline: file size alone         0.500 (0.450 to 0.550)
baseline: face position and size  0.500 (0.450 to 0.550)

                                  roc_auc                     web_roc_auc
cross-entropy                     0.750 (0.700 to 0.800)      0.740 (0.690 to 0.790)
BCE                               0.700 (0.650 to 0.750)      0.740 (0.690 to 0.790)
baseline: majority class          0.600 (0.550 to 0.650)
baseline: JPEG header alone       0.600 (0.550 to 0.650)
baseline: file size alone         0.600 (0.550 to 0.650)
baseline: face position and size  0.600 (0.550 to 0.650)

                                  cross-entropy               BCE
web_drop                          0.060 (0.030 to 0.090)      0.060 (0.030 to 0.090)
same_table_roc_auc                0.780 (0.700 to 0.830)      0.780 (0.700 to 0.830)
pairwise_accuracy, 19 pairs       0.850 (0.700 to 0.950)      0.850 (0.700 to 0.950)
  of valid, 30 pairs              0.800 (0.650 to 0.900)      0.800 (0.650 to 0.900)
average_precision                 0.750 (0.700 to 0.800)      0.700 (0.650 to 0.750)
equal_error_rate                  0.750 (0.700 to 0.800)      0.700 (0.650 to 0.750)
brier                             0.750 (0.700 to 0.800)      0.700 (0.650 to 0.750)
ece                               0.750 (0.700 to 0.800)      0.700 (0.650 to 0.750)
precision                         0.750 (0.700 to 0.800)      0.700 (0.650 to 0.750)
recall                            0.750 (0.700 to 0.800)      0.700 (0.650 to 0.750)
f1                                0.750 (0.700 to 0.800)      0.700 (0.650 to 0.750)
called real                       0.300 (0.250 to 0.350)      0.300 (0.250 to 0.350)
real, but wrong                   0.100 (0.050 to 0.150)      0.100 (0.050 to 0.150)
called fake                       0.200 (0.150 to 0.250)      0.200 (0.150 to 0.250)
fake, but wrong                   0.050 (0.010 to 0.100)      0.050 (0.010 to 0.100)
after the web, called real        0.300 (0.250 to 0.350)      0.300 (0.250 to 0.350)
after the web, real, but wrong    0.100 (0.050 to 0.150)      0.100 (0.050 to 0.150)
after the web, called fake        0.200 (0.150 to 0.250)      0.200 (0.150 to 0.250)
after the web, fake, but wrong    0.050 (0.010 to 0.100)      0.050 (0.010 to 0.100)
unlike what was learned from      0.040                       0.040
accuracy, train                   0.950                       0.950
accuracy, valid                   0.700                       0.700
train_valid_gap                   0.200                       0.200
accuracy, notebook's rule         0.550                       0.500
roc_auc, mid fakes                0.760 (0.690 to 0.810)      0.710 (0.640 to 0.760)
roc_auc, hard fakes               -                           -
roc_auc, jpeg_50                  0.650 (0.600 to 0.750)      0.600 (0.550 to 0.700)

Cross-entropy is ahead by a little: on these 302 images the difference means nothing.
Valid is another mix.
On photos from elsewhere nothing is measured: elsewhere.root in params.yaml names no folder.
Related pairs across train, valid and test: 0.
"""


def test_models_and_baselines_then_details_then_what_it_means(command: Command, path: Path) -> None:
    assert command(command_scores, path) == Outcome(0, PAGE, "")


def test_a_line_tells_what_a_stranger_meets_first(command: Command, path: Path) -> None:
    written(path.parent, replace(SCORES, elsewhere=elsewhere()))
    assert f"\n{elsewhere().sentence}\n" in command(command_scores, path).out


def test_it_is_readable_in_100_columns(command: Command, path: Path) -> None:
    comparison = replace(SCORES.comparison, sentence="A sentence of many words. " * 20)
    long = replace(SCORES, comparison=comparison, data="sample", threshold="few_false_alarms")
    written(path.parent, long)
    written(path.parents[1] / "published", long)
    assert max(map(len, command(command_scores, path).out.splitlines())) <= 100


def test_the_drawn_sample_is_called_so(command: Command, path: Path) -> None:
    written(path.parent, replace(SCORES, data="sample"))
    assert command(command_scores, path).out.startswith("302 test images of the drawn sample, not real photos, in 245 groups\n")


PUBLISHED = scores(model(0.783, 0.871, (0.733, 0.830), (0.830, 0.909)), model(0.5, 0.5, (0.4, 0.6), (0.4, 0.6)))
BESIDE_PUBLISHED = """
cross-entropy: accuracy 0.750, AUC 0.800; published 0.783 (0.733 to 0.830), 0.871 (0.830 to 0.909):
accuracy inside the published 95 % interval, AUC outside the published 95 % interval
BCE: accuracy 0.750, AUC 0.800; published 0.500 (0.400 to 0.600), 0.500 (0.400 to 0.600): both
outside the published 95 % intervals
"""


def test_the_samples_scores_end_with_the_published_ones(command: Command, path: Path) -> None:
    written(path.parent, scores())
    without = command(command_scores, path)
    written(path.parents[1] / "published", PUBLISHED)
    assert command(command_scores, path) == Outcome(0, without.out + BESIDE_PUBLISHED, "")


def test_scores_of_another_split_are_not_compared_with_the_published_ones(command: Command, path: Path) -> None:
    written(path.parent, scores())
    written(path.parents[1] / "published", PUBLISHED, split="another")
    expected = "\n\nThe published scores are of other images or another split: they cannot be compared with these.\n"
    assert command(command_scores, path).out.endswith(expected)
    (path.parent / "split.json").unlink()
    assert command(command_scores, path).out.endswith(expected)


def test_published_scores_of_another_version_take_nothing_from_ones_own(command: Command, path: Path) -> None:
    written(path.parent, scores())
    written(path.parents[1] / "published", PUBLISHED)
    (path.parents[1] / "published/scores.json").write_text('{"data": "sample"}')
    done = command(command_scores, path)
    assert (done.status, done.err) == (0, "")
    assert "are of another version of the project: `make publish` replaces them" in done.out


def test_scores_of_photos_are_not_compared_with_the_published_ones(command: Command, path: Path) -> None:
    written(path.parents[1] / "published", PUBLISHED)
    assert command(command_scores, path) == Outcome(0, PAGE, "")


def test_before_the_first_run_one_line_says_what_is_missing(command: Command, tmp_path: Path) -> None:
    absent = tmp_path / "scores.json"
    assert command(command_scores, absent) == Outcome(1, "", f"error: {absent}: no such file: `dvc repro` writes it\n")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{}", "data: missing; `dvc repro evaluate` writes it anew"),
        ('{"data": "photos", "test_images": 3}', "pairs_across_sides: missing; `dvc repro evaluate` writes it anew"),
        ("[]", "Input should be an object; `dvc repro evaluate` writes it anew"),
        ("scores", "not JSON: Invalid JSON: expected value at line 1 column 1"),
    ],
)
def test_a_file_without_scores_is_one_line(command: Command, path: Path, content: str, complaint: str) -> None:
    path.write_text(content)
    assert command(command_scores, path) == Outcome(1, "", f"error: {path}: {complaint}\n")
