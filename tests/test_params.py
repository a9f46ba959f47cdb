"""The whole of params.yaml is checked by whichever stage runs first."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from fakeface.core.errors import ParamsError
from fakeface.core.params import read_yaml
from fakeface.params import (
    ARCHITECTURES,
    SECTIONS,
    AugmentParams,
    DataParams,
    ElsewhereParams,
    SplitParams,
    TrainParams,
    load_params,
)
from fakeface.training.torchvision_ops import import_torchvision
from tests.architecture import STAGES, Stage
from tests.conftest import ROOT, Command, Outcome, write_params

READERS = [stage for stage in STAGES if stage.params]


def complaint(path: Path) -> str:
    with pytest.raises(ParamsError) as caught:
        load_params(path, "data", DataParams)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


def test_one_section_is_loaded_as_its_type(tmp_path: Path) -> None:
    write_params(tmp_path / "params.yaml", {"train": {"lr": 3}})
    train = load_params(tmp_path / "params.yaml", "train", TrainParams)
    assert isinstance(train, TrainParams)
    assert train.lr == 3.0
    with pytest.raises(TypeError):
        load_params(tmp_path / "params.yaml", "train", SplitParams)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"loss": "tripple"}, "loss: 'tripple': should be 'ce' or 'bce'"),
        ({"threshold": "best"}, "threshold: 'best': should be 'half', 'balanced_accuracy' or 'few_false_alarms'"),
        ({"loss": None}, "loss: None: should be 'ce' or 'bce'"),
        ({"report": {"mistakes": "many"}}, "report.mistakes: 'many': should be a valid integer"),
        ({"report": 3}, "report: 3: should be a section with the keys mistakes, thumbnails"),
        ({"answers": {"max_error": 0.5}}, "answers.max_error: 0.5: should be less than 0.5"),
        ({"evaluate": {"resamples": 10**9}}, "evaluate.resamples: 1000000000: should be less than or equal to 100000"),
        ({"train": {"lr": "fast"}}, "train.lr: 'fast': should be a valid number"),
        ({"train": {"seed": 2**64}}, f"train.seed: {2**64}: should be less than {2**32}"),
        ({"relate": {"max_scale": float("inf")}}, "relate.max_scale: inf: should be a finite number"),
        ({"elsewhere": {"root": 3}}, "elsewhere.root: 3: should be the name of a folder"),
        ({"split": {"fold": 5}}, "split.fold: 5: should be less than split.folds, 5"),
        ({"split": {"test_difficulty": "medium"}}, "split.test_difficulty: 'medium': should be 'easy', 'mid' or 'hard'"),
        ({"augment": {"crop_px": 145}}, "augment.crop_px: 145: should be at most pack.train_px, 144"),
        ({"pack": {"train_px": 127}}, "augment.crop_px: 128: should be at most pack.train_px, 127"),
        ({"pack": {"framing": "center"}}, "pack.framing: 'center': should be 'face', 'native' or 'centre'"),
        ({"pack": {"laundered": -1}}, "pack.laundered: -1: should be greater than or equal to 0"),
        (
            {"pack": {"framing": "face", "train_px": 143, "eval_px": 128}},
            "pack.train_px: 143: should be pack.eval_px, 128, or more by an even number, where pack.framing is face",
        ),
        (
            {"pack": {"framing": "face", "train_px": 144, "eval_px": 160}},
            "pack.train_px: 144: should be pack.eval_px, 160, or more by an even number, where pack.framing is face",
        ),
        (
            {"pack": {"framing": "native", "train_px": 145, "eval_px": 128}},
            "pack.train_px: 145: should be pack.eval_px, 128, or more by an even number, where pack.framing is native",
        ),
        ({"model": {"pooling": "image", "frozen": True}}, "model.frozen: true: should be false where model.pooling is image"),
        ({"model": {"frozen": True}}, "pack.train_px: 144: should be pack.eval_px, 128, for model.frozen"),
        (
            {"model": {"frozen": True}, "pack": {"train_px": 128}, "augment": {"crop_px": 96}},
            "augment.crop_px: 96: should be pack.train_px, 128, for model.frozen",
        ),
        (
            {"model": {"frozen": True}, "pack": {"train_px": 128}},
            "augment.brightness: 0.2: should be 0 for model.frozen without model.overview",
        ),
        ({"model": {"weights": "imagnet"}}, "model.weights: 'imagnet': should be imagenet, random, or a file that ends in"),
    ],
    ids=str,
)
def test_what_another_stage_would_refuse_is_refused(tmp_path: Path, changes: Mapping[str, Any], expected: str) -> None:
    write_params(tmp_path / "params.yaml", changes)
    assert complaint(tmp_path / "params.yaml").startswith(expected)


def test_an_overview_beside_a_frozen_backbone_sees_changed_colours(tmp_path: Path) -> None:
    changes = {"model": {"frozen": True, "overview": True}, "pack": {"train_px": 128}}
    write_params(tmp_path / "params.yaml", changes)
    assert load_params(tmp_path / "params.yaml", "augment", AugmentParams).brightness > 0


def params_of_root(folder: Path, value: str) -> Path:
    """The project's params.yaml with another data.root, written as `value`."""
    text, count = re.subn(r"(?m)^data:\n  root: .*$", lambda _: f"data:\n  root: {value}", (ROOT / "params.yaml").read_text())
    assert count == 1
    (folder / "params.yaml").write_text(text)
    return folder / "params.yaml"


