import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.child import measured
from fakeface.core.errors import FakefaceError
from fakeface.core.files import read_json, read_rows, write_rows
from fakeface.core.frames import frame_of
from fakeface.core.records import GroupRecord, ImageRecord, PairRecord, Side, SplitRecord
from fakeface.params import SplitParams
from stages import split
from stages.split import assign_sides, audit
from tests.conftest import Command, Outcome, write_params

PARAMS = SplitParams(
    seed=0, by="group", folds=5, fold=0, exclude_relatives=True, test_count=5, test_difficulty="mid", test_fraction=0.25
)
KINDS = [(0, ""), (1, "easy"), (1, "mid"), (1, "hard")]


def record(number: int, kind: tuple[int, str], subset: str, sha256: str | None = None) -> ImageRecord:
    label, difficulty = kind
    content = f"{number:04x}" if sha256 is None else sha256
    bits = (None,) * 4
    return ImageRecord(f"{number}.jpg", content, label, difficulty, *bits, 600, 600, 9, 406, subset)  # type: ignore[arg-type]


def records(subset: str, counts: Sequence[int]) -> list[ImageRecord]:
    """`counts[i]` images of KINDS[i], all of different bytes, paths and hashes unique to the subset."""
    kinds = [kind for kind, count in zip(KINDS, counts, strict=True) for _ in range(count)]
    start = 10_000 * ["training", "test", ""].index(subset)
    return [record(start + number, kind, subset) for number, kind in enumerate(kinds)]


def sides(rows: Sequence[ImageRecord], groups: Sequence[str], params: SplitParams) -> list[Side]:
    """The side of each image."""
    return list(assign_sides(frame_of(ImageRecord, rows).assign(group=pd.Series(groups, dtype="str")), params))


def by_bytes(rows: Sequence[ImageRecord]) -> list[str]:
    return [row.sha256 for row in rows]


def counted(rows: Sequence[ImageRecord], found: Sequence[Side], side: Side) -> Counter[tuple[int, str]]:
    return Counter((row.label, row.difficulty) for row, its in zip(rows, found, strict=True) if its == side)


some = st.integers(8, 40)


@given(counts=st.tuples(some, some, some, some), test=st.tuples(some, st.just(0), some, st.just(0)), seed=st.integers(0, 9))
def test_the_sets_own_test_folder_is_kept(counts: tuple[int, ...], test: tuple[int, ...], seed: int) -> None:
    rows = records("training", counts) + records("test", test)
    found = sides(rows, by_bytes(rows), replace(PARAMS, seed=seed))
    for row, side in zip(rows, found, strict=True):
        assert (side == "test") == (row.subset == "test")
    for kind, count in zip(KINDS, counts, strict=True):
        assert counted(rows, found, "valid")[kind] == ceil(count / 5)


@given(counts=st.tuples(some, some, some, some), seed=st.integers(0, 9))
def test_without_test_folder_as_many_of_each_class_are_taken_out(counts: tuple[int, ...], seed: int) -> None:
    rows = records("training", counts)
    found = sides(rows, by_bytes(rows), replace(PARAMS, seed=seed))
    assert counted(rows, found, "test") == {(0, ""): 5, (1, "mid"): 5}
    rest = Counter(dict(zip(KINDS, counts, strict=True))) - counted(rows, found, "test")
    for kind in KINDS:
        assert counted(rows, found, "valid")[kind] == ceil(rest[kind] / 5)


@given(counts=st.tuples(some, some, some, some), fraction=st.floats(0.1, 0.5), seed=st.integers(0, 9))
def test_an_own_folder_is_divided_by_stratum(counts: tuple[int, ...], fraction: float, seed: int) -> None:
    rows = records("", counts)
    found = sides(rows, by_bytes(rows), replace(PARAMS, seed=seed, test_fraction=fraction))
    for kind, count in zip(KINDS, counts, strict=True):
        assert counted(rows, found, "test")[kind] == round(fraction * count)
        assert counted(rows, found, "valid")[kind] == ceil((count - round(fraction * count)) / 5)


