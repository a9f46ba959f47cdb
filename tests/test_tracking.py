"""What real trainings log to MLflow: to a real database and to a real server, also to one that dies."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fakeface.core.files import read_json, read_rows
from fakeface.core.params import read_yaml
from fakeface.core.records import PredictionRecord
from fakeface.faces.crops import crop
from fakeface.faces.finder import find_landmarks
from fakeface.photos.images import read_image
from tests.architecture import STAGES
from tests.checkout import TINY, Checkout, environment, new_checkout, runs_at

PER_EPOCH = {
    "train_loss", "valid_loss", "train_accuracy", "valid_accuracy", "learning_rate", "images_per_second",
    "epoch_s", "data_s", "forward_s", "backward_s", "valid_s", "logging_s",
}  # fmt: skip


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with all that a training reads."""
    checkout = new_checkout(tmp_path_factory.mktemp("project") / "packed")
    checkout.run("dvc", "repro", "compute_stats")
    return checkout


def train_command(objective: str = "ce") -> list[str]:
    return (
        f"python -m stages.train {objective} --packed data/packed --split data/split.csv --stats metrics/stats.json "
        f"--index-counts metrics/index.json --model models/{objective} --metrics metrics/train_{objective}.json "
        f"--history metrics/{objective}_history.csv"
    ).split()


AFTER_TRAINING = [stage.cmd for stage in STAGES if stage.name in ("infer", "evaluate", "report")]
"""What dvc.yaml runs once both models are there; the last one logs to MLflow."""


def report(checkout: Checkout, **changes: str) -> None:
    changed = Checkout(checkout.root, checkout.env | changes)
    for command in AFTER_TRAINING:
        changed.run(*shlex.split(command))


