"""Errors that the user can fix: one line on stderr, and exit status 1 (a wrong input) or 2 (wrong usage or parameters)."""

import sys
from collections.abc import Callable
from typing import NoReturn

from fakeface.core.console import flush_output, prepare_streams, tell


class FakefaceError(Exception):
    """Something the user can fix; the message names the file, the value and what was expected."""

    exit_status = 1


class ParamsError(FakefaceError):
    """A parameter is unknown, missing, of the wrong type or out of range."""

    exit_status = 2


def run_as_command(main: Callable[[list[str]], None]) -> NoReturn:
    """Run `main` on the command line's arguments and exit; a user's error is one line on stderr, not a traceback."""
    prepare_streams()
    try:
        try:
            main(sys.argv[1:])
        finally:
            flush_output()
    except FakefaceError as error:
        tell(f"error: {error}")
        sys.exit(error.exit_status)
    except OSError as error:
        tell(f"error: {describe_os_error(error)}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def describe_os_error(error: OSError) -> str:
    """An operating system's error in one line: `FILE: what is wrong`."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename is not None else reason
