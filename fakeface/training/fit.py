"""The training loop, with its checkpoints: `fit` is the whole of it, from top to bottom."""

import math
import time
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from fakeface.core.errors import FakefaceError, ParamsError
from fakeface.core.records import EpochRecord, PackedName
from fakeface.training.batches import SideInputs, batch_sizes, to_tensors, train_batches, valid_batches
from fakeface.training.branches import Branches, branches_to_train, forward, judge, training_loss
from fakeface.training.calibration import HALF
from fakeface.training.checkpoint import Checkpoints
from fakeface.training.devices import Device, Stopwatch
from fakeface.training.early_stopping import best_epoch, is_over
from fakeface.training.joined import Joined
from fakeface.training.looks import Looks
from fakeface.training.network import copy_weights, new_classifier
from fakeface.training.optimization import average_of, current_learning_rate, learning_rate, new_optimizer, set_learning_rate
from fakeface.training.packed import PackedSide
from fakeface.training.pooled import look_once
from fakeface.training.ranks import ALONE
from fakeface.training.recipe import Recipe
from fakeface.training.region_network import RegionNetwork, total_logits
from fakeface.training.rehearsal import rehearse
from fakeface.training.whole_batch import whole_batch


class Log(Protocol):
    """What `fit` reports to, as it starts and after each epoch."""

    def start(self, run_record: dict[str, Any]) -> None:
        """`run_record` is that of the training that is resumed, or a new one; its `epochs` grow with every epoch."""

    def log_epoch(self, epoch: EpochRecord, *, is_best: bool) -> None:
        """Called once the epoch's checkpoint is saved."""


@dataclass(frozen=True)
class FitResult:
    """The network with the weights of the best epoch, what it makes of the valid images, and how it came about."""

    network: nn.Module
    valid: "Predicted"
    epochs: list[EpochRecord]
    best: EpochRecord
    run_record: dict[str, Any]