@st.composite
def grouped(draw: st.DrawFn) -> tuple[list[ImageRecord], list[str]]:
    """Images in groups of every size, of one kind or of several; enough single ones that every side gets both classes."""
    subset = draw(st.sampled_from(["training", ""]))
    rows = records(subset, [40, 20, 20, 20])
    groups = draw(st.lists(st.sampled_from([*map(str, range(12)), None]), min_size=len(rows), max_size=len(rows)))
    test = [record(50_000 + number, kind, "test") for number, kind in enumerate(KINDS * 3)] if draw(st.booleans()) else []
    test = test if subset == "training" else []
    test_groups = draw(st.lists(st.sampled_from(["0", "1", None]), min_size=len(test), max_size=len(test)))
    names = [group or row.sha256 for row, group in zip(rows + test, groups + test_groups, strict=True)]
    return rows + test, names


@given(case=grouped(), seed=st.integers(0, 3), shuffled=st.randoms(use_true_random=False))
def test_a_group_stays_together_whatever_the_order(
    case: tuple[list[ImageRecord], list[str]], seed: int, shuffled: random.Random
) -> None:
    rows, groups = case
    params = replace(PARAMS, seed=seed)
    try:
        found = sides(rows, groups, params)
    except FakefaceError:
        assume(False)
    assert len(found) == len(rows)
    assert set(found) <= set(get_args(Side))
    kept: dict[str, set[Side]] = {}
    for group, side in zip(groups, found, strict=True):
        if side != "excluded":
            kept.setdefault(group, set()).add(side)
    assert all(len(of_group) == 1 for of_group in kept.values())
    with_test = {group for row, group in zip(rows, groups, strict=True) if row.subset == "test"}
    for row, group, side in zip(rows, groups, found, strict=True):
        assert (side == "excluded") == (group in with_test and row.subset != "test")
    order = list(range(len(rows)))
    shuffled.shuffle(order)
    again = sides([rows[i] for i in order], [groups[i] for i in order], params)
    assert again == [found[i] for i in order]


@given(copies=st.lists(st.integers(0, 99), min_size=1, max_size=30))
def test_identical_files_are_on_one_side_and_folds_are_about_equal(copies: list[int]) -> None:
    rows = records("training", [40, 20, 20, 20])
    rows += [replace(rows[of], path=f"copy {number}.jpg") for number, of in enumerate(copies)]
    found = sides(rows, by_bytes(rows), PARAMS)
    assert len({(row.sha256, side) for row, side in zip(rows, found, strict=True)}) == 100
    largest = max(Counter(by_bytes(rows)).values())
    rest = counted(rows, found, "train") + counted(rows, found, "valid")
    for kind in KINDS:
        assert abs(rest[kind] / 5 - counted(rows, found, "valid")[kind]) < 1 + largest


def test_a_training_image_that_is_also_a_test_image_is_excluded() -> None:
    rows = records("training", [10, 0, 10, 0]) + records("test", [3, 0, 3, 0])
    rows[4] = replace(rows[4], sha256=rows[-6].sha256)
    found = sides(rows, by_bytes(rows), PARAMS)
    assert [number for number, side in enumerate(found) if side == "excluded"] == [4]
    assert found[-6] == "test"


@given(case=grouped(), seed=st.integers(0, 3))
def test_each_image_is_valid_in_one_fold_and_the_test_side_is_that_of_every_fold(
    case: tuple[list[ImageRecord], list[str]], seed: int
) -> None:
    rows, groups = case
    try:
        in_folds = [sides(rows, groups, replace(PARAMS, seed=seed, fold=fold)) for fold in range(5)]
    except FakefaceError:
        assume(False)
    for found in zip(*in_folds, strict=True):
        assert sorted(found) in (["train"] * 4 + ["valid"], ["test"] * 5, ["excluded"] * 5)
    sizes = [Counter(found)["valid"] for found in in_folds]
    assert max(sizes) - min(sizes) <= max(Counter(groups).values()) + len(KINDS)


