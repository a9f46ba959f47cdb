import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from fakeface.training import checkpoint as resume
from fakeface.training.checkpoint import ResumeFolder, fingerprint, resume_folder
from tests.conftest import ROOT


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"layer.weight": torch.full((2, 3), value)}


def save(folder: ResumeFolder, epoch: int, best_epoch: int) -> None:
    """Epoch `epoch`, after which the best one was `best_epoch`; the weights are their epoch's number."""
    folder.save({"epochs": list(range(1, epoch + 1)), "network": weights(epoch)}, epoch, best_epoch)


def kept(folder: ResumeFolder) -> tuple[int, float] | None:
    """The number of epochs in the state, and the best weights."""
    state = folder.load()
    return None if state is None else (len(state["epochs"]), state["best"]["layer.weight"][0, 0].item())


def test_nothing_kept_is_none(tmp_path: Path) -> None:
    assert ResumeFolder(tmp_path).load() is None


def test_the_last_epoch_comes_back_with_the_best_weights(tmp_path: Path) -> None:
    state = {"epochs": [{"valid_loss": 0.1 + 0.2}], "network": weights(1 / 3), "optimizer": {"state": {0: weights(1e-30)}}}
    ResumeFolder(tmp_path).save({"network": weights(2.5)}, 1, 1)
    ResumeFolder(tmp_path).save(state, 2, 1)
    loaded = ResumeFolder(tmp_path).load()
    assert loaded is not None
    assert loaded["epochs"] == state["epochs"]
    assert torch.equal(loaded["network"]["layer.weight"], weights(1 / 3)["layer.weight"])
    assert torch.equal(loaded["optimizer"]["state"][0]["layer.weight"], weights(1e-30)["layer.weight"])
    assert torch.equal(loaded["best"]["layer.weight"], weights(2.5)["layer.weight"])


def test_the_last_and_the_best_are_kept_however_many_epochs(tmp_path: Path) -> None:
    folder = ResumeFolder(tmp_path)
    for epoch, best_epoch in ((8, 8), (9, 9), (10, 9), (11, 9), (12, 12)):
        save(folder, epoch, best_epoch)
        assert kept(folder) == (epoch, best_epoch)
        assert {path.name for path in tmp_path.iterdir()} == {f"{number}.pt" for number in (epoch, best_epoch)}


class Killed(BaseException):
    """As if the process had ended here: nothing of ours catches it."""


def die_at(step: str, call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, die when a file is written, renamed or removed for the `call`-th time; a written one stays half."""
    owner = torch if step == "save" else Path
    real, calls = getattr(owner, step), 0

    def mortal(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls < call:
            return real(*arguments, **options)
        if step == "save":
            arguments[1].write(b"half")
        monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # who is dead tidies nothing away
        raise Killed

    monkeypatch.setattr(owner, step, mortal)


@pytest.mark.parametrize("tensors", [1, 50])
def test_a_full_disk_is_one_line_and_leaves_the_epoch_before(tmp_path: Path, tensors: int) -> None:
    """Full at the first tensor, and in the middle, where torch itself names neither file nor reason."""
    save(ResumeFolder(tmp_path), 1, 1)
    program = f"""
from pathlib import Path
import torch
from fakeface.core.errors import run_as_command
from fakeface.training.checkpoint import ResumeFolder
network = {{str(number): torch.zeros(400_000 // {tensors}) for number in range({tensors})}}
run_as_command(lambda argv: ResumeFolder(Path({str(tmp_path)!r})).save({{"epochs": [1, 2], "network": network}}, 2, 2))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000)),
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/2.pt: ")
    assert done.stderr.count("\n") == 1
    assert kept(ResumeFolder(tmp_path)) == (1, 1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["1.pt"]


@pytest.mark.parametrize(
    ("step", "call", "survivor"),
    [("save", 1, 2), ("replace", 1, 2), ("unlink", 1, 3), ("unlink", 2, 3), ("unlink", 3, 3)],
)
def test_a_kill_at_any_point_leaves_an_epoch_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, call: int, survivor: int
) -> None:
    for epoch in (1, 2):
        save(ResumeFolder(tmp_path), epoch, 1)
    with monkeypatch.context() as during:
        die_at(step, call, during)
        with pytest.raises(Killed):
            save(ResumeFolder(tmp_path), 3, 3)
    assert kept(ResumeFolder(tmp_path)) == (survivor, 3 if survivor == 3 else 1)
    for epoch in (3, 4):
        save(ResumeFolder(tmp_path), epoch, epoch)
        assert kept(ResumeFolder(tmp_path)) == (epoch, epoch)


def test_loading_runs_no_code_and_what_cannot_be_loaded_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "exploded"),)

    torch.save({"best_epoch": 1, "epochs": Bomb()}, resume.state_file(tmp_path, 1))
    assert ResumeFolder(tmp_path).load() is None
    assert "1.pt: cannot be resumed from, training starts anew: Weights only load failed" in capsys.readouterr().err
    assert not (tmp_path / "exploded").exists()


def test_one_process_holds_the_folder_another_keeps_nothing(tmp_path: Path) -> None:
    with resume_folder(tmp_path, "train_ce", "abc") as first:
        save(first, 1, 1)
        with resume_folder(tmp_path, "train_ce", "abc") as second:
            save(second, 5, 5)
            assert kept(second) is None
            second.remove()
        assert kept(first) == (1, 1.0)
    with resume_folder(tmp_path, "train_ce", "abc") as next_one:
        assert kept(next_one) == (1, 1.0)


def test_stages_and_fingerprints_do_not_share_a_folder(tmp_path: Path) -> None:
    with resume_folder(tmp_path, "train_ce", "abc") as first:
        save(first, 1, 1)
    for stage, name in (("train_bce", "abc"), ("train_ce", "def")):
        with resume_folder(tmp_path, stage, name) as other:
            assert kept(other) is None


def test_a_finished_training_leaves_nothing_to_load(tmp_path: Path) -> None:
    with resume_folder(tmp_path, "train_ce", "abc") as folder:
        save(folder, 1, 1)
        folder.remove()
    with resume_folder(tmp_path, "train_ce", "abc") as folder:
        assert kept(folder) is None
        save(folder, 1, 1)
        assert kept(folder) == (1, 1.0)


def test_the_fingerprint_is_of_contents_not_of_names(tmp_path: Path) -> None:
    one, other, changed = (tmp_path / name for name in ("one.csv", "other.csv", "changed.csv"))
    one.write_text("same")
    other.write_text("same")
    changed.write_text("Same")
    assert fingerprint({"lr": 0.1, "seed": 0}, one) == fingerprint({"seed": 0, "lr": 0.1}, other)
    different = [
        fingerprint({"lr": 0.1, "seed": 0}, one),
        fingerprint({"lr": 0.1, "seed": 1}, one),
        fingerprint({"lr": 0.1, "seed": 0}, changed),
        fingerprint({"lr": 0.1, "seed": 0}),
        fingerprint({"lr": 0.1}, {"seed": 0}, one),
        fingerprint(one, {"lr": 0.1, "seed": 0}),
    ]
    assert len(set(different)) == len(different)
