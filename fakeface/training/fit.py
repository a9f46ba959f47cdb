"""A network in training: one epoch at a time, its randomness from the seed and the epoch's number alone."""

import math
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from tqdm import tqdm

from fakeface.core.errors import ParamsError
from fakeface.core.params import STRICT
from fakeface.core.records import ObjectiveName
from fakeface.training.augmentation import AugmentParams, augmented, random_values
from fakeface.training.calibration import HALF
from fakeface.training.devices import Device, DeviceName, Precision, Stopwatch
from fakeface.training.losses import OBJECTIVES, Objective
from fakeface.training.network import ModelParams, new_classifier
from fakeface.training.packed import PackedSide

Layout = Literal["channels_last", "contiguous"]

EVAL_BATCH_SIZE = 64
LAYOUTS: dict[Layout, torch.memory_format] = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
CACHED_IMAGES = 8
"""So many are made ready at a time on a CPU: what one change passes on to the next stays in its cache."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainParams:
    """Section `train`; `patience` is the epochs without a better validation accuracy after which training stops."""

    seed: int = Field(ge=0)
    optimizer: Literal["adam", "adamw"]
    lr: float = Field(gt=0, allow_inf_nan=False)
    weight_decay: float = Field(ge=0, allow_inf_nan=False)
    schedule: Literal["constant", "one_cycle"]
    label_smoothing: float = Field(ge=0, lt=1)
    batch_size: int = Field(ge=2)
    epochs: int = Field(ge=1)
    patience: int = Field(ge=1)
    device: DeviceName
    precision: Precision
    layout: Layout


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a result, but for the images; `mean` and `std` are per channel, of pixels in [0, 1]."""

    objective_name: ObjectiveName
    train: TrainParams
    augment: AugmentParams
    model: ModelParams
    mean: list[float]
    std: list[float]

    @property
    def objective(self) -> Objective:
        return OBJECTIVES[self.objective_name]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def learning_rate(step: int, steps: int, peak: float, schedule: Literal["constant", "one_cycle"]) -> float:
    """The rate at a step of 0..steps-1; one_cycle is Smith & Topin 2018 with the cosines and defaults of torch's OneCycleLR."""
    if schedule == "constant":
        return peak
    rise_end, last = 0.3 * steps - 1, steps - 1
    if step <= rise_end:
        return _cosine(peak / 25, peak, step / rise_end)
    return _cosine(peak, peak / 25e4, (step - rise_end) / (last - rise_end))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def new_optimizer(network: nn.Module, params: TrainParams) -> torch.optim.Optimizer:
    kind = torch.optim.Adam if params.optimizer == "adam" else torch.optim.AdamW
    return kind(network.parameters(), lr=params.lr, weight_decay=params.weight_decay, fused=True)


