import time
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from fakeface.core.records import ObjectiveName, Side, SplitRecord
from fakeface.training import fit as training
from fakeface.training.augmentation import AugmentParams
from fakeface.training.devices import Device
from fakeface.training.fit import Recipe, Trainer, TrainParams, learning_rate, new_optimizer
from fakeface.training.network import ExportedClassifier, ModelParams
from fakeface.training.packed import PackedSide

CPU = Device(torch.device("cpu"), bf16=False)
TRAIN_PX, EVAL_PX = 24, 16
TRAIN = TrainParams(
    seed=0,
    optimizer="adamw",
    lr=0.01,
    weight_decay=0.01,
    schedule="one_cycle",
    label_smoothing=0.1,
    batch_size=8,
    epochs=3,
    patience=3,
    device="cpu",
    precision="float32",
    layout="channels_last",
)
AUGMENT = AugmentParams(
    crop_px=EVAL_PX, horizontal_flip=0.5, rotation_degrees=10, brightness=0.2, contrast=0.2, saturation=0.2, hue=0.1
)
RECIPE = Recipe("ce", TRAIN, AUGMENT, ModelParams(arch="tiny", weights="random"), [0.5, 0.4, 0.3], [0.2, 0.3, 0.4])


@pytest.fixture(autouse=True)
def tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is trained here: with batch normalisation and dropout, as the real ones have them."""

    def new_classifier(_: ModelParams, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(32, 2),
        )

    monkeypatch.setattr(training, "new_classifier", new_classifier)


def side(name: Side, count: int, px: int) -> PackedSide:
    """Noise, the fakes brighter."""
    rng = np.random.default_rng(count)
    labels = np.arange(count) % 2
    images = (rng.integers(0, 180, (count, px, px, 3)) + 60 * labels[:, None, None, None]).astype(np.uint8)
    unknown: dict[str, Any] = dict.fromkeys(("left_eye", "right_eye", "nose", "mouth", "luma_quantisation_sum"))
    facts: dict[str, Any] = {
        "sha256": "",
        "difficulty": "",
        "width": px,
        "height": px,
        "bytes": 1,
        "subset": "",
        "group": "",
    } | unknown
    records = [SplitRecord(path=f"{row}.jpg", label=1 if row % 2 else 0, side=name, **facts) for row in range(count)]
    return PackedSide(images, records)


def trainer(recipe: Recipe = RECIPE, train_count: int = 27, valid_count: int = 70) -> Trainer:
    return Trainer(recipe, CPU, side("train", train_count, TRAIN_PX), side("valid", valid_count, EVAL_PX))


def with_train(**changes: Any) -> Recipe:
    return replace(RECIPE, train=replace(TRAIN, **changes))


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@given(steps=st.integers(1, 100), peak=st.floats(1e-6, 1))
def test_one_cycle_is_torchs_to_the_last_step(steps: int, peak: float) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=steps, cycle_momentum=False)
    optimizer.step()
    for step in range(steps):
        expected = optimizer.param_groups[0]["lr"]
        assert learning_rate(step, steps, peak, "one_cycle") == pytest.approx(expected, rel=1e-9, abs=1e-9 * peak)
        if step < steps - 1:
            schedule.step()


@given(steps=st.integers(1, 500), peak=st.floats(1e-6, 1))
def test_constant_is_constant(steps: int, peak: float) -> None:
    assert {learning_rate(step, steps, peak, "constant") for step in range(steps)} == {peak}


def test_a_training_goes_through_the_whole_schedule() -> None:
    """3 epochs of 4 batches: the last rate of each is that of steps 3, 7 and 11 of 12."""
    in_training = trainer()
    for epoch in (1, 2, 3):
        in_training.train_epoch(epoch)
        assert in_training.last_learning_rate == learning_rate(4 * epoch - 1, 12, 0.01, "one_cycle")


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_optimizer_is_the_one_asked_for(name: str, kind: type[torch.optim.Optimizer]) -> None:
    optimizer = new_optimizer(nn.Linear(2, 2), with_train(optimizer=name, lr=1e-5, weight_decay=1e-5).train)
    assert type(optimizer) is kind
    assert [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups] == [(1e-5, 1e-5)]
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2


@pytest.mark.parametrize("objective", ["ce", "bce"])
def test_the_same_seed_gives_the_same_weights_bit_for_bit(objective: ObjectiveName) -> None:
    recipe = replace(RECIPE, objective_name=objective)
    one, other = trainer(recipe), trainer(recipe)
    told = [(one.train_epoch(epoch), one.valid_epoch()) for epoch in (1, 2)]
    torch.rand(7)  # what others draw in between does not matter
    np.random.default_rng().random(7)
    assert told == [(other.train_epoch(epoch), other.valid_epoch()) for epoch in (1, 2)]
    assert same(one.weights(), other.weights())


def test_another_seed_gives_other_weights() -> None:
    one, other = trainer(), trainer(with_train(seed=1))
    for in_training in (one, other):
        in_training.train_epoch(1)
    assert not same(one.weights(), other.weights())


def test_an_epochs_randomness_is_its_numbers_alone() -> None:
    """With the first epoch's weights and optimiser, a new process trains the second epoch alike."""
    first = trainer()
    first.train_epoch(1)
    resumed = trainer()
    resumed.network.load_state_dict(first.network.state_dict())
    resumed.optimizer.load_state_dict(deepcopy(first.optimizer.state_dict()))
    assert first.train_epoch(2) == resumed.train_epoch(2)
    assert same(first.weights(), resumed.weights())


