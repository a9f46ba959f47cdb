"""The runs of trainings, while they are under way and after.

A training's run record holds all that its MLflow run shows, so a run that is missing from the store, or incomplete there, is
restored from it by `report`.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fakeface.core.files import read_json, read_rows, sha256_of
from fakeface.core.records import LABEL_NAMES, SplitRecord
from fakeface.detector import CARD_FILE, NETWORK_FILE, RUN_FILE, WEIGHTS_FILE
from fakeface.tracking.contact import Contact
from fakeface.tracking.records import RunRecord
from fakeface.tracking.redaction import redacted_values
from fakeface.tracking.store import Store

TRAINING_ID, COMPLETE, RESTORED = "fakeface.training_id", "fakeface.complete", "fakeface.restored"
MODEL_REQUIREMENTS = ["onnx", "onnxruntime", "numpy"]
AFTER_TRAINING = "if it answers then, `report` logs the rest"
AFTER_REPORT = "`dvc repro --single-item --force report` tries again"


class LiveRun:
    """The run of a training under way; after the first failure nothing more is logged, and `report` completes it."""

    def __init__(self) -> None:
        self.run_record: RunRecord = {}
        self.run_id: str | None = None
        self.logged_epochs = 0
        self._contact: Contact | None = None

    def start(self, run_record: RunRecord, split: Path) -> None:
        """Start the run of this record, or go on with it, with system metrics."""
        self.run_record = run_record
        self._contact = Contact()
        self.run_id = self._contact.do(partial(_start, run_record=run_record, split=split), AFTER_TRAINING)

    def log_epochs(self) -> None:
        """Log the epochs that the record has and the run has not."""
        epochs = self.run_record["epochs"]
        self._do(partial(_log_epochs, epochs=epochs[self.logged_epochs :]))
        self.logged_epochs = len(epochs)

    def complete(self, model_folder: Path) -> None:
        self._do(partial(_complete, run_record=self.run_record, model_folder=model_folder), is_long=True)

    def end(self, status: str) -> None:
        self._do(lambda store, run_id: store.mlflow.end_run(status))  # noqa: ARG005 - the active run

    def _do(self, action: Callable[..., object], *, is_long: bool = False) -> None:
        """Call the action with the store and the run's id, if there is a run."""
        if self._contact is not None and self.run_id is not None:
            self._contact.do(partial(action, run_id=self.run_id), AFTER_TRAINING, is_long=is_long)


@contextmanager
def live_run() -> Iterator[LiveRun]:
    """A run to be started within the block, and ended with it."""
    run = LiveRun()
    try:
        yield run
    except BaseException:
        run.end("FAILED")
        raise
    run.end("FINISHED")


def publish_evaluation(
    contact: Contact, model_folder: Path, split: Path, metrics: dict[str, float], files: list[Path], tags: dict[str, str]
) -> None:
    """Log test scores, figures and tables to a training's run; a run that the store does not have is restored first."""
    run_record = read_json(model_folder / RUN_FILE)

    def publish(store: Store) -> None:
        run_id = find_run(store, run_record)
        if run_id is None:
            run_id = _new_run(store, run_record, restored=True)
            _log_datasets(store, run_id, split)
        if store.client.get_run(run_id).data.tags.get(COMPLETE) != "true":
            _complete(store, run_id, run_record, model_folder)
            store.client.set_terminated(run_id, "FINISHED", _ended_ms(run_record))
        for name, value in redacted_values(tags).items():
            store.client.set_tag(run_id, name, value)
        now = int(time.time() * 1000)
        store.client.log_batch(run_id, metrics=[_metric(store, name, value, now, 0) for name, value in metrics.items()])
        for file in files:
            store.client.log_artifact(run_id, str(file), "evaluation")

    contact.do(publish, AFTER_REPORT, is_long=True)


def _start(store: Store, run_record: RunRecord, split: Path) -> str:
    run_id = find_run(store, run_record) or _new_run(store, run_record)
    _log_datasets(store, run_id, split)
    store.mlflow.start_run(run_id=run_id, log_system_metrics=True)
    return run_id


