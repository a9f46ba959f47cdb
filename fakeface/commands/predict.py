"""Judge photos: each face in them, by both models: real, fake or inconclusive, and p_fake, the probability of a composite.

A photo may be a file, a folder (all photos in it and below, hidden files left out), a quoted pattern ('**/*.jpg'), or - for a
list of names on standard input. Faces are numbered, the largest first. The two bounds of p_fake between the answers belong to
the model; --threshold puts one in their place. A photo without a face is judged only with --whole, all of it, and the line says
so; models of centre squares look for no face. What cannot be judged is named on standard error, and the others are judged all
the same. p_fake is shown within 0.01 and 0.99, and is exact in --json and --csv.

Examples:
  fakeface predict photo.jpg
  fakeface predict --json holidays/ 'more/**/*.jpg' > verdicts.jsonl
  find . -newer yesterday -name '*.jpg' | fakeface predict --csv --fail-on fake - > verdicts.csv
  fakeface predict --model models:/fakeface@champion --figure out.png photo.jpg

Exit status: 0 all judged; 1 some could not be; 2 wrong usage; 3 with --fail-on, where that answer was given.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from fakeface.commands import add_model_argument, model_folder, require
from fakeface.core.console import tell
from fakeface.core.errors import FakefaceError
from fakeface.core.files import check_replaceable
from fakeface.core.parallel import on_all_cores
from fakeface.core.records import THRESHOLD_NAMES, Answer, ThresholdName
from fakeface.detector import CARD_FILE, Answers, Detector, load_detectors
from fakeface.photos.images import ImageError
from fakeface.photos.selection import photos_named
from fakeface.predictor import Judgement, judge, read_photo
from fakeface.reporting.judgements import CSV_COLUMNS, csv_line, csv_row, json_line, text_line

MAX_FIGURE_PHOTOS = 100
FIGURE_PX = 384
GIVEN_AS_BAD: dict[str, tuple[Answer, ...]] = {"fake": ("fake",), "inconclusive": ("inconclusive", "fake")}
Format = Literal["text", "json", "csv"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words", nargs="+", metavar="PHOTO", help="JPEG, PNG, WEBP, BMP or TIFF; a folder; a quoted pattern; - for a list"
    )
    formats = parser.add_mutually_exclusive_group()
    kind = {"dest": "output", "action": "store_const"}
    formats.add_argument("--json", const="json", default="text", help="print a JSON object per face", **kind)  # type: ignore[arg-type]
    formats.add_argument("--csv", const="csv", help="print a row per face, under a row of names", **kind)  # type: ignore[arg-type]
    parser.add_argument(
        "--figure",
        type=Path,
        metavar="PATH",
        help=f"draw each face of at most {MAX_FIGURE_PHOTOS} photos, with its box and where both scores come from: "
        "out.png, .jpg, .pdf or .svg",
    )
    add_model_argument(parser)
    parser.add_argument("--whole", action="store_true", help="judge the whole picture where there is no face")
    parser.add_argument(
        "--fail-on",
        choices=tuple(GIVEN_AS_BAD),
        help="exit with 3 where a face is called fake, or, with inconclusive, anything but real",
    )
    parser.add_argument(
        "--threshold",
        choices=THRESHOLD_NAMES,
        help="two answers instead of three, fake from this p_fake on. half: 0.5; balanced_accuracy: the one with the best "
        "balanced accuracy on the validation images; few_false_alarms: the lowest by which at most 5 %% of the real ones among "
        "those are called fake",
    )
    parser.add_argument("--params", type=Path, metavar="PATH", help="two answers, by the `threshold` in this YAML")


def run(
    words: Sequence[str],
    output: Format,
    figure: Path | None,
    models: str,
    fail_on: str | None,
    threshold: ThresholdName | None,
    params: Path | None,
    *,
    whole: bool,
) -> int:
    """Print a line per face; what cannot be judged leaves the others unharmed."""
    if figure is not None:
        check_figure(figure)
    if threshold is None and params is not None:
        from fakeface.core.params import check_section, read_yaml  # pydantic and yaml, for this alone

        threshold = check_section(read_yaml(params), "threshold", ThresholdName, params)  # type: ignore[arg-type]
    selection = photos_named(words, sys.stdin.buffer)
    for complaint in selection.complaints:
        tell(f"error: {complaint}")
    for note in selection.notes:
        tell(f"note: {note}")
    photos = selection.photos
    if figure is not None and len(photos) > MAX_FIGURE_PHOTOS:
        raise FakefaceError(f"{figure}: {len(photos):,} photos: a figure has room for {MAX_FIGURE_PHOTOS}")
    if not photos:
        return 1
    detectors = loaded(models, threshold)
    judged, drawn = 0, list[tuple[Path, list[Judgement]]]()
    answers = set[Answer]()
    if output == "csv":
        print(csv_line(*CSV_COLUMNS))
    for photo, judgements in zip(photos, judgements_of(photos, detectors, whole=whole), strict=True):
        if isinstance(judgements, ImageError):
            tell(f"error: {judgements}")
            continue
        judged += 1
        for judgement in judgements:
            print(line(photo, judgement, detectors, output), flush=True)
        answers |= {judgement.answer for judgement in judgements}
        if figure is not None:
            drawn.append((photo, judgements))
    if figure is not None and drawn:
        draw(drawn, detectors, figure)
    if fail_on is not None and not answers.isdisjoint(GIVEN_AS_BAD[fail_on]):
        return 3
    return 0 if judged == len(photos) and not selection.complaints else 1


def judgements_of(
    photos: Sequence[Path], detectors: Mapping[str, Detector], *, whole: bool
) -> Iterator[list[Judgement] | ImageError]:
    """Of each photo in turn, on all cores; the error where a file is no image, or shows no face."""

    def outcome(path: Path) -> list[Judgement] | ImageError:
        try:
            return judge(read_photo(path), detectors, whole=whole) or ImageError(
                path, "no face found; --whole judges the whole picture"
            )
        except ImageError as error:
            return error

    bar = None if len(photos) == 1 or sys.stdout.isatty() else "predict"  # lines on the screen tell how far it is
    return on_all_cores(outcome, photos, bar)


def line(photo: Path, judgement: Judgement, detectors: Mapping[str, Detector], output: Format) -> str:
    if output == "json":
        return json_line(photo, judgement, detectors, sys.stdout.encoding or "utf-8")
    return csv_row(photo, judgement) if output == "csv" else text_line(photo, judgement, detectors)


def loaded(models: str, threshold: ThresholdName | None) -> dict[str, Detector]:
    """The detectors of a folder or of MLflow, with a threshold in place of their two bounds where one is asked for."""
    with model_folder(models) as folder:
        detectors = load_detectors(folder)
        if threshold is not None:
            for name, detector in detectors.items():
                if threshold not in detector.thresholds:
                    raise FakefaceError(f"{folder / name / CARD_FILE}: thresholds.{threshold}: missing")
                bound = detector.thresholds[threshold]
                detectors[name] = replace(detector, answers=Answers(max_error=1.0, real_below=bound, fake_from=bound))
    if any(detector.is_sample for detector in detectors.values()):
        tell("note: these models learned from the drawn sample; on a real photo their verdict means nothing")
    return detectors


def check_figure(path: Path) -> None:
    """Raises FakefaceError or OSError where no figure can be drawn to that path, before photos are judged for it."""
    require("matplotlib", "--figure")
    from fakeface.reporting.figures import kind_of

    kind_of(path)
    check_replaceable(path)


def draw(photos: Sequence[tuple[Path, list[Judgement]]], detectors: Mapping[str, Detector], path: Path) -> None:
    """A row per face: the photo with its boxes, then what each model saw, under its map."""
    from fakeface.reporting.evidence import boxed_picture, map_picture
    from fakeface.reporting.figures import save, verdicts_figure
    from fakeface.reporting.judgements import model_words

    panels = []
    for photo, judgements in photos:
        image = read_photo(photo).image
        for judgement in judgements:
            face = f"face {judgement.number}: " if judgement.faces > 1 else ""
            panels.append((photo.name, boxed_picture(image, judgements, judgement.number, FIGURE_PX), face + judgement.answer))
            for name, verdict in judgement.verdicts.items():
                words = model_words(name, judgement, detectors[name].answers).replace(" (", "\n(").replace(", real", ",\nreal")
                panels.append(("", map_picture(verdict, FIGURE_PX), words))
    save(verdicts_figure(panels), path)
