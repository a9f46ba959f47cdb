"""Put every image on one side: train, valid or test.

reads   IMAGES, the index; RELATIONS, what `relate` found; params.yaml: split
does    keeps the folders' own test side or draws one, cuts the rest into folds, of which one is valid; related images, a group,
        stay on one side, and what is related to a given test side is left out of the others
writes  SPLIT, the whole index with columns `side` and `group` more; METRICS, counts per side and of related images across sides
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.errors import FakefaceError, ParamsError, run_as_command
from stages.params import STRICT, load_params
from stages.records import (
    FAKE,
    LABEL_NAMES,
    REAL,
    GroupRecord,
    ImageRecord,
    PairRecord,
    Side,
    SplitRecord,
    read_rows,
    write_json,
    write_rows,
)

Stratum = tuple[int, str]
"""Label and difficulty: a drawn side has its share of each."""

DRAWN_SIDES: tuple[Side, ...] = ("train", "valid", "test")


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


def sides(records: Sequence[ImageRecord], groups: Sequence[str], params: SplitParams) -> list[Side]:
    """The side of each record, for any order of the records; `groups` are the related images' where `by` is group.

    Where the folders give a test side, what else is in a group with one of its images is excluded, if `exclude_relatives`.

    Raises:
        FakefaceError: too few images for the test side, or a side without a class.
    """
    rng = np.random.default_rng(params.seed)
    relatives = {group for record, group in zip(records, groups, strict=True) if record.subset == "test"}
    units = groups if params.by == "group" else [f"{record.sha256} {record.path}" for record in records]
    given = {unit for record, unit in zip(records, units, strict=True) if record.subset == "test"}

    def fixed(record: ImageRecord, group: str) -> Side | None:
        if record.subset == "test":
            return "test"
        return "excluded" if params.exclude_relatives and group in relatives else None

    found = [fixed(record, group) for record, group in zip(records, groups, strict=True)]
    strata = {unit: Counter[Stratum]() for unit in sorted(set(units))}
    for record, unit, side in zip(records, units, found, strict=True):
        if side is None:
            strata[unit][_stratum(record)] += 1
    strata = {unit: counts for unit, counts in strata.items() if counts}
    test = set() if given else _drawn_test(records, strata, params, rng)
    rest = {unit: counts for unit, counts in strata.items() if unit not in test}
    fold = folds(rest, params.folds, rng)
    drawn_side: dict[str, Side] = {unit: "valid" if number == params.fold else "train" for unit, number in fold.items()}
    drawn_side |= dict.fromkeys(test, "test")
    whole = [drawn_side[unit] if side is None else side for unit, side in zip(units, found, strict=True)]
    _check_classes(records, whole)
    return whole


def folds(strata: Mapping[str, Counter[Stratum]], count: int, rng: np.random.Generator) -> dict[str, int]:
    """A fold of 0..count-1 for each group, so that all have about as many images of each stratum.

    `strata` counts each group's images. Large groups first, each goes where its strata have fewest images so far; single
    images come last and even the folds out. Of equal folds it is the first.
    """
    names = list(strata)
    order = sorted(rng.permutation(len(names)), key=lambda position: -strata[names[position]].total())
    filled = [Counter[Stratum]() for _ in range(count)]
    found = {}
    for position in order:
        group = strata[names[position]]
        fullness = [sum(images * fold[stratum] for stratum, images in group.items()) for fold in filled]
        number = fullness.index(min(fullness))
        filled[number] += group
        found[names[position]] = number
    return found


def drawn(strata: Mapping[str, Counter[Stratum]], quota: Counter[Stratum], rng: np.random.Generator) -> set[str]:
    """Groups in random order, each taken where the quota has room for all of its images.

    `strata` counts each group's images. The quota is filled exactly unless too few small groups come late, when the large
    ones no longer fit.
    """
    names = list(strata)
    room = Counter(quota)
    taken = set()
    for position in rng.permutation(len(names)):
        group = names[position]
        if strata[group] <= room:
            room -= strata[group]
            taken.add(group)
    return taken


def summary(rows: Sequence[SplitRecord], pairs: Iterable[PairRecord], params: SplitParams) -> dict[str, Any]:
    """Counts per side of each label and difficulty, a digest of which bytes are on which side, and what is related across."""
    contents = sorted(f"{row.sha256} {row.side}\n" for row in rows)
    return {
        "split_sha256": sha256("".join(contents).encode()).hexdigest()[:16],
        "by": params.by,
        "fold": params.fold,
        "folds": params.folds,
        **{side: _counts([row for row in rows if row.side == side]) for side in get_args(Side)},
        "related": audit(rows, pairs),
    }


def audit(rows: Sequence[SplitRecord], pairs: Iterable[PairRecord]) -> dict[str, int]:
    """Counts of related pairs: all, those whose images are on two sides, and on which; and of a given test side's relatives."""
    side = {row.path: row.side for row in rows}
    together = Counter(frozenset((side[pair.path_a], side[pair.path_b])) for pair in pairs)
    across = {f"{one}_{other}": together[frozenset((one, other))] for one, other in combinations(DRAWN_SIDES, 2)}
    with_test = {row.group for row in rows if row.subset == "test"}
    return {
        "pairs": together.total(),
        "pairs_across_sides": sum(across.values()),
        **across,
        "training_images_related_to_test": sum(row.subset != "test" and row.group in with_test for row in rows),
    }


