"""params.yaml as it is read, before its sections are checked: without pydantic, for what runs at every `dvc repro`."""

import re
from pathlib import Path
from typing import Any

import yaml

from fakeface.core.errors import ParamsError


class _Loader(yaml.SafeLoader):
    """YAML 1.1 takes `1e-4` for a string; DVC's parser (YAML 1.2) takes it for a number, and so do we."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def read_yaml(path: Path) -> dict[str, Any]:
    """All sections of a params file. Raises ParamsError where it is missing or has none."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ParamsError(f"{path}: expected sections with names, found {type(values).__name__}")
    return values


def folder(value: object) -> Path:
    """The folder that a parameter names, `~` being the user's own. Raises ValueError."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("should be the name of a folder")
    try:
        return Path(value).expanduser()
    except RuntimeError:  # no such user: a folder may be called ~anything
        return Path(value)


def load_root(path: Path) -> Path:
    """`data.root`, the folder of photos, of a params file. Raises ParamsError."""
    data = read_yaml(path).get("data")
    if not isinstance(data, dict) or "root" not in data:
        raise ParamsError(f"{path}: data.root: missing")
    try:
        return folder(data["root"])
    except ValueError as error:
        raise ParamsError(f"{path}: data.root: {data['root']!r}: {error}") from None
