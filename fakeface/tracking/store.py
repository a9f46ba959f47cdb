"""The store of the runs: MLFLOW_TRACKING_URI, or else the checkout's own mlflow.db."""

import hashlib
import logging
import os
import sqlite3
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from filelock import FileLock

from fakeface.core.checkout import checkout_root
from fakeface.core.console import tell
from fakeface.core.errors import FakefaceError
from fakeface.detector import CARD_FILE
from fakeface.tracking.redaction import redacted
from fakeface.tracking.relocation import (
    BUSY_TIMEOUT_S,
    NAME,
    artifact_root,
    own_database,
    relocate_own_database,
)

LOCK_TIMEOUT_S = 60.0
"""Longer than another process takes to make a new database; it holds the lock for nothing else."""
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "8",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""MLflow's own, and ONNX Runtime's, where the user has not set them: quiet, and a request to a dead server ends within 20 s."""


def store_uri() -> str:
    """Where runs are logged to; a relative place is one in the user's checkout, also in a temporary copy of it."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if not uri:
        return _sqlite_uri(own_database())
    if (path := sqlite_file(uri)) is not None:
        return _sqlite_uri(path, uri.partition("?")[2])
    parts = urlsplit(uri)
    is_local = parts.scheme in ("", "file") and uri not in ("databricks", "databricks-uc", "uc")
    if not is_local or (parts.path.startswith("/") and parts.netloc != "."):
        return uri
    return (checkout_root() / (unquote(parts.path).lstrip("/") if parts.scheme else uri)).as_uri()


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite store; None for another store, or one in memory."""
    if not uri.startswith("sqlite"):
        return None
    from sqlalchemy.engine import make_url

    name = make_url(uri).database or ":memory:"
    if name.startswith("file:"):
        name = unquote(urlsplit(name).path)
    return None if name == ":memory:" else checkout_root() / name


def _sqlite_uri(path: Path, query: str = "") -> str:
    """The driver is named because MLflow makes folders of what it finds after a plain `sqlite:///`, escaped or not."""
    from sqlalchemy.engine import URL

    options = {name: value for name, value in parse_qsl(query) if name != "uri"}
    return URL.create("sqlite+pysqlite", database=str(path), query=options).render_as_string(hide_password=False)


def is_database(uri: str) -> bool:
    """Whether MLflow opens the store itself, instead of asking a server."""
    return urlsplit(uri).scheme.partition("+")[0] in ("sqlite", "postgresql", "mysql", "mssql")


def store_label(uri: str) -> str:
    """The store in words, without credentials."""
    path = sqlite_file(uri)
    return redacted(uri if path is None else str(path))


def _check_writable(path: Path) -> None:
    """Find out in seconds whether a database can be written: MLflow itself tries for minutes."""
    with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("ROLLBACK")


def store_lock(uri: str) -> AbstractContextManager[Any]:
    """To be held while a database is made or moved: concurrent first connections crash in its migration.

    Each database has a lock of its own, so that nobody waits for a database of others; a server looks after its own.
    """
    if not is_database(uri):
        return nullcontext()
    path = sqlite_file(uri)
    own_lock = checkout_root() / f".mlflow-{hashlib.sha256(uri.encode()).hexdigest()[:8]}.lock"
    return FileLock(own_lock if path is None else path.with_name(f"{path.name}.lock"), LOCK_TIMEOUT_S)


def prepare_own_database() -> None:
    """Let `mlflow ui` find the artifacts of a checkout that was moved."""
    with store_lock(_sqlite_uri(own_database())):
        relocate_own_database()


def import_mlflow(uri: str) -> Any:
    """MLflow, quiet, on this store."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    os.environ["MLFLOW_TRACKING_URI"] = uri
    import mlflow
    import mlflow.onnx

    for handler in logging.getLogger("mlflow").handlers:
        handler.addFilter(_without_credentials)
    return mlflow


def _without_credentials(record: logging.LogRecord) -> bool:
    """A filter that lets every message pass, redacted."""
    record.msg, record.args = redacted(record.getMessage()), None
    return True


@dataclass(frozen=True)
class Store:
    """An open store."""

    mlflow: Any
    client: Any
    experiment_id: str


def open_store(uri: str) -> Store:
    """Open a store, which is made on first use, and the experiment in it."""
    mlflow = import_mlflow(uri)
    path = sqlite_file(uri)
    with store_lock(uri):
        if path is not None:
            _check_writable(path)
            if path.resolve() == own_database().resolve():
                relocate_own_database()
        if is_database(uri):
            from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

            SqlAlchemyStore(uri, artifact_root().as_uri())
        client = mlflow.MlflowClient(uri)
        return Store(mlflow, client, _experiment_id(mlflow, client, artifact_root().as_uri() if is_database(uri) else None))


def fetch_models(uri: str, folder: Path) -> Path:
    """Copy what MLflow has under `runs:/...` or `models:/...` into a folder, and find the one with both models in it.

    Raises:
        FakefaceError: the store does not answer or has no such model, or there are not both in it.
    """
    mlflow = open_store(store_uri()).mlflow
    try:
        fetched = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder)))
    except Exception as error:  # noqa: BLE001 - of MLflow, of its stores, of the network
        raise FakefaceError(f"{uri}: {redacted(' '.join(str(error).split()))[:200]}") from None
    found = [card.parents[1] for card in sorted(fetched.rglob(f"ce/{CARD_FILE}"))]
    both = [models for models in found if (models / "bce" / CARD_FILE).is_file()]
    if not both:
        raise FakefaceError(f"{uri}: no models ce and bce in it: expected what `report` registers")
    return both[0]


def _experiment_id(mlflow: Any, client: Any, artifact_location: str | None) -> str:
    """The experiment, made on first use, and brought back where it was deleted."""
    experiment = client.get_experiment_by_name(NAME)
    if experiment is None:
        try:
            return str(client.create_experiment(NAME, artifact_location))
        except mlflow.MlflowException:
            experiment = client.get_experiment_by_name(NAME)  # another process was faster
            if experiment is None:
                raise
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
        tell(f"note: the deleted MLflow experiment {NAME} is restored, as there is something to log to it")
    return str(experiment.experiment_id)
