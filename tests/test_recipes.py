from pathlib import Path
from typing import Any

import pytest

from fakeface.core.params import read_yaml
from fakeface.params import SECTIONS, check_params
from tests.architecture import MODULES, STAGES, loaded_sections
from tests.conftest import ROOT

RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))

NOTEBOOK: dict[str, dict[str, Any]] = {
    "split": {"by": "image", "folds": 5, "exclude_relatives": False, "test_count": 302, "test_difficulty": "mid"},
    "pack": {"train_px": 256, "eval_px": 224, "framing": "centre", "laundered": 0},
    "augment": {
        "crop_px": 224,
        "horizontal_flip": 0.5,
        "rotation_degrees": 10,
        "brightness": 0.2,
        "contrast": 0.2,
        "saturation": 0.2,
        "hue": 0.1,
        "laundered": 0,
    },
    "model": {"arch": "resnet18", "weights": "imagenet", "pooling": "image"},
    "train": {
        "optimizer": "adam",
        "lr": 1e-5,
        "weight_decay": 1e-5,
        "schedule": "constant",
        "label_smoothing": 0.0,
        "batch_size": 32,
        "epochs": 50,
        "patience": 5,
        "averaging": 0,
        "precision": "float32",
        "layout": "contiguous",
    },
}
"""The published notebook's values, each one that it has."""

of_each_file = pytest.mark.parametrize("path", [ROOT / "params.yaml", *RECIPES], ids=lambda path: path.name)


def test_the_default_parameters_are_the_samples_recipe() -> None:
    assert (ROOT / "params.yaml").read_bytes() == (ROOT / "recipes/sample.yaml").read_bytes()


@of_each_file
def test_every_section_is_right_and_they_fit_together(path: Path) -> None:
    assert check_params(path).keys() == SECTIONS.keys()


@of_each_file
def test_every_section_is_somebodys(path: Path) -> None:
    """Each is read by a stage that declares it."""
    assert read_yaml(path).keys() == {section for stage in STAGES for section in stage.sections}
    assert SECTIONS.keys() == {section for module in MODULES for section in loaded_sections(module)}
    assert read_yaml(path)["data"].keys() == {"root"}


@of_each_file
def test_a_crop_fits_and_is_as_large_as_what_is_judged(path: Path) -> None:
    params = read_yaml(path)
    assert params["augment"]["crop_px"] == params["pack"]["eval_px"] <= params["pack"]["train_px"]


def test_only_the_sample_is_the_sample() -> None:
    roots = {path.stem: read_yaml(path)["data"]["root"] for path in RECIPES}
    assert roots.pop("sample") == "data/sample"
    assert set(roots.values()) == {"data/photos"}


def test_of_real_photos_the_samples_real_ones_are_those_from_elsewhere() -> None:
    roots = {path.stem: read_yaml(path)["elsewhere"]["root"] for path in RECIPES}
    assert roots.pop("sample") is None
    assert set(roots.values()) == {"data/sample/test/real"}


def test_the_notebooks_recipe_is_the_notebooks_to_the_digit() -> None:
    recipe = read_yaml(ROOT / "recipes/notebook.yaml")
    assert {section: {key: recipe[section][key] for key in values} for section, values in NOTEBOOK.items()} == NOTEBOOK


def test_of_the_notebooks_training_only_seed_and_device_are_ours() -> None:
    recipe = read_yaml(ROOT / "recipes/notebook.yaml")
    ours = {f"{section}.{key}" for section, values in NOTEBOOK.items() for key in recipe[section].keys() - values.keys()}
    seeds_and_device = {"split.seed", "split.fold", "split.test_fraction", "train.seed", "train.device", "train.processes"}
    assert ours == seeds_and_device | {"model.frozen", "model.parts", "model.cooccurrences", "model.overview", "train.refit"}


def test_every_other_recipe_keeps_related_photos_apart() -> None:
    for path in {ROOT / "params.yaml", *RECIPES} - {ROOT / "recipes/notebook.yaml"}:
        split = read_yaml(path)["split"]
        assert (split["by"], split["folds"], split["fold"], split["exclude_relatives"]) == ("group", 5, 0, True)


def test_photos_of_people_are_not_shown_unless_asked_for() -> None:
    for path in RECIPES:
        assert read_yaml(path)["report"]["thumbnails"] == (path.stem == "sample")


def test_the_offline_recipe_downloads_nothing() -> None:
    model = read_yaml(ROOT / "recipes/offline.yaml")["model"]
    assert (model["arch"], model["weights"]) == ("efficientnet_lite0", "imagenet")
