from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fakeface.core.errors import FakefaceError
from fakeface.core.files import read_json
from fakeface.detector import load_detector
from fakeface.params import ModelParams
from fakeface.training import fit as training
from fakeface.training.calibration import apply_temperature, choose_answers, choose_thresholds, fit_temperature
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
    write_model(tmp_path / "models/ce", result, RECIPE, valid, MAX_ERROR, is_sample=True)
    names = sorted(path.name for path in (tmp_path / "models/ce").iterdir())
    assert names == ["model.json", "network.onnx", "run.json", "weights.safetensors"]
    assert same(load_file(tmp_path / "models/ce/weights.safetensors"), weights)
    assert read_json(tmp_path / "models/ce/run.json") == result.run_record
    card = read_json(tmp_path / "models/ce/model.json")
    temperature = fit_temperature(valid.labels, result.valid_p_fake)
    p_fake = apply_temperature(result.valid_p_fake, temperature)
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


def test_an_exported_network_that_differs_from_the_trained_one_is_refused(result: FitResult, tmp_path: Path) -> None:
    valid = packed_side("valid", 30, EVAL_PX)
    write_model(tmp_path, result, RECIPE, valid, MAX_ERROR, is_sample=True)
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
    write_model(tmp_path, result, recipe, valid, MAX_ERROR, is_sample=True)
    detector = load_detector(tmp_path)
    assert (detector.framing, detector.sees_regions, detector.sees_cooccurrences) == ("face", True, True)
    logits = detector.scores(valid.images, valid.regions[:, 0], valid.cooccurrences[:, 0]).logits
    assert recipe.objective.p_fake(torch.from_numpy(logits)).numpy() == pytest.approx(result.valid_p_fake, abs=1e-4)
