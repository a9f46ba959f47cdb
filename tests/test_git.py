"""What Git's settings of one user may not change: the bytes that stages depend on."""

from pathlib import Path

import pytest

from fakeface.core.files import sha256_of
from tests.checkout import Checkout, new_checkout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return new_checkout(tmp_path_factory.mktemp("project") / "project")


def hashes(checkout: Checkout) -> dict[str, str]:
    return {name: sha256_of(checkout.root / name) for name in checkout.run("git", "ls-files").stdout.splitlines()}


@pytest.mark.parametrize("setting", ["core.autocrlf=true", "core.autocrlf=input", "core.eol=crlf"])
def test_a_clone_has_the_same_bytes_whatever_the_line_endings_asked_for(
    project: Checkout, tmp_path: Path, setting: str
) -> None:
    """Windows' installer of Git asks for core.autocrlf=true; every stage would then be changed."""
    project.run("git", "clone", "--quiet", "-c", setting, project.root, tmp_path / "clone")
    clone = Checkout(tmp_path / "clone")
    assert hashes(clone) == hashes(project)
    assert clone.run("git", "status", "--porcelain").stdout == ""
