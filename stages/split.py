"""Put every image on one side: train, valid or test.

reads   IMAGES, the index; RELATIONS, what `relate` found; params.yaml: split
does    keeps the folders' own test side or draws one, cuts the rest into folds, of which one is valid; related images, a group,
        stay on one side, and what is related to a given test side is left out of the others
writes  SPLIT, the whole index with columns `side` and `group` more; METRICS, counts per side and of related images across sides
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields
from hashlib import sha256
from itertools import combinations, zip_longest
from operator import attrgetter
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from pydantic import Field
from pydantic.dataclasses import dataclass

from fakeface.core.errors import FakefaceError, ParamsError, run_as_command
from fakeface.core.files import each_row, write_json, write_rows
from fakeface.core.params import STRICT, load_params
from fakeface.core.records import FAKE, LABEL_NAMES, REAL, GroupRecord, ImageRecord, PairRecord, Side, SplitRecord
from fakeface.core.tables import keep, kept, temporary_tables

Stratum = tuple[int, str]
"""Label and difficulty: a drawn side has its share of each."""

Counts = npt.NDArray[np.int32]
"""(units, strata): the images of each unit, which is a group or a single image, whose side is still to be drawn."""

IMAGE = np.dtype([("unit", np.int32), ("stratum", np.int32), ("training", np.bool_), ("test", np.bool_), ("related", np.bool_)])
"""What decides an image's side: positions of its unit and its stratum among the sorted ones, the folders' subset, and whether
its group has a given test image."""

SIDES: tuple[Side, ...] = get_args(Side)
TRAIN, VALID, TEST, EXCLUDED = range(len(SIDES))
DRAWN_SIDES = (TRAIN, VALID, TEST)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SplitParams:
    """Section `split`; `by` image is the notebook's random split, in which even identical files may part."""

    seed: int = Field(ge=0)
    by: Literal["group", "image"]
    folds: int = Field(ge=2)
    fold: int = Field(ge=0)
    exclude_relatives: bool
    test_count: int = Field(ge=1)
    test_difficulty: str = Field(min_length=1)
    test_fraction: float = Field(gt=0, lt=1)


def undecided(images: Path, groups: Path) -> Iterator[SplitRecord]:
    """Each image with its group, excluded as long as no side is found for it. Raises FakefaceError, also where they differ."""
    values = attrgetter(*(field.name for field in fields(ImageRecord)))
    for record, row in zip_longest(each_row(images, ImageRecord), each_row(groups, GroupRecord)):
        if record is None or row is None or record.path != row.path:
            raise FakefaceError(f"{groups}: not the images of {images}: run `relate` again")
        yield SplitRecord(*(*values(record), "excluded", row.group))


def place(tables: Connection, params: SplitParams) -> None:
    """Find a side for each SplitRecord in `tables`, whatever their order. Raises as `sides` does."""
    strata = tables.execute("SELECT DISTINCT label, difficulty FROM SplitRecord ORDER BY label, difficulty").fetchall()
    rows = tables.execute(
        """
        SELECT dense_rank() OVER (ORDER BY CASE ? WHEN 'group' THEN "group" ELSE sha256 || ' ' || path END) - 1,
            label, difficulty, subset = 'training', subset = 'test',
            "group" IN (SELECT "group" FROM SplitRecord WHERE subset = 'test')
        FROM SplitRecord ORDER BY SplitRecord.rowid
        """,
        (params.by,),
    )
    images = np.fromiter(((unit, strata.index((label, difficulty)), *flags) for unit, label, difficulty, *flags in rows), IMAGE)
    found = enumerate(sides(images, strata, params), start=1)
    tables.executemany("UPDATE SplitRecord SET side = ? WHERE rowid = ?", ((SIDES[side], row) for row, side in found))


def sides(images: npt.NDArray[Any], strata: Sequence[Stratum], params: SplitParams) -> npt.NDArray[np.uint8]:
    """The position in SIDES of the side of each IMAGE.

    Where the folders give a test side, what else is in a group with one of its images is excluded, if `exclude_relatives`.

    Raises:
        FakefaceError: too few images for the test side, or a side without a class.
    """
    rng = np.random.default_rng(params.seed)
    unit, given = images["unit"], images["test"]
    free = ~images["related"] if params.exclude_relatives else ~given
    counts = np.zeros((unit.max(initial=-1) + 1, len(strata)), np.int32)
    np.add.at(counts, (unit[free], images["stratum"][free]), 1)
    test = np.zeros(len(counts), np.bool_)
    if not given.any():
        test = _drawn_test(counts, strata, params, rng, is_the_set=bool(images["training"].any()))
    fold = folds(counts, np.flatnonzero(counts.any(axis=1) & ~test), params.folds, rng)
    drawn_side = np.full(len(counts), TRAIN, np.uint8)
    drawn_side[fold == params.fold] = VALID
    drawn_side[test] = TEST
    found = np.full(len(images), EXCLUDED, np.uint8)
    found[given] = TEST
    found[free] = drawn_side[unit[free]]
    _check_classes(found, np.array([label for label, _ in strata])[images["stratum"]])
    return found


