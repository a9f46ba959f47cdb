"""The trained network as a file that runs without torch, with its normalisation and calibration inside."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fakeface.core.errors import FakefaceError
from fakeface.detector import Scores, load_network
from fakeface.faces.cooccurrences import SIZE
from fakeface.training.losses import Objective
from fakeface.training.region_network import RegionNetwork

INPUTS = ("images", "regions", "cooccurrences")
EXPORT_TOLERANCE = 1e-4
"""Of p_fake."""


class ExportedClassifier(nn.Module):
    """A network with its normalisation and calibration: uint8 images (N, px, px, 3) -> p_fake (N,) and logits (N, 2).

    A RegionNetwork takes regions, uint8 (N, px, px), as well, maybe co-occurrences, float32 (N, SIZE), too, and gives evidence
    (N, px / 8, px / 8) as well, what each place adds to the log-odds of p_fake, and novelty (N,): the largest of the branches'
    distances from what training has seen, as multiples of `limits`, one for each.
    The logits are divided by `temperature` before they become p_fake, but returned undivided.
    """

    mean: Tensor
    std: Tensor
    temperature: Tensor
    limits: Tensor

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        mean: list[float],
        std: list[float],
        temperature: float = 1.0,
        limits: Sequence[float] = (1.0,),
    ) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.register_buffer("temperature", torch.tensor(temperature))
        self.register_buffer("limits", torch.tensor(limits))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of what it takes."""
        if not isinstance(self.network, RegionNetwork):
            return INPUTS[:1]
        return INPUTS if self.network.cooccurrences is not None else INPUTS[:2]

    def forward(self, images: Tensor, regions: Tensor | None = None, cooccurrences: Tensor | None = None) -> tuple[Tensor, ...]:
        side = int(images.shape[1])
        pixels = images.permute(0, 3, 1, 2).reshape(-1, 3, side * side).to(torch.float32) / 255
        inputs = ((pixels - self.mean[..., 0]) / self.std[..., 0]).reshape(-1, 3, side, side)
        if not isinstance(self.network, RegionNetwork) or regions is None:
            logits = self.network(inputs)
            return self.objective.p_fake(logits / self.temperature), logits
        inputs = torch.cat([inputs, regions.unsqueeze(1).to(torch.float32)], dim=1)
        (logits, distances), evidence = self.network.explain(inputs, cooccurrences, torch.tensor(self.objective.margin))
        novelty = (distances / self.limits).amax(dim=1)
        return self.objective.p_fake(logits / self.temperature), logits, evidence / self.temperature, novelty


def export_onnx(classifier: ExportedClassifier, image_px: int, path: Path) -> None:
    """Write an ONNX file with outputs `p_fake` and `logits` of any number of INPUTS, with `regions` all of Scores.

    This is torch's older exporter: for EfficientNet-Lite0 the newer one, `dynamo=True`, takes 6 s instead of 0.5 and gives a
    network of the same speed. A newer torch than pyproject.toml's may no longer have the older one.
    """
    examples = {
        "images": torch.zeros((2, image_px, image_px, 3), dtype=torch.uint8),
        "regions": torch.zeros((2, image_px, image_px), dtype=torch.uint8),
        "cooccurrences": torch.zeros((2, SIZE)),
    }
    inputs = classifier.inputs
    outputs = Scores._fields if "regions" in inputs else Scores._fields[:2]
    torch._C._jit_onnx_log = lambda *_: None  # else a failure prints the network on 200 lines
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the newer exporter, and about constants that cannot be folded
        torch.onnx.export(
            classifier.eval().cpu(),
            tuple(examples[name] for name in inputs),
            path,
            dynamo=False,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: {0: "images"} for name in (*inputs, *outputs)},
        )


@torch.inference_mode()
def check_export(classifier: ExportedClassifier, examples: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Raises FakefaceError unless the exported network gives the same p_fake for `examples`, of which it takes its inputs."""
    inputs = {name: examples[name] for name in classifier.inputs}
    trained, *_ = classifier(*map(torch.from_numpy, inputs.values()))
    (exported,) = load_network(path).run(["p_fake"], inputs)
    difference = float(np.abs(exported - trained.numpy()).max())
    if not difference <= EXPORT_TOLERANCE:  # nor is it where it is no number
        raise FakefaceError(
            f"{path}: p_fake differs by {difference:g} from the trained network's; expected at most {EXPORT_TOLERANCE:g}"
        )
