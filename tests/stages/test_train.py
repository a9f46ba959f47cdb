import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from fakeface.core.files import read_rows, write_json, write_rows
from fakeface.core.records import EpochRecord, SplitRecord
from fakeface.detector import HELD_OUT, load_detector
from fakeface.training.checkpoint import fingerprint
from stages.train import DECISIVE_CODE, Paths, code_files, training_fingerprints
from tests.architecture import STAGES
from tests.checkout import TINY, Checkout, environment, runs_at
from tests.conftest import ROOT, write_params
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
    first = training_fingerprints(recipe, CPU, paths, train, valid)
    assert training_fingerprints(recipe, CPU, replace(paths, history=tmp_path / "elsewhere.csv"), train, valid) == first
    of_the_same_images = [
        training_fingerprints(replace(recipe, train=with_train(lr=0.02).train), CPU, paths, train, valid),
        training_fingerprints(replace(recipe, train=with_train(seed=1).train), CPU, paths, train, valid),
        training_fingerprints(replace(recipe, objective_name="bce"), CPU, paths, train, valid),
    ]
    assert len({first, *of_the_same_images}) == 4
    assert {look for _, look in of_the_same_images} == {first[1]}
    others = [
        training_fingerprints(recipe, replace(CPU, bf16=True), paths, train, valid),
        training_fingerprints(recipe, CPU, paths, packed_side("train", 8, TRAIN_PX), valid),
    ]
    for path in (paths.split, paths.stats, weights):
        path.write_text("after")
        others.append(training_fingerprints(recipe, CPU, paths, train, valid))
        path.write_text("before")
    assert len({first[0], *(training for training, _ in others)}) == len({first[1], *(look for _, look in others)}) == 6
    drawn = [
        training_fingerprints(replace(RECIPE, train=with_train(seed=seed).train), CPU, paths, train, valid) for seed in (0, 1)
    ]
    assert drawn[0][1] != drawn[1][1], "random weights are those of the seed"
    assert training_fingerprints(recipe, CPU, paths, train, valid) == first


def stage_inputs(folder: Path) -> list[str]:
    """What `train` reads, tiny: noise of which the fakes are brighter; the stage's arguments."""
    sides = {
        "train": packed_side("train", 24, 36),
        "valid": packed_side("valid", 10, 32),
        "refit": packed_side("valid", 10, 36),
    }
    (folder / "packed").mkdir()
    for name, side in sides.items():
        np.save(folder / f"packed/{name}.npy", side.images)
        np.save(folder / f"packed/{name}_regions.npy", side.regions.repeat(2, axis=1))
        np.save(folder / f"packed/{name}_cooccurrences.npy", side.cooccurrences.repeat(2, axis=1))
    for name in ("train", "refit"):
        np.save(folder / f"packed/{name}_laundered.npy", 255 - sides[name].images[:, np.newaxis])
    write_rows(folder / "split.csv", SplitRecord, [*sides["train"].records, *sides["valid"].records])
    write_json(folder / "stats.json", {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]})
    write_json(folder / "index.json", {"is_sample": True})
    names = {"packed": "packed", "split": "split.csv", "stats": "stats.json", "index-counts": "index.json"}
    return ["ce", *(word for name, path in names.items() for word in (f"--{name}", str(folder / path)))]


@pytest.mark.slow
def test_two_processes_train_what_one_does_and_one_of_them_writes(tmp_path: Path) -> None:
    """The network that looks by region, refitted: batch normalisation, dropout, a loss of parts that some images know."""
    inputs, histories = stage_inputs(tmp_path), []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        out.mkdir()
        write_params(
            out / "params.yaml", {**TINY, "train": TINY["train"] | {"processes": processes, "averaging": 0.0, "refit": True}}
        )
        names = {"model": "model", "metrics": "metrics.json", "history": "history.csv", "params": "params.yaml"}
        outputs = [word for name, path in names.items() for word in (f"--{name}", str(out / path))]
        done = Checkout(ROOT, environment(DVC_ROOT=str(out), PYTHONPATH=str(ROOT))).run(
            sys.executable, "-m", "stages.train", *inputs, *outputs
        )
        assert done.stdout.count("train_ce: 24 train and 10 valid images") == 1
        assert (", 2 processes" in done.stdout) == (processes == 2)
        assert done.stdout.count("\nrefit on train and valid together\n") == 1
        assert load_detector(out / "model" / HELD_OUT).thresholds == load_detector(out / "model").thresholds
        assert not list((out / ".resume/train_ce").glob("*/*.pt"))
        (run,) = runs_at(f"sqlite:///{out / 'mlflow.db'}")
        assert run.data.tags["device.processes"] == str(processes)
        histories.append([asdict(epoch) for epoch in read_rows(out / "history.csv", EpochRecord)])
    (first, *later), (first_of_two, *later_of_two) = histories
    assert first_of_two == pytest.approx(first, abs=1e-4)
    for one, two in zip(later, later_of_two, strict=True):  # rounding grows with every step
        assert two["train_loss"] == pytest.approx(one["train_loss"], abs=1e-2)
