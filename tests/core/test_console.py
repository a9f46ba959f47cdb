import io
import os
import subprocess
import sys

import pytest
from tqdm import tqdm

from fakeface.core.console import printable, tell
from tests.conftest import ROOT


@pytest.mark.parametrize(
    "text",
    [
        "가족 사진 (1).jpg",
        "日本\u3000語.jpg",
        "at 3.14\u202fPM.png",
        "👨\u200d👩\u200d👧 ❤\ufe0f.jpg",
        "صورة",
        "می\u200cخواهم",
        "é\\n",
    ],
)
def test_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines\r\tand \x7f", r"two\nlines\r\tand \x7f"),
        ("\x1b[31mred\x9b0m", r"\x1b[31mred\x9b0m"),
        ("e\u202egpj.exe", r"e\u202egpj.exe"),  # shown from right to left it would end in .jpg
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d"),
        ("caf\udce9", r"caf\udce9"),
        ("\ufeffa\u200bb", r"\ufeffa\u200bb"),
    ],
)
def test_what_steers_a_console_or_is_no_letter_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_what_is_told_is_one_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    tell("note: two\nlines \x1b[2J")
    assert capsys.readouterr() == ("", "note: two\\nlines \\x1b[2J\n")


def test_what_is_told_stands_above_the_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not behind it, on its line."""
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    with tqdm(total=2, desc="judge", file=terminal, ncols=60) as bar:
        bar.update()
        tell("error: a.jpg: truncated")
    before, _, after = terminal.getvalue().partition("error: a.jpg: truncated\n")
    assert before.endswith("\r")
    assert after.startswith("\rjudge:  50%")


def run(code: str, shell: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """A stage whose `main` is this code, as the shell starts it."""
    imports = "import sys\nfrom fakeface.core.errors import FakefaceError, run_as_command"
    words = f"{imports}\ndef main(_):\n {code}\nrun_as_command(main)"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"} | env
    return subprocess.run(
        ["bash", "-c", f'"$@" {shell}', "bash", sys.executable, "-c", words],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1:strict", "cp949"])
def test_a_stage_prints_on_any_console(encoding: str) -> None:
    done = run('print("\\u0e17 \\U0001f600"); raise FakefaceError("\\u0e17\\n\\udce9")', PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stdout, done.stderr) == (1, "\\u0e17 \\U0001f600\n", "error: \\u0e17\\n\\udce9\n")


def test_a_full_disk_behind_standard_output_is_one_line() -> None:
    """Python alone tells of it as the process exits, with a traceback."""
    done = run("print('text')", ">/dev/full")
    assert (done.returncode, done.stderr) == (1, "error: standard output: No space left on device\n")


def test_without_a_standard_error_nothing_is_told_and_the_output_stays_clean() -> None:
    done = run("print('text'); raise FakefaceError('wrong')", "2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (1, "text\n", "")
