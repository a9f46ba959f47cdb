import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from fakeface.training.checkpoint import (
    MAX_INTERRUPTED,
    SECONDS_PER_DAY,
    Checkpoints,
    fingerprint,
    open_checkpoints,
    state_file,
)
from tests.conftest import ROOT


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"layer.weight": torch.full((2, 3), value)}


def save(checkpoints: Checkpoints, epoch: int, best_epoch: int) -> None:
    """Epoch `epoch`, after which the best one was `best_epoch`; the weights are their epoch's number."""
    checkpoints.save({"epochs": list(range(1, epoch + 1)), "network": weights(epoch)}, epoch, best_epoch)


def saved(checkpoints: Checkpoints) -> tuple[int, float] | None:
    """The number of epochs in the state, and the best weights."""
    state = checkpoints.load()
    return None if state is None else (len(state["epochs"]), state["best_network"]["layer.weight"][0, 0].item())


def test_without_a_checkpoint_nothing_is_loaded(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path).load() is None


def test_a_refit_is_resumed_apart_and_goes_with_the_training_before_it(tmp_path: Path) -> None:
    with open_checkpoints(tmp_path, "train_ce", "abc") as checkpoints:
        save(checkpoints, 9, 9)
        save(checkpoints.of_refit(), 2, 2)
    (tmp_path / ".resume/train_ce/abc/refit/.3.pt.4711.tmp").write_bytes(b"half")
    with open_checkpoints(tmp_path, "train_ce", "abc") as checkpoints:
        assert (saved(checkpoints), saved(checkpoints.of_refit())) == ((9, 9.0), (2, 2.0))
        assert [path.name for path in (tmp_path / ".resume/train_ce/abc/refit").iterdir()] == ["2.pt"]
        checkpoints.remove()
    with open_checkpoints(tmp_path, "train_ce", "abc") as checkpoints:
        assert saved(checkpoints.of_refit()) is None
    assert Checkpoints(None).of_refit().load() is None


def test_the_last_epoch_comes_back_with_the_best_weights(tmp_path: Path) -> None:
    state = {"epochs": [{"valid_loss": 0.1 + 0.2}], "network": weights(1 / 3), "optimizer": {"state": {0: weights(1e-30)}}}
    Checkpoints(tmp_path).save({"network": weights(2.5)}, 1, 1)
    Checkpoints(tmp_path).save(state, 2, 1)
    loaded = Checkpoints(tmp_path).load()
    assert loaded is not None
    assert loaded["epochs"] == state["epochs"]
    assert torch.equal(loaded["network"]["layer.weight"], weights(1 / 3)["layer.weight"])
    assert torch.equal(loaded["optimizer"]["state"][0]["layer.weight"], weights(1e-30)["layer.weight"])
    assert torch.equal(loaded["best_network"]["layer.weight"], weights(2.5)["layer.weight"])


