from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakeface.core.records import FAKE, PARTS, REAL
from fakeface.scoring.intervals import resample
from fakeface.scoring.localization import localization_scores, mean_map
from fakeface.scoring.predictions import PartEvidence
from fakeface.scoring.results import Difference, LocalizationScores
from fakeface.scoring.scores import Labels, Weights, within_photo_accuracy

UNSEEN = float("nan")
Photo = tuple[str, list[float]]
"""The bits of a fake, "" where they are not known, or "real"; and the evidence in each part."""
VALUES = st.one_of(st.integers(-2, 2).map(float), st.just(UNSEEN))
BITS = st.one_of(st.sampled_from(["real", ""]), st.integers(0, 15).map(lambda bits: f"{bits:04b}"))
PHOTOS = st.lists(st.tuples(BITS, st.lists(VALUES, min_size=4, max_size=4)), max_size=12)


def arrays(photos: list[Photo]) -> tuple[Labels, PartEvidence]:
    labels = np.array([REAL if bits == "real" else FAKE for bits, _ in photos], dtype=np.int64)
    replaced = [[float(bit) for bit in bits] if len(bits) == 4 and bits != "real" else [np.nan] * 4 for bits, _ in photos]
    values = [values for _, values in photos]
    return labels, PartEvidence(*(np.array(rows, dtype=np.float64).reshape(-1, 4) for rows in (values, replaced)))


def scored(photos: list[Photo], resamples: int = 100) -> LocalizationScores:
    """Each photo in a group of its own."""
    weights = resample([str(number) for number in range(len(photos))], resamples, 0) if photos else np.zeros((9, 0), np.int64)
    return localization_scores(*arrays(photos), weights)


def partial(photos: list[Photo]) -> list[Photo]:
    return [(bits, values) for bits, values in photos if bits != "real" and {"0", "1"} <= set(bits)]


def is_seen(value: float) -> bool:
    return value == value


def won_pairs(bits: str, values: list[float]) -> list[float]:
    """Of each pair of a replaced and an untouched part: 1 where the replaced one has more, 0.5 where they are level."""
    return [
        (1.0 if values[one] > values[other] else 0.5 if values[one] == values[other] else 0.0)
        for one, other in product(range(4), range(4))
        if (bits[one], bits[other]) == ("1", "0") and is_seen(values[one]) and is_seen(values[other])
    ]


