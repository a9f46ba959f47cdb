"""The trained network as a file that runs without torch, with its normalisation and calibration inside."""

import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fakeface.core.errors import FakefaceError
from fakeface.detector import load_network
from fakeface.training.losses import Objective
from fakeface.training.region_network import RegionNetwork

EXPORT_TOLERANCE = 1e-4
"""Of p_fake."""


class ExportedClassifier(nn.Module):
    """A network with its normalisation and calibration: uint8 images (N, px, px, 3) -> p_fake (N,) and logits (N, 2).

    A RegionNetwork takes regions, uint8 (N, px, px), as well, and gives evidence (N, px / 8, px / 8) as well: what each place
    adds to the log-odds of p_fake.
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

    def forward(self, images: Tensor, regions: Tensor | None = None) -> tuple[Tensor, ...]:
        pixels = images.permute(0, 3, 1, 2).to(torch.float32) / 255
        inputs = (pixels - self.mean) / self.std
        if not isinstance(self.network, RegionNetwork) or regions is None:
            logits = self.network(inputs)
            return self.objective.p_fake(logits / self.temperature), logits
        inputs = torch.cat([inputs, regions.unsqueeze(1).to(torch.float32)], dim=1)
        logits, evidence = self.network.explain(inputs, torch.tensor(self.objective.margin))
        return self.objective.p_fake(logits / self.temperature), logits, evidence / self.temperature


def export_onnx(classifier: ExportedClassifier, image_px: int, path: Path) -> None:
    """Write an ONNX file with outputs `p_fake` and `logits` of any number of `images`; with `regions` also `evidence`.

    This is torch's older exporter: for EfficientNet-Lite0 the newer one, `dynamo=True`, takes 6 s instead of 0.5 and gives a
    network of the same speed. A newer torch than pyproject.toml's may no longer have the older one.
    """
    examples = [torch.zeros((2, image_px, image_px, 3), dtype=torch.uint8)]
    if isinstance(classifier.network, RegionNetwork):
        examples.append(torch.zeros((2, image_px, image_px), dtype=torch.uint8))
    inputs, outputs = ["images", "regions"][: len(examples)], ["p_fake", "logits", "evidence"][: 1 + len(examples)]
    torch._C._jit_onnx_log = lambda *_: None  # else a failure prints the network on 200 lines
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the newer exporter, and about constants that cannot be folded
        torch.onnx.export(
            classifier.eval().cpu(),
            tuple(examples),
            path,
            dynamo=False,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={name: {0: "images"} for name in inputs + outputs},
        )


@torch.inference_mode()
def check_export(classifier: ExportedClassifier, images: NDArray[np.uint8], regions: NDArray[np.uint8], path: Path) -> None:
    """Raises FakefaceError unless the exported network gives images (N, px, px, 3) the same p_fake."""
    inputs = {"images": images} | ({"regions": regions} if isinstance(classifier.network, RegionNetwork) else {})
    trained, *_ = classifier(*map(torch.from_numpy, inputs.values()))
    (exported,) = load_network(path).run(["p_fake"], inputs)
    difference = float(np.abs(exported - trained.numpy()).max())
    if not difference <= EXPORT_TOLERANCE:  # nor is it where it is no number
        raise FakefaceError(
            f"{path}: p_fake differs by {difference:g} from the trained network's; expected at most {EXPORT_TOLERANCE:g}"
        )
