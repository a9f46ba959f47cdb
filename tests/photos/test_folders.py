import os
from pathlib import Path

import pytest

from fakeface.photos.folders import contents_of


def fill(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def found(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in contents_of(root).photos]


def test_photos_of_all_folders_are_sorted_and_the_rest_is_counted(tmp_path: Path) -> None:
    fill(tmp_path, "c.jpg", "a.PNG", "b/d.webp", "b/e/f.JPEG", "notes.txt", "b/Thumbs.db", "jpg", "g.jpg.zip")
    assert found(tmp_path) == ["a.PNG", "b/d.webp", "b/e/f.JPEG", "c.jpg"]
    assert contents_of(tmp_path).others == 4


def test_what_is_hidden_is_not_even_counted(tmp_path: Path) -> None:
    fill(tmp_path, "a.jpg", "._a.jpg", ".thumbnails/b.jpg", "c/.d/e.jpg", ".DS_Store")
    assert found(tmp_path) == ["a.jpg"]
    assert contents_of(tmp_path).others == 0


def test_a_hidden_folder_that_is_named_is_searched(tmp_path: Path) -> None:
    fill(tmp_path, ".hidden/a.jpg")
    assert found(tmp_path / ".hidden") == ["a.jpg"]


def test_links_are_followed_and_a_folder_is_searched_once(tmp_path: Path) -> None:
    fill(tmp_path, "elsewhere/a.jpg", "photos/b.jpg")
    (tmp_path / "photos/elsewhere").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos/again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos/circle").symlink_to(tmp_path / "photos")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "photos")
    (tmp_path / "photos/c.jpg").symlink_to("nowhere")
    assert found(tmp_path / "photos") == ["again/a.jpg", "b.jpg", "c.jpg"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads all folders")
def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    fill(tmp_path, "a.jpg", "closed/b.jpg")
    (tmp_path / "closed").chmod(0)
    contents = contents_of(tmp_path)
    assert [path.name for path in contents.photos] == ["a.jpg"]
    assert [error.filename for error in contents.errors] == [str(tmp_path / "closed")]


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    assert [type(error) for error in contents_of(tmp_path / "absent").errors] == [FileNotFoundError]