@given(case=grouped(), seed=st.integers(0, 3))
def test_by_image_is_the_notebooks_split_of_the_same_sizes(case: tuple[list[ImageRecord], list[str]], seed: int) -> None:
    rows, groups = case
    alone = [str(number) for number in range(len(rows))]
    by_image = replace(PARAMS, seed=seed, by="image", exclude_relatives=False)
    try:
        found = sides(rows, groups, by_image)
    except FakefaceError:
        assume(False)
    assert "excluded" not in found
    rest = [kind for kind in found if kind != "test"]
    for kind in KINDS:
        of_kind = counted(rows, found, "train")[kind] + counted(rows, found, "valid")[kind]
        assert counted(rows, found, "valid")[kind] == ceil(of_kind / 5)
    assert len(rest) + Counter(found)["test"] == len(rows)
    assert found == sides(rows, alone, by_image)


def test_relatives_of_a_given_test_image_stay_where_the_parameter_says_so() -> None:
    rows = records("training", [10, 0, 10, 0]) + records("test", [3, 0, 3, 0])
    groups = by_bytes(rows)
    groups[4] = groups[5] = groups[-6]
    kept = sides(rows, groups, replace(PARAMS, exclude_relatives=False))
    assert "excluded" not in kept
    assert kept[4] == kept[5]
    left_out = sides(rows, groups, PARAMS)
    assert [number for number, side in enumerate(left_out) if side == "excluded"] == [4, 5]


def test_pairs_across_sides_are_counted() -> None:
    placed: list[tuple[str, Side, str]] = [
        ("a", "train", "training"),
        ("b", "train", "training"),
        ("c", "valid", "training"),
        ("d", "test", "test"),
        ("e", "excluded", "training"),
    ]
    rows = [
        SplitRecord(**asdict(replace(record(0, (0, ""), subset), path=path)), side=side, group="one")
        for path, side, subset in placed
    ]
    links = [("a", "b"), ("a", "c"), ("b", "c"), ("b", "d"), ("c", "d"), ("d", "e"), ("a", "e")]
    pairs = [PairRecord(one, other, "photo", 9) for one, other in links]
    assert audit(frame_of(SplitRecord, rows), frame_of(PairRecord, pairs)) == {
        "pairs": 7,
        "pairs_across_sides": 4,
        "train_valid": 2,
        "train_test": 1,
        "valid_test": 1,
        "training_images_related_to_test": 4,
    }


def test_another_seed_is_another_split() -> None:
    rows = records("training", [40, 20, 20, 20])
    assert sides(rows, by_bytes(rows), PARAMS) != sides(rows, by_bytes(rows), replace(PARAMS, seed=1))


@pytest.mark.parametrize(
    ("subset", "counts", "complaint"),
    [
        ("training", (4, 8, 8, 8), "split.test_count: 5: only 4 of 4 real images can be taken for the test side"),
        ("training", (9, 9, 4, 9), "split.test_count: 5: only 4 of 4 mid fake images can be taken for the test side"),
        ("training", (9, 9, 0, 9), "split.test_count: 5: only 0 of 0 mid fake images can be taken for the test side"),
        ("training", (5, 9, 9, 9), "split: 5 real images leave the side train without one: expected one at least"),
        ("", (2, 9, 9, 9), "split: 2 real images leave the side test without one: expected one at least"),
        ("", (9, 1, 0, 0), "split: 1 fake images leave the side train without one: expected one at least"),
    ],
)
def test_too_few_images_are_an_error(subset: str, counts: Sequence[int], complaint: str) -> None:
    rows = records(subset, counts)
    with pytest.raises(FakefaceError) as caught:
        sides(rows, by_bytes(rows), PARAMS)
    assert str(caught.value) == complaint


