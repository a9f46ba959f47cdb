"""Stores that cannot be opened, for real: none holds a training up for long, ends it, or shows a password."""

import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from fakeface.tracking import contact
from fakeface.tracking.contact import Contact
from tests.tracking.tracked import tracked, write_training


def complaint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], checkout: Path, uri: str) -> str:
    """What is said when this store is opened, in the checkout, in less than 20 seconds of the store's."""
    monkeypatch.setenv("DVC_ROOT", str(checkout))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    import mlflow  # noqa: F401 - takes seconds that are not the store's

    started = time.monotonic()
    told = Contact()
    assert told.do(lambda store: store.experiment_id, "REMEDY") is None
    assert time.monotonic() - started < 20
    assert told.do(lambda store: store.experiment_id, "REMEDY") is None
    printed = capsys.readouterr().err
    assert "geheim77" not in printed
    *notices, warning = printed.splitlines()
    assert not [line for line in notices if "slow to answer" not in line]
    assert warning.startswith("warning: MLflow at ")
    return warning


@contextmanager
def silent_server() -> Iterator[int]:
    """Accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def test_the_limits_of_a_start_are_20_s_together() -> None:
    assert contact.TOUCH_LIMIT_S + contact.SHORT_LIMIT_S < 20


def test_a_server_that_never_answers_is_left_behind(tmp_path: Path) -> None:
    """And the process ends: it waits for nothing that is still on its way."""
    training = write_training(tmp_path / "training")
    with silent_server() as port:
        printed = tracked(
            training, "complete", tmp_path / "checkout", MLFLOW_TRACKING_URI=f"http://me:geheim77@127.0.0.1:{port}"
        )
    notice, warning = printed.splitlines()
    assert notice == f"MLflow at http://***@127.0.0.1:{port} is slow to answer; waiting at most 10 s"
    assert warning == (
        f"warning: MLflow at http://***@127.0.0.1:{port}: no answer within 10 s; if it answers then, `report` logs the rest"
    )
    assert list((tmp_path / "checkout").iterdir()) == []


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    warning = complaint(monkeypatch, capsys, tmp_path, "http://me:geheim77@127.0.0.1:1")
    assert "http://***@127.0.0.1:1" in warning
    assert warning.endswith("; REMEDY")


@pytest.mark.parametrize("lock", ["EXCLUSIVE", "DEFERRED"])
def test_a_database_that_another_program_keeps_locked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, lock: str
) -> None:
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as other:
        other.execute("CREATE TABLE anything (x)")
        other.execute(f"BEGIN {lock}")
        other.execute("SELECT * FROM anything").fetchall()
        warning = complaint(monkeypatch, capsys, tmp_path, "")
    assert warning == f"warning: MLflow at {tmp_path}/mlflow.db: database is locked; REMEDY"


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("sqlite:///folder", "unable to open database file"),
        ("sqlite:///text.txt", "file is not a database"),
        ("sqlite:///text.txt/mlflow.db", "text.txt'"),
        ("postgresql://me:geheim77@127.0.0.1:1/db", "No module named"),
        ("postgresql://me:gehe/im77@127.0.0.1:1/db", "***"),
        ("http://me:geheim77@127.0.0.1:port", "***"),
        ("nonsense://me:geheim77@host/x", "unsupported URI 'nonsense://***@host/x'"),
        ("./mlruns", "maintenance mode"),
    ],
)
def test_what_waiting_does_not_help_promises_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, uri: str, reason: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").write_text("x" * 1000)
    warning = complaint(monkeypatch, capsys, tmp_path, uri)
    assert reason in warning
    assert "REMEDY" not in warning
    assert "im77" not in warning
