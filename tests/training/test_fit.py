import time
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from fakeface.core.errors import FakefaceError, ParamsError
from fakeface.core.records import ObjectiveName
from fakeface.training import fit as training
from fakeface.training.batches import Batch, to_tensors, train_batches
from fakeface.training.checkpoint import Checkpoints
from fakeface.training.fit import FitResult, TrainMeans, fit, new_network, predict, train_epoch, valid_epoch
from fakeface.training.network import copy_weights
from fakeface.training.optimization import average_of, current_learning_rate, learning_rate, new_optimizer
from fakeface.training.recipe import MEMORY_FORMATS, Recipe
from tests.training.tiny import (
    CPU,
    EVAL_PX,
    RECIPE,
    TRAIN,
    TRAIN_PX,
    KilledError,
    RecordingLog,
    packed_side,
    same,
    tiny_network,
    with_train,
)

PACKED = ("images", "regions", "laundered", "cooccurrences", "records")


@pytest.fixture(autouse=True)
def use_tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "new_classifier", tiny_network)


class Training:
    """A network with its optimizer and images, to be trained epoch by epoch."""

    def __init__(self, recipe: Recipe = RECIPE, train_count: int = 27, valid_count: int = 70) -> None:
        self.recipe = recipe
        self.train = to_tensors(packed_side("train", train_count, TRAIN_PX), CPU)
        self.valid = to_tensors(packed_side("valid", valid_count, EVAL_PX), CPU)
        self.network = new_network(recipe, CPU, EVAL_PX)
        self.optimizer = new_optimizer(self.network, recipe.train)

    def train_epoch(self, epoch: int) -> TrainMeans:
        return train_epoch(self.network, None, self.optimizer, self.train, self.recipe, CPU, epoch)

    def valid_epoch(self) -> tuple[float, float]:
        return valid_epoch(self.network, self.valid, self.recipe, CPU)

    def weights(self) -> dict[str, Tensor]:
        return copy_weights(self.network)

    def batches(self, epoch: int) -> list[Batch]:
        """What `train_epoch` trains on."""
        generator = torch.Generator().manual_seed(self.recipe.train.seed * 1_000_003 + epoch)
        return list(train_batches(self.train, self.recipe, CPU, generator))


def run_fit(
    recipe: Recipe = RECIPE, folder: Path | None = None, log: RecordingLog | None = None, run_name: str = "new"
) -> FitResult:
    """`fit` on 27 and 70 images, with checkpoints in `folder`."""
    train, valid = packed_side("train", 27, TRAIN_PX), packed_side("valid", 70, EVAL_PX)
    run_record = {"name": run_name, "epochs": []}
    return fit(recipe, CPU, train, valid, Checkpoints(folder), run_record, log or RecordingLog())


def test_a_training_goes_through_the_whole_schedule() -> None:
    """3 epochs of 4 batches: the last rate of each is that of steps 3, 7 and 11 of 12."""
    one = Training()
    for epoch in (1, 2, 3):
        one.train_epoch(epoch)
        assert current_learning_rate(one.optimizer) == learning_rate(4 * epoch - 1, 12, 0.01, "one_cycle")


@pytest.mark.parametrize("objective", ["ce", "bce"])
def test_the_same_seed_gives_the_same_weights_bit_for_bit(objective: ObjectiveName) -> None:
    recipe = replace(RECIPE, objective_name=objective)
    one, other = Training(recipe), Training(recipe)
    means = [(one.train_epoch(epoch)[:2], one.valid_epoch()) for epoch in (1, 2)]
    torch.rand(7)  # random numbers that others draw in between do not matter
    np.random.default_rng().random(7)
    assert means == [(other.train_epoch(epoch)[:2], other.valid_epoch()) for epoch in (1, 2)]
    assert same(one.weights(), other.weights())


def test_another_seed_gives_other_weights() -> None:
    one, other = Training(), Training(with_train(seed=1))
    for training_of in (one, other):
        training_of.train_epoch(1)
    assert not same(one.weights(), other.weights())


def test_an_epochs_randomness_is_its_numbers_alone() -> None:
    """With the first epoch's weights and optimizer, a new process trains the second epoch alike."""
    first = Training()
    first.train_epoch(1)
    resumed = Training()
    resumed.network.load_state_dict(first.network.state_dict())
    resumed.optimizer.load_state_dict(deepcopy(first.optimizer.state_dict()))
    assert first.train_epoch(2)[:2] == resumed.train_epoch(2)[:2]
    assert same(first.weights(), resumed.weights())


def test_it_learns() -> None:
    one = Training(with_train(epochs=12, schedule="constant"))
    loss_before, _ = one.valid_epoch()
    for epoch in range(1, 13):
        one.train_epoch(epoch)
    loss, accuracy = one.valid_epoch()
    assert loss < loss_before
    assert accuracy > 0.9


def test_a_last_batch_of_one_can_be_trained() -> None:
    """17 images in batches of 8: batch normalisation refuses a batch of one value per channel."""
    assert np.isfinite(Training(train_count=17).train_epoch(1).loss)


