from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fakeface.core.errors import FakefaceError
from fakeface.core.files import write_json, write_rows
from fakeface.core.records import PerturbedRecord, PredictionRecord, SplitRecord, ThresholdName
from fakeface.scoring.predictions import Card, load_card, load_images, load_perturbed, load_predictions
from tests.split_rows import image

IMAGES = [
    image(0, 0, side="train"),
    image(1, 1, side="valid"),
    image(2, 0),
    image(3, 1),
    image(4, 1, side="excluded"),
]
PREDICTIONS = [
    PredictionRecord(row.path, row.side, row.label, 0.1 * number, 0.2 * number, 0.11 * number, 0.22 * number, number % 2)  # type: ignore[arg-type]
    for number, row in enumerate(IMAGES)
    if row.side != "excluded"
]
PERTURBED = [
    PerturbedRecord(row.path, name, ce_p_fake, 0.9)
    for row in IMAGES[2:4]
    for name, ce_p_fake in (("blur", 0.2), ("noise", 0.3))
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
    found = load_perturbed(tmp_path / "perturbed.csv", IMAGES[2:4])
    assert list(found["ce"]) == ["noise", "blur"]
    assert found["ce"]["blur"].tolist() == [0.2, 0.2]
    assert np.array_equal(found["bce"]["noise"], [0.9, 0.9])


@pytest.mark.parametrize("rows", [PERTURBED[:3], [*PERTURBED, PERTURBED[0]]], ids=["one is missing", "one twice"])
def test_a_perturbation_of_other_images_is_refused(tmp_path: Path, rows: list[PerturbedRecord]) -> None:
    write_rows(tmp_path / "perturbed.csv", PerturbedRecord, rows)
    with pytest.raises(FakefaceError, match=r"perturbed\.csv: 000\d\.jpg: not as in the split: run `infer` again"):
        load_perturbed(tmp_path / "perturbed.csv", IMAGES[2:4])


THRESHOLDS: dict[ThresholdName, float] = {"half": 0.5, "balanced_accuracy": 0.45, "few_false_alarms": 0.7}


def test_a_card_says_what_was_chosen_on_valid(tmp_path: Path) -> None:
    write_json(tmp_path / "model.json", {"arch": "resnet18", "temperature": 2, "thresholds": THRESHOLDS})
    assert load_card(tmp_path) == Card(2.0, THRESHOLDS)


@pytest.mark.parametrize(
    "card",
    [{"thresholds": THRESHOLDS}, {"temperature": 1.0}, {"temperature": 1.0, "thresholds": {"half": 0.5}}, [], 3],
    ids=str,
)
def test_a_card_without_them_is_one_line(tmp_path: Path, card: object) -> None:
    write_json(tmp_path / "model.json", card)
    with pytest.raises(FakefaceError, match=r"model\.json: no temperature and thresholds: train again$"):
        load_card(tmp_path)
