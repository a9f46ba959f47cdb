"""Measure Fakeface next to three peers: the notebook it grew out of, the simple way, and the limit of the machine.

All contenders of a part take turns on the same images in one run; told are medians, quartiles, and above all ratios:
times differ between machines, ratios much less. Leave the machine alone meanwhile.

    python -m bench --quick                            nearly every part at a tiny size, in a minute or two: does it run?
    python -m bench training --photos data/photos      one part, on photos of your own
    python -m bench --photos data/photos --write       every part but the long one; rewrites docs/performance.md
    python -m bench precision --photos data/photos --write

Without --photos they are drawn as the sample is, at 600 px. Tables go to stdout, progress to stderr.
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import cluster, commands, decoding, page, scaling, serving, training, verdicts
from bench.rounds import Options, Result, where
from fakeface.core.errors import run_as_command


@dataclass(frozen=True)
class Part:
    """What measures it, on how many images, in how many rounds; and on how many where it has to be quick."""

    measure: Callable[[Options], Result]
    images: int
    rounds: int
    quick_images: int


PARTS = {
    "training": Part(training.training, 1000, 3, 20),
    "gpu": Part(training.gpu, 2000, 5, 200),
    "profile": Part(training.profile, 160, 3, 10),
    "pack": Part(decoding.packing, 1000, 7, 60),
    "statistics": Part(decoding.statistics, 60, 7, 8),
    "scaling": Part(scaling.scaling, 0, 3, 0),
    "cluster": Part(cluster.cluster, 600, 3, 20),
    "dvc_noop": Part(commands.dvc_noop, 1020, 7, 100),
    "make_run": Part(commands.make_run, 0, 1, 0),
    "imports": Part(commands.imports, 0, 5, 0),
    "verdict": Part(verdicts.verdict, 4, 7, 4),
    "verdicts": Part(verdicts.verdicts, 1000, 3, 20),
    "verdicts_lite": Part(verdicts.verdicts_lite, 1000, 3, 20),
    "serving": Part(serving.serving, 500, 3, 20),
    "precision": Part(training.precision, 1600, 3, 60),
}
LONG = ("precision",)
TOO_LONG_TO_BE_QUICK = (*LONG, "make_run")


def main(argv: list[str]) -> None:
    asked = _parser().parse_args(argv)
    machine = where()
    default = [part for part in PARTS if part not in (TOO_LONG_TO_BE_QUICK if asked.quick else LONG)]
    results: dict[str, Result] = {}
    with TemporaryDirectory(prefix="fakeface-bench-") as scratch:
        # Nothing that is measured here belongs among the user's runs, checkpoints and the cache of `relate`.
        os.environ |= {"DVC_ROOT": scratch, "MLFLOW_TRACKING_URI": f"sqlite:///{scratch}/mlflow.db"}
        for name in asked.parts or default:
            results[name] = replace(PARTS[name].measure(_options(asked, PARTS[name], Path(scratch))), where=machine)
            print(page.tables([results[name]]), flush=True)
    print(page.summary(list(results.values())))
    if asked.write:
        page.write(results, list(PARTS))


def _options(asked: argparse.Namespace, part: Part, scratch: Path) -> Options:
    return Options(
        scratch,
        asked.images or (part.quick_images if asked.quick else part.images),
        asked.rounds or (1 if asked.quick else part.rounds),
        asked.photos,
        asked.recipe,
        *((asked.sizes, asked.relate_sizes, 60) if not asked.quick else ([100, 200], [100, 200], 8)),
    )


def _known(part: str) -> str:
    if part not in PARTS:
        raise argparse.ArgumentTypeError(f"{part!r}: no such part; expected one of {', '.join(PARTS)}")
    return part


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, PARTS)) + 1
    told = "\n".join(f"  {name:<{width}}{(part.measure.__doc__ or '').partition(chr(10))[0]}" for name, part in PARTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog=f"parts:\n{told}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", type=_known, metavar="part", help=f"default: all but {', '.join(LONG)}")
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="photos in a layout that `index` knows; only read")
    parser.add_argument("--images", type=int, metavar="N", help="how many (default: by part)")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each contender runs (default: by part)")
    parser.add_argument("--recipe", type=Path, metavar="YAML", help="parameters (default: one of recipes/, by part)")
    sizes = partial(parser.add_argument, type=int, nargs="+", metavar="N")
    sizes("--sizes", default=[1_000, 10_000, 100_000], help="scaling: numbers of small images")
    sizes("--relate-sizes", default=[1_000, 10_000], help="scaling: those at which `relate` runs too")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--quick", action="store_true", help="tiny sizes: shows that all runs, measures nothing")
    kind.add_argument("--write", action="store_true", help="put what was measured into docs/performance.md and .json")
    return parser


if __name__ == "__main__":
    run_as_command(main)
