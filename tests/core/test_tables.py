import resource
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakeface.core.records import ImageRecord, PairRecord, RejectedRecord
from fakeface.core.tables import keep, kept, temporary_tables

text = st.text(st.characters(exclude_categories=["Cc", "Cs"]))
rejected_records = st.builds(RejectedRecord, path=text, reason=text)
pair_records = st.builds(PairRecord, path_a=text, path_b=text, kind=st.just("photo"), points=st.integers(0, 10_000))


@given(rows=st.lists(rejected_records | pair_records))
def test_each_row_goes_to_the_table_of_its_kind_and_comes_back(rows: list[RejectedRecord | PairRecord]) -> None:
    with temporary_tables(RejectedRecord, PairRecord) as tables:
        keep(tables, iter(rows))
        assert list(kept(tables, RejectedRecord, "rowid")) == [row for row in rows if isinstance(row, RejectedRecord)]
        assert list(kept(tables, PairRecord, "rowid")) == [row for row in rows if isinstance(row, PairRecord)]


@given(rows=st.lists(rejected_records))
def test_text_is_in_the_order_that_python_has_it_in(rows: list[RejectedRecord]) -> None:
    with temporary_tables(RejectedRecord) as tables:
        keep(tables, rows)
        by_path_and_reason = sorted(rows, key=lambda row: (row.path, row.reason))
        assert list(kept(tables, RejectedRecord, "path, reason")) == by_path_and_reason


def test_what_is_unknown_stays_unknown() -> None:
    record = ImageRecord("real/새 사진, 1.jpg", "c0ffee", 0, "", None, None, None, None, 600, 400, 9, None, "")
    with temporary_tables(ImageRecord) as tables:
        keep(tables, [record])
        assert list(kept(tables, ImageRecord, "path")) == [record]


def test_a_source_of_rows_that_fails_is_heard() -> None:
    with pytest.raises(ZeroDivisionError), temporary_tables(RejectedRecord) as tables:
        keep(tables, (RejectedRecord(str(1 // number), "") for number in (1, 0)))


def test_a_full_disk_says_which_folder_to_change() -> None:
    program = """
from fakeface.core.errors import run_as_command
from fakeface.core.records import RejectedRecord
from fakeface.core.tables import keep, temporary_tables
def fill(argv):
    with temporary_tables(RejectedRecord) as tables:
        keep(tables, [RejectedRecord("x" * 1000, "y" * 1000)] * 10_000)
run_as_command(fill)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: temporary tables: ")
    assert done.stderr.endswith(": TMPDIR may name a folder with more room\n")
    assert done.stderr.count("\n") == 1