def test_validation_means_are_sums_over_the_images_divided_once() -> None:
    """70 images are batches of 64 and 6: a mean of their means would weigh the last six more."""
    one = Training()
    one.train_epoch(1)
    loss, accuracy = one.valid_epoch()
    with torch.inference_mode():
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (RECIPE.mean, RECIPE.std))
        logits = one.network((one.valid.images.permute(0, 3, 1, 2) / 255 - mean) / std)
        losses = [
            RECIPE.objective.loss(row.unsqueeze(0), label.unsqueeze(0), TRAIN.label_smoothing).item()
            for row, label in zip(logits, one.valid.labels, strict=True)
        ]
    assert loss == pytest.approx(sum(losses) / 70, rel=1e-5)
    assert accuracy == (logits.argmax(dim=1) == one.valid.labels).sum().item() / 70


def test_train_means_are_sums_over_the_images_divided_once() -> None:
    """27 images are batches of 8, 8, 8 and 3."""
    one = Training()
    outputs: list[Tensor] = []
    one.network.register_forward_hook(lambda _, __, logits: outputs.append(logits.detach()))
    means = one.train_epoch(1)
    labels = [batch.labels for batch in one.batches(1)]
    assert [len(logits) for logits in outputs] == [8, 8, 8, 3]
    pairs = list(zip(outputs, labels, strict=True))
    losses = [len(of) * RECIPE.objective.loss(logits, of, TRAIN.label_smoothing).item() for logits, of in pairs]
    correct = [(logits.argmax(dim=1) == of).sum().item() for logits, of in pairs]
    assert means.loss == pytest.approx(sum(losses) / 27)
    assert means.accuracy == pytest.approx(sum(correct) / 27)


def test_the_network_is_trained_on_the_epochs_batches() -> None:
    one = Training()
    inputs: list[Tensor] = []
    one.network.register_forward_pre_hook(lambda _, images: inputs.append(images[0]))
    one.train_epoch(2)
    assert all(torch.equal(images, batch.inputs) for images, batch in zip(inputs, one.batches(2), strict=True))


def test_an_epochs_time_is_measured_by_part() -> None:
    started = time.perf_counter()
    seconds = Training().train_epoch(1).seconds
    elapsed_s = time.perf_counter() - started
    assert set(seconds) == {"data_s", "forward_s", "backward_s"}
    assert 0 < sum(seconds.values()) < elapsed_s


@pytest.mark.parametrize(("layout", "memory_format"), MEMORY_FORMATS.items())
def test_weights_lie_in_memory_as_asked(layout: str, memory_format: torch.memory_format) -> None:
    weight = new_network(with_train(layout=layout), CPU, EVAL_PX).get_parameter("0.weight")
    assert weight.is_contiguous(memory_format=memory_format)


def test_predicted_p_fake_is_the_networks_own() -> None:
    one = Training()
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (RECIPE.mean, RECIPE.std))
    p_fake = predict(one.network, one.valid, RECIPE, CPU).p_fake
    with torch.inference_mode():
        logits = one.network.eval()((one.valid.images.permute(0, 3, 1, 2) / 255 - mean) / std)
    assert p_fake.shape == (70,)
    assert p_fake == pytest.approx(RECIPE.objective.p_fake(logits).double().numpy(), abs=1e-6)


@pytest.mark.parametrize("key", ["augment.crop_px", "pack.eval_px"])
def test_a_side_that_the_network_does_not_take_is_named(key: str) -> None:
    """A kernel of 3 takes no image of 2."""
    crop_px, eval_px = (2, EVAL_PX) if key == "augment.crop_px" else (EVAL_PX, 2)
    recipe = replace(RECIPE, augment=replace(RECIPE.augment, crop_px=crop_px))
    with pytest.raises(ParamsError, match=rf"^{key}: 2: shufflenet_v2_x0_5 takes no images of that side: "):
        new_network(recipe, CPU, eval_px)


def test_fit_trains_every_epoch_and_keeps_the_weights_of_the_best() -> None:
    one, best_weights = Training(), {}
    log = RecordingLog()
    result = run_fit(log=log)
    for epoch, is_best in log.epochs:
        train_loss, train_accuracy, _ = one.train_epoch(epoch.epoch)
        valid_loss, valid_accuracy = one.valid_epoch()
        assert (epoch.train_loss, epoch.train_accuracy) == (train_loss, train_accuracy)
        assert (epoch.valid_loss, epoch.valid_accuracy) == (valid_loss, valid_accuracy)
        assert epoch.learning_rate == current_learning_rate(one.optimizer)
        if is_best:
            best_weights = one.weights()
    assert [epoch for epoch, _ in log.epochs] == result.epochs
    assert [epoch.epoch for epoch in result.epochs] == [1, 2, 3]
    assert result.best == [epoch for epoch, is_best in log.epochs if is_best][-1]
    assert same(copy_weights(result.network), best_weights)
    assert result.valid.p_fake.tolist() == predict(result.network, one.valid, RECIPE, CPU).p_fake.tolist()


def test_fit_stops_when_patience_runs_out() -> None:
    """At a rate of nearly zero validation soon gets no better."""
    result = run_fit(with_train(epochs=30, patience=2, lr=1e-30))
    assert len(result.epochs) == result.best.epoch + 2 < 30


