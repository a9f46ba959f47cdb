from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fakeface.core.errors import FakefaceError
from fakeface.core.files import write_json, write_rows
from fakeface.core.records import (
    OBJECTIVE_NAMES,
    EvidenceRecord,
    FaceRecord,
    PairRecord,
    PerturbedRecord,
    PredictionRecord,
    Side,
    SplitRecord,
    ThresholdName,
)
from fakeface.detector import Answers
from fakeface.scoring.predictions import (
    Card,
    load_card,
    load_evidence,
    load_faces,
    load_images,
    load_linked_pairs,
    load_perturbed,
    load_predictions,
)
from tests.split_rows import image

IMAGES = [
    image(0, 0, side="train"),
    image(1, 1, side="valid"),
    image(2, 0),
    image(3, 1),
    image(4, 1, side="excluded"),
]
SIDES: tuple[Side, ...] = ("train", "valid", "test")
BY_SIDE = {side: [row for row in IMAGES if row.side == side] for side in SIDES}
PREDICTIONS = [
    PredictionRecord(row.path, row.side, row.label, 0.1 * number, 0.2 * number, 0.11 * number, 0.22 * number, number % 2)  # type: ignore[arg-type]
    for number, row in enumerate(IMAGES)
    if row.side != "excluded"
]
PERTURBED = [
    PerturbedRecord("0001.jpg", "web", 0.5, 0.6),
    *(
        PerturbedRecord(row.path, name, ce_p_fake, 0.9)
        for row in IMAGES[2:4]
        for name, ce_p_fake in (("blur", 0.2), ("noise", 0.3), ("web", 0.1))
    ),
]


def loaded(folder: Path, rows: list[PredictionRecord]) -> object:
    write_rows(folder / "split.csv", SplitRecord, IMAGES)
    write_rows(folder / "predictions.csv", PredictionRecord, rows)
    return load_predictions(folder / "predictions.csv", load_images(folder / "split.csv"))


def complaint(folder: Path, rows: list[PredictionRecord]) -> str:
    with pytest.raises(FakefaceError) as raised:
        loaded(folder, rows)
    return str(raised.value).removeprefix(f"{folder}/")


def test_predictions_go_by_side_in_the_order_of_the_images_paths(tmp_path: Path) -> None:
    found = loaded(tmp_path, PREDICTIONS[::-1])
    assert isinstance(found, dict)
    assert found["ce"]["test"].labels.tolist() == [0, 1]
    assert found["ce"]["test"].p_fake.tolist() == [PREDICTIONS[2].ce_p_fake, PREDICTIONS[3].ce_p_fake]
    assert found["bce"]["test"].raw_p_fake.tolist() == [PREDICTIONS[2].bce_raw_p_fake, PREDICTIONS[3].bce_raw_p_fake]
    assert [len(found["bce"][side].labels) for side in ("train", "valid", "test")] == [1, 1, 2]


def test_the_notebooks_rule_is_bces_own_verdict_and_ces_larger_half(tmp_path: Path) -> None:
    rows = [replace(row, ce_raw_p_fake=0.5 + (0.01 if row.path == "0002.jpg" else 0), bce_argmax=1) for row in PREDICTIONS]
    found = loaded(tmp_path, rows)
    assert isinstance(found, dict)
    assert found["ce"]["test"].argmax_verdicts.tolist() == [True, False]
    assert found["bce"]["test"].argmax_verdicts.tolist() == [True, True]


@pytest.mark.parametrize(
    ("rows", "odd"),
    [
        pytest.param(PREDICTIONS[:3], "0003.jpg", id="one is missing"),
        pytest.param([], "0000.jpg", id="all are missing"),
        pytest.param([*PREDICTIONS, PREDICTIONS[1]], "0001.jpg", id="one twice"),
        pytest.param([*PREDICTIONS, replace(PREDICTIONS[0], path="0004.jpg", side="excluded")], "0004.jpg", id="excluded"),
        pytest.param([*PREDICTIONS[:3], replace(PREDICTIONS[3], path="0009.jpg")], "0003.jpg", id="another"),
        pytest.param([*PREDICTIONS[:3], replace(PREDICTIONS[3], side="valid")], "0003.jpg", id="on another side"),
        pytest.param([*PREDICTIONS[:3], replace(PREDICTIONS[3], label=0)], "0003.jpg", id="of another label"),
    ],
)
def test_predictions_of_another_split_are_refused(tmp_path: Path, rows: list[PredictionRecord], odd: str) -> None:
    assert complaint(tmp_path, rows) == f"predictions.csv: {odd}: not as in the split: run `infer` again"


