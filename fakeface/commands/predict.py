"""Judge photos: both models' verdict on each, and p_fake, the calibrated probability that it is a composite.

A photo that is not square is judged by its centre square, as in training; --figure shows what was judged. What is no photo is
named on standard error, and the others are judged all the same.

Examples:
  fakeface predict photo.jpg
  fakeface predict --json --threshold few_false_alarms *.jpg > verdicts.jsonl
  fakeface predict --models somewhere/else/models --figure out.png *.jpg
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fakeface.commands import require
from fakeface.core.errors import FakefaceError
from fakeface.core.parallel import on_all_cores
from fakeface.core.params import load_section
from fakeface.core.records import LABEL_NAMES, THRESHOLD_NAMES, ThresholdName
from fakeface.detector import Detector, load_detectors, score_image
from fakeface.photos.images import ImageError, Pixels, fit, read_image

PARAMS = Path("params.yaml")
FIGURE_ENDINGS = (".png", ".jpg", ".jpeg", ".pdf", ".svg")
FIGURE_PX = 256
"""At least so large is a photo in a figure, however small the networks see it."""


@dataclass(frozen=True)
class Verdict:
    """What each model, by its objective, makes of one photo: its p_fake, and the threshold from which on it says fake."""

    photo: Path
    p_fake: dict[str, float]
    threshold: dict[str, float]

    def label(self, objective: str) -> str:
        return LABEL_NAMES[self.p_fake[objective] >= self.threshold[objective]]

    def as_json(self) -> dict[str, object]:
        return {"photo": str(self.photo).encode("utf-8", "backslashreplace").decode()} | {
            objective: {"verdict": self.label(objective), "p_fake": p_fake, "threshold": self.threshold[objective]}
            for objective, p_fake in self.p_fake.items()
        }

    def in_words(self, separator: str) -> str:
        return separator.join(f"{name}: {self.label(name)} (p_fake {p_fake:.3f})" for name, p_fake in self.p_fake.items())


def printable(text: str) -> str:
    """On one line, with control characters and bytes that are not UTF-8 escaped, as file names may hold both."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text)


def verdict_on(photo: Path, detectors: Mapping[str, Detector], threshold: ThresholdName) -> Verdict:
    """Raises ImageError where the file is no image that can be used."""
    scores = score_image(read_image(photo), detectors)
    return Verdict(
        photo,
        {objective: score.p_fake for objective, score in scores.items()},
        {objective: detector.thresholds[threshold] for objective, detector in detectors.items()},
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="JPEG, PNG, WEBP, BMP or TIFF")
    parser.add_argument("--json", dest="as_json", action="store_true", help="print a JSON object per photo")
    parser.add_argument(
        "--figure", type=Path, metavar="PATH", help="draw the photos with their verdicts too: out.png, .jpg, .pdf or .svg"
    )
    parser.add_argument(
        "--models",
        type=Path,
        default=Path("models"),
        metavar="PATH",
        help="folder with the model folders ce and bce (default: %(default)s)",
    )
    parser.add_argument(
        "--threshold",
        choices=THRESHOLD_NAMES,
        help="call a photo fake from p_fake 0.5 (half); from the p_fake with the best balanced accuracy on the validation "
        "images; or from the lowest with which at most 5 %% of the real ones among those are called fake (default: "
        "`threshold` of params.yaml, half where there is no such file)",
    )
    parser.add_argument(
        "--params", type=Path, metavar="PATH", help=f"YAML to read `threshold` from (default: {PARAMS}, where it is there)"
    )


def run(
    photos: Sequence[Path],
    models: Path,
    threshold: ThresholdName | None,
    params: Path | None,
    figure: Path | None,
    *,
    as_json: bool,
) -> int:
    """Print a line per photo; the exit status is 1 where one could not be judged, which leaves the others unharmed."""
    if figure is not None:
        check_figure(figure)
    threshold = threshold or default_threshold(params)
    single = len(photos) == 1
    # All cores judge one photo together; of more, each core judges its own.
    detectors = load_detectors(models, threads=None if single else 1)
    if any(detector.is_sample for detector in detectors.values()):
        print("note: these models learned from the drawn sample; on a real photo their verdict means nothing", file=sys.stderr)

    def outcome(photo: Path) -> Verdict | ImageError:
        try:
            return verdict_on(photo, detectors, threshold)
        except ImageError as error:
            return error

    verdicts: list[Verdict] = []
    bar = None if single or sys.stdout.isatty() else "predict"  # lines on the screen tell how far it is
    for verdict in on_all_cores(outcome, photos, bar):
        if isinstance(verdict, ImageError):
            print(f"error: {printable(str(verdict))}", file=sys.stderr)
            continue
        verdicts.append(verdict)
        print(json_line(verdict) if as_json else f"{printable(str(verdict.photo))}  {verdict.in_words('  ')}", flush=True)
    if figure is not None and verdicts:
        draw(verdicts, max(FIGURE_PX, *(detector.image_px for detector in detectors.values())), figure)
    return 0 if len(verdicts) == len(photos) else 1


def default_threshold(params: Path | None) -> ThresholdName:
    """The one that params.yaml names; half where no file is named and the current folder has none."""
    if params is None and not PARAMS.exists():
        return "half"
    return load_section(params or PARAMS, "threshold", ThresholdName)  # type: ignore[arg-type]


def json_line(verdict: Verdict) -> str:
    """JSON with any letter as it is where standard output takes any, escaped as JSON escapes it elsewhere."""
    takes_any = (sys.stdout.encoding or "utf-8").lower().replace("-", "") == "utf8"
    return json.dumps(verdict.as_json(), ensure_ascii=not takes_any)


def check_figure(path: Path) -> None:
    """Raises FakefaceError where no figure can be drawn to that path, before photos are judged for it."""
    if path.suffix.lower() not in FIGURE_ENDINGS:
        raise FakefaceError(f"{path}: a figure's name should end in {', '.join(FIGURE_ENDINGS)}")
    require("matplotlib", "--figure")


def draw(verdicts: Sequence[Verdict], px: int, path: Path) -> None:
    from fakeface.reporting.figures import save, verdicts_figure

    def shown(verdict: Verdict) -> tuple[str, Pixels, str]:
        return printable(verdict.photo.name), fit(read_image(verdict.photo), px), verdict.in_words("\n")

    save(verdicts_figure([shown(verdict) for verdict in verdicts]), path)
