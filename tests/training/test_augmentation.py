import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from fakeface.faces.regions import Region
from fakeface.params import AugmentParams
from fakeface.training.augmentation import augment, crop_flip_rotate, random_values
from fakeface.training.torchvision_ops import import_torchvision
from tests.training.tiny import AUGMENT

COUNT, SIDE, CROP = 12, 40, 32
NOTHING: dict[str, Any] = {
    "crop_px": CROP,
    "horizontal_flip": 0.0,
    "rotation_degrees": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
    "hue": 0.0,
    "laundered": 0.0,
}
NOTEBOOK = replace(AUGMENT, crop_px=CROP)
COLOURS = ("brightness", "contrast", "saturation", "hue")
Values = dict[str, Tensor]


@pytest.fixture(scope="module")
def functional() -> Any:
    """What each change should do, according to the library that the notebook used."""
    import_torchvision()
    from torchvision.transforms.v2 import functional

    return functional


@pytest.fixture
def images() -> Tensor:
    """(12, 40, 40, 3): noise, which shows every misplaced pixel; one image grey, one black, one white."""
    images = torch.randint(0, 256, (COUNT, SIDE, SIDE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images[1] = images[1, :, :, :1]
    images[2], images[3] = 0, 255
    return images


def values_of(params: AugmentParams, seed: int = 0) -> Values:
    return random_values(COUNT, params, torch.Generator().manual_seed(seed))


def crops(images: Tensor, values: Values, crop_px: int) -> Tensor:
    """What `crop_flip_rotate` cuts out, as torchvision lays out images: uint8 (N, 3, crop_px, crop_px)."""
    return crop_flip_rotate(images, values, crop_px).to(torch.uint8).transpose(0, 1)


def alone(values: Values, image: int) -> Values:
    """The values of one image, as of a batch of one."""
    return {name: value[image : image + 1] for name, value in values.items()}


def crop_and_flip(functional: Any, image: Tensor, values: Values) -> Tensor:
    """The crop and flip by torchvision of an image (P, P, 3) -> (3, crop_px, crop_px)."""
    places = SIDE - CROP + 1
    top, left = int(values["top"] * places), int(values["left"] * places)
    crop = functional.crop(image.permute(2, 0, 1), top, left, CROP, CROP)
    return crop if not values["flip"] else functional.horizontal_flip(crop)  # type: ignore[no-any-return]


def test_crop_and_flip_are_torchvisions(functional: Any, images: Tensor) -> None:
    params = AugmentParams(**NOTHING | {"horizontal_flip": 0.5})
    values = values_of(params)
    assert values["flip"].any()
    assert not values["flip"].all()
    for image, crop in enumerate(crops(images, values, CROP)):
        assert torch.equal(crop, crop_and_flip(functional, images[image], alone(values, image)))


@pytest.mark.parametrize("degrees", [10, 180])
def test_rotation_is_torchvisions(functional: Any, images: Tensor, degrees: int) -> None:
    """To the pixel, but for those whose source lies on the edge between two."""
    values = values_of(AugmentParams(**NOTHING | {"horizontal_flip": 0.5, "rotation_degrees": degrees}))
    different = 0
    for image, crop in enumerate(crops(images, values, CROP)):
        own = alone(values, image)
        upright = crop_and_flip(functional, images[image], own)
        expected = functional.rotate(upright, math.degrees(own["radians"]))
        different += int((crop != expected).any(dim=0).sum())
    assert different / (COUNT * CROP**2) < 1e-3


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("extent", [0.1, 0.5])
def test_each_colour_change_is_torchvisions(functional: Any, images: Tensor, colour: str, extent: float) -> None:
    params = AugmentParams(**NOTHING | {colour: extent})
    values = values_of(params)
    adjust = getattr(functional, f"adjust_{colour}")
    for image, changed in enumerate(augment(images, values, params, [0, 1, 2, 3])):
        own = alone(values, image)
        crop = crop_and_flip(functional, images[image], own).float() / 255
        torch.testing.assert_close(changed, adjust(crop, own[colour].item()), rtol=0, atol=3e-6)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
def test_colour_changes_follow_their_order(functional: Any, images: Tensor, order: list[int]) -> None:
    params = AugmentParams(**NOTHING | dict.fromkeys(COLOURS, 0.4))
    values = values_of(params)
    for image, changed in enumerate(augment(images, values, params, order)):
        own = alone(values, image)
        expected = crop_and_flip(functional, images[image], own).float() / 255
        for position in order:
            expected = getattr(functional, f"adjust_{COLOURS[position]}")(expected, own[COLOURS[position]].item())
        torch.testing.assert_close(changed, expected, rtol=0, atol=1e-5)


def test_each_image_has_values_of_its_own() -> None:
    values = values_of(NOTEBOOK)
    for name, value in values.items():
        assert value.shape == (COUNT,)
        assert len(set(value.tolist())) == (2 if name == "flip" else COUNT)


def test_batches_do_not_matter(images: Tensor) -> None:
    values = values_of(NOTEBOOK)
    whole = augment(images, values, NOTEBOOK, [1, 3, 0, 2])
    for image in range(COUNT):
        single = augment(images[image : image + 1], alone(values, image), NOTEBOOK, [1, 3, 0, 2])
        torch.testing.assert_close(single[0], whole[image], rtol=0, atol=1e-6)


def test_values_stay_in_the_notebooks_ranges() -> None:
    values = random_values(20_000, NOTEBOOK, torch.Generator().manual_seed(0))
    ranges = {
        "top": (0, 1),
        "left": (0, 1),
        "radians": (-math.radians(10), math.radians(10)),
        "brightness": (0.8, 1.2),
        "contrast": (0.8, 1.2),
        "saturation": (0.8, 1.2),
        "hue": (-0.1, 0.1),
    }
    assert values["flip"].float().mean().item() == pytest.approx(0.5, abs=0.02)
    for name, (low, high) in ranges.items():
        assert low <= values[name].min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < values[name].max() <= high


def test_every_crop_is_possible_and_none_beyond_the_image() -> None:
    """Each pixel of a 4 x 4 image tells where it stands; crops of 3 have four places."""
    image = torch.arange(16, dtype=torch.uint8).view(1, 4, 4, 1).expand(200, 4, 4, 3).contiguous()
    params = AugmentParams(**NOTHING | {"crop_px": 3})
    corners = crops(image, random_values(200, params, torch.Generator().manual_seed(0)), 3)[:, 0, 0, 0]
    assert set(corners.tolist()) == {0, 1, 4, 5}


def test_without_changes_the_crop_stays_as_it_is(images: Tensor) -> None:
    params = AugmentParams(**NOTHING | {"crop_px": SIDE})
    assert torch.equal(augment(images, values_of(params), params, [0, 1, 2, 3]), images.permute(0, 3, 1, 2) / 255)


def test_pixels_stay_in_range(images: Tensor) -> None:
    params = AugmentParams(**NOTHING | {"rotation_degrees": 180, "brightness": 1, "contrast": 1, "saturation": 1, "hue": 0.5})
    pixels = augment(images, values_of(params), params, [0, 1, 2, 3])
    assert pixels.dtype == torch.float32
    assert pixels.shape == (COUNT, 3, CROP, CROP)
    assert pixels.min() >= 0
    assert pixels.max() <= 1


def test_regions_move_with_the_pixels_and_keep_their_colours_out_of_it(images: Tensor) -> None:
    """With the region map a copy of the red plane, both come out alike, but for the eyes' sides where it is flipped."""
    codes = images[..., :1] % len(Region)
    planes = torch.cat([codes, images[..., 1:], codes], dim=-1)
    params = AugmentParams(**NOTHING | {"horizontal_flip": 0.5, "rotation_degrees": 30})
    values = values_of(params)
    red, regions = augment(planes, values, params, [0, 1, 2, 3])[:, [0, 3]].unbind(dim=1)
    red = (red * 255).round()
    swapped = torch.tensor([0, 2, 1, 3, 4, 5, 6])
    for image, flipped in enumerate(values["flip"].tolist()):
        expected = swapped[red[image].long()].float() if flipped else red[image]
        assert torch.equal(regions[image], expected)
    assert 0 < values["flip"].sum() < COUNT


def test_colours_do_not_depend_on_whether_there_are_regions(images: Tensor) -> None:
    values = values_of(NOTEBOOK)
    planes = torch.cat([images, images[..., :1]], dim=-1)
    both = augment(planes, values, NOTEBOOK, [3, 1, 0, 2])
    assert torch.equal(both[:, :3], augment(images, values, NOTEBOOK, [3, 1, 0, 2]))