@pytest.mark.parametrize(
    ("subset", "group_size", "cause"),
    [
        ("", 28, "all of them are one group of related images (20000.jpg, 20001.jpg, 20002.jpg, ...)"),
        ("training", 28, "all of them are one group of related images (0.jpg, 1.jpg, 2.jpg, ...)"),
        ("training", 10, "the largest of their 2 groups of related images has 10 (0.jpg, 1.jpg, 2.jpg, ...)"),
        ("training", 2, "the largest of their 7 groups of related images has 2 (0.jpg, 1.jpg)"),
    ],
)
def test_where_too_few_are_unrelated_the_error_says_so(subset: str, group_size: int, cause: str) -> None:
    """28 photos are enough, but not where they are near-copies of each other."""
    rows = records(subset, [14, 0, 14, 0])
    groups = [f"{number // group_size}" for number in range(28)]
    with pytest.raises(FakefaceError) as caught:
        sides(rows, groups, PARAMS)
    advice = "and a group stays on one side: add photos unrelated to these, or let split.by be image"
    assert str(caught.value).endswith(f"; {cause}, {advice}")
    assert sides(rows, groups, replace(PARAMS, by="image"))


@pytest.fixture
def run(command: Command, tmp_path: Path) -> Callable[[str], Outcome]:
    def run(params: str) -> Outcome:
        write_params(tmp_path / "params.yaml", {"split": yaml.safe_load(params)})
        paths = ("--split", tmp_path / "split.csv", "--metrics", tmp_path / "split.json", "--params", tmp_path / "params.yaml")
        return command(split, "--images", tmp_path / "images.csv", "--relations", tmp_path, *paths)

    return run


GIVEN = (
    "{seed: 0, by: group, folds: 5, fold: 0, exclude_relatives: true, test_count: 5, test_difficulty: mid, test_fraction: 0.2}"
)


def write_index(folder: Path, rows: Sequence[ImageRecord], groups: Sequence[str], pairs: Sequence[PairRecord] = ()) -> None:
    """What `index` and `relate` leave for `split`."""
    write_rows(folder / "images.csv", ImageRecord, rows)
    write_rows(
        folder / "groups.csv", GroupRecord, [GroupRecord(row.path, group) for row, group in zip(rows, groups, strict=True)]
    )
    write_rows(folder / "pairs.csv", PairRecord, pairs)


def test_the_table_keeps_every_row_and_column(run: Callable[[str], Outcome], tmp_path: Path) -> None:
    rows = records("training", [10, 0, 10, 5]) + records("test", [3, 0, 4, 0])
    groups = by_bytes(rows)
    groups[0] = groups[-7]
    pairs = [PairRecord(rows[0].path, rows[-7].path, "mirrored", 12)]
    write_index(tmp_path, rows, groups, pairs)
    assert run(GIVEN) == Outcome(0, "", "")
    written = read_rows(tmp_path / "split.csv", SplitRecord)
    assert [row.group for row in written] == groups
    assert [{**asdict(row), "side": its.side, "group": its.group} for row, its in zip(rows, written, strict=True)] == [
        asdict(row) for row in written
    ]
    metrics = read_json(tmp_path / "split.json")
    assert len(metrics.pop("split_sha256")) == 16
    assert metrics == {
        "by": "group",
        "fold": 0,
        "folds": 5,
        "related": {
            "pairs": 1,
            "pairs_across_sides": 0,
            "train_valid": 0,
            "train_test": 0,
            "valid_test": 0,
            "training_images_related_to_test": 1,
        },
        "train": {"images": 19, "real": 7, "fake": 12, "hard": 4, "mid": 8},
        "valid": {"images": 5, "real": 2, "fake": 3, "hard": 1, "mid": 2},
        "test": {"images": 7, "real": 3, "fake": 4, "mid": 4},
        "excluded": {"images": 1, "real": 1, "fake": 0},
    }


