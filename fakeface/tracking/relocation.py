"""A checkout that was moved, copied or renamed: its own database says anew where its artifacts lie.

MLflow writes absolute places into its database. Of a checkout that stands elsewhere now they are those of the old place,
which another checkout may have taken since: nothing is ever written there.
"""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fakeface.core.checkout import checkout_root
from fakeface.core.files import replacing

NAME = "fakeface"
"""The experiment of all runs."""
PLACES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
    "trace_tags": ("value",),
    "workspaces": ("default_artifact_root", "trace_archival_location"),
}
"""The columns of MLflow's tables that hold places."""
BUSY_TIMEOUT_S = 8.0


def own_database() -> Path:
    return checkout_root() / "mlflow.db"


def artifact_root() -> Path:
    """Where artifacts go if no server takes them: beside the own database, never into a temporary copy of the checkout."""
    return checkout_root() / "mlruns"


def relocate_own_database() -> None:
    """Give every place below the old root the new one. Another process must not open the database meanwhile."""
    path = own_database()
    if not path.is_file() or not path.stat().st_size or path.is_symlink():  # a link leads to what others may share
        return
    with closing(_connect(path)) as connection:
        old_root = _recorded_root(connection)
    if old_root is None or _is_here(old_root):
        return
    if path.stat().st_nlink > 1:
        _unlink_from_original(path)
    with closing(_connect(path)) as connection, connection:
        connection.execute("BEGIN IMMEDIATE")
        for table, columns in PLACES.items():
            known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            for column in known.intersection(columns):
                for old, new in ((old_root.as_uri(), checkout_root().as_uri()), (str(old_root), str(checkout_root()))):
                    _replace_prefix(connection, table, column, old, new)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)


def _recorded_root(connection: sqlite3.Connection) -> Path | None:
    """The checkout that the experiment's artifacts are in; None where they are not in one, or there is no experiment."""
    try:
        row = connection.execute("SELECT artifact_location FROM experiments WHERE name = ?", (NAME,)).fetchone()
    except sqlite3.OperationalError:  # not made yet
        return None
    location = str(row[0]) if row else ""
    path = unquote(urlsplit(location).path, errors="surrogateescape") if location.startswith("file:") else location
    match = re.fullmatch(rf"(/.*?)/{artifact_root().name}(/\d+)?/?", path, re.DOTALL)
    return Path(match[1]) if match else None


def _is_here(root: Path) -> bool:
    try:
        return root.samefile(checkout_root())  # the same folder by another name, a link's say
    except OSError:
        return False


def _replace_prefix(connection: sqlite3.Connection, table: str, column: str, old: str, new: str) -> None:
    connection.execute(
        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 - names of MLflow's, above
        f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
        (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
    )


def _unlink_from_original(path: Path) -> None:
    """A copy made of hard links shares its database with the original: make it a file of its own."""
    with (
        replacing(path) as temporary,
        closing(_connect(path)) as original,
        closing(sqlite3.connect(temporary)) as copy,
    ):
        original.backup(copy)
