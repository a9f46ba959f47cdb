from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fakeface.core.errors import FakefaceError
from fakeface.core.files import read_json
from fakeface.core.records import OBJECTIVE_NAMES
from fakeface.detector import HELD_OUT, load_detector, load_detectors, load_held_out
from fakeface.params import ModelParams
from fakeface.training import fit as training
from fakeface.training.calibration import apply_temperature, choose_answers, choose_thresholds, fit_temperature, novelty_limits
from fakeface.training.checkpoint import Checkpoints
from fakeface.training.export import ExportedClassifier, check_export
from fakeface.training.fit import FitResult, fit
from fakeface.training.model_folder import write_model
from fakeface.training.network import copy_weights
from tests.training.tiny import ARCH, CPU, EVAL_PX, RECIPE, TRAIN_PX, RecordingLog, packed_side, same, tiny_network

MAX_ERROR = 0.1


@pytest.fixture
def result(monkeypatch: pytest.MonkeyPatch) -> FitResult:
    monkeypatch.setattr(training, "new_classifier", tiny_network)
    train, valid = packed_side("train", 27, TRAIN_PX), packed_side("valid", 30, EVAL_PX)
    return fit(RECIPE, CPU, train, valid, Checkpoints(None), {"epochs": []}, RecordingLog())


def test_the_model_folder_holds_the_calibrated_model_of_the_best_epoch(result: FitResult, tmp_path: Path) -> None:
    valid = packed_side("valid", 30, EVAL_PX)
    weights = copy_weights(result.network)
    write_model(tmp_path / "models/ce", result, result.network, RECIPE, valid, MAX_ERROR, is_sample=True)
    names = sorted(path.name for path in (tmp_path / "models/ce").iterdir())
    assert names == ["model.json", "network.onnx", "run.json", "weights.safetensors"]
    assert same(load_file(tmp_path / "models/ce/weights.safetensors"), weights)
    assert read_json(tmp_path / "models/ce/run.json") == result.run_record
    card = read_json(tmp_path / "models/ce/model.json")
    temperature = fit_temperature(valid.labels, result.valid.p_fake)
    p_fake = apply_temperature(result.valid.p_fake, temperature)
    assert card == {
        "objective": "ce",
        "arch": ARCH,
        "image_px": EVAL_PX,
        "framing": "centre",
        "is_sample": True,
        "mean": RECIPE.mean,
        "std": RECIPE.std,
        "best_epoch": result.best.epoch,
        "temperature": temperature,
        "thresholds": choose_thresholds(valid.labels, p_fake),
        "answers": asdict(choose_answers(valid.labels, p_fake, MAX_ERROR)),
    }
    detector = load_detector(tmp_path / "models/ce")
    assert asdict(detector.answers) == card["answers"]
    exported, *_ = detector.scores(valid.images)
    assert exported == pytest.approx(p_fake, abs=1e-5)


def test_a_refitted_model_has_beside_it_the_one_that_has_not_seen_valid(
    result: FitResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both with the temperature and the thresholds that the latter chose."""
    monkeypatch.setattr(training, "new_classifier", tiny_network)
    valid, models = packed_side("valid", 30, EVAL_PX), tmp_path / "models"
    network = training.new_network(RECIPE, CPU, EVAL_PX)
    for objective in OBJECTIVE_NAMES:
        recipe = replace(RECIPE, objective_name=objective)
        write_model(models / objective, result, network, recipe, valid, MAX_ERROR, is_sample=True)
    detectors = load_detectors(models)
    held_out = load_held_out(detectors)
    plain = tmp_path / "plain"
    write_model(plain / "ce", result, result.network, RECIPE, valid, MAX_ERROR, is_sample=True)
    expected = load_detector(plain / "ce")
    assert same(load_file(models / "ce/weights.safetensors"), copy_weights(network))
    assert held_out["ce"].scores(valid.images).p_fake == pytest.approx(expected.scores(valid.images).p_fake, abs=1e-6)
    assert detectors["ce"].scores(valid.images).p_fake != pytest.approx(expected.scores(valid.images).p_fake, abs=1e-3)
    assert detectors["ce"].thresholds == held_out["ce"].thresholds == expected.thresholds
    assert held_out["bce"].objective == "bce"


def test_a_model_that_was_not_refitted_has_not_seen_valid_itself(result: FitResult, tmp_path: Path) -> None:
    valid = packed_side("valid", 30, EVAL_PX)
    for objective in OBJECTIVE_NAMES:
        (tmp_path / objective / HELD_OUT).mkdir(parents=True)  # a refit before has left it
        recipe = replace(RECIPE, objective_name=objective)
        write_model(tmp_path / objective, result, result.network, recipe, valid, MAX_ERROR, is_sample=True)
    assert {name: detector.folder for name, detector in load_held_out(load_detectors(tmp_path)).items()} == {
        name: tmp_path / name for name in OBJECTIVE_NAMES
    }


def test_an_exported_network_that_differs_from_the_trained_one_is_refused(result: FitResult, tmp_path: Path) -> None:
    valid = packed_side("valid", 30, EVAL_PX)
    write_model(tmp_path, result, result.network, RECIPE, valid, MAX_ERROR, is_sample=True)
    classifier = ExportedClassifier(result.network, RECIPE.objective, RECIPE.mean, RECIPE.std, temperature=9.0).eval()
    with pytest.raises(FakefaceError, match=r"network\.onnx: p_fake differs by .* expected at most 0\.0001$"):
        check_export(classifier, {"images": valid.images[:8]}, tmp_path / "network.onnx")


def test_a_network_that_sees_regions_and_cooccurrences_is_exported_with_them(tmp_path: Path) -> None:
    """As the detector reads it back, on the images that it was calibrated on."""
    recipe = replace(
        RECIPE,
        framing="face",
        model=ModelParams(
            arch="resnet18", weights="random", pooling="regions", frozen=False, parts=0.3, cooccurrences=True, overview=False
        ),
    )
    train, valid = packed_side("train", 8, 64), packed_side("valid", 10, 64)
    recipe = replace(recipe, train=replace(recipe.train, epochs=1), augment=replace(recipe.augment, crop_px=64))
    result = fit(recipe, CPU, train, valid, Checkpoints(None), {"epochs": []}, RecordingLog())
    write_model(tmp_path, result, result.network, recipe, valid, MAX_ERROR, is_sample=True)
    detector = load_detector(tmp_path)
    assert (detector.framing, detector.sees_regions, detector.sees_cooccurrences) == ("face", True, True)
    _, logits, evidence, novelty = detector.scores(valid.images, valid.regions[:, 0], valid.cooccurrences[:, 0])
    assert evidence is not None
    assert result.valid.distances is not None
    limits = novelty_limits(result.valid.distances)
    assert novelty == pytest.approx((result.valid.distances / limits).max(axis=1), rel=1e-3)
    assert recipe.objective.p_fake(torch.from_numpy(logits)).numpy() == pytest.approx(result.valid.p_fake, abs=1e-4)
