"""Make a registered version the champion, models:/fakeface@champion, if it is better than the one that is.

`report` registers each candidate with its scores. It is better if its AUC on the same test images is higher, with an interval
of the difference, over groups of related images, that lies above zero. The first champion has to beat the best baseline that
sees no face. --force makes a version the champion all the same; the reason is kept with it as a tag.

Examples:
  fakeface promote
  fakeface promote 3 --force 'trained without the photos that were withdrawn'
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fakeface.commands import require
from fakeface.core.errors import FakefaceError

if TYPE_CHECKING:
    from fakeface.tracking.registry import Registry, Version

HINT = "`--force REASON` makes it the champion all the same"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", nargs="?", metavar="VERSION", help="number of a registered version (default: the newest)")
    parser.add_argument("--force", type=reason, metavar="REASON", help="whatever the scores say, for this reason")


def reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("empty: expected a reason, which is kept with the version")
    return text


def run(version: str | None, force: str | None) -> None:
    """Print what was decided. Raises FakefaceError where the version does not become the champion."""
    require("mlflow", "`fakeface promote`")
    from fakeface.tracking.registry import open_registry

    with open_registry() as registry:
        candidate, champion = registry.version(version), registry.champion()
        if candidate == champion:
            print(f"{candidate.uri} is the champion already")
            return
        words = "forced" if force is not None else why_better(registry, candidate, champion)
        registry.promote(candidate, champion, force)
    place = f"in place of {champion.uri}" if champion else "the first"
    print(f"{candidate.uri} is the champion, {place}: {words}")


def why_better(registry: "Registry", candidate: "Version", champion: "Version | None") -> str:
    """In words. Raises FakefaceError where it is not better, or the two do not compare."""
    if champion is None:
        return why_first(candidate)
    from tempfile import TemporaryDirectory

    from fakeface.scoring.gate import is_better, lead, read_tested

    with TemporaryDirectory() as folder:
        tested = []
        for version in (candidate, champion):
            (own := Path(folder) / version.number).mkdir()
            tested.append(read_tested(version.uri, *registry.test_tables(version, own), version.objective))
        found = lead(*tested)
    if found.difference is None or found.interval is None:
        raise FakefaceError(f"{candidate.uri}: no AUC: expected real and fake test images; {HINT}")
    low, high = found.interval
    words = (
        f"AUC {found.difference:+.3f} against {champion.uri} on the same {len(tested[0].images):,} test images "
        f"(95 % interval {low:+.3f} to {high:+.3f})"
    )
    if not is_better(found):
        raise FakefaceError(f"{candidate.uri}: {words}: expected an interval above zero; {HINT}")
    return words


def why_first(candidate: "Version") -> str:
    """In words. Raises FakefaceError where it does not beat the baselines."""
    standing = candidate.tags.get("against_baselines", "not known")
    if standing != "beats":
        raise FakefaceError(
            f"{candidate.uri}: against the best baseline that sees no face: {standing!r}: expected 'beats' of the first "
            f"champion; {HINT}"
        )
    return "it beats the best baseline that sees no face"
