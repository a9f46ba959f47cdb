import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from fakeface.core.errors import FakefaceError
from fakeface.core.files import write_json
from fakeface.core.records import THRESHOLD_NAMES
from fakeface.scoring import scores as formulas
from fakeface.scoring.baselines import BASELINES
from fakeface.scoring.results import (
    BASELINE_LABELS,
    HEADLINE,
    SCORE_NAMES,
    THRESHOLD_LABELS,
    AnswerScores,
    BaselineScores,
    ElsewhereScores,
    LinkedPairScores,
    PerturbedScores,
    SideScores,
    SliceScores,
    ThresholdScores,
    WebScores,
    read_scores,
)
from tests.checkout import PROJECT
from tests.scored import elsewhere, model, scores


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    undefined = model(None, None, None, None)
    for written in (scores(), scores(undefined, threshold="few_false_alarms", data="photos", elsewhere=elsewhere())):
        write_json(tmp_path / "scores.json", asdict(written))
        assert read_scores(tmp_path / "scores.json") == written


def test_the_committed_scores_are_written_back_byte_for_byte(tmp_path: Path) -> None:
    """Keys, their order and the numbers' digits."""
    write_json(tmp_path / "scores.json", asdict(read_scores(PROJECT / "published/scores.json")))
    assert (tmp_path / "scores.json").read_bytes() == (PROJECT / "published/scores.json").read_bytes()


@pytest.mark.parametrize(
    "kind",
    [
        SideScores,
        ThresholdScores,
        SliceScores,
        PerturbedScores,
        BaselineScores,
        WebScores,
        AnswerScores,
        LinkedPairScores,
        ElsewhereScores,
    ],
)
def test_a_score_has_the_name_of_its_formula(kind: type[Any]) -> None:
    others = {"images", "fakes", "threshold", "valid_accuracy", "roc_auc_interval", "intervals"}
    others |= {"drop", "pairs", "groups", "interval", "coverage_interval", "error_interval"}
    others |= {"false_positive_rate_interval", "answers", "novel"}
    names = set(kind.__dataclass_fields__) - others
    assert names
    assert all(callable(getattr(formulas, name)) for name in names)


def test_every_formula_has_its_field() -> None:
    registered = [formula.__name__ for formula in (*formulas.PROBABILITY_SCORES, *formulas.VERDICT_SCORES)]
    assert sorted(registered) == sorted(SCORE_NAMES)
    assert all(getattr(formulas, name).__name__ == name for name in registered)
    assert tuple(SideScores.__dataclass_fields__) == ("images", *SCORE_NAMES)
    assert HEADLINE == ("accuracy", "roc_auc", "average_precision", "equal_error_rate", "brier", "ece")


def test_every_baseline_and_threshold_has_a_label() -> None:
    assert tuple(BASELINE_LABELS) == tuple(BASELINES)
    assert tuple(THRESHOLD_LABELS) == THRESHOLD_NAMES


def test_an_estimate_is_the_test_sides_score_with_its_interval() -> None:
    assert model(0.75, 0.8).estimate("roc_auc") == (0.8, (0.75, 0.85))
    assert scores().baselines["file_size"].estimate("accuracy") == (0.5, (0.45, 0.55))


def test_from_elsewhere_each_model_has_its_share_or_there_is_none() -> None:
    assert elsewhere().false_positive_rate("bce") == 0.123
    assert elsewhere().models.keys() == {"ce", "bce"}
    nowhere = scores().elsewhere
    assert (nowhere.false_positive_rate("ce"), nowhere.models) == (None, {})


def test_the_headline_has_each_number_beside_the_one_after_the_web() -> None:
    found = model(0.75, 0.8)
    assert found.headline("test") == {
        "accuracy": 0.75,
        "web_accuracy": 0.71,
        "roc_auc": 0.8,
        "web_roc_auc": 0.74,
        "web_drop": 0.06,
        **dict.fromkeys(HEADLINE[2:], 0.5),
        "pairwise_accuracy": 0.85,
    }
    valid = found.headline("valid")
    assert list(valid) == list(found.headline("test"))
    assert (valid["web_roc_auc"], valid["web_drop"], valid["pairwise_accuracy"]) == (0.64, 0.02, 0.8)


def test_the_same_table_is_a_slice_or_nothing() -> None:
    slices = model().slices
    assert model().same_table == (None, None)
    sliced = model(slices=slices | {"jpeg_table": {"same": SliceScores(40, 20, 0.6, 0.7, (0.6, 0.8))}})
    assert sliced.same_table == (0.7, (0.6, 0.8))


def test_the_operating_point_is_that_of_the_threshold_in_use() -> None:
    points = {name: ThresholdScores(number, 0, 0, 0, 0, 0, ((0, 0), (0, 0))) for number, name in enumerate(THRESHOLD_NAMES)}
    found = scores(bce=model(thresholds=points), threshold="balanced_accuracy")
    assert found.operating_point("bce") is points["balanced_accuracy"]


REWRITE = "`dvc repro evaluate` writes it anew"


@pytest.mark.parametrize(
    ("keys", "value", "complaint"),
    [
        (["threshold"], None, "threshold: missing"),
        (["ce", "test", "ece"], None, "ce.test.ece: missing"),
        (["bce", "intervals", "roc_auc"], None, "bce.intervals.roc_auc: missing"),
        (["ce", "web", "drop"], None, "ce.web.drop: missing"),
        (["elsewhere"], None, "elsewhere: missing"),
        (["bce", "valid_linked_pairs"], None, "bce.valid_linked_pairs: missing"),
        (["baselines", "face_box"], None, "baselines: face_box: missing"),
        (["ce", "thresholds", "half"], None, "ce.thresholds: half: missing"),
        (["ce", "slices", "part"], None, "ce.slices: part: missing"),
        (["baselines", "jpeg_header"], None, "baselines: jpeg_header: missing"),
        (["shift", "bce"], None, "shift.bce: missing"),
        (["bce", "test", "accuracy"], "0.5", "bce.test.accuracy: Input should be a valid number"),
        (["comparison", "roc_auc", "interval"], [0.1], "comparison.roc_auc.interval.1: missing"),
        (["threshold"], "best", "threshold: Input should be 'half', 'balanced_accuracy' or 'few_false_alarms'"),
        (["ce"], [], "ce: Input should be an object"),
    ],
    ids=str,
)
def test_damaged_or_old_scores_are_refused_by_key(tmp_path: Path, keys: list[str], value: object, complaint: str) -> None:
    damaged = json.loads(json.dumps(asdict(scores())))
    inner = damaged
    for key in keys[:-1]:
        inner = inner[key]
    if value is None:
        del inner[keys[-1]]
    else:
        inner[keys[-1]] = value
    write_json(tmp_path / "scores.json", damaged)
    with pytest.raises(FakefaceError) as raised:
        read_scores(tmp_path / "scores.json")
    assert str(raised.value) == f"{tmp_path}/scores.json: {complaint}; {REWRITE}"


@pytest.mark.parametrize("content", [b"", b"scores", b"\xff", b'{"data":'])
def test_what_is_not_json_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "scores.json").write_bytes(content)
    with pytest.raises(FakefaceError, match=r"scores\.json: not JSON: [^\n]+$"):
        read_scores(tmp_path / "scores.json")
