"""The command line of a stage, made from the dataclass in which the stage declares its paths."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar, get_args, get_type_hints

from fakeface.core.console import printable

Paths = TypeVar("Paths")

ParamsPath = Annotated[Path, "YAML to read the parameters from"]
"""For `params: ParamsPath = Path("params.yaml")`, the last field of a stage's paths."""


class ArgumentParser(argparse.ArgumentParser):
    """Says what is wrong on one line, whatever the arguments hold."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def parse_paths(kind: type[Paths], argv: Sequence[str]) -> Paths:
    """The arguments of `python -m MODULE`, MODULE being where the dataclass `kind` stands, as an instance of it.

    A field `name: Annotated[Path, "what is read or written"]` is the option `--name`, required where it has no default;
    a field whose type is a Literal is a positional argument with those choices. `--help` prints the module's docstring.
    """
    module = sys.modules[kind.__module__]
    parser = ArgumentParser(
        prog=f"python -m {module.__spec__.name if module.__spec__ else module.__name__}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):  # type: ignore[arg-type]
        value_type, meaning = get_args(hints[field.name])
        if value_type is Path:
            needed: dict[str, Any] = {"required": True} if field.default is MISSING else {"default": field.default}
            default = "" if field.default is MISSING else " (default: %(default)s)"
            parser.add_argument(
                f"--{field.name.replace('_', '-')}", type=Path, metavar="PATH", help=f"{meaning}{default}", **needed
            )
        else:
            parser.add_argument(field.name, choices=get_args(value_type), help=meaning)
    return kind(**vars(parser.parse_args(argv)))
