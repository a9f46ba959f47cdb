"""The model folder: weights, the exported network for use without torch, the model's card and the training's run record."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save
from torch import nn

from fakeface.core.files import replacing, write_json
from fakeface.detector import CARD_FILE, HELD_OUT, NETWORK_FILE, RUN_FILE, WEIGHTS_FILE
from fakeface.training.calibration import apply_temperature, choose_answers, choose_thresholds, fit_temperature, novelty_limits
from fakeface.training.export import ExportedClassifier, check_export, export_onnx
from fakeface.training.fit import FitResult
from fakeface.training.network import copy_weights
from fakeface.training.packed import PackedSide
from fakeface.training.recipe import Recipe

CHECKED_IMAGES = 8


def write_model(
    folder: Path,
    result: FitResult,
    network: nn.Module,
    recipe: Recipe,
    valid: PackedSide,
    max_error: float,
    *,
    is_sample: bool,
) -> None:
    """Calibrate on the valid images, where the model may err in `max_error` of its answers; write the folder of `network`.

    If that is another than the training's, which has not seen the valid images, HELD_OUT has a folder of the latter too.

    Raises:
        FakefaceError: an exported network does not compute what the trained one does.
    """
    temperature = fit_temperature(valid.labels, result.valid.p_fake)
    p_fake = apply_temperature(result.valid.p_fake, temperature)
    limits = [1.0] if result.valid.distances is None else novelty_limits(result.valid.distances)
    card = {
        "objective": recipe.objective_name,
        "arch": recipe.model.arch,
        "image_px": valid.images.shape[1],
        "framing": recipe.framing,
        "is_sample": is_sample,
        "mean": recipe.mean,
        "std": recipe.std,
        "best_epoch": result.best.epoch,
        "temperature": temperature,
        "thresholds": choose_thresholds(valid.labels, p_fake),
        "answers": asdict(choose_answers(valid.labels, p_fake, max_error)),
    }
    with replacing(folder / WEIGHTS_FILE) as temporary:
        temporary.write_bytes(save(copy_weights(network)))
    write_json(folder / RUN_FILE, result.run_record)
    shutil.rmtree(folder / HELD_OUT, ignore_errors=True)  # of a training before, which DVC would have removed
    for of, where in {network: folder, result.network: folder / HELD_OUT if network is not result.network else folder}.items():
        write_json(where / CARD_FILE, card)
        classifier = ExportedClassifier(of, recipe.objective, recipe.mean, recipe.std, temperature, limits).eval().cpu()
        _export(classifier, valid, where / NETWORK_FILE)


def _export(classifier: ExportedClassifier, valid: PackedSide, path: Path) -> None:
    """Write the network, and check it on a few valid images."""
    with replacing(path) as temporary:
        export_onnx(classifier, valid.images.shape[1], temporary)
    first = slice(CHECKED_IMAGES)
    examples: dict[str, NDArray[Any]] = {
        "images": np.array(valid.images[first]),
        "regions": np.array(valid.regions[first, 0]),
        "cooccurrences": np.array(valid.cooccurrences[first, 0]),
    }
    check_export(classifier, examples, path)