def fit(
    recipe: Recipe,
    device: Device,
    train: PackedSide,
    valid: PackedSide,
    checkpoints: Checkpoints,
    run_record: dict[str, Any],
    log: Log,
    looks: Looks = Looks(),  # noqa: B008 - it holds nothing
    refit: PackedSide | None = None,
) -> FitResult:
    """Train a network until `epochs` or `patience` run out, resuming from the last checkpoint if there is one.

    Where weights are averaged, it is their average that is evaluated and kept, after all epochs. With `refit`, valid's photos
    as training sees them, the network is trained on them too, for all epochs; what is told of valid then tells nothing.

    Raises:
        ParamsError: the network takes no images of the side asked for, or cannot be exported for it.
        FakefaceError: the loss diverges, or a checkpoint cannot be written.
    """
    check_batches(len(train.records) + (len(refit.records) if refit else 0), recipe, device)
    network = new_network(recipe, device, eval_px=valid.images.shape[1])
    optimizer = new_optimizer(network, recipe.train)
    averaged = (
        AveragedModel(network, avg_fn=average_of(recipe.train.averaging), use_buffers=True) if recipe.train.averaging else None
    )
    evaluated = averaged.module if averaged else network
    train_set = inputs(network, train, "train", recipe, device, looks)
    valid_set = inputs(network, valid, "valid", recipe, device, looks)
    if refit:
        train_set = Joined.of(train_set, inputs(network, refit, "refit", recipe, device, looks))
    epochs: list[EpochRecord] = []
    best_weights: dict[str, Tensor] = {}

    if checkpoint := device.ranks.of_first(checkpoints.load()):
        network.load_state_dict(checkpoint["network"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        if averaged:
            averaged.load_state_dict(checkpoint["averaged"])
        epochs = [EpochRecord(**epoch) for epoch in checkpoint["epochs"]]
        best_weights, run_record = checkpoint["best_network"], checkpoint["run_record"]

    log.start(run_record)
    logged_at = time.perf_counter()
    while not is_over(epochs, recipe.train):
        started_at = time.perf_counter()
        logging_s = started_at - logged_at
        number = len(epochs) + 1
        train_loss, train_accuracy, train_seconds = train_epoch(network, averaged, optimizer, train_set, recipe, device, number)
        trained_at = time.perf_counter()
        valid_loss, valid_accuracy = valid_epoch(evaluated, valid_set, recipe, device)
        rate = current_learning_rate(optimizer)
        epoch = EpochRecord(number, train_loss, valid_loss, train_accuracy, valid_accuracy, rate)
        check_loss(epoch, recipe.train.lr)
        epochs.append(epoch)
        best = best_epoch(epochs, recipe.train)
        if epoch == best:
            best_weights = copy_weights(evaluated)
        logged_at = time.perf_counter()
        timing = {
            "timestamp_ms": int(time.time() * 1000),
            "epoch_s": logged_at - started_at,
            "images_per_second": len(train_set.labels) / (trained_at - started_at),
            **train_seconds,
            "valid_s": logged_at - trained_at,
            "logging_s": logging_s,  # the checkpoint and the log of the epoch before
        }
        run_record["epochs"].append(asdict(epoch) | timing)
        state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "run_record": run_record}
        if averaged:
            state["averaged"] = averaged.state_dict()
        checkpoints.save(state | {"epochs": list(map(asdict, epochs))}, number, best.epoch)
        log.log_epoch(epoch, is_best=epoch == best and averaged is None)

    if averaged or not refit:
        network.load_state_dict(averaged.module.state_dict() if averaged else best_weights)
    return FitResult(network, predict(network, valid_set, recipe, device), epochs, best_epoch(epochs, recipe.train), run_record)


class TrainMeans(NamedTuple):
    """Over an epoch's images; `seconds` are `data_s` (with augmentation), `forward_s`, and `backward_s` (with the step)."""

    loss: float
    accuracy: float
    seconds: dict[str, float]


def train_epoch(
    network: nn.Module,
    averaged: AveragedModel | None,
    optimizer: torch.optim.Optimizer,
    train: SideInputs,
    recipe: Recipe,
    device: Device,
    epoch: int,
) -> TrainMeans:
    """One pass over the train images; all its randomness comes from the seed and the epoch's number, counted from 1."""
    params, ranks = recipe.train, device.ranks
    seed = params.seed * 1_000_003 + epoch
    torch.manual_seed(seed)  # for dropout
    count, step_count = len(train.labels), len(batch_sizes(len(train.labels), params.batch_size))
    batches = train_batches(train, recipe, device, torch.Generator().manual_seed(seed))
    shown = tqdm(batches, f"epoch {epoch}", step_count, unit="batch", leave=False, disable=None if ranks.is_first else True)
    loss_sum, correct = (torch.zeros((), device=device.torch_device, dtype=torch.float64) for _ in range(2))
    branches = branches_to_train(network, device).train()
    watch = Stopwatch(device)
    for step, batch in enumerate(shown, (epoch - 1) * step_count):
        set_learning_rate(optimizer, learning_rate(step, params.epochs * step_count, params.lr, params.schedule))
        watch.lap("data_s")
        with whole_batch(ranks, batch.images):
            outputs = forward(branches, batch, device)
        loss = training_loss(outputs, batch, recipe)
        loss_sum += loss.detach() * (batch.images / ranks.count)
        correct += count_correct(total_logits(outputs).detach(), batch.labels, recipe)
        watch.lap("forward_s")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if averaged:
            averaged.update_parameters(network)
        watch.lap("backward_s")
    loss_sum, correct = ranks.added(loss_sum), ranks.added(correct)
    return TrainMeans(loss_sum.item() / count, correct.item() / count, watch.seconds())


@torch.inference_mode()
def valid_epoch(network: nn.Module, valid: SideInputs, recipe: Recipe, device: Device) -> tuple[float, float]:
    """Mean loss and accuracy over the valid images."""
    loss_sum, correct = (torch.zeros((), device=device.torch_device, dtype=torch.float64) for _ in range(2))
    branches = Branches(network).eval()
    for batch in valid_batches(valid, recipe, device):
        outputs = forward(branches, batch, device)
        loss_sum += training_loss(outputs, batch, recipe) * len(batch.labels)
        correct += count_correct(total_logits(outputs), batch.labels, recipe)
    loss_sum, correct = device.ranks.added(loss_sum), device.ranks.added(correct)
    return loss_sum.item() / len(valid.labels), correct.item() / len(valid.labels)


class Predicted(NamedTuple):
    """Of N images p_fake (N,), not calibrated, and a RegionNetwork's `distances` (N, B), of its B branches."""

    p_fake: NDArray[np.float64]
    distances: NDArray[np.float64] | None


@torch.inference_mode()
def predict(network: nn.Module, side: SideInputs, recipe: Recipe, device: Device) -> Predicted:
    """Of all images, in float32, as an exported network computes it."""
    network.eval()
    batches = valid_batches(side, recipe, replace(device, bf16=False, ranks=ALONE))
    logits, distances = zip(*(judge(network, batch.inputs, batch.cooccurrences) for batch in batches), strict=True)
    p_fake = recipe.objective.p_fake(torch.cat(logits).double()).cpu().numpy()
    return Predicted(p_fake, torch.cat(distances).double().cpu().numpy() if isinstance(network, RegionNetwork) else None)


def inputs(network: nn.Module, side: PackedSide, name: PackedName, recipe: Recipe, device: Device, looks: Looks) -> SideInputs:
    """A side's images on the device; where the backbone is frozen, what it makes of them, once for all epochs."""
    tensors = to_tensors(side, device)
    if not (isinstance(network, RegionNetwork) and network.frozen):
        return tensors
    return look_once(network, tensors, recipe, device, looks, name)


def count_correct(logits: Tensor, labels: Tensor, recipe: Recipe) -> Tensor:
    return ((recipe.objective.p_fake(logits) >= HALF) == labels.bool()).sum()


def new_network(recipe: Recipe, device: Device, eval_px: int) -> nn.Module:
    """The recipe's network before its first step, on the device, in its memory layout. Raises as `rehearse` does."""
    network = new_classifier(recipe.model, recipe.train.seed).to(device.torch_device)
    network.to(memory_format=recipe.memory_format)  # type: ignore[call-overload]
    rehearse(network, recipe, device, eval_px)
    return network


def check_batches(images: int, recipe: Recipe, device: Device) -> None:
    """Raises ParamsError where a batch of an epoch has no image for each of the processes that train together."""
    batch_size, count = recipe.train.batch_size, device.ranks.count
    smallest = min(batch_sizes(images, batch_size), default=0)
    if smallest < count > 1:
        raise ParamsError(
            f"train.processes: {count}: {images:,} images in batches of {batch_size} leave a last one of {smallest}; "
            "expected an image for each process: another train.batch_size"
        )


def check_loss(epoch: EpochRecord, lr: float) -> None:
    """Raises FakefaceError if the loss is no longer finite."""
    if not math.isfinite(epoch.train_loss + epoch.valid_loss):
        raise FakefaceError(
            f"train.lr: {lr}: the loss of epoch {epoch.epoch} became {epoch.train_loss:g} on train, "
            f"{epoch.valid_loss:g} on valid; expected finite numbers: try a lower rate"
        )