@pytest.mark.parametrize("value", [float("nan"), 1.01, -0.01, float("inf")])
def test_a_network_that_says_no_probability_is_named(tmp_path: Path, value: float) -> None:
    rows = [*PREDICTIONS[:3], replace(PREDICTIONS[3], bce_p_fake=value)]
    assert complaint(tmp_path, rows) == f"predictions.csv: bce_p_fake of 0003.jpg: {value}: expected 0 to 1"


def test_perturbed_images_go_by_model_and_perturbation(tmp_path: Path) -> None:
    write_rows(tmp_path / "perturbed.csv", PerturbedRecord, PERTURBED[::-1])
    found = load_perturbed(tmp_path / "perturbed.csv", BY_SIDE)
    assert list(found["ce"]["test"]) == ["web", "noise", "blur"]
    assert found["ce"]["test"]["blur"].p_fake.tolist() == [0.2, 0.2]
    assert found["bce"]["test"]["noise"].p_fake.tolist() == [0.9, 0.9]
    assert {name: predictions.p_fake.tolist() for name, predictions in found["ce"]["valid"].items()} == {"web": [0.5]}


def test_novelty_goes_by_model_and_is_no_number_of_one_that_cannot_tell(tmp_path: Path) -> None:
    rows = [replace(row, ce_novelty=0.5 + number) for number, row in enumerate(PERTURBED)]
    write_rows(tmp_path / "perturbed.csv", PerturbedRecord, rows)
    found = load_perturbed(tmp_path / "perturbed.csv", BY_SIDE)
    by_path = {(row.perturbation, row.path): row.ce_novelty for row in rows}
    assert found["ce"]["test"]["blur"].novelty.tolist() == [by_path["blur", image.path] for image in BY_SIDE["test"]]
    assert np.isnan(found["bce"]["test"]["blur"].novelty).all()


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(PERTURBED[:-1], id="one is missing"),
        pytest.param(PERTURBED[1:], id="valid's is missing"),
        pytest.param([*PERTURBED, PERTURBED[1]], id="one twice"),
        pytest.param([row for row in PERTURBED if row.perturbation != "web"], id="without the web"),
        pytest.param([*PERTURBED, replace(PERTURBED[0], path="0000.jpg")], id="of train"),
    ],
)
def test_a_perturbation_of_other_images_is_refused(tmp_path: Path, rows: list[PerturbedRecord]) -> None:
    write_rows(tmp_path / "perturbed.csv", PerturbedRecord, rows)
    with pytest.raises(FakefaceError, match=r"perturbed\.csv: 000\d\.jpg: not as in the split: run `infer` again"):
        load_perturbed(tmp_path / "perturbed.csv", BY_SIDE)


def test_faces_go_by_path(tmp_path: Path) -> None:
    faces = [FaceRecord(row.path, 1, 0.9, 1, 2, 3, 4) for row in IMAGES[:3]]
    faces += [FaceRecord("0003.jpg", 0, None, None, None, None, None)]
    write_rows(tmp_path / "faces.csv", FaceRecord, faces[::-1])
    assert load_faces(tmp_path / "faces.csv", BY_SIDE) == {face.path: face for face in faces}
    write_rows(tmp_path / "faces.csv", FaceRecord, faces[1:])
    with pytest.raises(FakefaceError, match=r"faces\.csv: 0000\.jpg: missing: run `find_faces` again$"):
        load_faces(tmp_path / "faces.csv", BY_SIDE)


def test_linked_pairs_are_a_real_and_a_fake_of_one_side(tmp_path: Path) -> None:
    """Once each, however many kinds of relation there are, the real one first."""
    images = [image(number, int(number in (0, 3, 4)), group="a" if number < 4 else "b") for number in range(6)]
    pairs = [
        (0, 1, "photo"),
        (0, 1, "mirrored"),
        (2, 3, "photo"),
        (1, 3, "photo"),
        (1, 2, "photo"),
        (0, 3, "pixels"),
        (4, 5, "photo"),
    ]
    rows = [PairRecord(f"{one:04}.jpg", f"{other:04}.jpg", kind, 9) for one, other, kind in pairs]  # type: ignore[arg-type]
    rows.append(PairRecord("0000.jpg", "9999.jpg", "photo", 9))  # which is on another side
    write_rows(tmp_path / "pairs.csv", PairRecord, rows)
    found = load_linked_pairs(tmp_path / "pairs.csv", images)
    assert found.positions.tolist() == [[1, 0], [1, 3], [2, 3], [5, 4]]
    assert found.groups == 2
    none = load_linked_pairs(tmp_path / "pairs.csv", images[1:3])
    assert (none.positions.shape, none.groups) == ((0, 2), 0)


THRESHOLDS: dict[ThresholdName, float] = {"half": 0.5, "balanced_accuracy": 0.45, "few_false_alarms": 0.7}
CARD = {"temperature": 2, "thresholds": THRESHOLDS, "answers": {"max_error": 0.1, "real_below": 0.3, "fake_from": 0.7}}


def test_a_card_says_what_was_chosen_on_valid(tmp_path: Path) -> None:
    write_json(tmp_path / "model.json", CARD | {"arch": "resnet18"})
    assert load_card(tmp_path) == Card(2.0, THRESHOLDS, Answers(0.1, 0.3, 0.7))


@pytest.mark.parametrize(
    "card",
    [
        *({key: value for key, value in CARD.items() if key != missing} for missing in CARD),
        CARD | {"thresholds": {"half": 0.5}},
        CARD | {"answers": [0.3, 0.7]},
        [],
        3,
    ],
    ids=str,
)
def test_a_card_without_them_is_one_line(tmp_path: Path, card: object) -> None:
    write_json(tmp_path / "model.json", card)
    with pytest.raises(FakefaceError, match=r"model\.json: no temperature, thresholds and answers: train again$"):
        load_card(tmp_path)


EVIDENCE = [
    EvidenceRecord(row.path, "bce", 0.1 * number, None, -0.3, 0.4) for number, row in enumerate(IMAGES) if 1 <= number <= 3
]


def test_evidence_goes_by_side_with_what_is_replaced(tmp_path: Path) -> None:
    write_rows(tmp_path / "evidence.csv", EvidenceRecord, EVIDENCE[::-1])
    found = load_evidence(tmp_path / "evidence.csv", BY_SIDE)
    assert found["ce"] == {"valid": None, "test": None}
    valid, test = found["bce"]["valid"], found["bce"]["test"]
    assert valid is not None
    assert test is not None
    np.testing.assert_array_equal(valid.values, [[0.1, np.nan, -0.3, 0.4]])
    np.testing.assert_array_equal(test.values, [[0.2, np.nan, -0.3, 0.4], [0.1 * 3, np.nan, -0.3, 0.4]])
    np.testing.assert_array_equal(test.replaced, [[np.nan] * 4, [0, 0, 0, 1]])


def test_no_model_may_give_evidence(tmp_path: Path) -> None:
    write_rows(tmp_path / "evidence.csv", EvidenceRecord, [])
    assert load_evidence(tmp_path / "evidence.csv", BY_SIDE) == {
        objective: {"valid": None, "test": None} for objective in OBJECTIVE_NAMES
    }


@pytest.mark.parametrize(
    ("rows", "odd"),
    [
        pytest.param(EVIDENCE[:2], "0003.jpg", id="one is missing"),
        pytest.param([*EVIDENCE, EVIDENCE[1]], "0002.jpg", id="one twice"),
        pytest.param([*EVIDENCE, replace(EVIDENCE[0], path="0000.jpg")], "0000.jpg", id="one of train"),
    ],
)
def test_evidence_of_other_images_is_refused(tmp_path: Path, rows: list[EvidenceRecord], odd: str) -> None:
    path = tmp_path / "evidence.csv"
    write_rows(path, EvidenceRecord, rows)
    with pytest.raises(FakefaceError) as raised:
        load_evidence(path, BY_SIDE)
    assert str(raised.value) == f"{path}: {odd}: not as in the split: run `infer` again"
