"""Trainings by several processes of this machine, each a real one that a launcher starts."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fakeface.core.errors import ParamsError
from fakeface.training.fit import check_batches
from fakeface.training.launching import processes_to_start
from fakeface.training.ranks import ALONE, Ranks
from tests.conftest import ROOT
from tests.training import together
from tests.training.tiny import CPU, TRAIN, with_train


def of_two(rank: int) -> Ranks:
    return Ranks(rank, 2, rank, 2)


LAUNCHED = """
from fakeface.core.errors import run_as_command
from fakeface.training.launching import launch
run_as_command(lambda argv: launch(["-m", "tests.training.together", *argv[1:]], int(argv[0])))
"""


def launched(folder: Path, processes: int = 2, **changes: Any) -> "subprocess.Popen[str]":
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCHED, str(processes), str(folder), json.dumps(changes)],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def trained(folder: Path, processes: int, **changes: Any) -> dict[str, Any]:
    """What the first process leaves."""
    folder.mkdir(exist_ok=True)
    if processes == 1:
        together.main([str(folder), json.dumps(changes)])
    else:
        with launched(folder, processes, **changes) as process:
            told, _ = process.communicate()
        assert (process.returncode, told) == (0, "")
    result: dict[str, Any] = torch.load(folder / "result", weights_only=True)
    return result


def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max((one[name].double() - other[name].double()).abs().max().item() for name in one)


@pytest.mark.parametrize("images", [2, 7, 32])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_batch_is_cut_into_parts_that_are_nearly_equal(images: int, count: int) -> None:
    parts = [Ranks(rank, count, rank, count).own(images) for rank in range(count)]
    rows = [row for part in parts for row in range(images)[part]]
    sizes = [part.stop - part.start for part in parts]
    assert rows == list(range(images))
    assert max(sizes) - min(sizes) <= 1
    assert Ranks(0, count, 0, count).shares(images) == [size / images for size in sizes]


def test_a_batch_with_fewer_images_than_processes_is_refused() -> None:
    """27 images in batches of 12 leave 3."""
    recipe = with_train(batch_size=12)
    check_batches(27, recipe, replace(CPU, ranks=Ranks(0, 3, 0, 3)))
    expected = r"^train\.processes: 4: 27 images in batches of 12 leave a last one of 3; expected an image for each process"
    with pytest.raises(ParamsError, match=expected):
        check_batches(27, recipe, replace(CPU, ranks=Ranks(0, 4, 0, 4)))


def test_one_process_is_started_unless_more_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    on_gpus = replace(TRAIN, device="auto")
    assert processes_to_start(TRAIN) == 1
    assert processes_to_start(replace(TRAIN, processes=3)) == 3
    assert processes_to_start(replace(TRAIN, processes="auto")) == 1  # on the CPU, as TRAIN asks for
    assert processes_to_start(replace(on_gpus, processes="auto")) == 4
    with pytest.raises(ParamsError, match=r"^train\.processes: 5: one per GPU at most, and 4 are visible here$"):
        processes_to_start(replace(on_gpus, processes=5))
    monkeypatch.setenv("RANK", "0")
    assert processes_to_start(replace(on_gpus, processes=5)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_the_number_of_processes_changes_rounding_alone(tmp_path: Path, processes: int, averaging: float) -> None:
    """Batch normalisation and dropout are live, copies laundered, batches of 8, 8, 8 and 3 images."""
    one = trained(tmp_path / "one", 1, averaging=averaging)
    more = trained(tmp_path / "more", processes, averaging=averaging)
    for epoch, of_more in zip(one["epochs"], more["epochs"], strict=True):
        assert of_more == pytest.approx(epoch, abs=1e-5)
    assert more["p_fake"] == pytest.approx(one["p_fake"], abs=1e-5)
    assert largest_difference(more["weights"], one["weights"]) < 1e-5


@pytest.mark.slow
def test_a_killed_process_ends_the_others_in_one_line_and_the_next_training_resumes(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", 2)
    started = time.monotonic()
    (tmp_path / "killed").mkdir()
    with launched(tmp_path / "killed", killed=[1, 2]) as process:
        told, _ = process.communicate()
    assert time.monotonic() - started < 60
    line = "error: process 2 of 2 that train together: killed by SIGKILL; `dvc repro` goes on after the last finished epoch\n"
    assert (process.returncode, told) == (1, line)
    resumed = trained(tmp_path / "killed", 2)
    assert resumed["resumed_after"] in (1, 2)  # whether the first process had saved its second epoch by then
    assert resumed["epochs"] == whole["epochs"]
    assert largest_difference(resumed["weights"], whole["weights"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fails", "line"),
    [
        (0, "error: train.npy: Input/output error\n"),
        (1, "error: process 2 of 2 that train together: OSError: [Errno 5] Input/output error: 'train.npy'; `dvc repro` "),
    ],
)
def test_the_error_of_one_process_is_the_only_line(tmp_path: Path, fails: int, line: str) -> None:
    with launched(tmp_path, fails=fails) as process:
        told, _ = process.communicate()
    assert process.returncode == 1
    assert told.startswith(line)
    assert told.count("\n") == 1


def is_running(process: str) -> bool:
    """And is no zombie, which nobody has waited for yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_no_process_outlives_the_launcher(tmp_path: Path, sent: signal.Signals, status: int) -> None:
    with launched(tmp_path, epochs=100_000, patience=100_000) as process:
        while not list(tmp_path.glob("*.pt")):
            time.sleep(0.05)
            assert process.poll() is None
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(sent)
        told, _ = process.communicate(timeout=60)  # they hold its standard output too
    assert len(children) == 2
    assert (process.returncode, told) == (status, "")
    deadline = time.monotonic() + 60
    while any(map(is_running, children)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_launcher_that_runs_already_is_joined(tmp_path: Path) -> None:
    """As `torchrun` starts it, on several machines perhaps."""
    expected = trained(tmp_path / "ours", 2)
    (tmp_path / "theirs").mkdir()
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    command = [sys.executable, *launcher, "-m", "tests.training.together", str(tmp_path / "theirs"), "{}"]
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=True, capture_output=True)
    found = torch.load(tmp_path / "theirs/result", weights_only=True)
    assert found["epochs"] == expected["epochs"]
    assert largest_difference(found["weights"], expected["weights"]) == 0


def test_alone_nothing_is_exchanged() -> None:
    value = torch.tensor([1.0, 2.0])
    assert ALONE.added(value) is value
    assert ALONE.of_first("mine") == "mine"
    assert ALONE.is_first
    assert not of_two(1).is_first
