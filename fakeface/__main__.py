"""Tell real face photos from faces composited in Photoshop.

Examples:
  fakeface predict photo.jpg                       both models' verdict on a photo
  fakeface predict --json folder > verdicts.jsonl  the same of all photos in a folder, a JSON object per line
  fakeface predict --figure out.png *.jpg          and a picture of each face with where its scores come from
  fakeface web                                     the same on a page, at http://127.0.0.1:8000
  fakeface promote                                 make the newest registered model the champion, if it is better
  fakeface scores                                  how good the models are, after `dvc repro`
  fakeface folds                                   mean and spread over the folds of a cross-validation

`fakeface SUBCOMMAND --help` says more. Exit status: 0; 1 where a file cannot be used; 2 where the usage is wrong.
"""

import argparse
import signal
import sys
from importlib import import_module
from typing import Any, NoReturn

from fakeface import __version__
from fakeface.commands import SUBCOMMANDS
from fakeface.core.arguments import ArgumentParser
from fakeface.core.console import OUTPUT
from fakeface.core.errors import run_as_command


def main(argv: list[str]) -> NoReturn:
    """Run a subcommand and exit with its status; of the subcommands, only the one that is asked for is imported."""
    purpose, _, examples = (__doc__ or "").partition("\n\n")
    layout: Any = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = ArgumentParser(prog="fakeface", description=purpose, epilog=examples, **layout)
    parser.add_argument("--version", action="version", version=f"fakeface {__version__}")
    subparsers = parser.add_subparsers(title="subcommands", metavar="SUBCOMMAND", required=True)
    for name, purpose in SUBCOMMANDS.items():
        subparser = subparsers.add_parser(name, help=purpose, **layout)
        if name in argv:
            module = import_module(f"fakeface.commands.{name}")
            module.add_arguments(subparser)
            subparser.description = module.__doc__
            subparser.set_defaults(run=module.run)
    options = vars(parser.parse_args(argv))
    run = options.pop("run")
    sys.exit(run(**options))


def command() -> NoReturn:
    """The command `fakeface`, as the shell starts it.

    Where nobody reads on (`fakeface predict *.jpg | head -1`) it ends as `cat` does, by SIGPIPE and without a word, and where
    there is no standard output at all (`>&-`) as an error.
    """
    if sys.stdout is None:
        sys.exit(f"error: {OUTPUT} is closed")
    if hasattr(signal, "SIGPIPE"):  # not on Windows
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    run_as_command(main)


if __name__ == "__main__":
    command()