def _new_run(store: Store, run_record: RunRecord, *, restored: bool = False) -> str:
    tags = run_record["tags"] | {TRAINING_ID: run_record["training_id"]} | ({RESTORED: "true"} if restored else {})
    run = store.client.create_run(store.experiment_id, run_record["started_ms"], tags, run_record["stage"])
    params = [store.mlflow.entities.Param(name, str(value)) for name, value in run_record["params"].items()]
    store.client.log_batch(run.info.run_id, params=params)
    return str(run.info.run_id)


def find_run(store: Store, run_record: RunRecord) -> str | None:
    query = f"tags.`{TRAINING_ID}` = '{run_record['training_id']}'"
    runs = store.client.search_runs([store.experiment_id], query, max_results=1)
    return str(runs[0].info.run_id) if runs else None


def _log_epochs(store: Store, run_id: str, epochs: list[dict[str, Any]]) -> None:
    for epoch in epochs:
        values = {name: value for name, value in epoch.items() if name not in ("epoch", "timestamp_ms")}
        metrics = [_metric(store, name, value, epoch["timestamp_ms"], epoch["epoch"]) for name, value in values.items()]
        store.client.log_batch(run_id, metrics=metrics)


def _complete(store: Store, run_id: str, run_record: RunRecord, model_folder: Path) -> None:
    """Log all that the record holds; logging again what the run has already does no harm."""
    _log_epochs(store, run_id, run_record["epochs"])
    best = run_record["epochs"][run_record["best_epoch"] - 1]
    summary = {f"best_{name}": best[name] for name in ("epoch", "valid_loss", "valid_accuracy")} | run_record["memory"]
    ended_ms = _ended_ms(run_record)
    store.client.log_batch(run_id, metrics=[_metric(store, name, value, ended_ms, 0) for name, value in summary.items()])
    _log_model(store, run_id, model_folder)
    store.client.set_tag(run_id, COMPLETE, "true")


def _log_model(store: Store, run_id: str, folder: Path) -> None:
    """The exported network as an MLflow model, without pickle: uint8 images, maybe regions, in; p_fake, logits, ... out."""
    import numpy as np
    import onnx

    mlflow = store.mlflow
    network = onnx.load(folder / NETWORK_FILE)

    def schema(tensors: Any) -> Any:
        specs = []
        for tensor in tensors:
            kind = tensor.type.tensor_type
            shape = tuple(side.dim_value or -1 for side in kind.shape.dim)  # -1 for any number of images
            specs.append(mlflow.types.TensorSpec(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type), shape, tensor.name))
        return mlflow.types.Schema(specs)

    signature = mlflow.models.ModelSignature(schema(network.graph.input), schema(network.graph.output))
    example = {spec.name: np.zeros(tuple(abs(side) for side in spec.shape), spec.type) for spec in signature.inputs}
    active = mlflow.active_run()
    if active is None:
        mlflow.start_run(run_id=run_id)
    try:
        mlflow.onnx.log_model(
            network,
            name="model",
            signature=signature,
            input_example=example,
            pip_requirements=MODEL_REQUIREMENTS,
            onnx_execution_providers=["CPUExecutionProvider"],
        )
    finally:
        if active is None:
            mlflow.end_run()
    for name in (WEIGHTS_FILE, CARD_FILE):
        store.client.log_artifact(run_id, str(folder / name), "weights")


def _log_datasets(store: Store, run_id: str, split: Path) -> None:
    """The three sides as MLflow datasets; their digest is the split's hash."""
    import pandas as pd

    mlflow = store.mlflow
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
    store.client.log_inputs(run_id, inputs)


def _metric(store: Store, name: str, value: float, timestamp_ms: int, step: int) -> Any:
    return store.mlflow.entities.Metric(name, float(value), timestamp_ms, step)


def _ended_ms(run_record: RunRecord) -> int:
    return int(run_record["epochs"][-1]["timestamp_ms"])
