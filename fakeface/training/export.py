"""The model folder: weights, the exported network for use without torch, the model's card and the training's run record."""

import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from fakeface.core.errors import FakefaceError
from fakeface.core.files import replacing, write_json
from fakeface.detector import CARD_FILE, NETWORK_FILE, RUN_FILE, WEIGHTS_FILE, load_detector
from fakeface.training.calibration import apply_temperature, choose_thresholds, fit_temperature
from fakeface.training.fit import FitResult
from fakeface.training.losses import Objective
from fakeface.training.network import copy_weights
from fakeface.training.packed import PackedSide
from fakeface.training.recipe import Recipe

EXPORT_TOLERANCE = 1e-4
CHECKED_IMAGES = 8


def write_model(folder: Path, result: FitResult, recipe: Recipe, valid: PackedSide, *, is_sample: bool) -> None:
    """Calibrate the trained network on the valid images and write its folder.

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
        "is_sample": is_sample,
        "mean": recipe.mean,
        "std": recipe.std,
        "best_epoch": result.best.epoch,
        "temperature": temperature,
        "thresholds": choose_thresholds(valid.labels, p_fake),
    }
    write_json(folder / CARD_FILE, card)
    write_json(folder / RUN_FILE, result.run_record)
    check_export(classifier, np.array(valid.images[:CHECKED_IMAGES]), folder)


class ExportedClassifier(nn.Module):
    """A network with its normalisation and calibration: uint8 images (N, px, px, 3) -> p_fake (N,) and logits (N, 2).

    The logits are divided by `temperature` before they become p_fake, but returned undivided.
    """

    mean: Tensor
    std: Tensor
    temperature: Tensor

    def __init__(
        self, network: nn.Module, objective: Objective, mean: list[float], std: list[float], temperature: float = 1.0
    ) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.register_buffer("temperature", torch.tensor(temperature))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        pixels = images.permute(0, 3, 1, 2).to(torch.float32) / 255
        logits = self.network((pixels - self.mean) / self.std)
        return self.objective.p_fake(logits / self.temperature), logits


def export_onnx(classifier: ExportedClassifier, image_px: int, path: Path) -> None:
    """Write an ONNX file with input `images` and outputs `p_fake` and `logits`, for any number of images at once.

    This is torch's older exporter: for EfficientNet-Lite0 the newer one, `dynamo=True`, takes 6 s instead of 0.5 and gives a
    network of the same speed. A newer torch than pyproject.toml's may no longer have the older one.
    """
    example = torch.zeros((2, image_px, image_px, 3), dtype=torch.uint8)
    names = ["images", "p_fake", "logits"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the newer exporter, and about constants that cannot be folded
        torch.onnx.export(
            classifier.eval().cpu(),
            (example,),
            path,
            dynamo=False,
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes={name: {0: "images"} for name in names},
        )


def check_export(classifier: ExportedClassifier, images: NDArray[np.uint8], folder: Path) -> None:
    """Raises FakefaceError unless the network exported to `folder` gives images (N, px, px, 3) the same p_fake."""
    with torch.inference_mode():
        trained, _ = classifier(torch.from_numpy(images))
    exported, _ = load_detector(folder).scores(images)
    difference = float(np.abs(exported - trained.numpy()).max())
    if difference > EXPORT_TOLERANCE:
        raise FakefaceError(
            f"{folder / NETWORK_FILE}: p_fake differs by {difference:g} from the trained network's; "
            f"expected at most {EXPORT_TOLERANCE:g}"
        )
