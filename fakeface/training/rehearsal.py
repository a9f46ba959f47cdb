"""What a training does with a network, done once before its first step, so that what would fail at its end is refused."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn

from fakeface.core.errors import ParamsError
from fakeface.detector import NETWORK_FILE, load_network
from fakeface.faces.cooccurrences import SIZE
from fakeface.faces.regions import Region
from fakeface.training.augmentation import COLOURS
from fakeface.training.batches import to_network_format
from fakeface.training.devices import Device
from fakeface.training.export import ExportedClassifier, export_onnx
from fakeface.training.recipe import Recipe
from fakeface.training.region_network import RegionNetwork

IMAGES = 2
LARGEST_FILE = 2**31 - 2**20
"""Bytes of weights that an ONNX file can hold: it is a protocol buffer, of 2 GiB at most."""
EXPORT_TOLERANCE = 1e-3
"""Of the logits, and relative where they are large: of a network that is not trained yet they may be anything."""
LIST_OF_ARCHITECTURES = "docs/architectures.md"


def rehearse(network: nn.Module, recipe: Recipe, device: Device, eval_px: int) -> None:
    """Train a copy of the network on two images, export it, and run what was exported on one image and on three.

    Raises:
        ParamsError: one of these fails; the parameter that asked for it is named.
    """
    arch = recipe.model.arch
    size = sum(value.nbytes for value in network.state_dict().values())
    if size > LARGEST_FILE:
        raise ParamsError(f"model.arch: {arch!r}: {size / 2**30:.1f} GiB of weights; an exported network holds 2 at most")
    network = copy.deepcopy(network)
    crop_px = recipe.augment.crop_px
    with _refusing(f"augment.crop_px: {crop_px}: {arch} takes no images of that side"):
        _take_step(network, recipe, device, crop_px)
    with _refusing(f"pack.eval_px: {eval_px}: {arch} takes no images of that side"):
        _evaluate(network, recipe, device, eval_px)
    with _refusing(f"pack.eval_px: {eval_px}: {arch} cannot be exported for images of that side, see {LIST_OF_ARCHITECTURES}"):
        _export(ExportedClassifier(network, recipe.objective, recipe.mean, recipe.std).eval().cpu(), eval_px)


@contextmanager
def _refusing(complaint: str) -> Iterator[None]:
    try:
        yield
    except OSError:  # a full disk says nothing about the network
        raise
    except Exception as error:  # noqa: BLE001 - torch, its exporter and onnxruntime raise errors without a common base
        raise ParamsError(f"{complaint}: {' '.join(str(error).split())[:200]}") from None


def _take_step(network: nn.Module, recipe: Recipe, device: Device, px: int) -> None:
    with device.autocast():
        logits = _logits(network.train(), recipe, device, px)
    _check_shape(logits)
    recipe.objective.loss(logits.float(), torch.tensor([0, 1], device=device.torch_device), 0.0).backward()  # type: ignore[no-untyped-call]


@torch.inference_mode()
def _evaluate(network: nn.Module, recipe: Recipe, device: Device, px: int) -> None:
    with device.autocast():
        _check_shape(_logits(network.eval(), recipe, device, px))


def _logits(network: nn.Module, recipe: Recipe, device: Device, px: int) -> Tensor:
    """Of blank images with all regions, side by side."""
    planes = torch.zeros((IMAGES, COLOURS + 1, px, px), device=device.torch_device)
    planes[:, COLOURS] = torch.arange(px, device=device.torch_device) % len(Region)
    cooccurrences = torch.zeros((IMAGES, SIZE), device=device.torch_device)
    inputs = to_network_format(planes, recipe, device)
    logits: Tensor = network(inputs, cooccurrences) if isinstance(network, RegionNetwork) else network(inputs)
    return logits


def _check_shape(logits: object) -> None:
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if shape != (IMAGES, 2):
        raise ValueError(f"its output is {shape}; expected ({IMAGES}, 2), images and classes")


@torch.inference_mode()
def _export(classifier: ExportedClassifier, px: int) -> None:
    random = np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        path = Path(folder, NETWORK_FILE)
        export_onnx(classifier, px, path)
        session = load_network(path)
        for count in (1, 3):
            examples = {
                "images": random.integers(0, 256, (count, px, px, 3), dtype=np.uint8),
                "regions": random.integers(0, len(Region), (count, px, px), dtype=np.uint8),
                "cooccurrences": random.random((count, SIZE), dtype=np.float32),
            }
            inputs = {name: examples[name] for name in classifier.inputs}
            _, own, *_ = classifier(*map(torch.from_numpy, inputs.values()))
            (exported,) = session.run(["logits"], inputs)
            if not np.allclose(exported, own.numpy(), EXPORT_TOLERANCE, EXPORT_TOLERANCE, equal_nan=True):
                difference = np.abs(exported - own.numpy()).max()
                raise ValueError(f"exported, its logits of {count} images differ by {difference:g}")
