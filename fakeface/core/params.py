"""Load and check params.yaml: one frozen dataclass per section, in the module that owns it."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from fakeface.core.errors import ParamsError
from fakeface.core.params_file import folder
from fakeface.core.params_file import read_yaml as read_yaml

Section = TypeVar("Section")

STRICT = ConfigDict(extra="forbid", strict=True)
"""For `@pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=STRICT)`: unknown keys and wrong types are refused."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DataParams:
    """Section `data`: the folder of photos."""

    root: Annotated[Path, BeforeValidator(folder)]


def load_section(path: Path, section: str, kind: type[Section]) -> Section:
    """The section of a params file as a dataclass of type `kind`; a scalar parameter is a section of its own.

    Raises:
        ParamsError: the file, section or a key in it is missing, unknown, of the wrong type or out of range.
    """
    values = read_yaml(path)
    if section not in values:
        raise ParamsError(f"{path}: {section}: missing")
    return check_section(values[section], kind, f"{path}: {section}")


def check_section(values: Any, kind: type[Section], where: str) -> Section:
    """`values` as an instance of `kind`. Raises ParamsError, which names `where` and the first key that is wrong."""
    try:
        if not is_dataclass(kind):
            return TypeAdapter(kind).validate_python(values)
        if not isinstance(values, dict):
            raise ParamsError(
                f"{where}: {values!r}: should be a section with the keys {', '.join(field.name for field in fields(kind))}"
            )
        return kind(**{str(key): value for key, value in values.items()})
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
