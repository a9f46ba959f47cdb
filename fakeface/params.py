"""params.yaml in types: a frozen dataclass per section, without a default, and what can be wrong with the file as a whole.

A stage that reads one section checks them all: a mistake ends the first stage that runs, not the last one. This module
decides no result, since DVC watches the values themselves; so it is not among the stages' deps, and must only check.
"""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass

from fakeface.core.errors import ParamsError
from fakeface.core.params import STRICT, check_section, folder, read_yaml
from fakeface.core.records import Framing, ObjectiveName, ThresholdName

Section = TypeVar("Section")
Seed = Annotated[int, Field(ge=0, lt=2**32)]
DeviceName = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bf16"]
Layout = Literal["channels_last", "contiguous"]


def _processes(value: object) -> object:
    if value != "auto" and (type(value) is not int or value < 1):
        raise ValueError("should be auto, one per GPU, or a whole number from 1")
    return value


Processes = Annotated[int | Literal["auto"], PlainValidator(_processes)]

EFFICIENTNET_LITE0 = "efficientnet_lite0"
_OF_TORCHVISION = """
    alexnet convnext_base convnext_large convnext_small convnext_tiny densenet121 densenet161 densenet169 densenet201
    efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6
    efficientnet_b7 efficientnet_v2_l efficientnet_v2_m efficientnet_v2_s maxvit_t mnasnet0_5 mnasnet0_75 mnasnet1_0
    mnasnet1_3 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small regnet_x_16gf regnet_x_1_6gf regnet_x_32gf
    regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf regnet_y_128gf regnet_y_16gf regnet_y_1_6gf regnet_y_32gf
    regnet_y_3_2gf regnet_y_400mf regnet_y_800mf regnet_y_8gf resnet101 resnet152 resnet18 resnet34 resnet50
    resnext101_32x8d resnext101_64x4d resnext50_32x4d shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5
    shufflenet_v2_x2_0 swin_b swin_s swin_t swin_v2_b swin_v2_s swin_v2_t vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn
    vgg19 vgg19_bn vit_b_16 vit_b_32 vit_h_14 vit_l_16 vit_l_32 wide_resnet101_2 wide_resnet50_2
"""
ARCHITECTURES = (EFFICIENTNET_LITE0, *_OF_TORCHVISION.split())
"""EfficientNet-Lite0 and torchvision's classifiers with one output; docs/architectures.md says at which sizes they work."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DataParams:
    """Section `data`: the folder of photos."""

    root: Annotated[Path, BeforeValidator(folder)]


def _folder_or_null(value: object) -> Path | None:
    return None if value is None else folder(value)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ElsewhereParams:
    """Section `elsewhere`: a folder of photos that are no composites and none of data.root's; with null nothing is measured."""

    root: Annotated[Path | None, BeforeValidator(_folder_or_null)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SampleParams:
    """Section `sample`; of the fakes a third each are easy, mid and hard."""

    seed: Seed
    image_px: int = Field(ge=64, le=1024)
    training_real: int = Field(ge=1)
    training_fake: int = Field(ge=3)
    test_real: int = Field(ge=1)
    test_fake: int = Field(ge=3)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class IndexParams:
    """Section `index`: with more files than `max_rejected` that cannot be used, the folder itself is taken to be wrong."""

    max_rejected: int = Field(ge=0)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RelateParams:
    """Section `relate`: how closely to look, and from how many shared points on two images are related."""

    image_px: int = Field(ge=64, le=4096)
    keypoints: int = Field(ge=50, le=10_000)
    max_scale: float = Field(ge=1, allow_inf_nan=False)
    min_points: int = Field(ge=4)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SplitParams:
    """Section `split`; `by` image is the notebook's random split, in which even identical files may part."""

    seed: Seed
    by: Literal["group", "image"]
    folds: int = Field(ge=2, le=1000)
    fold: int = Field(ge=0)
    exclude_relatives: bool
    test_count: int = Field(ge=1)
    test_difficulty: Literal["easy", "mid", "hard"]
    test_fraction: float = Field(gt=0, lt=1)

    @field_validator("fold")
    @classmethod
    def _is_one_of_the_folds(cls, fold: int, info: ValidationInfo) -> int:
        folds = info.data.get("folds")
        if folds is not None and fold >= folds:
            raise ValueError(f"should be less than split.folds, {folds}")
        return fold


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PackParams:
    """Section `pack`: the side of a packed image, larger for training so that crops can move about in it.

    `framing` is as in records.FRAMINGS. `laundered` is how many copies of each train image are packed with it, as the web would
    leave them.
    """

    train_px: int = Field(ge=16, le=4096)
    eval_px: int = Field(ge=16, le=4096)
    framing: Framing
    laundered: int = Field(ge=0, le=100)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AugmentParams:
    """Section `augment`: brightness, contrast, saturation scaled by 1 ± the value; hue turned by ± that share of a circle.

    `laundered` is the probability that one of an image's laundered copies stands for it.
    """

    crop_px: int = Field(ge=1)
    horizontal_flip: float = Field(ge=0, le=1)
    rotation_degrees: float = Field(ge=0, le=180)
    brightness: float = Field(ge=0, le=1)
    contrast: float = Field(ge=0, le=1)
    saturation: float = Field(ge=0, le=1)
    hue: float = Field(ge=0, le=0.5)
    laundered: float = Field(ge=0, le=1)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ModelParams:
    """Section `model`: `arch` is one of ARCHITECTURES, `weights` imagenet, random or a file.

    `pooling` is over the whole image, as the architecture has it, or over each region of a face. Only with the latter, `frozen`
    layers below the pooling keep their weights, `parts` is the weight of the loss for telling which were replaced, and
    `cooccurrences` of residuals, and an `overview` at half the size by a network of its own, are judged as well.
    """

    arch: str
    weights: str
    pooling: Literal["image", "regions"]
    frozen: bool
    parts: float = Field(ge=0, allow_inf_nan=False)
    cooccurrences: bool
    overview: bool

    @field_validator("arch")
    @classmethod
    def _is_known(cls, arch: str) -> str:
        if arch not in ARCHITECTURES:
            raise ValueError(f"should be efficientnet_lite0 or one of torchvision's classifiers{_hint(arch, ARCHITECTURES)}")
        return arch

    @field_validator("weights")
    @classmethod
    def _are_a_file_or_known(cls, weights: str) -> str:
        if weights not in ("imagenet", "random") and not Path(weights).suffix:
            raise ValueError("should be imagenet, random, or a file that ends in .safetensors or .pth")
        return weights


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainParams:
    """Section `train`; training stops after `patience` epochs without a better validation accuracy.

    With an `averaging` above 0 the weights are a moving average that keeps that share at each step, of all `epochs`. A
    `refit` is a second training, on train and valid together, whose network judges all other photos.
    """

    seed: Seed
    optimizer: Literal["adam", "adamw"]
    lr: float = Field(gt=0, allow_inf_nan=False)
    weight_decay: float = Field(ge=0, allow_inf_nan=False)
    schedule: Literal["constant", "one_cycle"]
    label_smoothing: float = Field(ge=0, lt=1)
    batch_size: int = Field(ge=2)
    epochs: int = Field(ge=1)
    patience: int = Field(ge=1)
    averaging: float = Field(ge=0, lt=1)
    refit: bool
    device: DeviceName
    precision: Precision
    layout: Layout
    processes: Processes


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AnswersParams:
    """Section `answers`: of the valid images that are called fake, and of those called real, at most `max_error` are wrong."""

    max_error: float = Field(gt=0, lt=0.5)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EvaluateParams:
    """Section `evaluate`."""

    seed: Seed
    resamples: int = Field(ge=100, le=100_000)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ReportParams:
    """Section `report`."""

    mistakes: int = Field(ge=0)
    thumbnails: bool


SECTIONS: dict[str, Any] = {
    "loss": ObjectiveName,
    "threshold": ThresholdName,
    "data": DataParams,
    "elsewhere": ElsewhereParams,
    "sample": SampleParams,
    "index": IndexParams,
    "relate": RelateParams,
    "split": SplitParams,
    "pack": PackParams,
    "augment": AugmentParams,
    "model": ModelParams,
    "train": TrainParams,
    "answers": AnswersParams,
    "evaluate": EvaluateParams,
    "report": ReportParams,
}


def load_params(path: Path, section: str, kind: type[Section]) -> Section:
    """One section of a params file, as an instance of its `kind` in SECTIONS. Raises as `check_params`."""
    if SECTIONS[section] is not kind:
        raise TypeError(f"section {section} is a {SECTIONS[section]}, not a {kind}")
    return check_params(path)[section]  # type: ignore[no-any-return]


def check_params(path: Path) -> dict[str, Any]:
    """All sections of a params file.

    Raises:
        ParamsError: the file, a section or a key is missing, unknown, of the wrong type, out of range, or does not fit another.
    """
    values = read_yaml(path)
    for section in map(str, values):
        if section not in SECTIONS:
            raise ParamsError(f"{path}: {section}: unknown section{_hint(section, SECTIONS)}")
    for section, kind in SECTIONS.items():
        _check_keys(path, section, values.get(section), kind)
    sections = {section: check_section(values, section, kind, path) for section, kind in SECTIONS.items()}
    pack, crop_px = sections["pack"], sections["augment"].crop_px
    if crop_px > pack.train_px:
        raise ParamsError(f"{path}: augment.crop_px: {crop_px}: should be at most pack.train_px, {pack.train_px}")
    if pack.framing != "centre" and (pack.train_px < pack.eval_px or (pack.train_px - pack.eval_px) % 2):
        expected = f"should be pack.eval_px, {pack.eval_px}, or more by an even number, where pack.framing is {pack.framing}"
        raise ParamsError(f"{path}: pack.train_px: {pack.train_px}: {expected}")
    if sections["model"].frozen:
        _check_frozen(path, sections)
    return sections


def _check_frozen(path: Path, sections: dict[str, Any]) -> None:
    """Images are looked at once, as they are and flipped, but by an overview. Raises ParamsError where more is asked for."""
    pack, augment = sections["pack"], sections["augment"]
    if sections["model"].pooling == "image":
        raise ParamsError(f"{path}: model.frozen: true: should be false where model.pooling is image")
    if pack.train_px != pack.eval_px:
        raise ParamsError(f"{path}: pack.train_px: {pack.train_px}: should be pack.eval_px, {pack.eval_px}, for model.frozen")
    if augment.crop_px != pack.train_px:
        expected = f"should be pack.train_px, {pack.train_px}, for model.frozen"
        raise ParamsError(f"{path}: augment.crop_px: {augment.crop_px}: {expected}")
    for name in ("rotation_degrees", "brightness", "contrast", "saturation", "hue"):
        if (value := getattr(augment, name)) and not sections["model"].overview:
            raise ParamsError(f"{path}: augment.{name}: {value:g}: should be 0 for model.frozen without model.overview")


def _check_keys(path: Path, section: str, values: Any, kind: Any) -> None:
    """Raises ParamsError for a key that the section does not have."""
    for key in map(str, values if isinstance(values, dict) else ()):
        if is_dataclass(kind) and key not in _keys(kind):
            elsewhere = [f": did you mean {other}.{key}?" for other, of in SECTIONS.items() if key in _keys(of)]
            raise ParamsError(f"{path}: {section}.{key}: unknown parameter{_hint(key, _keys(kind)) or ''.join(elsewhere[:1])}")


def _keys(kind: Any) -> list[str]:
    return [field.name for field in fields(kind)] if is_dataclass(kind) else []


def _hint(name: str, known: Iterable[str]) -> str:
    nearest = get_close_matches(name, known, 1)
    return f": did you mean {nearest[0]}?" if nearest else ""
