"""Random changes to a batch of train images, on the device that holds it: each image has its own random values.

The same as torchvision's RandomCrop, RandomHorizontalFlip, RandomRotation and ColorJitter in that order, with one
difference: the four colour changes come in a random order per batch, there per image.
"""

import math

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from stages.params import STRICT

GREY_WEIGHTS = (0.2989, 0.587, 0.114)
"""ITU-R BT.601 luma, as torchvision rounds it."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AugmentParams:
    """Section `augment`: brightness, contrast, saturation scaled by 1 ± the value; hue turned by ± that share of a circle."""

    crop_px: int = Field(ge=1)
    horizontal_flip: float = Field(ge=0, le=1)
    rotation_degrees: float = Field(ge=0, le=180)
    brightness: float = Field(ge=0, le=1)
    contrast: float = Field(ge=0, le=1)
    saturation: float = Field(ge=0, le=1)
    hue: float = Field(ge=0, le=0.5)


def random_values(count: int, params: AugmentParams, generator: torch.Generator) -> dict[str, Tensor]:
    """One random value per image (count,) of every change; drawn for a whole epoch, so that batches do not matter."""

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=generator) * (high - low) + low

    return {
        "top": uniform(0, 1),
        "left": uniform(0, 1),
        "flip": uniform(0, 1) < params.horizontal_flip,
        "radians": uniform(-math.radians(params.rotation_degrees), math.radians(params.rotation_degrees)),
        "brightness": uniform(1 - params.brightness, 1 + params.brightness),
        "contrast": uniform(1 - params.contrast, 1 + params.contrast),
        "saturation": uniform(1 - params.saturation, 1 + params.saturation),
        "hue": uniform(-params.hue, params.hue),
    }


def augmented(images: Tensor, values: dict[str, Tensor], params: AugmentParams, order: list[int]) -> Tensor:
    """Random crops of uint8 `images` (N, P, P, 3) as float32 (N, 3, crop_px, crop_px) in [0, 1].

    `values` are `random_values` of these N images; `order` is a permutation of 0..3 over the colour changes.
    """
    pixels = (
        cropped(images, values, params.crop_px).permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    )
    pixels /= 255
    changes = [
        (adjust_brightness, values["brightness"], params.brightness),
        (adjust_contrast, values["contrast"], params.contrast),
        (adjust_saturation, values["saturation"], params.saturation),
        (adjust_hue, values["hue"], params.hue),
    ]
    for change, amounts, extent in (changes[position] for position in order):
        if extent > 0:
            pixels = change(pixels, amounts.view(-1, 1, 1, 1))
    return pixels


def cropped(images: Tensor, values: dict[str, Tensor], crop_px: int) -> Tensor:
    """Crop, flip and rotate (nearest pixel, black beyond the crop) in one gather: (N, P, P, 3) -> (N, crop_px, crop_px, 3)."""
    count, height, width, _ = images.shape
    centre = (crop_px - 1) / 2
    position = torch.arange(crop_px, device=images.device) - centre
    cosine, sine = (turn(values["radians"]).view(-1, 1, 1) for turn in (torch.cos, torch.sin))
    x, y = position.view(1, 1, -1), position.view(1, -1, 1)
    column = torch.round(cosine * x - sine * y + centre).to(torch.int64)
    row = torch.round(sine * x + cosine * y + centre).to(torch.int64)
    inside = (row >= 0) & (row < crop_px) & (column >= 0) & (column < crop_px)
    column = torch.where(values["flip"].view(-1, 1, 1), crop_px - 1 - column, column)
    top = (values["top"] * (height - crop_px + 1)).to(torch.int64).view(-1, 1, 1)
    left = (values["left"] * (width - crop_px + 1)).to(torch.int64).view(-1, 1, 1)
    first = torch.arange(count, device=images.device).view(-1, 1, 1) * (height * width)
    source = first + (row.clamp(0, crop_px - 1) + top) * width + column.clamp(0, crop_px - 1) + left
    pixels = images.reshape(-1, 3).index_select(0, source.view(-1)).view(count, crop_px, crop_px, 3)
    return pixels * inside.unsqueeze(-1)


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    return (images * factors).clamp_(0, 1)


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    return blended(images, grey(images).mean(dim=(1, 2, 3), keepdim=True), factors)


def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    return blended(images, grey(images), factors)


def adjust_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue in HSV by `turns` of a circle; value and saturation stay.

    With v = max and c = max - min of a colour, channel n of the turned colour is v - c * clamp(min(k, 4 - k), 0, 1),
    k = (n + 6 * hue) mod 6, n = 5, 3, 1 for red, green, blue.
    """
    red, green, blue = images.unbind(dim=1)
    value, least = torch.maximum(torch.maximum(red, green), blue), torch.minimum(torch.minimum(red, green), blue)
    chroma = value - least
    scale = 1 / chroma.clamp_min(1e-12)
    sector = torch.where(
        value == red,
        (green - blue) * scale,
        torch.where(value == green, (blue - red) * scale + 2, (red - green) * scale + 4),
    )
    sector += 6 * turns.squeeze(1)
    turned = torch.empty_like(images)
    for channel, offset in enumerate((5, 3, 1)):
        k = torch.remainder(sector + offset, 6)
        torch.sub(value, chroma * torch.minimum(k, 4 - k).clamp_(0, 1), out=turned[:, channel])
    return turned


def grey(images: Tensor) -> Tensor:
    red, green, blue = images.unbind(dim=1)
    return (GREY_WEIGHTS[0] * red + GREY_WEIGHTS[1] * green + GREY_WEIGHTS[2] * blue).unsqueeze(1)


def blended(images: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    return torch.lerp(others.expand_as(images), images, factors).clamp_(0, 1)
