"""Put every image on one side: train, valid or test.

reads   IMAGES, the index; RELATIONS, the groups and pairs that `relate` found; params.yaml: split
does    keeps the folders' own test side or draws one, and cuts the rest into folds, one of which is valid; related images, a
        group, stay on one side, and relatives of a given test side are left out of the others
writes  SPLIT, the index with two more columns, `side` and `group`; METRICS, counts per side and of related images across sides
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from fakeface.core.arguments import ParamsPath, parse_paths
from fakeface.core.errors import FakefaceError, run_as_command
from fakeface.core.files import write_json
from fakeface.core.frames import read_table, write_table
from fakeface.core.records import FAKE, LABEL_NAMES, REAL, GroupRecord, ImageRecord, PairRecord, Side, SplitRecord
from fakeface.params import SplitParams, load_params

Stratum = tuple[int, str]
"""Label and difficulty: every side that is drawn gets its share of each."""

Counts = npt.NDArray[np.int32]
"""(units, strata): the images of each unit, which is a group or a single image, whose side is still to be drawn."""

SIDES: tuple[Side, ...] = get_args(Side)
DRAWN_SIDES: tuple[Side, ...] = ("train", "valid", "test")


@dataclass(frozen=True)
class Paths:
    images: Annotated[Path, "CSV to read: the index"]
    relations: Annotated[Path, "folder to read pairs.csv and groups.csv from"]
    split: Annotated[Path, "CSV to write: the index with the side and the group of every image"]
    metrics: Annotated[Path, "JSON to write: counts per side and across sides"]
    params: ParamsPath = Path("params.yaml")


def relatives_of_test(table: pd.DataFrame) -> "pd.Series[bool]":
    """Which images are in a group with one that the folders put on the test side, themselves included."""
    return table["group"].isin(table.loc[table["subset"] == "test", "group"])


def assign_sides(table: pd.DataFrame, params: SplitParams) -> npt.NDArray[np.str_]:
    """The side of each image of `table`, the index with groups; the order of its rows makes no difference.

    Where the folders give a test side, the relatives of its images are excluded, if `exclude_relatives`.

    Raises:
        FakefaceError: too few images for the test side, or a side without a class.
    """
    rng = np.random.default_rng(params.seed)
    unit = table.groupby("group" if params.by == "group" else ["sha256", "path"]).ngroup().to_numpy()
    by_stratum = table.groupby(["label", "difficulty"])
    strata: list[Stratum] = list(by_stratum.size().index)
    given_test = (table["subset"] == "test").to_numpy()
    free = ~(relatives_of_test(table).to_numpy() if params.exclude_relatives else given_test)
    counts = np.zeros((unit.max(initial=-1) + 1, len(strata)), np.int32)
    np.add.at(counts, (unit[free], by_stratum.ngroup().to_numpy()[free]), 1)
    test = np.zeros(len(counts), np.bool_)
    if not given_test.any():
        test = _draw_test(counts, strata, params, rng, table)
    fold = draw_folds(counts, np.flatnonzero(counts.any(axis=1) & ~test), params.folds, rng)
    side_of_unit = np.select([test, fold == params.fold], ["test", "valid"], "train")
    side = np.full(len(table), "excluded")
    side[given_test] = "test"
    side[free] = side_of_unit[unit[free]]
    _check_classes(side, table, params)
    return side


def draw_folds(counts: Counts, units: npt.NDArray[np.intp], count: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """A fold of 0..count-1 for each of `units`, so that all have about as many images of each stratum; -1 for the others.

    Large units first, each goes where its strata have fewest images so far, to the first of equal folds; single images come
    last and even the folds out.
    """
    order = rng.permutation(units)
    order = order[np.argsort(-counts.sum(axis=1, dtype=np.int32)[order], kind="stable")]
    filled = np.zeros((count, counts.shape[1]), np.int64)
    folds = np.full(len(counts), -1, np.int32)
    for unit in order:
        folds[unit] = fold = (filled @ counts[unit]).argmin()
        filled[fold] += counts[unit]
    return folds


def draw_units(counts: Counts, quota: npt.ArrayLike, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
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


def summary(table: pd.DataFrame, pairs: pd.DataFrame, params: SplitParams) -> dict[str, Any]:
    """Counts per side of each label and difficulty, a digest of which bytes are on which side, an audit of related pairs."""
    lines = sorted(table["sha256"] + " " + table["side"] + "\n")
    return {
        "split_sha256": sha256("".join(lines).encode()).hexdigest()[:16],
        "by": params.by,
        "fold": params.fold,
        "folds": params.folds,
        **{side: _counts(table[table["side"] == side]) for side in SIDES},
        "related": audit(table, pairs),
    }


def audit(table: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, int]:
    """Counts of related pairs: all, those whose images are on two sides, and on which; and of a given test side's relatives."""
    side_of = table.set_index("path")["side"]
    side_a, side_b = pairs["path_a"].map(side_of), pairs["path_b"].map(side_of)
    across = {
        f"{one}_{other}": int(((side_a == one) & (side_b == other) | (side_a == other) & (side_b == one)).sum())
        for one, other in combinations(DRAWN_SIDES, 2)
    }
    return {
        "pairs": len(pairs),
        "pairs_across_sides": sum(across.values()),
        **across,
        "training_images_related_to_test": int((relatives_of_test(table) & (table["subset"] != "test")).sum()),
    }


