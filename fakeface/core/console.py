"""What a command or a stage prints, which may hold the name of any file, on a console of any encoding."""

import os
import sys
import unicodedata
from contextlib import suppress
from io import TextIOWrapper

OUTPUT = "standard output"
_ESCAPED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories of letters that steer a console (controls, reversed order), break a line or are no letter at all."""
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Of those categories, but they join the letters of a word, or the parts of an emoji."""


def printable(text: str) -> str:
    """On one line, with control characters and bytes of a name that are not UTF-8 escaped as in Python: `two\\nlines`."""
    return "".join(map(_escaped, text))


def tell(message: str) -> None:
    """A line on standard error, above the progress bar where there is one."""
    from tqdm import tqdm

    with suppress(OSError):  # a full disk behind it ends nothing
        tqdm.write(printable(message), file=sys.stderr)


def prepare_streams() -> None:
    """Let standard output escape what its encoding lacks, and give a process that has no standard error a place for it."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for as long as the process lives
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def flush_output() -> None:
    """Write what standard output still holds. Raises OSError, once: Python would complain again as it exits."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        error.filename = OUTPUT
        raise


def _escaped(letter: str) -> str:
    if unicodedata.category(letter) not in _ESCAPED or letter in _JOINERS:
        return letter
    return letter.encode("unicode_escape").decode("ascii")
