import os
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from fakeface.relations import cache as module
from fakeface.relations.cache import Cache, ComparisonRecord, open_cache, prune_caches
from fakeface.relations.features import Features

DAY_S = 24 * 3600


def unused_for(parent: Path, days: Iterable[float]) -> list[str]:
    """Names of caches that were opened last so many days ago, each with a file in it."""
    names = []
    for number, age in enumerate(days):
        folder = open_cache(parent, (number,)).folder
        (folder / "1.npz").touch()
        os.utime(folder, (time.time() - age * DAY_S,) * 2)
        names.append(folder.name)
    return names


def left(parent: Path) -> set[str]:
    return {path.name for path in parent.iterdir()}


def test_features_come_back_as_they_were(tmp_path: Path) -> None:
    cache = open_cache(tmp_path, (450,))
    features = Features(np.ones((3, 2), np.float32), np.arange(384, dtype=np.uint8).reshape(3, 128))
    assert cache.load_features("ab") is None
    cache.store_features("ab", "digest", features)
    stored = cache.load_features("ab")
    assert stored is not None
    assert stored[0] == "digest"
    np.testing.assert_array_equal(stored[1].points, features.points)
    np.testing.assert_array_equal(stored[1].descriptors, features.descriptors)
    assert cache.load_features("cd") is None


def test_comparisons_are_added_to_those_before(tmp_path: Path) -> None:
    cache = open_cache(tmp_path, (450,))
    assert list(cache.load_comparisons()) == []
    first, second = ComparisonRecord("ab", "cd", False, 3), ComparisonRecord("ab", "cd", True, 12)
    cache.add_comparisons([first])
    cache.add_comparisons([second])
    assert list(cache.load_comparisons()) == [first, second]


def test_a_cache_is_of_its_settings_and_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = open_cache(tmp_path, (450, 800, 2.0)).folder
    assert open_cache(tmp_path, (450, 800, 2.0)).folder == folder
    assert open_cache(tmp_path, (450, 801, 2.0)).folder != folder
    monkeypatch.setattr(module, "DECIDING_MODULES", ("relations/features.py",))
    assert open_cache(tmp_path, (450, 800, 2.0)).folder != folder


def test_what_was_not_opened_for_long_is_deleted(tmp_path: Path) -> None:
    fresh, old = unused_for(tmp_path, (29, 31))
    current = open_cache(tmp_path, (99,))
    assert prune_caches(tmp_path, current) == [old]
    assert left(tmp_path) == {fresh, current.folder.name}


def test_only_the_ones_opened_last_stay(tmp_path: Path) -> None:
    third, second, fifth, fourth = unused_for(tmp_path, (2, 1, 4, 3))
    current = open_cache(tmp_path, (99,))
    assert sorted(prune_caches(tmp_path, current)) == sorted([fourth, fifth])
    assert left(tmp_path) == {current.folder.name, second, third}


def test_opening_a_cache_keeps_it(tmp_path: Path) -> None:
    (old,) = unused_for(tmp_path, (31,))
    assert open_cache(tmp_path, (0,)).folder.name == old
    assert prune_caches(tmp_path, open_cache(tmp_path, (99,))) == []


def test_the_current_cache_and_what_is_none_stay(tmp_path: Path) -> None:
    unused_for(tmp_path, (31,))
    current = Cache(next(tmp_path.iterdir()))
    (tmp_path / "note.txt").touch()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert prune_caches(tmp_path, current) == []
    assert left(tmp_path) == {current.folder.name, "note.txt", "link"}