def test_it_learns() -> None:
    in_training = trainer(with_train(epochs=12, schedule="constant"))
    loss_before, _ = in_training.valid_epoch()
    for epoch in range(1, 13):
        in_training.train_epoch(epoch)
    loss, accuracy = in_training.valid_epoch()
    assert loss < loss_before
    assert accuracy > 0.9


@given(count=st.integers(2, 40), batch_size=st.integers(2, 12))
def test_batches_hold_each_row_once_and_none_is_alone(count: int, batch_size: int) -> None:
    order = torch.randperm(count)
    batches = training._batches(order, batch_size)
    assert torch.equal(torch.cat(batches), order)
    sizes = [len(batch) for batch in batches]
    assert set(sizes[:-1]) <= {batch_size}
    assert 2 <= sizes[-1] <= batch_size + 1


def test_a_last_batch_of_one_can_be_trained() -> None:
    """17 images in batches of 8: batch normalisation refuses a batch of one value per channel."""
    loss, _ = trainer(train_count=17).train_epoch(1)
    assert np.isfinite(loss)


def test_validation_means_are_sums_over_the_images_divided_once() -> None:
    """70 images are batches of 64 and 6: a mean of their means would weigh the last six more."""
    judging = trainer()
    judging.train_epoch(1)
    loss, accuracy = judging.valid_epoch()
    with torch.inference_mode():
        images = judging.valid_images.permute(0, 3, 1, 2) / 255
        mean, std = (torch.tensor(of).view(1, 3, 1, 1) for of in (RECIPE.mean, RECIPE.std))
        logits = judging.network((images - mean) / std)
        losses = [
            RECIPE.objective.loss(row.unsqueeze(0), label.unsqueeze(0), TRAIN.label_smoothing).item()
            for row, label in zip(logits, judging.valid_labels, strict=True)
        ]
    assert loss == pytest.approx(sum(losses) / 70, rel=1e-5)
    assert accuracy == (logits.argmax(dim=1) == judging.valid_labels).sum().item() / 70


