"""What the command `fakeface` runs: a module per subcommand, which has a docstring for its --help, `add_arguments` and `run`.

A new one is a module here and a line in SUBCOMMANDS; what it imports should be in the base install, or asked for by `require`.
"""

import argparse
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from fakeface.core.errors import FakefaceError

SUBCOMMANDS = {
    "predict": "judge photos of your own with the trained models",
    "web": "the same in a browser, on a page of this machine's own",
    "promote": "make a registered model the champion, if it is better",
    "scores": "print both models' scores, and what they have to beat",
    "folds": "average the scores of a cross-validation",
}


def require(package: str, purpose: str, extra: str = "pipeline") -> None:
    """Raises FakefaceError where a package of an extra is not installed."""
    if find_spec(package) is None:
        raise FakefaceError(f"{purpose} needs {package}, which is not installed: pip install 'fakeface[{extra}]'")


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    """What `model_folder` takes."""
    parser.add_argument(
        "--model",
        "--models",
        dest="models",
        default="models",
        metavar="MODEL",
        help="folder with the model folders ce and bce, or MLflow's name of one, runs:/... or models:/fakeface@champion "
        "(default: %(default)s)",
    )


@contextmanager
def model_folder(models: str) -> Iterator[Path]:
    """The folder of both models, fetched for the while where it is MLflow that has it."""
    if not re.match(r"(runs|models):/", models):
        yield Path(models)
        return
    require("mlflow", models)
    from tempfile import TemporaryDirectory

    from fakeface.tracking.store import fetch_models

    with TemporaryDirectory() as folder:
        yield fetch_models(models, Path(folder))
