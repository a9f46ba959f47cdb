"""Read params.yaml, and check a section against the dataclass that `fakeface/params.py` has for it."""

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from fakeface.core.errors import ParamsError

Section = TypeVar("Section")

STRICT = ConfigDict(extra="forbid", strict=True)
"""For `@pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=STRICT)`: unknown keys and wrong types are refused."""


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


def check_section(values: Mapping[str, Any], section: str, kind: type[Section], path: Path) -> Section:
    """One section of the params file at `path`, which holds `values`, as an instance of `kind`, a dataclass or a scalar's type.

    Raises:
        ParamsError: the section or a key in it is missing, unknown, of the wrong type or out of range; the first is named.
    """
    where = f"{path}: {section}"
    if section not in values:
        raise ParamsError(f"{where}: missing")
    value = values[section]
    try:
        if not is_dataclass(kind):
            return TypeAdapter(kind).validate_python(value)
        if not isinstance(value, dict):
            raise ParamsError(
                f"{where}: {value!r}: should be a section with the keys {', '.join(field.name for field in fields(kind))}"
            )
        return kind(**{str(key): item for key, item in value.items()})
    except ValidationError as error:
        raise ParamsError(_first_complaint(error, where)) from None


def flat_params(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters as `section.key: value`, as DVC names them."""
    flat: dict[str, Any] = {}
    for key, value in params.items():
        flat |= flat_params(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _first_complaint(error: ValidationError, where: str) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    name = f"{where}.{key}" if key else where
    if first["type"] in ("missing", "missing_argument"):
        return f"{name}: missing"
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{name}: unknown parameter"
    expected = first["msg"].removeprefix("Input ").removeprefix("Value error, ")
    return f"{name}: {first['input']!r}: {expected}"
