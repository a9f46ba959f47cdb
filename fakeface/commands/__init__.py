"""What the command `fakeface` runs: a module per subcommand, which has a docstring for its --help, `add_arguments` and `run`.

A new one is a module here and a line in SUBCOMMANDS; what it imports should be in the base install, or asked for by `require`.
"""

from importlib.util import find_spec

from fakeface.core.errors import FakefaceError

SUBCOMMANDS = {
    "predict": "judge photos of your own with the trained models",
    "promote": "make a registered model the champion, if it is better",
    "scores": "print both models' scores, and what they have to beat",
    "folds": "average the scores of a cross-validation",
}


def require(package: str, purpose: str, extra: str = "pipeline") -> None:
    """Raises FakefaceError where a package of an extra is not installed."""
    if find_spec(package) is None:
        raise FakefaceError(f"{purpose} needs {package}, which is not installed: pip install 'fakeface[{extra}]'")