def test_an_image_costs_two_kilobytes_of_memory_at_most(tmp_path: Path) -> None:
    write_params(tmp_path / "params.yaml", {"split": yaml.safe_load(GIVEN.replace("group", "image"))})
    peaks_mib = []
    for count in (5_000, 20_000):
        rows = [replace(row, sha256=f"{row.sha256:>64}") for row in records("training", [count // 2, 0, count // 2, 0])]
        pairs = [PairRecord(one.path, other.path, "photo", 9) for one, other in pairwise(rows)]
        write_index(tmp_path, rows, by_bytes(rows), pairs)
        paths = ("--split", tmp_path / "split.csv", "--metrics", tmp_path / "split.json", "--params", tmp_path / "params.yaml")
        child = measured("stages.split", "main", "--images", tmp_path / "images.csv", "--relations", tmp_path, *paths)
        peaks_mib.append(child["peak_mib"])
    assert (peaks_mib[1] - peaks_mib[0]) * 2**20 < 2_048 * 15_000


@pytest.mark.parametrize(
    ("subset", "by", "expected"),
    [
        ("training", "group", "f51e5e9906b1fc20"),
        ("training", "image", "1bb8784075a1cda9"),
        ("", "group", "d9cb7b52ea0e7688"),
        ("", "image", "b4427581615614ba"),
    ],
)
def test_a_seed_gives_the_split_that_it_always_gave(
    run: Callable[[str], Outcome], tmp_path: Path, subset: str, by: str, expected: str
) -> None:
    rows = records(subset, [40, 20, 20, 20])
    groups = [rows[number // 3 if number % 2 else number].sha256 for number in range(len(rows))]
    write_index(tmp_path, rows, groups)
    assert run(GIVEN.replace("by: group", f"by: {by}")).status == 0
    assert read_json(tmp_path / "split.json")["split_sha256"] == expected


def test_the_digest_tells_splits_apart(run: Callable[[str], Outcome], tmp_path: Path) -> None:
    rows = records("training", [20, 20, 20, 20])

    def digest(rows: Sequence[ImageRecord], params: str = GIVEN) -> str:
        write_index(tmp_path, rows, by_bytes(rows))
        assert run(params).status == 0
        return str(read_json(tmp_path / "split.json")["split_sha256"])

    assert digest(rows) == digest(rows[::-1])
    assert digest(rows) != digest(rows, GIVEN.replace("seed: 0", "seed: 1"))
    assert digest(rows) != digest([replace(rows[0], sha256="other"), *rows[1:]])


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        (GIVEN.replace("0.2", "1.0"), "split.test_fraction: 1.0: should be less than 1"),
        (GIVEN.replace("folds: 5", "folds: 1"), "split.folds: 1: should be greater than or equal to 2"),
        (GIVEN.replace("fold: 0", "fold: 5"), "split.fold: 5: should be less than split.folds, 5"),
        (GIVEN.replace("fold: 0", "fold: -1"), "split.fold: -1: should be greater than or equal to 0"),
        (GIVEN.replace("by: group", "by: photo"), "split.by: 'photo': should be 'group' or 'image'"),
        (GIVEN.replace("seed: 0", "seed: none"), "split.seed: 'none': should be a valid integer"),
        (GIVEN.replace("test_count: 5", "test_count: 0"), "split.test_count: 0: should be greater than or equal to 1"),
    ],
)
def test_a_nonsense_parameter_exits_2(run: Callable[[str], Outcome], tmp_path: Path, params: str, complaint: str) -> None:
    assert run(params) == Outcome(2, "", f"error: {tmp_path}/params.yaml: {complaint}\n")


def test_a_missing_index_is_one_line(run: Callable[[str], Outcome], tmp_path: Path) -> None:
    assert run(GIVEN) == Outcome(1, "", f"error: {tmp_path}/images.csv: No such file or directory\n")


def test_relations_of_another_index_are_refused(run: Callable[[str], Outcome], tmp_path: Path) -> None:
    rows = records("training", [20, 20, 20, 20])
    write_index(tmp_path, rows, by_bytes(rows))
    write_rows(tmp_path / "images.csv", ImageRecord, rows[1:])
    complaint = f"error: {tmp_path}/groups.csv: not the images of {tmp_path}/images.csv: run `relate` again\n"
    assert run(GIVEN) == Outcome(1, "", complaint)
