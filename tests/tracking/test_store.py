from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from fakeface.tracking.store import sqlite_file, store_uri

ODD_NAMES = ["plain", "a?b#c", "a%20b%", "with spaces", "한글", 'it\'s "quoted"', "x&uri=true"]


@pytest.fixture(params=ODD_NAMES)
def checkout(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's checkout, while the process runs in another folder."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / request.param))
    monkeypatch.chdir(tmp_path)
    folder: str = request.param
    return (tmp_path / folder).resolve()


def test_the_own_database_is_in_the_checkout_whatever_its_name(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for uri in ("", "sqlite:///mlflow.db", "sqlite:///./mlflow.db", "sqlite:///file:mlflow.db?uri=true"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert make_url(store_uri()).database == str(checkout / "mlflow.db")
        assert sqlite_file(store_uri()) == checkout / "mlflow.db"


@pytest.mark.parametrize("uri", ["mlruns", "./mlruns", "file:mlruns", "file:./mlruns", "file://./mlruns"])
def test_a_relative_folder_is_one_in_the_checkout(checkout: Path, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert store_uri() == (checkout / "mlruns").as_uri()


@pytest.mark.parametrize(
    "uri",
    ["http://host:5000/a?b", "databricks", "databricks://profile", "postgresql://u:p@h/db", "file:///x/y", "/x/y", "sqlite://"],
)
def test_any_other_store_is_as_the_user_names_it(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert store_uri() == uri


def test_options_of_a_database_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////x/a%20b.db?timeout=30")
    assert store_uri() == "sqlite+pysqlite:////x/a b.db?timeout=30"
