"""The wheel, built and installed for real, without a network: what a verdict needs, and nothing else."""

import json
import re
import shutil
import subprocess
import sys
import venv
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from fakeface import __version__
from fakeface.training.losses import OBJECTIVES
from tests.checkout import Checkout, new_checkout
from tests.conftest import photo
from tests.tiny_models import write_model

OF_THE_PIPELINE = ("torch", "torchvision", "mlflow", "dvc", "pandas", "scipy", "sklearn", "matplotlib", "jinja2", "onnx")
"""Modules that the base install does not have."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the project, as a build leaves files beside the code."""
    return new_checkout(tmp_path_factory.mktemp("project") / "checkout")


@pytest.fixture(scope="module")
def wheel(checkout: Checkout) -> Path:
    checkout.run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", "."
    )
    (path,) = (checkout.root / "dist").iterdir()
    return path


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment's `bin`: the wheel, and of the packages that are installed here those that it asks for."""
    folder = tmp_path_factory.mktemp("base")
    packages = new_environment(folder / "venv")
    install(packages, wheel)
    linked = folder / "linked"
    linked.mkdir()
    for name in needed("fakeface", packages):
        for file in top_level(name):
            (linked / file.name).symlink_to(file)
    (packages / "linked.pth").write_text(f"{linked}\n")
    return folder / "venv/bin"


def new_environment(folder: Path) -> Path:
    """Its site-packages; there is no pip in it."""
    venv.create(folder, symlinks=True, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    return packages


def install(packages: Path, *words: str | Path) -> None:
    """By this environment's pip, into another one."""
    python = packages.parents[2] / "bin/python"
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    done = subprocess.run([*map(str, command), *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def needed(name: str, packages: Path) -> set[str]:
    """Names of the distributions that the wheel in `packages` needs, and those that these need, without any extra."""
    (metadata,) = packages.glob(f"{name}-*.dist-info/METADATA")
    waiting = re.findall(r"^Requires-Dist: (.*)$", metadata.read_text(), re.MULTILINE)
    found = set[str]()
    while waiting:
        requirement = Requirement(waiting.pop())
        if requirement.name not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            found.add(requirement.name)
            waiting += distribution(requirement.name).requires or ()
    return found


def top_level(name: str) -> set[Path]:
    """The modules, packages and folders in site-packages that belong to a distribution."""
    dist = distribution(name)
    site = Path(str(dist.locate_file(""))).resolve()
    files = {Path(str(dist.locate_file(file))).resolve() for file in dist.files or ()}
    return {site / file.relative_to(site).parts[0] for file in files if file.is_relative_to(site)} - {site / "__pycache__"}


def test_the_wheel_holds_the_library_and_nothing_else(wheel: Path, checkout: Checkout) -> None:
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    listed = checkout.run("git", "ls-files", "fakeface").stdout.split()
    assert names == set(listed)
    assert wheel.name == f"fakeface-{__version__}-py3-none-any.whl"


def test_the_base_install_has_nothing_of_the_pipeline(base: Path, tmp_path: Path) -> None:
    code = "import importlib.util, json, sys; print(json.dumps([n for n in sys.argv[1:] if importlib.util.find_spec(n)]))"
    outsider = Checkout(tmp_path)
    assert outsider.run(base / "python", "-c", code, *OF_THE_PIPELINE, "stages").stdout == "[]\n"
    assert outsider.run(base / "python", "-c", "import fakeface; print(fakeface.__version__)").stdout == f"{__version__}\n"


def test_the_base_install_judges_a_photo_from_any_folder(base: Path, tmp_path: Path) -> None:
    for objective in OBJECTIVES:
        write_model(tmp_path / "elsewhere/models" / objective, objective)
    (tmp_path / "foreign").mkdir()
    photo(0).save(tmp_path / "foreign/photo.jpg")
    outsider = Checkout(tmp_path / "foreign")
    models = ("--models", "../elsewhere/models")
    verdict = json.loads(outsider.run(base / "fakeface", "predict", "--json", *models, "photo.jpg").stdout)
    assert verdict["photo"] == "photo.jpg"
    assert all(0 < verdict[objective]["p_fake"] < 1 for objective in OBJECTIVES)
    assert outsider.run(base / "fakeface", "--version").stdout == f"fakeface {__version__}\n"


def test_what_needs_the_pipeline_says_so_in_one_line(base: Path, tmp_path: Path) -> None:
    outsider = Checkout(tmp_path)
    how = "which is not installed: pip install 'fakeface[pipeline]'\n"
    done = outsider.run(base / "fakeface", "predict", "--figure", "out.png", "photo.jpg", check=False)
    assert (done.returncode, done.stdout) == (1, f"error: --figure needs matplotlib, {how}")
    done = outsider.run(base / "fakeface", "folds", check=False)
    assert (done.returncode, done.stdout) == (1, f"error: `fakeface folds` needs dvc, {how}")
    done = outsider.run(base / "fakeface", "predict", "--model", "models:/fakeface@champion", "photo.jpg", check=False)
    assert (done.returncode, done.stdout) == (1, f"error: models:/fakeface@champion needs mlflow, {how}")
    done = outsider.run(base / "fakeface", "web", check=False)
    how = how.replace("pipeline", "web")
    assert (done.returncode, done.stdout) == (1, f"error: `fakeface web` needs starlette, {how}")


def test_the_base_install_prints_scores(base: Path, checkout: Checkout, tmp_path: Path) -> None:
    outsider = Checkout(tmp_path)
    printed = outsider.run(base / "fakeface", "scores", checkout.root / "published/scores.json").stdout
    assert "test images of the drawn sample" in printed


def test_in_another_copy_of_the_project_its_own_modules_are_run(checkout: Checkout, tmp_path: Path) -> None:
    """The checkout is installed editable; DVC runs experiments in copies of it, whose code may be another."""
    packages = new_environment(tmp_path / "venv")
    (packages / "ours.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")
    install(packages, "--no-build-isolation", "--editable", checkout.root)
    shutil.copytree(checkout.root, tmp_path / "copy")
    code = "import fakeface.commands, stages.pack; print(fakeface.commands.__file__, stages.pack.__file__)"
    (tmp_path / "copy/stages/where.py").write_text(code)
    python = tmp_path / "venv/bin/python"
    copy = Checkout(tmp_path / "copy")
    expected = f"{copy.root}/fakeface/commands/__init__.py {copy.root}/stages/pack.py\n"
    assert copy.run(python, "-m", "stages.where").stdout == expected
    assert copy.run(python, "-c", code).stdout == expected
    outsider = Checkout(tmp_path)
    assert outsider.run(python, "-c", "import fakeface; print(fakeface.__file__)").stdout.startswith(str(checkout.root))
    assert outsider.run(tmp_path / "venv/bin/fakeface", "--version").stdout == f"fakeface {__version__}\n"
