import numpy as np
import pytest

from fakeface.core import records
from fakeface.faces.alignment import align
from fakeface.faces.finder import LANDMARKS, find_landmarks
from fakeface.faces.regions import BAND_SHARE, FACE_OVAL, OUTLINES, PARTS, Region, RegionMap, evidence_by_part, region_map
from tests.faces.drawn import drawn_face

PX = 128


@pytest.fixture(scope="module", params=range(3))
def regions(request: pytest.FixtureRequest) -> RegionMap:
    landmarks = find_landmarks(drawn_face(request.param))
    assert landmarks is not None
    return region_map(align(landmarks, PX).invert(landmarks), PX)


def middle(regions: RegionMap, region: Region) -> tuple[float, float]:
    """Row and column."""
    row, column = np.argwhere(regions == region).mean(axis=0)
    return row, column


def test_every_region_is_there(regions: RegionMap) -> None:
    assert regions.shape == (PX, PX)
    assert regions.dtype == np.uint8
    assert set(np.unique(regions)) == set(Region)
    for part in PARTS:
        assert (regions == part).mean() > 0.005


def test_parts_lie_as_in_a_face(regions: RegionMap) -> None:
    left, right, nose, mouth = (middle(regions, part) for part in PARTS)
    assert left[1] < nose[1] < right[1]
    assert abs(left[0] - right[0]) < 0.05 * PX
    assert left[0] < nose[0] < mouth[0]


def test_corners_are_outside_and_a_band_is_around_the_parts(regions: RegionMap) -> None:
    assert {int(regions[row, column]) for row in (0, -1) for column in (0, -1)} == {Region.OUTSIDE}
    parts = np.isin(regions, PARTS)
    beside = np.zeros_like(parts)
    beside[1:] |= parts[:-1]
    beside[:-1] |= parts[1:]
    beside[:, 1:] |= parts[:, :-1]
    beside[:, :-1] |= parts[:, 1:]
    assert set(np.unique(regions[beside & ~parts])) == {Region.BAND}


def test_a_border_around_changes_nothing_inside() -> None:
    landmarks = find_landmarks(drawn_face(0))
    assert landmarks is not None
    inside = align(landmarks, PX).invert(landmarks)
    larger = region_map(inside + 8, PX + 16, margin_px=8)
    np.testing.assert_array_equal(larger[8:-8, 8:-8], region_map(inside, PX))


def test_points_far_outside_do_no_harm() -> None:
    landmarks = np.full((LANDMARKS, 2), 1e9)
    assert (region_map(landmarks, PX) == Region.OUTSIDE).all()


def test_parts_are_those_of_a_composites_bits() -> None:
    assert tuple(part.name.lower() for part in PARTS) == records.PARTS


@pytest.mark.parametrize("size", [PX, PX + 5])
def test_evidence_of_a_part_is_the_mean_over_its_pixels(regions: RegionMap, size: int) -> None:
    """Each pixel has the evidence of its place; what is left of a place at the edge has none."""
    regions = np.pad(regions, (0, size - PX), mode="edge")
    evidence = np.random.default_rng(0).normal(size=(PX // 8, PX // 8))
    found = evidence_by_part(evidence, regions)
    for part in PARTS:
        values = [evidence[row // 8, column // 8] for row in range(PX) for column in range(PX) if regions[row, column] == part]
        assert found[part.name.lower()] == pytest.approx(sum(values) / len(values))


def test_a_part_that_is_not_seen_has_no_evidence() -> None:
    regions = np.full((PX, PX), Region.REST, np.uint8)
    regions[3, 5] = Region.NOSE
    evidence = np.arange(256.0).reshape(16, 16)
    assert evidence_by_part(evidence, regions) == {"left_eye": None, "right_eye": None, "nose": 0.0, "mouth": None}


def test_outlines_name_points_of_the_mesh() -> None:
    for text in (FACE_OVAL, *OUTLINES.values()):
        indices = [int(index) for index in text.split()]
        assert len(set(indices)) == len(indices)
        assert set(indices) <= set(range(LANDMARKS))
    assert OUTLINES.keys() == set(PARTS)
    assert 0 < BAND_SHARE < 0.1
