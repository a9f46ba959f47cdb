"""Put every image on one side: train, valid or test.

reads   IMAGES, the index; params.yaml: split
does    keeps the folders' own test side or draws one, then draws valid; what must stay together, a group, stays on one side
writes  SPLIT, the whole index with a column `side` more; METRICS, counts per side

A group is today the files of the same bytes.
"""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.errors import FakefaceError, run_as_command
from stages.params import STRICT, load_params
from stages.records import FAKE, LABEL_NAMES, REAL, ImageRecord, Side, SplitRecord, read_rows, write_json, write_rows

Stratum = tuple[int, str]
"""Label and difficulty: a drawn side has its share of each."""

DRAWN_SIDES: tuple[Side, ...] = ("train", "valid", "test")


@dataclass(frozen=True, config=STRICT)
class SplitParams:
    """Section `split`."""

    seed: int = Field(ge=0)
    valid_fraction: float = Field(gt=0, lt=1)
    test_count: int = Field(ge=1)
    test_difficulty: str = Field(min_length=1)
    test_fraction: float = Field(gt=0, lt=1)


def sides(records: Sequence[ImageRecord], groups: Sequence[str], params: SplitParams) -> list[Side]:
    """The side of each record: the same for all of one group, and for any order of the records.

    Where the folders give a test side, a training image in a group with one of its images is excluded.

    Raises:
        FakefaceError: too few images for the test side, or a side without a class.
    """
    rng = np.random.default_rng(params.seed)
    strata = {group: Counter[Stratum]() for group in sorted(set(groups))}
    for record, group in zip(records, groups, strict=True):
        strata[group][_stratum(record)] += 1
    given = {group for record, group in zip(records, groups, strict=True) if record.subset == "test"}
    test = given or _drawn_test(records, strata, params, rng)
    rest = {group: counts for group, counts in strata.items() if group not in test}
    valid = drawn(rest, _shares(_total(rest), params.valid_fraction), rng)

    def side(record: ImageRecord, group: str) -> Side:
        if group in given and record.subset != "test":
            return "excluded"
        return "test" if group in test else "valid" if group in valid else "train"

    found = [side(record, group) for record, group in zip(records, groups, strict=True)]
    _check_classes(records, found)
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


def summary(rows: Sequence[SplitRecord]) -> dict[str, Any]:
    """Counts per side of each label and difficulty, and a digest of which bytes are on which side."""
    pairs = sorted(f"{row.sha256} {row.side}\n" for row in rows)
    digest = sha256("".join(pairs).encode()).hexdigest()[:16]
    return {"split_sha256": digest, **{side: _counts([row for row in rows if row.side == side]) for side in get_args(Side)}}


def run(images: Path, split: Path, metrics: Path, params: SplitParams) -> None:
    records = read_rows(images, ImageRecord)
    found = sides(records, [record.sha256 for record in records], params)
    rows = [SplitRecord(**asdict(record), side=side) for record, side in zip(records, found, strict=True)]
    write_rows(split, SplitRecord, rows)
    write_json(metrics, summary(rows))


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.split", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("images", type=Path, help="CSV to read: the index")
    parser.add_argument("--split", type=Path, required=True, help="CSV to write: the index with every image's side")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON to write: counts per side")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="YAML to read section `split` of")
    args = parser.parse_args(argv)
    run(args.images, args.split, args.metrics, load_params(args.params, "split", SplitParams))


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