@contextmanager
def mlflow_server(root: Path, port: int) -> Iterator[str]:
    """A real server on its own database below `root`, gone when the block ends."""
    root.mkdir(exist_ok=True)
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{root / 'server.db'}", "--artifacts-destination", str(root / "artifacts"),
    ]  # fmt: skip
    env = environment(MLFLOW_DISABLE_TELEMETRY="true")
    with (root / "server.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=root, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while not answers(f"http://127.0.0.1:{port}/health"):
            assert process.poll() is None, (root / "server.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own server
            return True
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def history(tracking_uri: str, run: Any, metric: str) -> list[tuple[int, float]]:
    import mlflow

    points = mlflow.MlflowClient(tracking_uri).get_metric_history(run.info.run_id, metric)
    return [(point.step, point.value) for point in points]


@pytest.fixture(scope="module")
def trained(packed: Checkout) -> Checkout:
    """Both trainings and their evaluation, logged to the checkout's own database; they take a few seconds each."""
    for objective in ("ce", "bce"):
        packed.run(*train_command(objective), MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL="1")
    report(packed)
    return packed


def test_a_run_holds_all_that_a_comparison_needs(trained: Checkout) -> None:
    uri = f"sqlite:///{trained.root / 'mlflow.db'}"
    runs = trained.runs()
    assert [run.info.run_name for run in runs] == ["train_ce", "train_bce"]
    for run in runs:
        metrics, params, tags = run.data.metrics, run.data.params, run.data.tags
        for name in PER_EPOCH:
            assert [step for step, _ in history(uri, run, name)] == [1, 2]
        assert {"best_epoch", "best_valid_loss", "best_valid_accuracy", "peak_memory_mib"} <= metrics.keys()
        scores = {"accuracy", "roc_auc", "recall", "f1", "average_precision", "equal_error_rate", "brier", "ece"}
        assert {f"test_{name}" for name in scores} <= metrics.keys()
        assert metrics["test_roc_auc_low"] <= metrics["test_roc_auc"] <= metrics["test_roc_auc_high"]
        assert sum(metrics[f"test_{name}"] for name in ("true_real", "false_fake", "false_real", "true_fake")) == 18
        assert "system/cpu_utilization_percentage" in metrics
        assert params["train.epochs"] == "2"
        assert params["model.arch"] == TINY["model"]["arch"]
        assert {"split.seed", "pack.train_px", "augment.hue", "train.lr", "objective"} <= params.keys()
        assert {"device", "version.torch", "version.cuda", "dvc.stage", "mlflow.source.git.commit", "data"} <= tags.keys()
        assert tags["data"] == "sample"
        digests = {dataset.dataset.digest for dataset in run.inputs.dataset_inputs}
        assert [dataset.dataset.name for dataset in run.inputs.dataset_inputs] == ["train", "valid", "test"]
        assert len(digests) == 1
        artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
        for name in ("confusion_ce.png", "confusion_bce.png", "curves.png", "scores.json", "predictions.csv", "report.html"):
            assert (artifacts / "evaluation" / name).exists()


def test_the_logged_model_loads_without_pickle_and_scores_the_same(trained: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{trained.root / 'mlflow.db'}")
    model_id = trained.runs()[0].outputs.model_outputs[0].model_id
    model = mlflow.pyfunc.load_model(f"models:/{model_id}")
    assert model.metadata.signature is not None
    assert model.metadata.saved_input_example_info is not None
    predictions = [row for row in read_rows(trained.root / "data/predictions.csv", PredictionRecord) if row.side == "test"]
    photos = [read_image(trained.root / "data/sample" / row.path) for row in predictions]
    images, regions = map(np.stack, zip(*(crop(photo, find_landmarks(photo), "face", 32)[:2] for photo in photos), strict=True))
    p_fake = model.predict({"images": images, "regions": regions})["p_fake"]
    assert p_fake == pytest.approx([row.ce_p_fake for row in predictions], abs=1e-5)
    folder = Path(trained.root, "mlruns/models", model_id, "artifacts")
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pth", ".pt")]


def test_a_server_named_by_mlflow_tracking_uri_is_logged_to(packed: Checkout, tmp_path: Path) -> None:
    with mlflow_server(tmp_path, free_port()) as uri:
        packed.run(*train_command(), MLFLOW_TRACKING_URI=uri)
        (run,) = runs_at(uri)
        assert run.info.artifact_uri.startswith("mlflow-artifacts:")
        assert [step for step, _ in history(uri, run, "train_loss")] == [1, 2]
        assert run.data.tags["fakeface.complete"] == "true"


def test_a_server_that_dies_ends_no_training_and_the_rest_is_logged_later(packed: Checkout, tmp_path: Path) -> None:
    packed.run(*train_command("bce"))
    port = free_port()
    packed.set_params({"train": {"epochs": 3}})
    command = train_command("ce")
    with mlflow_server(tmp_path, port) as uri:
        env = packed.env | {"MLFLOW_TRACKING_URI": uri}
        process = subprocess.Popen(
            command, cwd=packed.root, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert process.stdout is not None
        first = next(line for line in process.stdout if line.startswith("epoch   1"))
        while not history(uri, runs_at(uri)[0], "train_loss"):
            time.sleep(0.05)
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait() == 0, first + rest
    assert "warning: MLflow at" in rest
    assert "Traceback" not in rest
    assert len(read_json(packed.root / "models/ce/run.json")["epochs"]) == 3
    with mlflow_server(tmp_path, port) as uri:
        report(packed, MLFLOW_TRACKING_URI=uri)
        ce = [run for run in runs_at(uri) if run.info.run_name == "train_ce"]
        assert len(ce) == 1
        assert [step for step, _ in history(uri, ce[0], "train_loss")] == [1, 2, 3]
        assert ce[0].info.status == "FINISHED"
        assert "test_accuracy" in ce[0].data.metrics
        assert len(ce[0].outputs.model_outputs) == 1


def test_two_first_runs_at_once_share_a_store_that_does_not_exist(packed: Checkout, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'new.db'}"
    commands = [
        [
            *train_command(objective)[:-5],
            f"models/at_once_{objective}",
            "--metrics",
            f"metrics/{objective}.x",
            "--history",
            f"metrics/{objective}.y",
        ]
        for objective in ("ce", "bce")
    ]
    env = packed.env | {"MLFLOW_TRACKING_URI": uri}
    processes = [
        subprocess.Popen(command, cwd=packed.root, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for command in commands
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert not [line for output in outputs for line in output.splitlines() if "warning" in line]
    assert sorted(run.info.run_name for run in runs_at(uri)) == ["train_bce", "train_ce"]


def test_a_full_disk_ends_a_training_in_one_line_with_nothing_half_written(packed: Checkout) -> None:
    """A limit on the size of a file stands in for the disk: the same place, in the middle of a plain network's checkpoint."""
    params = read_yaml(packed.root / "params.yaml")
    params["model"]["pooling"] = "image"
    (packed.root / "plain.yaml").write_text(yaml.safe_dump(params))
    shell = (
        "ulimit -f 2000; exec "
        + " ".join(train_command()[:-6])
        + " --model models/full --metrics metrics/full --history metrics/f --params plain.yaml"
    )
    done = packed.run("bash", "-c", shell, check=False, MLFLOW_TRACKING_URI=f"sqlite:///{packed.root / 'full.db'}")
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error:")]
    assert ".resume/train_ce" in line
    assert ": cannot be written, is the disk full? " in line
    assert "Traceback" not in done.stdout
    assert not (packed.root / "models/full").exists()
    assert [path for path in (packed.root / ".resume").rglob("*") if path.is_file() and path.suffix != ".lock"] == []