def test_train_means_are_sums_over_the_images_divided_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """27 images are batches of 8, 8, 8 and 3."""
    in_training = trainer()
    told: list[tuple[int, float, float]] = []
    real = in_training._loss

    def remembering(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        loss, logits = real(images, labels)
        told.append((len(labels), loss.item(), (logits.argmax(dim=1) == labels).sum().item()))
        return loss, logits

    monkeypatch.setattr(in_training, "_loss", remembering)
    loss, accuracy = in_training.train_epoch(1)
    assert [count for count, _, _ in told] == [8, 8, 8, 3]
    assert loss == pytest.approx(sum(count * batch_loss for count, batch_loss, _ in told) / 27)
    assert accuracy == pytest.approx(sum(correct for _, _, correct in told) / 27)


def test_validation_images_are_normalised_not_augmented() -> None:
    judging = trainer(valid_count=5)
    shown: list[Tensor] = []
    judging.network.register_forward_pre_hook(lambda _, images: shown.append(images[0]))
    judging.valid_epoch()
    scaled = side("valid", 5, EVAL_PX).images.transpose(0, 3, 1, 2) / 255
    expected = (scaled - np.reshape(RECIPE.mean, (1, 3, 1, 1))) / np.reshape(RECIPE.std, (1, 3, 1, 1))
    np.testing.assert_allclose(torch.cat(shown).numpy(), expected, atol=1e-5)


def test_weights_are_a_copy() -> None:
    in_training = trainer()
    before = in_training.weights()
    in_training.train_epoch(1)
    assert not same(before, in_training.weights())


def test_a_recipe_as_json_holds_every_parameter() -> None:
    told = RECIPE.as_json()
    assert told["train"]["lr"] == 0.01
    assert told["augment"]["crop_px"] == EVAL_PX
    assert told["model"]["arch"] == "tiny"
    assert (told["objective_name"], told["mean"]) == ("ce", [0.5, 0.4, 0.3])


def test_an_epochs_time_is_told_by_part() -> None:
    in_training = trainer()
    started = time.perf_counter()
    in_training.train_epoch(1)
    elapsed_s = time.perf_counter() - started
    assert set(in_training.train_seconds) == {"data_s", "forward_s", "backward_s"}
    assert 0 < sum(in_training.train_seconds.values()) < elapsed_s


def test_validation_p_fake_is_that_of_the_exported_network() -> None:
    in_training = trainer()
    recipe = in_training.recipe
    exported = ExportedClassifier(in_training.network, recipe.objective, recipe.mean, recipe.std).eval()
    with torch.inference_mode():
        p_fake, _ = exported(in_training.valid_images)
    assert in_training.valid_p_fake() == pytest.approx(p_fake.double().numpy(), abs=1e-6)


@pytest.mark.parametrize(("layout", "memory_format"), training.LAYOUTS.items())
def test_images_and_weights_lie_in_memory_as_asked(layout: str, memory_format: torch.memory_format) -> None:
    in_training = trainer(with_train(layout=layout))
    shown: list[Tensor] = []
    in_training.network.register_forward_pre_hook(lambda _, images: shown.append(images[0]))
    in_training.train_epoch(1)
    in_training.valid_epoch()
    weights = in_training.network.get_parameter("0.weight")
    assert len(shown) > 2
    assert all(of.is_contiguous(memory_format=memory_format) for of in (*shown, weights))


def test_how_many_are_augmented_at_a_time_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs: list[list[Tensor]] = []
    for together in (1, 3, 100):
        monkeypatch.setattr(training, "CACHED_IMAGES", together)
        shown: list[Tensor] = []
        in_training = trainer()
        in_training.network.register_forward_pre_hook(lambda _, images, shown=shown: shown.append(images[0]))
        in_training.train_epoch(1)
        inputs.append(shown)
    for others in inputs[1:]:
        torch.testing.assert_close(others, inputs[0], rtol=0, atol=1e-5)


def test_mapped_images_that_cannot_be_written_to_are_trained_on() -> None:
    train, valid = side("train", 27, TRAIN_PX), side("valid", 70, EVAL_PX)
    expected = Trainer(RECIPE, CPU, train, valid)
    for of in (train, valid):
        of.images.setflags(write=False)
    mapped = Trainer(RECIPE, CPU, train, valid)
    for one in (expected, mapped):
        one.train_epoch(1)
    assert same(mapped.weights(), expected.weights())
    assert mapped.valid_epoch() == expected.valid_epoch()
