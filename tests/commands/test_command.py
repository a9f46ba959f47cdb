"""The command `fakeface` itself: what it is called, what it tells, and what it waits for."""

import os
import re
import subprocess
import sys
from importlib import import_module

import pytest

from fakeface import __version__, commands
from fakeface.core.errors import FakefaceError
from tests.conftest import ROOT, Command


def fakeface(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "fakeface", *arguments], capture_output=True, text=True, cwd=ROOT)


def test_help_names_every_subcommand_with_a_sentence_and_examples() -> None:
    done = fakeface("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for name, purpose in commands.SUBCOMMANDS.items():
        assert re.search(rf"^ +{name} +{re.escape(purpose)}$", done.stdout, re.MULTILINE)
        assert f"\n  fakeface {name}" in done.stdout


@pytest.mark.parametrize("name", commands.SUBCOMMANDS)
def test_help_of_a_subcommand_is_its_docstring(command: Command, name: str) -> None:
    module = import_module(f"fakeface.commands.{name}")
    outcome = command(module, "--help")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(f"usage: fakeface {name} ")
    assert (module.__doc__ or "absent").strip() in outcome.out


def test_version() -> None:
    done = fakeface("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"fakeface {__version__}\n", "")


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["predict"], ["scores", "--nonsense"]])
def test_wrong_usage_exits_2_and_shows_the_right_one(arguments: list[str]) -> None:
    done = fakeface(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: fakeface ")


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]])
def test_it_answers_without_importing_what_a_subcommand_needs(arguments: list[str]) -> None:
    code = f"""
import sys
from contextlib import suppress
from fakeface.__main__ import main
with suppress(SystemExit):
    main({arguments})
print(sorted({{"numpy", "PIL", "pydantic", "onnxruntime", "tqdm", "yaml"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout.splitlines()[-1], done.stderr) == ("[]", "")


def in_the_shell(words: str) -> subprocess.CompletedProcess[str]:
    """`fakeface` followed by these words of the shell."""
    command = f"{sys.executable} -m fakeface {words}"
    return subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT, env=buffered())  # noqa: S602


def buffered() -> dict[str, str]:
    """As users run it: Python keeps what it prints until there is more, or it exits."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


@pytest.mark.parametrize("words", ["--help", "scores published/scores.json", "folds --help", "predict --help"])
@pytest.mark.parametrize("reader", ["true", "head -1"])
def test_output_that_nobody_reads_on_is_no_error(words: str, reader: str) -> None:
    """Also where all of the output fits into the pipe."""
    assert in_the_shell(f"{words} | {reader}").stderr == ""


def test_output_that_is_lost_is_one_line() -> None:
    full = in_the_shell("scores published/scores.json >/dev/full")
    assert (full.returncode, full.stderr) == (1, "error: standard output: No space left on device\n")
    closed = in_the_shell("scores published/scores.json >&-")
    assert (closed.returncode, closed.stderr) == (1, "error: standard output is closed\n")


def test_without_a_standard_error_the_output_is_the_same() -> None:
    words = "scores published/scores.json"
    assert in_the_shell(f"{words} 2>&-").stdout == in_the_shell(words).stdout != ""
    wrong = in_the_shell("scores absent.json 2>&-")
    assert (wrong.returncode, wrong.stdout) == (1, "")


def test_wrong_usage_is_told_on_one_line_whatever_the_arguments_hold() -> None:
    done = fakeface("scores", "one.json", "two\nlines \x1b[31m")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == r"fakeface: error: unrecognized arguments: two\nlines \x1b[31m"


def test_a_package_that_is_not_installed_is_one_line() -> None:
    commands.require("numpy", "--figure")
    with pytest.raises(FakefaceError, match=r"^--figure needs nowhere, .*: pip install 'fakeface\[pipeline\]'$"):
        commands.require("nowhere", "--figure")
