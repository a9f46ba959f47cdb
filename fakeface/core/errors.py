"""What is said to the user when something is wrong: one line, exit status 1 (what was given) or 2 (how it was asked)."""

import sys
from collections.abc import Callable
from typing import NoReturn


class FakefaceError(Exception):
    """Something the user can mend; the message names the file, the value and what was expected."""

    exit_status = 1


class ParamsError(FakefaceError):
    """A parameter is unknown, missing, of the wrong type or out of range."""

    exit_status = 2


def run_as_command(main: Callable[[list[str]], None]) -> NoReturn:
    """Run `main` on the command line's arguments and exit; a user's error is one line on stderr, not a traceback."""
    try:
        main(sys.argv[1:])
    except FakefaceError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except OSError as error:
        print(f"error: {described(error)}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def described(error: OSError) -> str:
    """An operating system's error in one line: `FILE: what is wrong`."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename is not None else reason
