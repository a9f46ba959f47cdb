import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakeface.core.errors import FakefaceError
from fakeface.core.files import write_rows
from fakeface.core.frames import frame_of, read_table, write_table
from fakeface.core.records import ImageRecord, RejectedRecord, SplitRecord
from tests.conftest import ROOT
from tests.core.test_files import RECORD, split_records, text

rejected_records = st.builds(RejectedRecord, path=text | st.just('\r\n,"\t'), reason=text)


@given(rows=st.lists(split_records) | st.lists(rejected_records))
def test_a_frame_is_written_in_the_bytes_of_its_records(
    tmp_path_factory: pytest.TempPathFactory, rows: list[SplitRecord] | list[RejectedRecord]
) -> None:
    folder = tmp_path_factory.mktemp("frames")
    kind = type(rows[0]) if rows else ImageRecord
    write_rows(folder / "rows.csv", kind, rows)
    write_table(folder / "frame.csv", kind, frame_of(kind, rows))
    assert (folder / "frame.csv").read_bytes() == (folder / "rows.csv").read_bytes()
    pd.testing.assert_frame_equal(read_table(folder / "rows.csv", kind), frame_of(kind, rows))


@given(texts=st.lists(text))
def test_text_is_sorted_and_ranked_as_python_sorts_it(texts: list[str]) -> None:
    frame = frame_of(RejectedRecord, [RejectedRecord(path, "") for path in texts])
    assert list(frame.sort_values("path")["path"]) == sorted(texts)
    assert list(frame.groupby("path").ngroup()) == [sorted(set(texts)).index(path) for path in texts]


def test_what_is_unknown_stays_unknown_and_large_numbers_stay_whole() -> None:
    known = ImageRecord("real/a.jpg", "decaf", 1, "mid", 1, 0, 0, 1, 600, 400, 2**60 + 1, 2**60 + 1, "")
    unknown = ImageRecord("real/b.jpg", "c0ffee", 0, "", None, None, None, None, 600, 400, 9, None, "")
    frame = frame_of(ImageRecord, [known, unknown])
    assert frame["luma_quantisation_sum"].tolist() == [2**60 + 1, pd.NA]
    assert frame["left_eye"].tolist() == [1, pd.NA]
    assert frame["bytes"].tolist() == [2**60 + 1, 9]
    assert (frame["difficulty"] == ["mid", ""]).all()


def test_other_columns_are_not_written(tmp_path: Path) -> None:
    frame = frame_of(RejectedRecord, [RejectedRecord("a.jpg", "empty file")]).assign(depth=0)
    write_table(tmp_path / "rejected.csv", RejectedRecord, frame[["depth", "reason", "path"]])
    assert (tmp_path / "rejected.csv").read_text() == "path,reason\na.jpg,empty file\n"


def test_a_cell_that_is_wrong_is_named(tmp_path: Path) -> None:
    path = tmp_path / "images.csv"
    write_table(path, ImageRecord, frame_of(ImageRecord, [RECORD]))
    path.write_text(path.read_text().replace(",600,", ",wide,"))
    with pytest.raises(FakefaceError, match=r"images\.csv: line 2: width: Input should be a valid integer"):
        read_table(path, ImageRecord)


@pytest.mark.parametrize("module", ["stages.pack", "stages.compute_stats", "stages.infer", "fakeface.commands.predict"])
def test_what_reads_tables_row_by_row_does_not_wait_for_pandas(module: str) -> None:
    code = f"import {module}, sys; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
