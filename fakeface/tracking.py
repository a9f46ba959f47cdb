"""Logging to MLflow: the only module that imports it.

A training's run record (run.json in its model folder) holds all that its MLflow run shows, so a run that is missing from
the store, or incomplete there, is restored from it. Nothing here ever ends a training: what cannot be logged is a warning,
and `report` logs it later.
"""

import os
import subprocess
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from fakeface.core.checkout import checkout_root
from fakeface.core.files import read_json, read_rows, sha256_of
from fakeface.core.records import LABEL_NAMES, SplitRecord
from fakeface.detector import CARD_FILE, NETWORK_FILE, RUN_FILE, WEIGHTS_FILE

NAME = "fakeface"
TRAINING_ID, COMPLETE, RESTORED = "fakeface.training_id", "fakeface.complete", "fakeface.restored"
MODEL_REQUIREMENTS = ["onnx", "onnxruntime", "numpy"]

RunRecord = dict[str, Any]


def repository() -> Path:
    """The user's own checkout, also while DVC runs an experiment in a temporary copy of it."""
    return checkout_root()


def new_run_record(stage: str, params: dict[str, Any], sections: tuple[str, ...], device: dict[str, str]) -> RunRecord:
    """The record of a training as it starts; of `params`, all of params.yaml, the `sections` are logged."""
    flat = {f"{section}.{key}": value for section in sections for key, value in params[section].items()}
    return {
        "training_id": uuid.uuid4().hex,
        "stage": stage,
        "started_ms": int(time.time() * 1000),
        "params": flat | {"objective": stage.removeprefix("train_")},
        "tags": device | _provenance(stage),
        "epochs": [],
    }


def _provenance(stage: str) -> dict[str, str]:
    """Where a run comes from: DVC's experiment and stage, and the Git commit."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    tags = {
        "dvc.stage": os.environ.get("DVC_STAGE", stage),
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", ""),
        "dvc.baseline": os.environ.get("DVC_EXP_BASELINE_REV", ""),
        "mlflow.source.git.commit": commit.stdout.strip(),
    }
    return {name: value for name, value in tags.items() if value}


class LiveRun:
    """The run of a training under way; after the first failure nothing more is logged, and `report` completes it."""

    def __init__(self) -> None:
        self.run_record: RunRecord = {}
        self.run_id: str | None = None
        self.logged_epochs = 0

    def start(self, run_record: RunRecord, split: Path) -> None:
        """Start the run of this record, or go on with it, with system metrics."""
        self.run_record = run_record
        mlflow = _mlflow()
        try:
            with _store_lock():
                run_id = _find_run(run_record) or _new_run(run_record)
                _log_datasets(run_id, split)
            mlflow.start_run(run_id=run_id, log_system_metrics=True)
            self.run_id = run_id
        except Exception as error:  # noqa: BLE001 - tracking must never end a training
            _warn(error)

    def log_epochs(self) -> None:
        """Log the epochs that the record has and the run has not."""
        self._attempt(lambda run_id: _log_epochs(run_id, self.run_record["epochs"][self.logged_epochs :]))
        self.logged_epochs = len(self.run_record["epochs"])

    def complete(self, model_folder: Path) -> None:
        self._attempt(lambda run_id: _complete(run_id, self.run_record, model_folder))

    def _attempt(self, action: Callable[[str], None]) -> None:
        if self.run_id is None:
            return
        try:
            action(self.run_id)
        except Exception as error:  # noqa: BLE001 - tracking must never end a training
            self.run_id = None
            _warn(error)


@contextmanager
def live_run() -> Iterator[LiveRun]:
    """A run to be started within the block, and ended with it."""
    try:
        yield LiveRun()
    except BaseException:
        _end_run("FAILED")
        raise
    _end_run("FINISHED")


def _end_run(status: str) -> None:
    try:
        _mlflow().end_run(status)
    except Exception as error:  # noqa: BLE001 - tracking must never end a training
        _warn(error)


def publish_evaluation(
    model_folder: Path, split: Path, metrics: dict[str, float], files: list[Path], tags: dict[str, str]
) -> None:
    """Log test scores, figures and tables to a training's run; a run that the store does not have is restored first."""
    run_record = read_json(model_folder / RUN_FILE)
    try:
        client = _client()
        run_id = _find_run(run_record)
        if run_id is None:
            run_id = _new_run(run_record, restored=True)
            _log_datasets(run_id, split)
        if client.get_run(run_id).data.tags.get(COMPLETE) != "true":
            _complete(run_id, run_record, model_folder)
            client.set_terminated(run_id, "FINISHED", _ended_ms(run_record))
        for name, value in tags.items():
            client.set_tag(run_id, name, value)
        now = int(time.time() * 1000)
        client.log_batch(run_id, metrics=[_metric(name, value, now, 0) for name, value in metrics.items()])
        for file in files:
            client.log_artifact(run_id, str(file), "evaluation")
    except Exception as error:  # noqa: BLE001 - tracking must never end a report
        _warn(error)


def _new_run(run_record: RunRecord, *, restored: bool = False) -> str:
    client = _client()
    tags = run_record["tags"] | {TRAINING_ID: run_record["training_id"]} | ({RESTORED: "true"} if restored else {})
    run = client.create_run(_experiment_id(), run_record["started_ms"], tags, run_record["stage"])
    entities = _mlflow().entities
    client.log_batch(run.info.run_id, params=[entities.Param(name, str(value)) for name, value in run_record["params"].items()])
    return str(run.info.run_id)


