"""Random changes to batches of train images, on any device: each image has random values of its own.

The same as torchvision's RandomCrop, RandomHorizontalFlip, RandomRotation and ColorJitter in that order, with one
difference: the random order of the four colour changes is drawn per batch, there per image.
"""

import math

import torch
from torch import Tensor

from fakeface.faces.regions import Region
from fakeface.params import AugmentParams

COLOURS = 3
GREY_WEIGHTS = (0.2989, 0.587, 0.114)
"""ITU-R BT.601 luma, as torchvision rounds it."""


def random_values(count: int, params: AugmentParams, generator: torch.Generator) -> dict[str, Tensor]:
    """Random values (count,) for every change, one per image; drawn for a whole epoch, so that batches do not matter."""

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


def augment(images: Tensor, values: dict[str, Tensor], params: AugmentParams, order: list[int]) -> Tensor:
    """Random crops of uint8 `images` (N, P, P, 3 or 4) as float32 (N, 3 or 4, crop_px, crop_px), colours in [0, 1].

    A fourth plane is the Region of each pixel; beyond the image it is OUTSIDE. `values` are the `random_values` of these N
    images; `order` is a permutation of 0..3, the colour changes.
    """
    planes = crop_flip_rotate(images, values, params.crop_px)
    pixels = planes[:COLOURS].div_(255)
    for regions in planes[COLOURS:]:
        swap_eyes(regions, values["flip"])
    changes = [
        (adjust_brightness, values["brightness"], params.brightness),
        (adjust_contrast, values["contrast"], params.contrast),
        (adjust_saturation, values["saturation"], params.saturation),
        (adjust_hue, values["hue"], params.hue),
    ]
    for change, amounts, extent in (changes[position] for position in order):
        if extent > 0:
            change(pixels, amounts.view(-1, 1, 1))
    return planes.transpose(0, 1)


def crop_flip_rotate(images: Tensor, values: dict[str, Tensor], crop_px: int) -> Tensor:
    """Crop, flip and rotate (nearest pixel, 0 beyond the crop) in one gather: uint8 (N, P, P, C) -> float32 (C, N, crop, crop).

    The result has a plane per colour, which the colour changes work on in place.
    """
    count, height, width, channels = images.shape
    last, centre = crop_px - 1, (crop_px - 1) / 2
    position = torch.arange(crop_px, device=images.device) - centre
    x, y = position.view(1, 1, -1), position.view(1, -1, 1)
    cosine, sine = (turn(values["radians"]).view(-1, 1, 1) for turn in (torch.cos, torch.sin))
    side = torch.where(values["flip"], -1.0, 1.0).view(-1, 1, 1)
    column = ((side * cosine * x + centre) - side * sine * y).round_()
    row = (sine * x + (cosine * y + centre)).round_()
    column_inside, row_inside = column.clamp(0, last), row.clamp(0, last)
    inside = (column == column_inside).logical_and_(row == row_inside)
    top, left = ((values[name] * (extent - crop_px + 1)).to(torch.int64) for name, extent in (("top", height), ("left", width)))
    first = (torch.arange(count, device=images.device) * height + top) * width + left
    source = row_inside.mul_(width).add_(column_inside).to(torch.int64).add_(first.view(-1, 1, 1))
    pixels = images.reshape(-1, channels).index_select(0, source.view(-1)).view(count, crop_px, crop_px, channels)
    planes = pixels.permute(3, 0, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    return planes.mul_(inside)


def swap_eyes(regions: Tensor, flipped: Tensor) -> None:
    """In the flipped ones of region maps (N, H, W), what was the left eye is now the right one."""
    left, right = (flipped.view(-1, 1, 1) & (regions == float(eye)) for eye in (Region.LEFT_EYE, Region.RIGHT_EYE))
    regions.masked_fill_(left, float(Region.RIGHT_EYE)).masked_fill_(right, float(Region.LEFT_EYE))


def adjust_brightness(planes: Tensor, factors: Tensor) -> None:
    planes.mul_(factors).clamp_(0, 1)


def adjust_contrast(planes: Tensor, factors: Tensor) -> None:
    mean = grey(planes.mean(dim=(2, 3), keepdim=True))
    planes.mul_(factors).add_(mean * (1 - factors)).clamp_(0, 1)


def adjust_saturation(planes: Tensor, factors: Tensor) -> None:
    torch.lerp(grey(planes).expand_as(planes), planes, factors, out=planes).clamp_(0, 1)


def adjust_hue(planes: Tensor, turns: Tensor) -> None:
    """Turn the hue in HSV by `turns` of a circle; value and saturation stay.

    Hue in sixths of a circle by sorting (S. Hocevar, "Fast branchless RGB to HSV conversion in GLSL", 2013): no `torch.where`,
    which is twenty times as slow on a CPU as a maximum. Back: red is least + chroma * clamp(|hue - 3| - 1, 0, 1); green and
    blue are least + chroma * clamp(2 - |hue - c|, 0, 1), c = 2 and 4.
    """
    red, green, blue = planes.unbind()
    blue_first = (green < blue).float()
    larger, smaller = torch.maximum(green, blue), torch.minimum(green, blue)
    red_later = (red < larger).float()
    middle = torch.minimum(red, larger)
    least = torch.minimum(middle, smaller)
    chroma = torch.maximum(red, larger).sub_(least)
    hue = middle.sub_(smaller).div_(chroma.clamp_min(1e-12))
    hue.sub_(blue_first, alpha=6).add_(blue_first.mul_(12).sub_(2).mul_(red_later)).abs_().add_(6 * turns)
    hue.sub_((hue / 6).floor_().mul_(6))
    for plane, share in (
        (red, (hue - 3).abs_().sub_(1)),
        (green, (hue - 2).abs_().neg_().add_(2)),
        (blue, (hue - 4).abs_().neg_().add_(2)),
    ):
        torch.addcmul(least, chroma, share.clamp_(0, 1), out=plane)


def grey(planes: Tensor) -> Tensor:
    """Planes (3, N, ...) -> their luma (1, N, ...)."""
    red, green, blue = planes.unbind()
    return (red * GREY_WEIGHTS[0]).add_(green, alpha=GREY_WEIGHTS[1]).add_(blue, alpha=GREY_WEIGHTS[2]).unsqueeze(0)
