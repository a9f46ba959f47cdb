"""Judge photos: both models' verdict on each, and p_fake, the calibrated probability that it is a composite.

What is judged is what the models saw in training, the largest face in a photo or its centre square; --figure shows it. Of a
folder all
photos are judged, also in folders below it, sorted by name; hidden files are skipped. What is no photo is named on standard
error, and the others are judged all the same. --json names each photo as it was found; bytes that are not UTF-8 are escaped
as Python's os.fsdecode does.

Examples:
  fakeface predict photo.jpg
  fakeface predict --json --threshold few_false_alarms holidays/ > verdicts.jsonl
  fakeface predict --models somewhere/else/models --figure out.png *.jpg
"""

import argparse
import json
import sys
from codecs import lookup
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fakeface.commands import require
from fakeface.core.console import printable, tell
from fakeface.core.errors import FakefaceError, describe_os_error
from fakeface.core.files import check_replaceable
from fakeface.core.parallel import on_all_cores
from fakeface.core.params import load_section
from fakeface.core.records import LABEL_NAMES, THRESHOLD_NAMES, Framing, ThresholdName
from fakeface.detector import CARD_FILE, Detector, load_detectors, score_image
from fakeface.faces.crops import crop
from fakeface.faces.finder import find_landmarks
from fakeface.photos.folders import contents_of
from fakeface.photos.images import ImageError, Pixels, read_image

PARAMS = Path("params.yaml")
MAX_FIGURE_PHOTOS = 100
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
        return {"photo": str(self.photo)} | {
            objective: {"verdict": self.label(objective), "p_fake": p_fake, "threshold": self.threshold[objective]}
            for objective, p_fake in self.p_fake.items()
        }

    def in_words(self, separator: str) -> str:
        return separator.join(f"{name}: {self.label(name)} ({self._reason(name)})" for name in self.p_fake)

    def _reason(self, objective: str) -> str:
        p_fake, threshold = self.p_fake[objective], self.threshold[objective]
        return f"p_fake {p_fake:.3f}" + (f", fake from {threshold:.3f}" if threshold != 0.5 else "")


def verdict_on(photo: Path, detectors: Mapping[str, Detector], threshold: ThresholdName) -> Verdict:
    """Raises ImageError where the file is no image that can be used."""
    scores = score_image(read_image(photo), detectors)
    return Verdict(
        photo,
        {objective: score.p_fake for objective, score in scores.items()},
        {objective: detector.thresholds[threshold] for objective, detector in detectors.items()},
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PHOTO", help="JPEG, PNG, WEBP, BMP or TIFF, or a folder of such photos"
    )
    parser.add_argument("--json", dest="as_json", action="store_true", help="print a JSON object per photo")
    parser.add_argument(
        "--figure",
        type=Path,
        metavar="PATH",
        help=f"draw the photos, at most {MAX_FIGURE_PHOTOS}, with their verdicts too: out.png, .jpg, .pdf or .svg",
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
        help="from which p_fake on a photo is called fake. half: 0.5; balanced_accuracy: the one with the best balanced "
        "accuracy on the validation images; few_false_alarms: the lowest by which at most 5 %% of the real ones among those "
        "are called fake (default: `threshold` of params.yaml, half where there is no such file)",
    )
    parser.add_argument(
        "--params", type=Path, metavar="PATH", help=f"YAML to read `threshold` from (default: {PARAMS}, where it is there)"
    )


def run(
    paths: Sequence[Path],
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
    photos, is_complete = photos_at(paths)
    if figure is not None and len(photos) > MAX_FIGURE_PHOTOS:
        raise FakefaceError(f"{figure}: {len(photos):,} photos: a figure has room for {MAX_FIGURE_PHOTOS}")
    if not photos:
        return 1
    single = len(photos) == 1
    # All cores judge one photo together; of more, each core judges its own.
    detectors = load_detectors(models, threads=None if single else 1)
    for objective, detector in detectors.items():
        if threshold not in detector.thresholds:
            raise FakefaceError(f"{models / objective / CARD_FILE}: thresholds.{threshold}: missing")
    if any(detector.is_sample for detector in detectors.values()):
        tell("note: these models learned from the drawn sample; on a real photo their verdict means nothing")

    def outcome(photo: Path) -> Verdict | ImageError:
        try:
            return verdict_on(photo, detectors, threshold)
        except ImageError as error:
            return error

    verdicts: list[Verdict] = []
    bar = None if single or sys.stdout.isatty() else "predict"  # lines on the screen tell how far it is
    for verdict in on_all_cores(outcome, photos, bar):
        if isinstance(verdict, ImageError):
            tell(f"error: {verdict}")
            continue
        verdicts.append(verdict)
        print(json_line(verdict) if as_json else f"{printable(str(verdict.photo))}  {verdict.in_words('  ')}", flush=True)
    if figure is not None and verdicts:
        framing: Framing = "face" if any(detector.framing == "face" for detector in detectors.values()) else "centre"
        draw(verdicts, framing, max(FIGURE_PX, *(detector.image_px for detector in detectors.values())), figure)
    return 0 if is_complete and len(verdicts) == len(photos) else 1


def photos_at(paths: Sequence[Path]) -> tuple[list[Path], bool]:
    """The files among the paths and the photos in the folders among them; False where a folder has none or is not listed."""
    photos: list[Path] = []
    is_complete = True
    for path in paths:
        if not path.is_dir():
            photos.append(path)
            continue
        contents = contents_of(path)
        photos += contents.photos
        complaints = [describe_os_error(error) for error in contents.errors]
        if not contents.photos and not complaints:
            found = f", found {counted(contents.others, 'other file')}" if contents.others else ""
            complaints = [f"{path}: no photo in this folder: expected JPEG, PNG, WEBP, BMP or TIFF{found}"]
        for complaint in complaints:
            tell(f"error: {complaint}")
        is_complete = is_complete and not complaints
        others = f"; {counted(contents.others, 'other file')} left out" if contents.others else ""
        if contents.photos:
            tell(f"note: {path}: {counted(len(contents.photos), 'photo')}{others}")
    return photos, is_complete


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def default_threshold(params: Path | None) -> ThresholdName:
    """The one that params.yaml names; half where no file is named and the current folder has none."""
    if params is None and not PARAMS.exists():
        return "half"
    return load_section(params or PARAMS, "threshold", ThresholdName)  # type: ignore[arg-type]


def json_line(verdict: Verdict) -> str:
    """JSON is UTF-8: escaped as JSON escapes where standard output is not, or a name is not."""
    is_utf8 = lookup(sys.stdout.encoding or "utf-8").name == "utf-8" and str(verdict.photo).isprintable()
    return json.dumps(verdict.as_json(), ensure_ascii=not is_utf8)


def check_figure(path: Path) -> None:
    """Raises FakefaceError or OSError where no figure can be drawn to that path, before photos are judged for it."""
    require("matplotlib", "--figure")
    from fakeface.reporting.figures import kind_of

    kind_of(path)
    check_replaceable(path)


def draw(verdicts: Sequence[Verdict], framing: Framing, px: int, path: Path) -> None:
    from fakeface.reporting.figures import save, verdicts_figure

    def shown(verdict: Verdict) -> tuple[str, Pixels, str]:
        image = read_image(verdict.photo)
        landmarks = find_landmarks(image) if framing == "face" else None
        return verdict.photo.name, crop(image, landmarks, framing, px).pixels, verdict.in_words("\n")

    save(verdicts_figure([shown(verdict) for verdict in verdicts]), path)