def _find_run(run_record: RunRecord) -> str | None:
    query = f"tags.`{TRAINING_ID}` = '{run_record['training_id']}'"
    runs = _client().search_runs([_experiment_id()], query, max_results=1)
    return str(runs[0].info.run_id) if runs else None


def _log_epochs(run_id: str, epochs: list[dict[str, Any]]) -> None:
    for epoch in epochs:
        values = {name: value for name, value in epoch.items() if name not in ("epoch", "timestamp_ms")}
        metrics = [_metric(name, value, epoch["timestamp_ms"], epoch["epoch"]) for name, value in values.items()]
        _client().log_batch(run_id, metrics=metrics)


def _complete(run_id: str, run_record: RunRecord, model_folder: Path) -> None:
    """Log all that the record holds; logging again what the run has already does no harm."""
    _log_epochs(run_id, run_record["epochs"])
    best = run_record["epochs"][run_record["best_epoch"] - 1]
    summary = {f"best_{name}": best[name] for name in ("epoch", "valid_loss", "valid_accuracy")} | run_record["memory"]
    client = _client()
    client.log_batch(run_id, metrics=[_metric(name, value, _ended_ms(run_record), 0) for name, value in summary.items()])
    _log_model(run_id, model_folder)
    client.set_tag(run_id, COMPLETE, "true")


def _log_model(run_id: str, folder: Path) -> None:
    """The exported network as an MLflow model, without pickle: uint8 images in, p_fake and logits out."""
    import numpy as np
    import onnx

    mlflow = _mlflow()
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    px = read_json(folder / CARD_FILE)["image_px"]
    signature = ModelSignature(
        Schema([TensorSpec(np.dtype(np.uint8), (-1, px, px, 3), "images")]),
        Schema([TensorSpec(np.dtype(np.float32), (-1,), "p_fake"), TensorSpec(np.dtype(np.float32), (-1, 2), "logits")]),
    )
    active = mlflow.active_run()
    if active is None:
        mlflow.start_run(run_id=run_id)
    try:
        mlflow.onnx.log_model(
            onnx.load(folder / NETWORK_FILE),
            name="model",
            signature=signature,
            input_example={"images": np.zeros((1, px, px, 3), np.uint8)},
            pip_requirements=MODEL_REQUIREMENTS,
            onnx_execution_providers=["CPUExecutionProvider"],
        )
    finally:
        if active is None:
            mlflow.end_run()
    for name in (WEIGHTS_FILE, CARD_FILE):
        _client().log_artifact(run_id, str(folder / name), "weights")


def _log_datasets(run_id: str, split: Path) -> None:
    """The three sides as MLflow datasets; their digest is the split's hash."""
    import pandas as pd

    mlflow = _mlflow()
    rows = read_rows(split, SplitRecord)
    digest = sha256_of(split)[:32]
    inputs = []
    for side, context in (("train", "training"), ("valid", "validation"), ("test", "test")):
        members = [(row.path, LABEL_NAMES[row.label], row.difficulty) for row in rows if row.side == side]
        table = pd.DataFrame(members, columns=["path", "label", "difficulty"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow's warning that a path can be two kinds of source
            dataset = mlflow.data.from_pandas(table, source=str(split), targets="label", name=side, digest=digest)
        tag = mlflow.entities.InputTag("mlflow.data.context", context)
        inputs.append(mlflow.entities.DatasetInput(dataset._to_mlflow_entity(), [tag]))
    _client().log_inputs(run_id, inputs)


def _metric(name: str, value: float, timestamp_ms: int, step: int) -> Any:
    return _mlflow().entities.Metric(name, float(value), timestamp_ms, step)


def _ended_ms(run_record: RunRecord) -> int:
    return int(run_record["epochs"][-1]["timestamp_ms"])


def _experiment_id() -> str:
    """The experiment, created on first use; its artifacts lie beside the database, not in a temporary copy of the checkout."""
    client = _client()
    with _store_lock():
        experiment = client.get_experiment_by_name(NAME)
        if experiment is not None:
            return str(experiment.experiment_id)
        is_local = _mlflow().get_tracking_uri().startswith("sqlite:")
        return str(client.create_experiment(NAME, (repository() / "mlruns").as_uri() if is_local else None))


def _client() -> Any:
    """A client whose store exists: concurrent first connections to a new database crash in its migration, so they queue."""
    mlflow = _mlflow()
    with _store_lock():
        return mlflow.MlflowClient()


def _store_lock() -> FileLock:
    """To be held while the store may be created; a process that holds it may acquire it again."""
    return FileLock(repository() / ".mlflow.lock", is_singleton=True)


def _mlflow() -> Any:
    """MLflow, quiet, on MLFLOW_TRACKING_URI or else on the checkout's own mlflow.db."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{repository() / 'mlflow.db'}")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "5")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    import mlflow
    import mlflow.onnx

    return mlflow


def _warn(error: Exception) -> None:
    reason = " ".join(str(error).split())[:300]
    print(f"warning: MLflow at {os.environ['MLFLOW_TRACKING_URI']}: {reason}; `report` will log the rest", file=sys.stderr)