@pytest.mark.parametrize(
    ("value", "root"), [("data/photos", Path("data/photos")), ("~/faces", Path.home() / "faces"), ("'2024'", Path("2024"))]
)
def test_the_photos_folder(tmp_path: Path, value: str, root: Path) -> None:
    assert load_params(params_of_root(tmp_path, value), "data", DataParams).root == root


@pytest.mark.parametrize(
    ("value", "root"), [(None, None), ("data/sample/test/real", Path("data/sample/test/real")), ("~/me", Path.home() / "me")]
)
def test_the_folder_of_photos_from_elsewhere_may_be_none(tmp_path: Path, value: str | None, root: Path | None) -> None:
    write_params(tmp_path / "params.yaml", {"elsewhere": {"root": value}})
    assert load_params(tmp_path / "params.yaml", "elsewhere", ElsewhereParams).root == root


@pytest.mark.parametrize("value", ["2024", "2024-05-06", "1.5", "yes", "~", "", "''", "[a]", "{a: b}", '"a\\0b"'])
def test_a_root_that_is_no_name_is_refused_by_name(tmp_path: Path, value: str) -> None:
    path = params_of_root(tmp_path, value)
    assert complaint(path) == f"data.root: {read_yaml(path)['data']['root']!r}: should be the name of a folder"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"trian": {"lr": 1}}, "trian: unknown section: did you mean train?"),
        ({"Loss": "ce"}, "Loss: unknown section: did you mean loss?"),
        ({"mlflow": {}}, "mlflow: unknown section"),
        ({7: 8}, "7: unknown section"),
        ({"train": {"learning_rate": 1}}, "train.learning_rate: unknown parameter"),
        ({"train": {"epoch": 1}}, "train.epoch: unknown parameter: did you mean epochs?"),
        ({"train": {"crop_px": 1}}, "train.crop_px: unknown parameter: did you mean augment.crop_px?"),
        ({"report": {"thumbnail": True}}, "report.thumbnail: unknown parameter: did you mean thumbnails?"),
    ],
    ids=str,
)
def test_what_nobody_reads_is_refused_and_the_nearest_is_named(tmp_path: Path, changes: dict[Any, Any], expected: str) -> None:
    write_params(tmp_path / "params.yaml", changes)
    assert complaint(tmp_path / "params.yaml") == expected


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_left_out_is_missed(tmp_path: Path, section: str) -> None:
    lines = (ROOT / "params.yaml").read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(f"{section}:"))
    last = next((number for number in range(first + 1, len(lines)) if not lines[number].startswith(" ")), len(lines))
    (tmp_path / "params.yaml").write_text("\n".join(lines[:first] + lines[last:]))
    assert complaint(tmp_path / "params.yaml") == f"{section}: missing"


def test_a_misspelt_key_is_not_told_as_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text().replace("  lr:", "  lrr:"))
    assert complaint(tmp_path / "params.yaml") == "train.lrr: unknown parameter: did you mean lr?"


@pytest.mark.parametrize(
    ("arch", "nearest"),
    [
        ("resnet19", ": did you mean resnet18?"),
        ("resnet18 ", ": did you mean resnet18?"),
        ("squeezenet1_1", ""),
        ("inception_v3", ""),
        ("fasterrcnn_resnet50_fpn", ""),
        ("torch", ""),
        ("", ""),
    ],
)
def test_an_architecture_that_is_not_known_to_work_is_refused(tmp_path: Path, arch: str, nearest: str) -> None:
    write_params(tmp_path / "params.yaml", {"model": {"arch": arch}})
    expected = f"model.arch: {arch!r}: should be efficientnet_lite0 or one of torchvision's classifiers"
    assert complaint(tmp_path / "params.yaml").startswith(f"{expected}{nearest}")


def test_every_architecture_but_our_own_is_torchvisions() -> None:
    assert len(set(ARCHITECTURES)) == len(ARCHITECTURES)
    models = import_torchvision().models
    assert set(ARCHITECTURES) - set(models.list_models(module=models)) == {"efficientnet_lite0"}


@pytest.mark.parametrize("stage", READERS, ids=[stage.name for stage in READERS])
def test_every_stage_checks_what_the_last_one_needs_before_it_reads_or_writes(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: Stage
) -> None:
    write_params(tmp_path / "params.yaml", {"report": {"mistakes": -1}})
    monkeypatch.chdir(tmp_path)
    outcome = command(import_module(stage.module), *shlex.split(stage.cmd)[3:])
    assert outcome == Outcome(2, "", "error: params.yaml: report.mistakes: -1: should be greater than or equal to 0\n")
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_a_check_imports_next_to_nothing() -> None:
    code = """
import json, sys
from pathlib import Path
from fakeface.params import check_params
check_params(Path("params.yaml"))
print(json.dumps([name for name in ("torch", "numpy", "pandas", "PIL", "mlflow", "dvc") if name in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
