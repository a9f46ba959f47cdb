"""Where runs land and stay: relative stores, moved checkouts, deleted experiments, a machine without git."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from fakeface.tracking.relocation import relocate_own_database
from fakeface.tracking.store import store_uri
from tests.checkout import runs_at
from tests.tracking.tracked import tracked, write_training

ODD = 'it\'s "a" 100%20% 한글 #1?b'


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_training(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, training: Path) -> Path:
    """A checkout in a folder with an odd name, whose store has a run, told from elsewhere and without a git program."""
    parent = tmp_path_factory.mktemp("original")
    for act in ("complete", "report"):
        assert tracked(training, act, parent / ODD, cwd=parent, MLFLOW_TRACKING_URI="sqlite:///mlflow.db", PATH="") == ""
    assert [path.name for path in parent.iterdir()] == [ODD]
    assert {path.name for path in (parent / ODD).iterdir()} == {"mlflow.db", "mlflow.db.lock", "mlruns"}
    return parent / ODD


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], str]:
    """`use(checkout)` makes this process one of that checkout's, and returns its store's URI."""

    def use(checkout: Path) -> str:
        monkeypatch.setenv("DVC_ROOT", str(checkout))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", store_uri())
        return store_uri()

    return use


def opens(uri: str, checkout: Path, scratch: Path) -> None:
    """Assert that the run's artifacts and model open, out of this checkout."""
    import mlflow

    (run,) = runs_at(uri)
    model_id = run.outputs.model_outputs[0].model_id
    client = mlflow.MlflowClient(uri)
    for artifact_uri in (run.info.artifact_uri, client.get_logged_model(model_id).artifact_location):
        assert artifact_uri.startswith(f"{checkout.resolve().as_uri()}/mlruns/")
    split = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="evaluation/split.csv", tracking_uri=uri)
    assert Path(split).read_text().startswith("path,")
    # Without a place to copy it to, MLflow itself unquotes the path of a local model once more, and a%20b is a b to it.
    model = mlflow.pyfunc.load_model(f"models:/{model_id}", dst_path=str(scratch))
    assert model.predict({"images": np.zeros((1, 32, 32, 3), np.uint8)})["p_fake"].shape == (1,)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_relative_store_is_the_checkouts_own_whatever_its_name(
    original: Path, tmp_path: Path, use: Callable[[Path], str]
) -> None:
    opens(use(original), original, tmp_path)


def test_without_git_a_run_lacks_its_commit_and_nothing_else(original: Path, use: Callable[[Path], str]) -> None:
    (run,) = runs_at(use(original))
    assert run.info.status == "FINISHED"
    assert {"train_loss", "best_epoch", "test_accuracy"} <= run.data.metrics.keys()
    assert run.data.tags["fakeface.complete"] == "true"
    assert "mlflow.source.git.commit" not in run.data.tags


def test_no_credential_is_in_a_run(original: Path, use: Callable[[Path], str]) -> None:
    (run,) = runs_at(use(original))
    assert run.data.params["model.weights"] == "https://***@host/w"
    assert run.data.tags["data.root"] == "https:/***@host/photos"
    assert not [name for name, content in contents(original).items() if b"geheim77" in content]


@pytest.mark.parametrize("copied", ["copied", "with hard links", "moved"])
def test_a_checkout_elsewhere_opens_and_leaves_the_original_alone(
    original: Path, tmp_path: Path, use: Callable[[Path], str], copied: str
) -> None:
    elsewhere = tmp_path / f"{copied}?"
    shutil.copytree(original, elsewhere, copy_function=os.link if copied == "with hard links" else shutil.copy2)
    if copied == "moved":
        original = elsewhere
        elsewhere = elsewhere.rename(tmp_path / "moved on")
    before = contents(original)
    uri = use(elsewhere)
    relocate_own_database()
    opens(uri, elsewhere, tmp_path)
    assert contents(original) == before


def test_the_same_checkout_by_another_name_is_not_rewritten(original: Path, tmp_path: Path, use: Callable[[Path], str]) -> None:
    (tmp_path / "link").symlink_to(original)
    before = contents(original)
    assert use(tmp_path / "link") == use(original)
    relocate_own_database()
    assert contents(original) == before


def test_make_ui_relocates_first(original: Path) -> None:
    """Its line runs as it stands in the Makefile, before MLflow's."""
    text = (Path(__file__).parents[2] / "Makefile").read_text()
    relocate, serve = text.partition("\nui: ")[2].splitlines()[1:3]
    assert "mlflow ui" in serve
    command = relocate.strip().removeprefix("@python -c ").strip("'")
    env = {**os.environ, "DVC_ROOT": str(original)}
    subprocess.run([sys.executable, "-c", command], check=True, env=env, cwd=Path(__file__).parents[2])


def test_a_deleted_experiment_is_restored_and_a_collected_one_made_anew(
    original: Path, training: Path, tmp_path: Path, use: Callable[[Path], str]
) -> None:
    import mlflow.cli

    checkout = tmp_path / "checkout"
    shutil.copytree(original, checkout)
    uri = use(checkout)
    relocate_own_database()
    client = mlflow.MlflowClient(uri)
    client.delete_experiment(client.get_experiment_by_name("fakeface").experiment_id)
    note = "note: the deleted MLflow experiment fakeface is restored, as there is something to log to it\n"
    assert tracked(training, "report", checkout) == note
    assert len(runs_at(uri)) == 1

    client.delete_experiment(client.get_experiment_by_name("fakeface").experiment_id)
    collected = CliRunner().invoke(mlflow.cli.gc, ["--backend-store-uri", uri])
    assert collected.exit_code == 0, collected.output
    assert tracked(training, "report", checkout) == ""
    (run,) = runs_at(uri)
    assert run.data.tags["fakeface.restored"] == "true"