def test_the_last_and_the_best_are_kept_however_many_epochs(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for epoch, best_epoch in ((8, 8), (9, 9), (10, 9), (11, 9), (12, 12)):
        save(checkpoints, epoch, best_epoch)
        assert saved(checkpoints) == (epoch, best_epoch)
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
        monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # a dead process cleans nothing up
        raise Killed

    monkeypatch.setattr(owner, step, mortal)


@pytest.mark.parametrize("tensors", [1, 50])
def test_a_full_disk_is_one_line_and_leaves_the_epoch_before(tmp_path: Path, tensors: int) -> None:
    """Full at the first tensor, and in the middle, where torch itself names neither file nor reason."""
    save(Checkpoints(tmp_path), 1, 1)
    program = f"""
from pathlib import Path
import torch
from fakeface.core.errors import run_as_command
from fakeface.training.checkpoint import Checkpoints
network = {{str(number): torch.zeros(400_000 // {tensors}) for number in range({tensors})}}
run_as_command(lambda argv: Checkpoints(Path({str(tmp_path)!r})).save({{"epochs": [1, 2], "network": network}}, 2, 2))
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
    assert saved(Checkpoints(tmp_path)) == (1, 1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["1.pt"]


@pytest.mark.parametrize(
    ("step", "call", "survivor"),
    [("save", 1, 2), ("replace", 1, 2), ("unlink", 1, 3), ("unlink", 2, 3), ("unlink", 3, 3)],
)
def test_a_kill_at_any_point_leaves_an_epoch_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, call: int, survivor: int
) -> None:
    for epoch in (1, 2):
        save(Checkpoints(tmp_path), epoch, 1)
    with monkeypatch.context() as during:
        die_at(step, call, during)
        with pytest.raises(Killed):
            save(Checkpoints(tmp_path), 3, 3)
    assert saved(Checkpoints(tmp_path)) == (survivor, 3 if survivor == 3 else 1)
    for epoch in (3, 4):
        save(Checkpoints(tmp_path), epoch, epoch)
        assert saved(Checkpoints(tmp_path)) == (epoch, epoch)


def test_loading_runs_no_code_and_what_cannot_be_loaded_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "exploded"),)

    torch.save({"best_epoch": 1, "epochs": Bomb()}, state_file(tmp_path, 1))
    assert Checkpoints(tmp_path).load() is None
    assert "1.pt: cannot be resumed from, training starts anew: Weights only load failed" in capsys.readouterr().err
    assert not (tmp_path / "exploded").exists()


def test_one_process_holds_the_checkpoints_another_saves_nothing(tmp_path: Path) -> None:
    with open_checkpoints(tmp_path, "train_ce", "abc") as first:
        save(first, 1, 1)
        with open_checkpoints(tmp_path, "train_ce", "abc") as second:
            save(second, 5, 5)
            assert saved(second) is None
            second.remove()
        assert saved(first) == (1, 1.0)
    with open_checkpoints(tmp_path, "train_ce", "abc") as next_one:
        assert saved(next_one) == (1, 1.0)


def test_stages_and_fingerprints_do_not_share_a_folder(tmp_path: Path) -> None:
    with open_checkpoints(tmp_path, "train_ce", "abc") as first:
        save(first, 1, 1)
    for stage, name in (("train_bce", "abc"), ("train_ce", "def")):
        with open_checkpoints(tmp_path, stage, name) as other:
            assert saved(other) is None


def test_a_finished_training_leaves_nothing_to_load(tmp_path: Path) -> None:
    with open_checkpoints(tmp_path, "train_ce", "abc") as checkpoints:
        save(checkpoints, 1, 1)
        checkpoints.remove()
    with open_checkpoints(tmp_path, "train_ce", "abc") as checkpoints:
        assert saved(checkpoints) is None
        save(checkpoints, 1, 1)
        assert saved(checkpoints) == (1, 1.0)


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


HOLDER = """
import sys
from pathlib import Path
from fakeface.training.checkpoint import open_checkpoints
with open_checkpoints(Path(sys.argv[1]), "train_ce", sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_another_process(root: Path, name: str) -> Iterator[None]:
    """Another process trains `name` until the block ends."""
    command = [sys.executable, "-c", HOLDER, str(root), name]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield
        process.stdin.close()


def interrupt(root: Path, name: str, days_ago: float, stage: str = "train_ce", size: int = 2**19) -> None:
    """Leave what a training that was interrupted so long ago leaves: a checkpoint and an unlocked lock."""
    folder = root / ".resume" / stage / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "1.pt").open("wb") as file:
        file.truncate(size)
    folder.with_suffix(".lock").touch()
    saved_at = time.time() - days_ago * SECONDS_PER_DAY
    os.utime(folder, (saved_at, saved_at))


def left(root: Path, stage: str = "train_ce") -> list[str]:
    """Names of folders and locks."""
    return sorted(path.name for path in (root / ".resume" / stage).iterdir())


def test_trainings_interrupted_long_ago_are_pruned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, days_ago in (("older", 7.1), ("oldest", 30), ("recent", 6.9), ("own", 50)):
        interrupt(tmp_path, name, days_ago)
    interrupt(tmp_path, "older", 30, stage="train_bce")
    with open_checkpoints(tmp_path, "train_ce", "own") as checkpoints:
        assert checkpoints.folder == tmp_path / ".resume/train_ce/own"
        assert left(tmp_path) == ["own", "own.lock", "recent", "recent.lock"]
    assert left(tmp_path, "train_bce") == ["older", "older.lock"]
    assert (tmp_path / ".resume/train_ce/own/1.pt").exists()
    (line,) = capsys.readouterr().err.splitlines()
    expected = f"{tmp_path}/.resume/train_ce: removed checkpoints of 2 interrupted trainings, 1.0 MiB; "
    assert line == expected + "the latest 3 are kept for 7 days, or as many as take 1 GiB"


def test_of_recent_interrupted_trainings_the_latest_are_kept(tmp_path: Path) -> None:
    for days_ago in (5, 1, 4, 2, 3):
        interrupt(tmp_path, f"{days_ago}", days_ago)
    with open_checkpoints(tmp_path, "train_ce", "own"):
        folders = [name for name in left(tmp_path) if "." not in name]
    assert folders == ["1", "2", "3", "own"]
    assert len(folders) == MAX_INTERRUPTED + 1


@pytest.mark.parametrize(
    ("sizes_mib", "kept"),
    [
        ([300, 300, 300], ["1", "2", "3"]),
        ([600, 300, 300], ["1", "2"]),
        ([300, 900, 10], ["1"]),
        ([2000, 1, 1], ["1"]),
        ([1, 2000, 1], ["1"]),
    ],
)
def test_large_checkpoints_are_kept_up_to_a_size_and_the_latest_always(
    tmp_path: Path, sizes_mib: list[int], kept: list[str]
) -> None:
    for days_ago, mib in enumerate(sizes_mib, 1):
        interrupt(tmp_path, f"{days_ago}", days_ago, size=mib * 2**20)
    with open_checkpoints(tmp_path, "train_ce", "own"):
        assert [name for name in left(tmp_path) if "." not in name] == [*kept, "own"]


def test_what_a_process_killed_as_it_saved_has_left_is_removed(tmp_path: Path) -> None:
    with open_checkpoints(tmp_path, "train_ce", "own") as checkpoints:
        save(checkpoints, 1, 1)
    (tmp_path / ".resume/train_ce/own/.2.pt.4711.tmp").write_bytes(b"half")
    with open_checkpoints(tmp_path, "train_ce", "own") as checkpoints:
        assert [path.name for path in (tmp_path / ".resume/train_ce/own").iterdir()] == ["1.pt"]
        assert saved(checkpoints) == (1, 1.0)


def test_a_clock_set_back_prunes_nothing_that_is_recent(tmp_path: Path) -> None:
    """Checkpoints then come from the future."""
    for days_ago in (-400, -1, 1):
        interrupt(tmp_path, f"{days_ago}", days_ago)
    with open_checkpoints(tmp_path, "train_ce", "own"):
        assert [name for name in left(tmp_path) if "." not in name] == ["-1", "-400", "1", "own"]


def test_with_nothing_to_prune_nothing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    interrupt(tmp_path, "recent", 1)
    with open_checkpoints(tmp_path, "train_ce", "own"):
        pass
    assert capsys.readouterr().err == ""


def test_what_another_process_trains_is_not_pruned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with held_by_another_process(tmp_path, "held"):
        interrupt(tmp_path, "held", 30)
        with open_checkpoints(tmp_path, "train_ce", "own"):
            assert left(tmp_path) == ["held", "held.lock", "own", "own.lock"]
        assert capsys.readouterr().err == ""
    with open_checkpoints(tmp_path, "train_ce", "own"):
        assert left(tmp_path) == ["own", "own.lock"]
    assert "removed checkpoints of 1 " in capsys.readouterr().err


def test_locks_without_a_folder_are_removed_unless_held(tmp_path: Path) -> None:
    with held_by_another_process(tmp_path, "starting"):
        (tmp_path / ".resume/train_ce/starting").rmdir()
        (tmp_path / ".resume/train_ce/finished.lock").touch()
        with open_checkpoints(tmp_path, "train_ce", "own"):
            assert left(tmp_path) == ["own", "own.lock", "starting.lock"]
