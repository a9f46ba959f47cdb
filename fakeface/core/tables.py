"""More rows than memory should hold: SQLite keeps them in a temporary file, and sorts and joins them there."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from itertools import groupby, starmap
from operator import attrgetter
from sqlite3 import Connection, OperationalError, connect
from typing import Any, TypeVar

from fakeface.core.errors import FakefaceError

Row = TypeVar("Row")


@contextmanager
def temporary_tables(*kinds: type[Any]) -> Iterator[Connection]:
    """A database with an empty table for each dataclass, of its name and with its fields; gone when the block ends.

    Memory holds 1 MiB of it, and a few more while it sorts.

    Raises:
        FakefaceError: the disk is full.
    """
    try:
        with closing(connect("")) as tables:
            tables.execute("PRAGMA cache_size = -1000")
            for kind in kinds:
                columns = ", ".join(f'"{field.name}"' for field in fields(kind))
                tables.execute(f"CREATE TABLE {kind.__name__} ({columns})")
            yield tables
    except OperationalError as error:
        raise FakefaceError(f"temporary tables: {error}: TMPDIR may name a folder with more room") from None


def keep(tables: Connection, rows: Iterable[Any]) -> None:
    """Put each row, a dataclass instance, into the table of its kind."""
    for kind, alike in groupby(rows, type):
        names = [field.name for field in fields(kind)]
        places = ", ".join("?" * len(names))
        tables.executemany(f"INSERT INTO {kind.__name__} VALUES ({places})", map(attrgetter(*names), alike))  # noqa: S608


def kept(tables: Connection, kind: type[Row], order: str) -> Iterator[Row]:
    """What is in the table of that kind, in the order of those columns."""
    return starmap(kind, tables.execute(f"SELECT * FROM {kind.__name__} ORDER BY {order}"))  # noqa: S608
