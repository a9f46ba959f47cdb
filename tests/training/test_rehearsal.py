"""A network that would fail at the end of its training is refused before its first step."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from fakeface.core.errors import ParamsError
from fakeface.params import Precision
from fakeface.training import rehearsal
from fakeface.training.devices import Device, select_device
from fakeface.training.network import copy_weights, new_classifier
from fakeface.training.recipe import Recipe
from fakeface.training.rehearsal import rehearse
from tests.training.tiny import CPU, EVAL_PX, RECIPE, same, tiny_network


def recipe_of(arch: str, px: int) -> Recipe:
    return replace(RECIPE, model=replace(RECIPE.model, arch=arch), augment=replace(RECIPE.augment, crop_px=px))


def refusal(network: nn.Module, recipe: Recipe = RECIPE, device: Device = CPU, px: int = EVAL_PX) -> str:
    with pytest.raises(ParamsError) as caught:
        rehearse(network, recipe, device, px)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("arch", ["shufflenet_v2_x0_5", "efficientnet_lite0"])
def test_a_network_that_works_is_left_as_it_was(arch: str, precision: Precision, capfd: pytest.CaptureFixture[str]) -> None:
    """Batch normalisation's statistics and the gradients too."""
    recipe = recipe_of(arch, 48)
    network = new_classifier(recipe.model, seed=0)
    before = copy_weights(network)
    rehearse(network, recipe, select_device("cpu", precision), 32)
    assert same(copy_weights(network), before)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert capfd.readouterr() == ("", "")


def test_vgg11_cannot_be_exported_at_128_px(capfd: pytest.CaptureFixture[str]) -> None:
    """It could be trained: its last pooling makes 7 x 7 of anything, ONNX only of multiples of 7."""
    recipe = recipe_of("vgg11", 32)
    complaint = refusal(new_classifier(recipe.model, seed=0), recipe, px=128)
    assert complaint.startswith(
        "pack.eval_px: 128: vgg11 cannot be exported for images of that side, see docs/architectures.md: "
    )
    assert "adaptive_avg_pool2d" in complaint
    assert capfd.readouterr().out == ""


def test_vit_takes_one_side_alone() -> None:
    recipe = recipe_of("vit_b_32", 96)
    assert refusal(new_classifier(recipe.model, seed=0), recipe, px=224).startswith(
        "augment.crop_px: 96: vit_b_32 takes no images of that side: Wrong image height!"
    )


class Layer(nn.Module):
    """A network with one weight."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.linear = nn.Linear(3, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.function(self.linear(images.mean(dim=(2, 3))))


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (lambda logits: logits + torch.ones(int(logits.shape[0]), 1), "cannot be exported for images of that side"),
        (lambda logits: logits * (1 if torch.onnx.is_in_onnx_export() else 2), "exported, its logits of 1 images differ by"),
        (lambda logits: logits[:, :1], "its output is (2, 1); expected (2, 2), images and classes"),
        (lambda logits: {"out": logits}, "its output is dict; expected (2, 2), images and classes"),
        (lambda logits: logits.detach(), "augment.crop_px: 16: shufflenet_v2_x0_5 takes no images of that side"),
    ],
    ids=["a fixed number of images", "other logits", "one class", "a dictionary", "no gradient"],
)
@pytest.mark.filterwarnings("ignore:Converting a tensor to a Python integer")
def test_a_network_that_fails_later_is_refused(function: Callable[[Tensor], Tensor], complaint: str) -> None:
    assert complaint in refusal(Layer(function))


def test_weights_that_no_file_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "LARGEST_FILE", 1000)
    complaint = "model.arch: 'shufflenet_v2_x0_5': 0.0 GiB of weights; an exported network holds 2 at most"
    assert refusal(tiny_network(RECIPE.model, seed=0)) == complaint