class Trainer:
    """One network in training: `train_epoch` and `valid_epoch` move it on; its state can be saved and loaded between them."""

    def __init__(self, recipe: Recipe, device: Device, train: PackedSide, valid: PackedSide) -> None:
        self.recipe, self.device = recipe, device
        network = new_classifier(recipe.model, recipe.train.seed).to(device.torch_device)
        self.layout = LAYOUTS[recipe.train.layout]
        self.network = network.to(memory_format=self.layout)  # type: ignore[call-overload]
        for key, px in (("augment.crop_px", recipe.augment.crop_px), ("pack.eval_px", valid.images.shape[1])):
            self._refuse_if_unfit(key, px)
        self.optimizer = new_optimizer(self.network, recipe.train)
        self.train_images, self.train_labels = _on_device(train, device)
        self.valid_images, self.valid_labels = _on_device(valid, device)
        mean, std = (torch.tensor(of, device=device.torch_device).view(1, 3, 1, 1) for of in (recipe.mean, recipe.std))
        self.scale, self.shift = 1 / std, -mean / std
        self.train_seconds: dict[str, float] = {}
        """Of the last epoch: `data_s` (gathering, augmentation), `forward_s` (with the loss), `backward_s` (with the step)."""

    def train_epoch(self, epoch: int) -> tuple[float, float]:
        """Mean loss and accuracy of the epoch's own batches; all its randomness comes from the seed and `epoch`."""
        params, count = self.recipe.train, len(self.train_labels)
        generator = torch.Generator().manual_seed(params.seed * 1_000_003 + epoch)
        torch.manual_seed(params.seed * 1_000_003 + epoch)  # dropout
        order = torch.randperm(count, generator=generator).to(self.train_images.device)
        values = random_values(count, self.recipe.augment, generator)
        values = {name: value.to(self.device.torch_device) for name, value in values.items()}
        batches = _batches(order, params.batch_size)
        loss_sum, correct = (torch.zeros((), device=self.device.torch_device, dtype=torch.float64) for _ in range(2))
        self.network.train()
        watch = Stopwatch(self.device)
        done = 0
        for batch, rows in enumerate(tqdm(batches, desc=f"epoch {epoch}", unit="batch", leave=False, disable=None)):
            self._set_learning_rate((epoch - 1) * len(batches) + batch, params.epochs * len(batches))
            colours = torch.randperm(4, generator=generator).tolist()
            drawn = {name: value[done : done + len(rows)] for name, value in values.items()}
            done += len(rows)
            inputs = self._augmented(self._rows(self.train_images, rows), drawn, colours)
            labels = self._rows(self.train_labels, rows)
            watch.lap("data_s")
            loss, logits = self._loss(inputs, labels)
            loss_sum += loss.detach() * len(rows)
            correct += self._correct(logits, labels)
            watch.lap("forward_s")
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            watch.lap("backward_s")
        self.train_seconds = watch.seconds()
        return loss_sum.item() / count, correct.item() / count

    @torch.inference_mode()
    def valid_epoch(self) -> tuple[float, float]:
        """Mean loss and accuracy over the validation images."""
        self.network.eval()
        loss_sum, correct = (torch.zeros((), device=self.device.torch_device, dtype=torch.float64) for _ in range(2))
        for images, labels in self._valid_batches():
            inputs = torch.cat([self._inputs(_scaled(images[rows])) for rows in self._together(images)])
            loss, logits = self._loss(inputs, labels)
            loss_sum += loss * len(labels)
            correct += self._correct(logits, labels)
        return loss_sum.item() / len(self.valid_labels), correct.item() / len(self.valid_labels)

    @torch.inference_mode()
    def valid_p_fake(self) -> NDArray[np.float64]:
        """(N,), of the validation images, in float32 as an exported network computes it."""
        self.network.eval()
        logits = [self.network(self._normalised(_scaled(images))) for images, _ in self._valid_batches()]
        return self.recipe.objective.p_fake(torch.cat(logits).double()).cpu().numpy()

    @property
    def last_learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def weights(self) -> dict[str, Tensor]:
        """A copy of the network's weights and buffers, on the CPU."""
        return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in self.network.state_dict().items()}

    @torch.inference_mode()
    def _refuse_if_unfit(self, key: str, px: int) -> None:
        """Raises ParamsError where the network takes no images of that side."""
        try:
            self.network.eval()(torch.zeros((2, 3, px, px), device=self.device.torch_device))
        except (AssertionError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ParamsError(f"{key}: {px}: {self.recipe.model.arch} takes no images of that side: {reason}") from None

    def _set_learning_rate(self, step: int, steps: int) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, self.recipe.train.lr, self.recipe.train.schedule)

    def _valid_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Packed images (N, eval_px, eval_px, 3) with their labels (N,)."""
        for first in range(0, len(self.valid_labels), EVAL_BATCH_SIZE):
            rows = slice(first, first + EVAL_BATCH_SIZE)
            yield self.valid_images[rows].to(self.device.torch_device), self.valid_labels[rows]

    def _loss(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        with self.device.autocast():
            logits = self.network(inputs)
        logits = logits.float()
        return self.recipe.objective.loss(logits, labels, self.recipe.train.label_smoothing), logits.detach()

    def _augmented(self, images: Tensor, values: dict[str, Tensor], colours: list[int]) -> Tensor:
        """What the network is given for packed images: changed at random, each by its own values, and normalised."""
        parts = []
        for rows in self._together(images):
            drawn = {name: value[rows] for name, value in values.items()}
            parts.append(self._inputs(augmented(images[rows], drawn, self.recipe.augment, colours)))
        return torch.cat(parts)

    def _together(self, images: Tensor) -> Iterator[slice]:
        """Which images are made ready for the network at a time."""
        size = len(images) if self.device.is_cuda else CACHED_IMAGES
        for first in range(0, len(images), size):
            yield slice(first, first + size)

    def _inputs(self, images: Tensor) -> Tensor:
        """Normalised, in the precision of the forward pass and the layout of the network."""
        dtype = torch.bfloat16 if self.device.bf16 else torch.float32
        return self._normalised(images).to(dtype, memory_format=self.layout)

    def _normalised(self, images: Tensor) -> Tensor:
        return torch.addcmul(self.shift, images, self.scale)

    def _correct(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ((self.recipe.objective.p_fake(logits) >= HALF) == labels.bool()).sum()

    def _rows(self, of: Tensor, rows: Tensor) -> Tensor:
        """Those rows on the device that computes."""
        return of[rows.to(of.device)].to(self.device.torch_device)


def _scaled(images: Tensor) -> Tensor:
    """Packed images (N, px, px, 3) as (N, 3, px, px) in [0, 1]."""
    return images.permute(0, 3, 1, 2).float().div_(255)


def _on_device(side: PackedSide, device: Device) -> tuple[Tensor, Tensor]:
    """Images and labels as tensors: on the GPU where they take at most half of its free memory, else mapped on the CPU."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # and nothing writes to it
        images = torch.from_numpy(side.images)
    if device.is_cuda and images.nbytes <= torch.cuda.mem_get_info(device.torch_device)[0] // 2:
        images = images.to(device.torch_device)
    return images, torch.from_numpy(side.labels).to(device.torch_device)


def _batches(order: Tensor, batch_size: int) -> list[Tensor]:
    """Batches of row numbers; a last batch of one joins the one before it, as batch normalisation needs two."""
    batches = list(torch.split(order, batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches
