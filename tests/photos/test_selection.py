import io
from pathlib import Path

import pytest

from fakeface.photos.selection import photos_named
from tests.conftest import photo


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a.jpg", "b.png", "below/c.jpg", "[1].jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        photo(0).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*words: str, listed: bytes = b"") -> list[str]:
    return list(map(str, photos_named(words, io.BytesIO(listed)).photos))


def test_files_are_taken_as_they_are_named_there_or_not(folder: Path) -> None:
    assert names("b.png", "a.jpg", "absent.jpg") == ["b.png", "a.jpg", "absent.jpg"]


def test_a_pattern_is_what_fits_it_sorted(folder: Path) -> None:
    assert names("?.*") == ["a.jpg", "b.png"]
    assert names("**/*.jpg") == ["[1].jpg", "a.jpg", "below/c.jpg"]
    assert names("bel*") == ["below/c.jpg"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(folder: Path) -> None:
    assert names("[1].jpg") == ["[1].jpg"]


def test_a_pattern_that_fits_nothing_is_a_complaint(folder: Path) -> None:
    selection = photos_named(["*.gif"], io.BytesIO())
    assert (selection.photos, selection.complaints) == ([], ["*.gif: nothing fits this pattern"])


def test_a_list_has_a_name_per_line_of_any_bytes(folder: Path) -> None:
    listed = b"a.jpg\n\nbelow\r\ncaf\xe9.jpg"
    assert names("b.png", "-", listed=listed) == ["b.png", "a.jpg", "below/c.jpg", "caf\udce9.jpg"]