def test_the_run_record_holds_every_epoch_and_its_times() -> None:
    result = run_fit()
    for epoch, entry in zip(result.epochs, result.run_record["epochs"], strict=True):
        assert {name: entry[name] for name in ("epoch", "valid_loss")} == {"epoch": epoch.epoch, "valid_loss": epoch.valid_loss}
        assert entry["epoch_s"] >= entry["data_s"] + entry["forward_s"] + entry["backward_s"] + entry["valid_s"]
        assert entry["images_per_second"] > 0
        assert entry["logging_s"] >= 0


@pytest.mark.parametrize("killed_after", [1, 2, 3])
def test_a_resumed_training_ends_the_same_bit_for_bit(tmp_path: Path, killed_after: int) -> None:
    whole = run_fit()
    with pytest.raises(KilledError):
        run_fit(folder=tmp_path, log=RecordingLog(killed_after), run_name="first")
    log = RecordingLog()
    resumed = run_fit(folder=tmp_path, log=log, run_name="second")
    assert log.resumed_after == killed_after
    assert [epoch.epoch for epoch, _ in log.epochs] == list(range(killed_after + 1, 4))
    assert resumed.epochs == whole.epochs
    assert same(copy_weights(resumed.network), copy_weights(whole.network))
    assert resumed.valid.p_fake.tolist() == whole.valid.p_fake.tolist()
    assert resumed.run_record["name"] == "first"
    assert [entry["epoch"] for entry in resumed.run_record["epochs"]] == [1, 2, 3]


def test_a_loss_that_diverges_ends_the_training_and_names_the_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exploding(*arguments: Any) -> nn.Module:
        network = tiny_network(*arguments)
        with torch.no_grad():
            network.get_parameter("6.bias").fill_(torch.nan)
        return network

    monkeypatch.setattr(training, "new_classifier", exploding)
    log = RecordingLog()
    with pytest.raises(
        FakefaceError, match=r"^train\.lr: 0\.01: the loss of epoch 1 became nan on train, nan on valid; expected"
    ):
        run_fit(folder=tmp_path, log=log)
    assert log.epochs == []
    assert Checkpoints(tmp_path).load() is None


def test_averaged_weights_are_evaluated_and_kept() -> None:
    """Against the average written out: after step k, counted from 0, it keeps min(decay, k + 1 in k + 10) of itself."""
    recipe = with_train(averaging=0.8, epochs=2)
    one = Training(recipe)
    average: dict[str, Tensor] = {}
    steps = 0

    def note_step(*_: Any) -> None:
        nonlocal average, steps
        weights = one.weights()
        keep = min(0.8, (steps + 1) / (steps + 10)) if steps else 0.0
        average = {name: keep * average.get(name, 0) + (1 - keep) * value for name, value in weights.items()}
        steps += 1

    one.optimizer.register_step_post_hook(note_step)
    for epoch in (1, 2):
        one.train_epoch(epoch)
    result = run_fit(recipe)
    assert result.best.epoch == 2
    for name, value in copy_weights(result.network).items():
        if value.is_floating_point():
            torch.testing.assert_close(value, average[name], rtol=1e-4, atol=1e-5)
    one.network.load_state_dict(copy_weights(result.network))
    assert (result.best.valid_loss, result.best.valid_accuracy) == one.valid_epoch()


@pytest.mark.parametrize("killed_after", [1, 3])
def test_a_resumed_training_with_averaged_weights_ends_the_same_bit_for_bit(tmp_path: Path, killed_after: int) -> None:
    recipe = with_train(averaging=0.9)
    whole = run_fit(recipe)
    with pytest.raises(KilledError):
        run_fit(recipe, folder=tmp_path, log=RecordingLog(killed_after))
    resumed = run_fit(recipe, folder=tmp_path)
    assert resumed.epochs == whole.epochs
    assert same(copy_weights(resumed.network), copy_weights(whole.network))


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_a_refit_trains_on_valids_photos_too_through_all_epochs(averaging: float) -> None:
    """Those that stand for valid's here are what they are in one long train side, of which the order is the same."""
    recipe = with_train(epochs=3, averaging=averaging, patience=3)
    both = packed_side("train", 20, TRAIN_PX)
    train, more = (replace(both, **{name: getattr(both, name)[part] for name in PACKED}) for part in (slice(12), slice(12, 20)))
    valid = packed_side("valid", 10, EVAL_PX)
    refitted = fit(recipe, CPU, train, valid, Checkpoints(None), {"epochs": []}, RecordingLog(), refit=more)
    network = new_network(recipe, CPU, EVAL_PX)
    optimizer = new_optimizer(network, recipe.train)
    averaged = AveragedModel(network, avg_fn=average_of(averaging), use_buffers=True) if averaging else None
    for number in (1, 2, 3):
        train_epoch(network, averaged, optimizer, to_tensors(both, CPU), recipe, CPU, number)
    last = averaged.module if averaged else network
    assert same(copy_weights(refitted.network), copy_weights(last))
