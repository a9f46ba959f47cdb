from pathlib import Path
from typing import TypeVar

import pytest
from pydantic import Field
from pydantic.dataclasses import dataclass
from ruamel.yaml import YAML

from fakeface.core.errors import ParamsError
from fakeface.core.params import STRICT, check_section, flat_params, folder, read_yaml

Kind = TypeVar("Kind")


@dataclass(frozen=True, config=STRICT)
class Train:
    """A section like a stage's own."""

    lr: float = Field(gt=0)
    epochs: int = Field(ge=1)


def params_file(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(text)
    return path


def load(path: Path, section: str, kind: type[Kind]) -> Kind:
    return check_section(read_yaml(path), section, kind, path)


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "1.0e-4", "-2e5", "+3e+2", "1.e3", "0.25", "7", "1_000"])
def test_numbers_are_those_that_dvc_reads(tmp_path: Path, text: str) -> None:
    path = params_file(tmp_path, f"value: {text}\n")
    dvc_reads = YAML(typ="safe").load(path.read_text())["value"]
    assert read_yaml(path)["value"] == dvc_reads
    assert isinstance(read_yaml(path)["value"], float | int)


def test_section_becomes_its_dataclass(tmp_path: Path) -> None:
    assert load(params_file(tmp_path, "train: {lr: 1e-4, epochs: 3}\n"), "train", Train) == Train(lr=1e-4, epochs=3)


def test_a_whole_number_serves_as_a_float(tmp_path: Path) -> None:
    assert load(params_file(tmp_path, "train: {lr: 1, epochs: 3}\n"), "train", Train).lr == 1.0


def test_scalar_parameter_is_a_section(tmp_path: Path) -> None:
    assert load(params_file(tmp_path, "loss: bce\n"), "loss", str) == "bce"


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ("{lr: 0.1}", "train.epochs: missing"),
        ("{lr: 0.1, epochs: 3, momentum: 0.9}", "train.momentum: unknown parameter"),
        ("{lr: 0.1, epochs: 3, 7: 8}", "train.7: unknown parameter"),
        ("{lr: fast, epochs: 3}", "train.lr: 'fast': should be a valid number"),
        ("{lr: 0.1, epochs: '3'}", "train.epochs: '3': should be a valid integer"),
        ("{lr: 0.1, epochs: true}", "train.epochs: True: should be a valid integer"),
        ("{lr: 0.1, epochs: 2.5}", "train.epochs: 2.5: should be a valid integer"),
        ("{lr: 0.1, epochs: }", "train.epochs: None: should be a valid integer"),
        ("{lr: -0.1, epochs: 3}", "train.lr: -0.1: should be greater than 0"),
        ("{lr: .nan, epochs: 3}", "train.lr: nan: should be greater than 0"),
        ("0.1", "train: 0.1: should be a section with the keys lr, epochs"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, section: str, complaint: str) -> None:
    path = params_file(tmp_path, f"train: {section}\n")
    with pytest.raises(ParamsError) as caught:
        load(path, "train", Train)
    assert str(caught.value) == f"{path}: {complaint}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("split: {}\n", "train: missing"),
        ("", "expected sections with names, found NoneType"),
        ("[1, 2]\n", "expected sections with names, found list"),
        ("train: {lr: [\n", "not YAML"),
        ("train: !!python/object/apply:os.getcwd []\n", "not YAML"),
    ],
)
def test_a_file_that_is_no_params_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = params_file(tmp_path, text)
    with pytest.raises(ParamsError) as caught:
        load(path, "train", Train)
    assert str(caught.value).startswith(f"{path}: {complaint}")
    assert "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"absent\.yaml: no such file"):
        load(tmp_path / "absent.yaml", "train", Train)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("data/photos", Path("data/photos")),
        ("~/faces", Path.home() / "faces"),
        ("~", Path.home()),
        ("~nobody-by-this-name/faces", Path("~nobody-by-this-name/faces")),
        ("2024", Path("2024")),
        ("$HOME/`id`/${a}", Path("$HOME/`id`/${a}")),
        ("얼굴 사진", Path("얼굴 사진")),
    ],
)
def test_a_folder_that_a_parameter_names(value: str, found: Path) -> None:
    assert folder(value) == found


def test_parameters_are_named_as_dvc_names_them() -> None:
    assert flat_params({"loss": "ce", "split": {"fold": 0, "deep": {"er": [1]}}}) == {
        "loss": "ce",
        "split.fold": 0,
        "split.deep.er": [1],
    }
