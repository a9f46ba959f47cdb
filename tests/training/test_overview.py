import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fakeface.faces.regions import Region
from fakeface.training.overview import ANCHORS, SHIFT, TEMPLATE, Overview, alignment, shrunk

PX = 128


def face(scale: float, degrees: float, middle: tuple[float, float]) -> Tensor:
    """Planes (1, 4, PX, PX): a disc at each anchor of the template, turned, scaled and moved, in a colour of its own."""
    shares = np.array(TEMPLATE) - np.mean(TEMPLATE, axis=0)
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    y, x = np.mgrid[:PX, :PX] + 0.5
    planes = torch.zeros(1, 4, PX, PX)
    planes[:, 3] = float(Region.REST)
    for number, (region, (u, v)) in enumerate(zip(ANCHORS, (shares @ turn.T + middle) * PX, strict=True)):
        disc = torch.from_numpy((x - u) ** 2 + (y - v) ** 2 < (0.08 * scale * PX) ** 2)
        planes[0, number, disc] = 1
        planes[0, 3, disc] = float(region)
    return planes


class Colours(torch.nn.Module):
    """In the place of a backbone: the aligned colours themselves."""

    def forward(self, colours: Tensor) -> dict[str, Tensor]:
        return {"colours": colours}


@pytest.mark.parametrize(("scale", "degrees", "middle"), [(1, 0, (0.5, 0.5)), (0.6, 25, (0.45, 0.6)), (0.8, -15, (0.6, 0.5))])
def test_a_face_is_as_large_upright_and_in_the_middle_of_every_view(
    scale: float, degrees: float, middle: tuple[float, float]
) -> None:
    overview = Overview(Colours(), "colours", 3).eval()
    (seen,) = overview.look(face(scale, degrees, middle))
    y, x = torch.from_numpy(np.mgrid[:PX, :PX] + 0.5)
    for colour, expected in zip(seen, TEMPLATE, strict=True):
        centre = ((colour * x).sum() / colour.sum() / PX, (colour * y).sum() / colour.sum() / PX)
        assert centre == pytest.approx(expected, abs=0.01)
        assert float(colour.mean()) == pytest.approx(np.pi * 0.08**2, rel=0.1)


def test_a_face_is_aligned_as_exactly_in_bf16() -> None:
    planes, overview = face(0.6, 25, (0.45, 0.6)), Overview(Colours(), "colours", 3).eval()
    expected = overview.look(planes)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(overview.look(planes), expected)


def test_without_a_face_the_crop_is_seen_as_it_stands() -> None:
    planes = face(0.7, 10, (0.5, 0.5))
    planes[:, 3][planes[:, 3] == float(Region.MOUTH)] = float(Region.REST)
    torch.testing.assert_close(Overview(Colours(), "colours", 3).eval().look(planes), planes[:, :3])


def test_in_training_each_view_moves_about_by_a_little() -> None:
    planes = face(1, 0, (0.5, 0.5)).repeat(50, 1, 1, 1)
    torch.manual_seed(0)
    seen = Overview(Colours(), "colours", 3).train().look(planes)[:, 2]
    x = (seen.sum(dim=1) * (torch.arange(PX) + 0.5)).sum(dim=1) / seen.sum(dim=(1, 2)) / PX - TEMPLATE[2][0]
    assert SHIFT * 0.8 < float(x.abs().max()) <= SHIFT + 0.01
    assert len(set(x.tolist())) == 50


def test_half_the_size_is_the_mean_of_four_pixels_and_the_region_of_one() -> None:
    planes = face(1, 0, (0.5, 0.5))
    half = shrunk(planes)
    assert torch.equal(half[:, :3], F.avg_pool2d(planes[:, :3], 2))
    assert torch.equal(half[:, 3], planes[:, 3, ::2, ::2])
    for before, after in zip(alignment(planes), alignment(half), strict=True):
        torch.testing.assert_close(before, after, rtol=0, atol=0.01)


def test_beyond_the_crop_a_view_shows_the_crop_mirrored() -> None:
    """As torch's own padding: a face near the border is turned, so that a corner of its view lies outside."""
    planes = face(1.3, 30, (0.7, 0.6))
    planes[:, :3] = torch.rand(1, 3, PX, PX, generator=torch.Generator().manual_seed(0))
    seen = Overview(Colours(), "colours", 3).eval().look(planes)
    matrix, origin = alignment(planes)
    shares = torch.from_numpy((np.mgrid[:PX, :PX][::-1].transpose(1, 2, 0) + 0.5) / PX).float()
    points = shares @ matrix[0].T + origin[0]
    assert float(points.min()) < -0.1
    assert float(points.max()) > 1.1
    expected = F.grid_sample(planes[:, :3], 2 * points[None] - 1, padding_mode="reflection", align_corners=False)
    torch.testing.assert_close(seen, expected, rtol=0, atol=1e-4)


@torch.no_grad()
def test_evidence_lies_where_in_the_photo_it_was_found() -> None:
    """Only the mouth's colour counts, so the evidence is at the turned and moved mouth."""
    planes = face(0.6, 25, (0.45, 0.6))
    overview = Overview(Colours(), "colours", 3).eval()
    torch.nn.init.zeros_(overview.head.weight)
    overview.head.weight[1, 2] = 1.0
    margin = torch.tensor([-1.0, 1.0])
    maps = overview.look(planes)
    evidence = overview.evidence(maps, planes, 32, margin)[0]
    logits = overview(maps)[0, :2] - overview.head.bias[:2]
    assert float(evidence.sum()) == pytest.approx(float(margin @ logits), abs=1e-5)
    mouth = F.avg_pool2d((planes[:, 3] == float(Region.MOUTH)).float(), PX // 32)[0]
    assert float((evidence * mouth).sum()) / float(evidence.sum()) > 0.8
