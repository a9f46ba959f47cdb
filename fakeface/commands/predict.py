"""Judge photos of your own.

Gives both models' verdict and p_fake, the calibrated probability that the photo is a composite, as `infer` finds it.
A photo that is not square is judged by its centre square; --figure shows what was judged.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fakeface.core.errors import run_as_command
from fakeface.core.parallel import on_all_cores
from fakeface.core.params import load_params
from fakeface.core.records import LABEL_NAMES, OBJECTIVE_NAMES, THRESHOLD_NAMES, ThresholdName
from fakeface.detector import Detector, load_detector
from fakeface.photos.images import ImageError, Pixels, fit, read_image


@dataclass(frozen=True)
class Verdict:
    """What each model, by its objective, makes of one photo: its p_fake, and the one from which on it calls a photo fake."""

    photo: Path
    p_fake: dict[str, float]
    threshold: dict[str, float]

    @property
    def name(self) -> str:
        """The photo's path as it can be printed: bytes that are not UTF-8 are escaped."""
        return str(self.photo).encode("utf-8", "backslashreplace").decode()

    def label(self, objective: str) -> str:
        return LABEL_NAMES[self.p_fake[objective] >= self.threshold[objective]]

    def as_json(self) -> dict[str, object]:
        return {"photo": self.name} | {
            objective: {"verdict": self.label(objective), "p_fake": p_fake, "threshold": self.threshold[objective]}
            for objective, p_fake in self.p_fake.items()
        }

    def in_words(self, separator: str) -> str:
        return separator.join(f"{name}: {self.label(name)} (p_fake {p_fake:.3f})" for name, p_fake in self.p_fake.items())


def judged(photo: Path, detectors: Sequence[Detector], threshold: ThresholdName) -> Verdict:
    """Raises ImageError where the file is no image that can be used."""
    image = read_image(photo)
    fitted = {px: fit(image, px)[np.newaxis] for px in {detector.image_px for detector in detectors}}
    p_fake = {detector.objective: float(detector.scores(fitted[detector.image_px])[0][0]) for detector in detectors}
    return Verdict(photo, p_fake, {detector.objective: detector.thresholds[threshold] for detector in detectors})


def run(photos: Sequence[Path], models: Path, threshold: ThresholdName, figure: Path | None, *, as_json: bool) -> bool:
    """Print a line per photo; False where one could not be judged, which leaves the others unharmed."""
    single = len(photos) == 1
    # All cores judge one photo together; of more, each core judges its own.
    detectors = [load_detector(models / name, threads=None if single else 1) for name in OBJECTIVE_NAMES]
    if any(detector.is_sample for detector in detectors):
        print("note: these models learned from the drawn sample; on a real photo their verdict means nothing", file=sys.stderr)

    def outcome(photo: Path) -> Verdict | ImageError:
        try:
            return judged(photo, detectors, threshold)
        except ImageError as error:
            return error

    verdicts: list[Verdict] = []
    bar = None if single or sys.stdout.isatty() else "predict"  # lines on the screen tell how far it is
    for verdict in on_all_cores(outcome, photos, bar):
        if isinstance(verdict, ImageError):
            print(f"error: {verdict}", file=sys.stderr)
            continue
        verdicts.append(verdict)
        print(json.dumps(verdict.as_json(), ensure_ascii=False) if as_json else f"{verdict.name}  {verdict.in_words('  ')}")
    if figure is not None and verdicts:
        draw(verdicts, detectors[0].image_px, figure)
    return len(verdicts) == len(photos)


def draw(verdicts: Sequence[Verdict], image_px: int, path: Path) -> None:
    from fakeface.reporting.figures import save, verdicts_figure

    def shown(verdict: Verdict) -> tuple[str, Pixels, str]:
        return Path(verdict.name).name, fit(read_image(verdict.photo), max(image_px, 256)), verdict.in_words("\n")

    save(verdicts_figure([shown(verdict) for verdict in verdicts]), path)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m fakeface.commands.predict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", nargs="+", type=Path, metavar="photo", help="JPEG, PNG, WEBP, BMP or TIFF")
    parser.add_argument("--json", action="store_true", help="print a JSON object per photo")
    parser.add_argument("--figure", type=Path, metavar="out.png", help="also draw the photos with their verdicts")
    parser.add_argument(
        "--models", type=Path, default=Path("models"), help="folder with the model folders ce and bce (default: models)"
    )
    parser.add_argument(
        "--threshold",
        choices=THRESHOLD_NAMES,
        help="called fake from: p_fake 0.5; the p_fake with the best balanced accuracy on the validation images; the lowest "
        "with which at most 5 %% of the real ones are called fake (default: `threshold` of params.yaml)",
    )
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="YAML to read `threshold` of")
    arguments = parser.parse_args(argv)
    threshold = arguments.threshold or load_params(arguments.params, "threshold", ThresholdName)  # type: ignore[arg-type]
    if not run(arguments.photos, arguments.models, threshold, arguments.figure, as_json=arguments.json):
        sys.exit(1)


if __name__ == "__main__":
    run_as_command(main)