def run(paths: Paths, params: SplitParams) -> None:
    images, groups = read_table(paths.images, ImageRecord), read_table(paths.relations / "groups.csv", GroupRecord)
    if not images["path"].equals(groups["path"]):
        raise FakefaceError(f"{paths.relations / 'groups.csv'}: not the images of {paths.images}: run `relate` again")
    pairs = read_table(paths.relations / "pairs.csv", PairRecord)
    table = images.assign(group=groups["group"])
    table["side"] = assign_sides(table, params)
    write_table(paths.split, SplitRecord, table)
    write_json(paths.metrics, summary(table, pairs, params))


def main(argv: list[str]) -> None:
    paths = parse_paths(Paths, argv)
    run(paths, load_params(paths.params, "split", SplitParams))


def _counts(images: pd.DataFrame) -> dict[str, int]:
    """All, and of each label and each difficulty; real images have no difficulty."""
    labels = {name: int((images["label"] == label).sum()) for label, name in enumerate(LABEL_NAMES)}
    difficulties = Counter(difficulty for difficulty in images["difficulty"] if difficulty)
    return {"images": len(images), **labels, **dict(sorted(difficulties.items()))}


def _draw_test(
    counts: Counts, strata: Sequence[Stratum], params: SplitParams, rng: np.random.Generator, table: pd.DataFrame
) -> npt.NDArray[np.bool_]:
    """Units for the test side: of the set without its test folder as many as it had there, of other photos a share."""
    if not (table["subset"] == "training").any():
        return draw_units(counts, np.rint(params.test_fraction * counts.sum(axis=0)), rng)
    wanted = [(REAL, ""), (FAKE, params.test_difficulty)]
    test = draw_units(counts, [params.test_count * (stratum in wanted) for stratum in strata], rng)
    available = Counter(dict(zip(strata, counts.sum(axis=0), strict=True)))
    taken = Counter(dict(zip(strata, counts[test].sum(axis=0), strict=True)))
    for label, difficulty in wanted:
        if taken[label, difficulty] < params.test_count:
            name = f"{difficulty} {LABEL_NAMES[label]}".strip()
            of_both = table[(table["label"] == label) & (table["difficulty"] == difficulty)]
            raise FakefaceError(
                f"split.test_count: {params.test_count}: only {taken[label, difficulty]} of {available[label, difficulty]} "
                f"{name} images can be taken for the test side{_relation(of_both, params)}"
            )
    return test


def _check_classes(sides: npt.NDArray[np.str_], table: pd.DataFrame, params: SplitParams) -> None:
    for side in DRAWN_SIDES:
        for label, name in enumerate(LABEL_NAMES):
            images = table[table["label"] == label]
            if side not in sides[images.index]:
                raise FakefaceError(
                    f"split: {len(images)} {name} images leave the side {side} without one: expected one at least"
                    f"{_relation(images, params)}"
                )


def _relation(images: pd.DataFrame, params: SplitParams) -> str:
    """That images are related and what to do, where that may be why they do not go round; else nothing."""
    sizes = images.groupby("group").size()
    if params.by != "group" or (sizes < 2).all():
        return ""
    largest = images.loc[images["group"] == sizes.idxmax(), "path"]
    examples = ", ".join(largest.head(3)) + (", ..." if len(largest) > 3 else "")
    all_or_most = (
        f"all of them are one group of related images ({examples})"
        if len(sizes) == 1
        else f"the largest of their {len(sizes)} groups of related images has {len(largest)} ({examples})"
    )
    return f"; {all_or_most}, and a group stays on one side: add photos unrelated to these, or let split.by be image"


if __name__ == "__main__":
    run_as_command(main)
