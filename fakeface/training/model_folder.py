"""The model folder: weights, the exported network for use without torch, the model's card and the training's run record."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save

from fakeface.core.files import replacing, write_json
from fakeface.detector import CARD_FILE, NETWORK_FILE, RUN_FILE, WEIGHTS_FILE
from fakeface.training.calibration import apply_temperature, choose_answers, choose_thresholds, fit_temperature
from fakeface.training.export import ExportedClassifier, check_export, export_onnx
from fakeface.training.fit import FitResult
from fakeface.training.network import copy_weights
from fakeface.training.packed import PackedSide
from fakeface.training.recipe import Recipe

CHECKED_IMAGES = 8


def write_model(
    folder: Path, result: FitResult, recipe: Recipe, valid: PackedSide, max_error: float, *, is_sample: bool
) -> None:
    """Calibrate the trained network on the valid images, where it may err in `max_error` of its answers; write its folder.

    Raises:
        FakefaceError: the exported network does not compute what the trained one does.
    """
    temperature = fit_temperature(valid.labels, result.valid_p_fake)
    p_fake = apply_temperature(result.valid_p_fake, temperature)
    image_px = valid.images.shape[1]
    classifier = ExportedClassifier(result.network, recipe.objective, recipe.mean, recipe.std, temperature).eval().cpu()
    with replacing(folder / WEIGHTS_FILE) as temporary:
        temporary.write_bytes(save(copy_weights(result.network)))
    with replacing(folder / NETWORK_FILE) as temporary:
        export_onnx(classifier, image_px, temporary)
    card = {
        "objective": recipe.objective_name,
        "arch": recipe.model.arch,
        "image_px": image_px,
        "framing": recipe.framing,
        "is_sample": is_sample,
        "mean": recipe.mean,
        "std": recipe.std,
        "best_epoch": result.best.epoch,
        "temperature": temperature,
        "thresholds": choose_thresholds(valid.labels, p_fake),
        "answers": asdict(choose_answers(valid.labels, p_fake, max_error)),
    }
    write_json(folder / CARD_FILE, card)
    write_json(folder / RUN_FILE, result.run_record)
    first = slice(CHECKED_IMAGES)
    examples: dict[str, NDArray[Any]] = {
        "images": np.array(valid.images[first]),
        "regions": np.array(valid.regions[first, 0]),
        "cooccurrences": np.array(valid.cooccurrences[first, 0]),
    }
    check_export(classifier, examples, folder / NETWORK_FILE)
