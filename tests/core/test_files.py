import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakeface.core.errors import FakefaceError
from fakeface.core.files import ROWS_AT_A_TIME, each_row, read_json, read_rows, replacing, sha256_of, write_json, write_rows
from fakeface.core.records import GroupRecord, ImageRecord, RejectedRecord, Side, SplitRecord

bits = st.sampled_from([None, 0, 1])
numbers = st.integers(-(2**63), 2**63 - 1)
text = st.text(st.characters(exclude_categories=["Cc", "Cs"]))
split_records = st.builds(
    SplitRecord,
    path=text,
    sha256=text,
    label=st.sampled_from([0, 1]),
    difficulty=text,
    left_eye=bits,
    right_eye=bits,
    nose=bits,
    mouth=bits,
    width=numbers,
    height=numbers,
    bytes=numbers,
    luma_quantisation_sum=st.none() | numbers,
    subset=st.sampled_from(["training", "test", ""]),
    side=st.sampled_from(get_args(Side)),
    group=text,
)
RECORD = ImageRecord("real/새 사진, 1.jpg", "c0ffee", 0, "", None, None, None, None, 600, 400, 9, 406, "")


@given(rows=st.lists(split_records))
def test_rows_read_back_as_written(tmp_path_factory: pytest.TempPathFactory, rows: list[SplitRecord]) -> None:
    path = tmp_path_factory.mktemp("rows") / "split.csv"
    write_rows(path, SplitRecord, rows)
    assert read_rows(path, SplitRecord) == rows


def test_a_table_with_more_columns_serves(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    write_rows(path, SplitRecord, [SplitRecord(**asdict(RECORD), side="train", group="c0ffee")])
    assert read_rows(path, ImageRecord) == [RECORD]


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (",600,", ",wide,", "line 2: width: Input should be a valid integer, unable to parse string as an integer"),
        (",600,", ",,", "line 2: width: Input should be a valid integer"),
        (",0,,", ",2,,", "line 2: label: Input should be 0 or 1"),
        (",406,", ",406,elsewhere", "line 2: subset: Input should be 'training', 'test' or ''"),
        ("sha256", "md5", "line 2: sha256: Field required"),
    ],
)
def test_a_cell_that_is_wrong_is_named(tmp_path: Path, before: str, after: str, complaint: str) -> None:
    path = tmp_path / "images.csv"
    write_rows(path, ImageRecord, [RECORD])
    path.write_text(path.read_text().replace(before, after, 1))
    with pytest.raises(FakefaceError) as caught:
        read_rows(path, ImageRecord)
    assert str(caught.value) == f"{path}: {complaint}"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01", b'path,reason\n"a\n' + b"b" * 200_000])
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "images.csv"
    path.write_bytes(content)
    with pytest.raises(FakefaceError, match=r"images\.csv: not CSV: "):
        read_rows(path, RejectedRecord)


def test_a_failure_midway_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "rejected.csv"
    write_rows(path, RejectedRecord, [RejectedRecord("a.jpg", "empty file")])
    before = path.read_bytes()

    def interrupted() -> Iterator[RejectedRecord]:
        yield from [RejectedRecord("b.jpg", "empty file")] * 10_000
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_rows(path, RejectedRecord, interrupted())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "stats.json"
    write_json(path, "old")
    program = f"""
from pathlib import Path
from fakeface.core.errors import run_as_command
from fakeface.core.files import write_json
run_as_command(lambda argv: write_json(Path({str(path)!r}), "x" * 100_000))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert (done.returncode, done.stderr) == (1, f"error: {path}: File too large\n")
    assert read_json(path) == "old"
    assert list(path.parent.iterdir()) == [path]


def test_other_errors_keep_their_own_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"), replacing(tmp_path / "new"):
        (tmp_path / "absent").read_bytes()


def test_json_reads_back(tmp_path: Path) -> None:
    value = {"이름": [1, 2.5, None]}
    write_json(tmp_path / "deep" / "value.json", value)
    assert read_json(tmp_path / "deep" / "value.json") == value
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(FakefaceError, match=r"broken\.json: not JSON"):
        read_json(tmp_path / "broken.json")


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    # The first example of FIPS 180-2, appendix B.1
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_long_tables_are_read_a_few_rows_at_a_time_and_lines_counted_on(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    rows = [GroupRecord(f"{number}.jpg", "c0ffee") for number in range(2 * ROWS_AT_A_TIME + 7)]
    write_rows(path, GroupRecord, rows)
    assert list(each_row(path, GroupRecord)) == rows
    with path.open("a", encoding="utf-8") as file:
        file.write("no group\n")
    first = next(each_row(path, GroupRecord))
    assert first == rows[0]
    with pytest.raises(FakefaceError, match=rf"groups\.csv: line {len(rows) + 2}: group: "):
        read_rows(path, GroupRecord)
