from pathlib import Path

import pytest

from fakeface.core.checkout import checkout_root
from tests.conftest import ROOT


def test_dvc_names_the_checkout_from_wherever_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC runs an experiment in a temporary copy, which holds a dvc.yaml too."""
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "dvc.yaml").touch()
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "checkout"))
    assert checkout_root() == tmp_path / "checkout"
    monkeypatch.setenv("DVC_ROOT", "../checkout")
    assert checkout_root() == tmp_path / "checkout"


@pytest.mark.parametrize("dvc_root", [None, ""])
def test_without_dvc_it_is_here_or_the_packages_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dvc_root: str | None
) -> None:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    if dvc_root is not None:
        monkeypatch.setenv("DVC_ROOT", dvc_root)
    monkeypatch.chdir(tmp_path)
    assert checkout_root() == ROOT
    (tmp_path / "dvc.yaml").touch()
    assert checkout_root() == tmp_path