def folds(counts: Counts, units: npt.NDArray[np.intp], count: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """A fold of 0..count-1 for each of `units`, so that all have about as many images of each stratum; -1 for the others.

    Large units first, each goes where its strata have fewest images so far; single images come last and even the folds out.
    Of equal folds it is the first.
    """
    order = rng.permutation(units)
    order = order[np.argsort(-counts.sum(axis=1, dtype=np.int32)[order], kind="stable")]
    filled = np.zeros((count, counts.shape[1]), np.int64)
    found = np.full(len(counts), -1, np.int32)
    for unit in order:
        found[unit] = number = (filled @ counts[unit]).argmin()
        filled[number] += counts[unit]
    return found


def drawn(counts: Counts, quota: npt.ArrayLike, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which units are taken, in random order, each where the quota, a number per stratum, has room for all of its images.

    The quota is filled exactly unless too few small units come late, when the large ones no longer fit.
    """
    room = np.array(quota)
    taken = np.zeros(len(counts), np.bool_)
    for unit in rng.permutation(len(counts)):
        if (counts[unit] <= room).all():
            room -= counts[unit]
            taken[unit] = True
    return taken


def summary(tables: Connection, params: SplitParams) -> dict[str, Any]:
    """Counts per side of each label and difficulty, a digest of which bytes are on which side, and what is related across."""
    digest = sha256()
    for (line,) in tables.execute("SELECT sha256 || ' ' || side || char(10) AS line FROM SplitRecord ORDER BY line"):
        digest.update(line.encode())
    return {
        "split_sha256": digest.hexdigest()[:16],
        "by": params.by,
        "fold": params.fold,
        "folds": params.folds,
        **{side: _counts(tables, side) for side in SIDES},
        "related": audit(tables),
    }


def audit(tables: Connection) -> dict[str, int]:
    """Counts of related pairs: all, those whose images are on two sides, and on which; and of a given test side's relatives."""
    tables.execute("CREATE INDEX by_path ON SplitRecord (path, side)")
    together = Counter[frozenset[Side]]()
    for one, other, pairs in tables.execute("""
        SELECT a.side, b.side, count(*)
        FROM PairRecord JOIN SplitRecord AS a ON a.path = path_a JOIN SplitRecord AS b ON b.path = path_b
        GROUP BY a.side, b.side
    """):
        together[frozenset((one, other))] += pairs
    drawn_sides = combinations((SIDES[side] for side in DRAWN_SIDES), 2)
    across = {f"{one}_{other}": together[frozenset((one, other))] for one, other in drawn_sides}
    (relatives,) = tables.execute("""
        SELECT count(*) FROM SplitRecord
        WHERE subset <> 'test' AND "group" IN (SELECT "group" FROM SplitRecord WHERE subset = 'test')
    """).fetchone()
    return {
        "pairs": together.total(),
        "pairs_across_sides": sum(across.values()),
        **across,
        "training_images_related_to_test": relatives,
    }


def run(images: Path, relations: Path, split: Path, metrics: Path, params: SplitParams) -> None:
    with temporary_tables(SplitRecord, PairRecord) as tables:
        keep(tables, undecided(images, relations / "groups.csv"))
        keep(tables, each_row(relations / "pairs.csv", PairRecord))
        place(tables, params)
        write_rows(split, SplitRecord, kept(tables, SplitRecord, "rowid"))
        write_json(metrics, summary(tables, params))


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.split", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("images", type=Path, help="CSV to read: the index")
    parser.add_argument("--relations", type=Path, required=True, help="folder to read pairs.csv and groups.csv of")
    parser.add_argument("--split", type=Path, required=True, help="CSV to write: the index with every image's side and group")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON to write: counts per side and across sides")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="YAML to read section `split` of")
    args = parser.parse_args(argv)
    params = load_params(args.params, "split", SplitParams)
    if params.fold >= params.folds:
        raise ParamsError(f"{args.params}: split.fold: {params.fold}: should be less than split.folds, {params.folds}")
    run(args.images, args.relations, args.split, args.metrics, params)


def _counts(tables: Connection, side: Side) -> dict[str, int]:
    labels = dict(tables.execute("SELECT label, count(*) FROM SplitRecord WHERE side = ? GROUP BY label", (side,)))
    counted = "SELECT difficulty, count(*) FROM SplitRecord WHERE side = ? AND difficulty <> '' GROUP BY difficulty ORDER BY 1"
    by_name = {name: labels.get(label, 0) for label, name in enumerate(LABEL_NAMES)}
    return {"images": sum(labels.values()), **by_name, **dict(tables.execute(counted, (side,)))}


def _drawn_test(
    counts: Counts, strata: Sequence[Stratum], params: SplitParams, rng: np.random.Generator, *, is_the_set: bool
) -> npt.NDArray[np.bool_]:
    """Units for the test side: of the set without its test folder as many as it had there, of other photos a share."""
    if not is_the_set:
        return drawn(counts, np.rint(params.test_fraction * counts.sum(axis=0)), rng)
    wanted = [(REAL, ""), (FAKE, params.test_difficulty)]
    test = drawn(counts, [params.test_count * (stratum in wanted) for stratum in strata], rng)
    available = Counter(dict(zip(strata, counts.sum(axis=0), strict=True)))
    found = Counter(dict(zip(strata, counts[test].sum(axis=0), strict=True)))
    for label, difficulty in wanted:
        if found[label, difficulty] < params.test_count:
            name = f"{difficulty} {LABEL_NAMES[label]}".strip()
            raise FakefaceError(
                f"split.test_count: {params.test_count}: only {found[label, difficulty]} of {available[label, difficulty]} "
                f"{name} images can be taken for the test side"
            )
    return test


def _check_classes(found: npt.NDArray[np.uint8], labels: npt.NDArray[Any]) -> None:
    for side in DRAWN_SIDES:
        for label, name in enumerate(LABEL_NAMES):
            of_label = found[labels == label]
            if side not in of_label:
                raise FakefaceError(
                    f"split: {len(of_label)} {name} images leave the side {SIDES[side]} without one: expected one at least"
                )


if __name__ == "__main__":
    run_as_command(main)
