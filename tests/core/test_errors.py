import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fakeface.core.errors import FakefaceError, ParamsError, describe_os_error, run_as_command
from tests.conftest import ROOT


def raising(error: BaseException) -> Callable[[list[str]], None]:
    def main(_: list[str]) -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "status", "complaint"),
    [
        (FakefaceError("a.jpg: truncated"), 1, "error: a.jpg: truncated\n"),
        (ParamsError("params.yaml: train.lr: -1: should be greater than 0"), 2, "error: params.yaml: train.lr: -1: should be"),
        (FileNotFoundError(2, "No such file or directory", "split.csv"), 1, "error: split.csv: No such file or directory\n"),
        (OSError(28, "No space left on device"), 1, "error: No space left on device\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_the_user_can_mend_is_one_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, status: int, complaint: str
) -> None:
    with pytest.raises(SystemExit) as exited:
        run_as_command(raising(error))
    out, err = capsys.readouterr()
    assert (exited.value.code, out) == (status, "")
    assert err.startswith(complaint)
    assert err.count("\n") == (1 if complaint else 0)


def test_what_is_our_own_fault_is_a_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_as_command(raising(ZeroDivisionError()))


def test_main_gets_the_arguments_and_success_is_0(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []
    monkeypatch.setattr(sys, "argv", ["stages.index", "photos", "--images", "images.csv"])
    with pytest.raises(SystemExit) as exited:
        run_as_command(given.extend)
    assert (exited.value.code, given) == (0, ["photos", "--images", "images.csv"])


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(13, "Permission denied", "a.csv"), "a.csv: Permission denied"),
        (OSError(13, "Permission denied", Path("a.csv")), "a.csv: Permission denied"),
        (OSError("broken"), "broken"),
        (BrokenPipeError(), "BrokenPipeError"),
    ],
)
def test_an_operating_systems_error_names_its_file(error: OSError, words: str) -> None:
    assert describe_os_error(error) == words


def test_a_usage_error_exits_2_without_a_traceback() -> None:
    done = subprocess.run([sys.executable, "-m", "fakeface", "scores", "--nonsense"], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: fakeface ")
    assert "Traceback" not in done.stderr