def share(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def means(photos: list[Photo]) -> list[float]:
    """Of each part, over the photos that show it; 0 where none does."""
    columns = [[values[part] for _, values in photos if is_seen(values[part])] for part in range(4)]
    return [share(column) or 0.0 for column in columns]


@given(photos=PHOTOS)
def test_scores_are_those_of_all_pairs_by_brute_force(photos: list[Photo]) -> None:
    found, edited = scored(photos), partial(photos)
    pairs = [won for bits, values in edited for won in won_pairs(bits, values)]
    assert (found.fakes, found.pairs) == (len(edited), len(pairs))
    assert found.within_photo_accuracy == pytest.approx(share(pairs))
    typical = means(edited)
    same = [[mean if is_seen(value) else UNSEEN for mean, value in zip(typical, values, strict=True)] for _, values in edited]
    of_mean_map = share([won for (bits, _), values in zip(edited, same, strict=True) for won in won_pairs(bits, values)])
    assert found.mean_map_accuracy == pytest.approx(of_mean_map)
    assert found.constant_map_accuracy == (0.5 if pairs else None)
    if pairs and of_mean_map is not None:
        assert found.over_mean_map.difference == pytest.approx(sum(pairs) / len(pairs) - of_mean_map)
    else:
        assert found.over_mean_map == Difference(None, None)


@given(photos=PHOTOS)
def test_the_auc_of_a_part_is_that_of_all_fakes_in_which_it_is_replaced_against_all_in_which_it_is_not(
    photos: list[Photo],
) -> None:
    found = scored(photos)
    assert list(found.parts) == list(PARTS)
    for part, scores in enumerate(found.parts.values()):
        replaced, untouched = (
            [values[part] for bits, values in partial(photos) if bits[part] == bit and is_seen(values[part])] for bit in "10"
        )
        assert (scores.replaced, scores.untouched) == (len(replaced), len(untouched))
        auc = share([1.0 if one > other else 0.5 if one == other else 0.0 for one in replaced for other in untouched])
        assert scores.roc_auc == pytest.approx(auc)


@given(photos=PHOTOS)
def test_false_positives_are_real_photos_with_a_part_above_half_of_the_replaced_ones(photos: list[Photo]) -> None:
    found = scored(photos)
    replaced = sorted(
        value
        for bits, values in partial(photos)
        for bit, value in zip(bits, values, strict=True)
        if bit == "1" and is_seen(value)
    )
    reals = [seen for bits, values in photos if bits == "real" and (seen := [*filter(is_seen, values)])]
    assert found.real_photos == len(reals)
    if not replaced:
        assert (found.threshold, found.false_positive_rate, found.false_positive_rate_interval) == (None, None, None)
        return
    middle = len(replaced) // 2
    assert found.threshold == (replaced[middle] + replaced[~middle]) / 2
    assert found.false_positive_rate == pytest.approx(share([float(max(values) > found.threshold) for values in reals]))


def repeated(photos: list[Photo], weights: Weights) -> list[Photo]:
    return [photo for photo, times in zip(photos, weights.tolist(), strict=True) for _ in range(times)]


@given(photos=PHOTOS.filter(partial), seed=st.integers(0, 99))
def test_a_resample_is_the_photos_so_many_times(photos: list[Photo], seed: int) -> None:
    photos = partial(photos)
    weights = resample([str(number) for number in range(len(photos))], 5, seed)
    evidence = arrays(photos)[1]
    found = within_photo_accuracy(evidence.replaced.astype(np.int64), evidence.values, weights)
    for value, row in zip(found, weights, strict=True):
        expected = share([won for photo in repeated(photos, row) for won in won_pairs(*photo)])
        assert value == pytest.approx(np.nan if expected is None else expected, nan_ok=True)


def fakes(count: int, evidence: Any, seed: int = 0) -> list[Photo]:
    """Of random bits, and of what `evidence` makes of the bits (4,) and a noise (4,)."""
    rng, photos = np.random.default_rng(seed), []
    for _ in range(count):
        bits = f"{rng.integers(1, 15):04b}"
        photos.append((bits, list(evidence(np.array([*map(int, bits)]), rng.normal(size=4)))))
    return photos


def test_evidence_that_follows_the_edit_shows_it() -> None:
    found = scored(fakes(120, lambda bits, noise: bits + noise))
    assert found.interval is not None
    assert found.over_mean_map.interval is not None
    assert found.interval[0] > 0.5
    assert found.over_mean_map.interval[0] > 0
    assert found.beats_constant_map
    assert found.beats_mean_map
    assert found.shows_edits
    assert all(part.roc_auc is not None and part.roc_auc > 0.6 for part in found.parts.values())


def test_evidence_that_is_always_in_the_part_that_is_mostly_replaced_shows_no_edit() -> None:
    """Here the mouth is replaced in most fakes: the mean map knows as much."""
    rng, place = np.random.default_rng(0), np.array([0.0, 0.0, 0.0, 3.0])
    photos = [("0001" if rng.random() < 0.9 else "1000", list(place + rng.normal(size=4))) for _ in range(120)]
    found = scored(photos)
    assert found.beats_constant_map
    assert not found.beats_mean_map
    assert not found.shows_edits
    assert found.mean_map_accuracy is not None
    assert found.mean_map_accuracy > 0.8


def test_evidence_without_a_relation_to_the_edit_shows_no_edit() -> None:
    found = scored(fakes(120, lambda _, noise: noise))
    assert not found.shows_edits
    assert found.interval is not None
    assert found.interval[0] < 0.5 < found.interval[1]


def test_evidence_that_flees_the_edit_shows_no_edit_however_clearly() -> None:
    found = scored(fakes(120, lambda bits, noise: noise - 2 * bits))
    assert (found.beats_constant_map, found.beats_mean_map) == (False, False)


def test_a_network_that_gives_all_parts_the_same_is_the_constant_map() -> None:
    found = scored(fakes(60, lambda _, noise: np.full(4, noise[0])))
    assert (found.within_photo_accuracy, found.constant_map_accuracy) == (0.5, 0.5)
    assert found.interval == (0.5, 0.5)
    assert not found.beats_constant_map


def test_of_no_images_nothing_is_defined() -> None:
    found = scored([])
    assert (found.fakes, found.pairs, found.real_photos) == (0, 0, 0)
    assert (found.within_photo_accuracy, found.interval, found.threshold, found.false_positive_rate) == (None,) * 4
    assert not found.shows_edits


def test_a_mean_map_is_the_same_in_every_photo_that_shows_the_part() -> None:
    values = np.array([[1, UNSEEN, 3, UNSEEN], [3, 2, 5, UNSEEN]])
    np.testing.assert_array_equal(mean_map(values), [[2, UNSEEN, 4, UNSEEN], [2, 2, 4, UNSEEN]])