def run(images: Path, relations: Path, split: Path, metrics: Path, params: SplitParams) -> None:
    records = read_rows(images, ImageRecord)
    groups = read_rows(relations / "groups.csv", GroupRecord)
    if [row.path for row in groups] != [record.path for record in records]:
        raise FakefaceError(f"{relations / 'groups.csv'}: not the images of {images}: run `relate` again")
    found = sides(records, [row.group for row in groups], params)
    rows = [
        SplitRecord(**asdict(record), side=side, group=row.group)
        for record, side, row in zip(records, found, groups, strict=True)
    ]
    write_rows(split, SplitRecord, rows)
    write_json(metrics, summary(rows, read_rows(relations / "pairs.csv", PairRecord), params))


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


def _counts(rows: Sequence[SplitRecord]) -> dict[str, int]:
    labels = {name: sum(row.label == label for row in rows) for label, name in enumerate(LABEL_NAMES)}
    difficulties = Counter(sorted(row.difficulty for row in rows if row.difficulty))
    return {"images": len(rows), **labels, **difficulties}


def _stratum(record: ImageRecord) -> Stratum:
    return record.label, record.difficulty


def _total(strata: Mapping[str, Counter[Stratum]]) -> Counter[Stratum]:
    return sum(strata.values(), Counter[Stratum]())


def _shares(counts: Counter[Stratum], fraction: float) -> Counter[Stratum]:
    return Counter({stratum: round(fraction * count) for stratum, count in counts.items()})


def _drawn_test(
    records: Sequence[ImageRecord],
    strata: Mapping[str, Counter[Stratum]],
    params: SplitParams,
    rng: np.random.Generator,
) -> set[str]:
    """Groups for the test side: of the set without its test folder as many as it had there, of other photos a share."""
    available = _total(strata)
    if not any(record.subset == "training" for record in records):
        return drawn(strata, _shares(available, params.test_fraction), rng)
    quota = Counter({(REAL, ""): params.test_count, (FAKE, params.test_difficulty): params.test_count})
    test = drawn(strata, quota, rng)
    found = _total({group: strata[group] for group in test})
    for label, difficulty in quota:
        if found[label, difficulty] < params.test_count:
            name = f"{difficulty} {LABEL_NAMES[label]}".strip()
            raise FakefaceError(
                f"split.test_count: {params.test_count}: only {found[label, difficulty]} of {available[label, difficulty]} "
                f"{name} images can be taken for the test side"
            )
    return test


def _check_classes(records: Sequence[ImageRecord], found: Sequence[Side]) -> None:
    present = {(side, record.label) for side, record in zip(found, records, strict=True)}
    for side in DRAWN_SIDES:
        for label, name in enumerate(LABEL_NAMES):
            if (side, label) not in present:
                total = sum(record.label == label for record in records)
                raise FakefaceError(f"split: {total} {name} images leave the side {side} without one: expected one at least")


if __name__ == "__main__":
    run_as_command(main)
