import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fakeface.training.checkpoint import fingerprint
from stages.train import DECISIVE_CODE, Paths, code_files, training_fingerprint
from tests.architecture import STAGES
from tests.conftest import ROOT
from tests.training.tiny import CPU, EVAL_PX, RECIPE, TRAIN_PX, packed_side, with_train

NOT_DECISIVE = {"fakeface/detector.py", "fakeface/photos", "fakeface/tracking"}
"""Code that a training imports, but that does not decide its result."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the code that can be changed."""
    for folder in ("stages", "fakeface"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize(
    ("path", "decides"),
    [
        ("stages/train.py", True),
        ("fakeface/core/params.py", True),
        ("fakeface/training/__init__.py", True),
        ("fakeface/training/fit.py", True),
        ("fakeface/training/losses.py", True),
        ("fakeface/__init__.py", False),
        ("fakeface/tracking/runs.py", False),
        ("fakeface/detector.py", False),
        ("fakeface/photos/images.py", False),
        ("fakeface/reporting/__init__.py", False),
        ("stages/evaluate.py", False),
    ],
)
def test_a_checkpoint_outlives_changes_to_code_that_decides_nothing(copy: Path, path: str, *, decides: bool) -> None:
    before = fingerprint(*code_files(copy))
    with (copy / path).open("a", encoding="utf-8") as file:
        file.write("# a typo is corrected\n")
    assert (fingerprint(*code_files(copy)) != before) == decides


def test_the_fingerprint_covers_the_code_that_dvc_watches() -> None:
    for stage in STAGES:
        if stage.module == "stages.train":
            assert stage.code == {*DECISIVE_CODE} | NOT_DECISIVE


def test_the_fingerprint_covers_parameters_data_device_and_weights(tmp_path: Path) -> None:
    names = ("packed", "split.csv", "stats.json", "index.json", "model", "metrics.json", "history.csv")
    paths = Paths("ce", *(tmp_path / name for name in names))
    train, valid = packed_side("train", 6, TRAIN_PX), packed_side("valid", 4, EVAL_PX)
    weights = tmp_path / "weights.pth"
    for path in (paths.split, paths.stats, weights):
        path.write_text("before")
    recipe = replace(RECIPE, model=replace(RECIPE.model, weights=str(weights)))
    first = training_fingerprint(recipe, CPU, paths, train, valid)
    assert training_fingerprint(recipe, CPU, replace(paths, history=tmp_path / "elsewhere.csv"), train, valid) == first
    others = [
        training_fingerprint(replace(recipe, train=with_train(lr=0.02).train), CPU, paths, train, valid),
        training_fingerprint(replace(recipe, objective_name="bce"), CPU, paths, train, valid),
        training_fingerprint(recipe, replace(CPU, bf16=True), paths, train, valid),
        training_fingerprint(recipe, CPU, paths, packed_side("train", 8, TRAIN_PX), valid),
    ]
    for path in (paths.split, paths.stats, weights):
        path.write_text("after")
        others.append(training_fingerprint(recipe, CPU, paths, train, valid))
        path.write_text("before")
    assert len({first, *others}) == 8
    assert training_fingerprint(recipe, CPU, paths, train, valid) == first
