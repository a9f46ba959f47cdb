"""Draw the embedded sample: face-like photos and composites of them, named and laid out like the real set.

reads   params.yaml: sample
does    draws every photo from a seed of its own; a composite's faces appear in no other photo
writes  SAMPLE/training/{real,fake}/*.jpg and SAMPLE/test/{real,fake}/*.jpg, all or nothing

It stands in for data that may not be redistributed, to run and to test the pipeline: no photo in it is of anybody.
"""

import argparse
import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import pydantic
from PIL import Image
from tqdm import tqdm

from fakeface.core.errors import FakefaceError, run_as_command
from fakeface.core.params import STRICT, load_params
from fakeface.core.records import FAKE, LABEL_NAMES, PARTS, REAL
from fakeface.synthetic.faces import RETOUCHES, Camera, Face, Photo, Scene, composite, developed, photograph, random_shot

JPEG_QUALITY = 90
PATTERNS = 2 ** len(PARTS) - 1


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class SampleParams:
    """The section `sample`; of the fakes a third each are easy, mid and hard."""

    seed: Annotated[int, pydantic.Field(ge=0)]
    image_px: Annotated[int, pydantic.Field(ge=64, le=1024)]
    training_real: Annotated[int, pydantic.Field(ge=1)]
    training_fake: Annotated[int, pydantic.Field(ge=3)]
    test_real: Annotated[int, pydantic.Field(ge=1)]
    test_fake: Annotated[int, pydantic.Field(ge=3)]


@dataclass(frozen=True)
class Order:
    """One photo to draw; `bits` has a 1 for each of PARTS that comes from another face, none for a real photo."""

    path: str
    seed: np.random.SeedSequence
    difficulty: str = ""
    bits: str = ""


def orders(params: SampleParams) -> list[Order]:
    """Every photo of the sample; no seed and no number is used twice, and the bits' patterns are equally frequent."""
    seeds = iter(
        np.random.SeedSequence(params.seed).spawn(
            2 + params.training_real + params.training_fake + params.test_real + params.test_fake
        )
    )
    made: list[Order] = []
    numbers = dict.fromkeys(RETOUCHES, 0)
    first_real = 1
    for subset, real, fake in (
        ("training", params.training_real, params.training_fake),
        ("test", params.test_real, params.test_fake),
    ):
        reals = range(first_real, first_real + real)
        first_real += real
        made += [Order(f"{subset}/{LABEL_NAMES[REAL]}/real_{number:05}.jpg", next(seeds)) for number in reals]
        patterns = np.random.default_rng(next(seeds)).permutation(fake) % PATTERNS + 1
        for index, pattern in enumerate(patterns):
            difficulty = tuple(RETOUCHES)[index % len(RETOUCHES)]
            numbers[difficulty] += 1
            bits = f"{pattern:0{len(PARTS)}b}"
            name = f"{difficulty}_{numbers[difficulty]}_{bits}.jpg"
            made.append(Order(f"{subset}/{LABEL_NAMES[FAKE]}/{name}", next(seeds), difficulty, bits))
    return made


def drawn(order: Order, image_px: int) -> Photo:
    """The photo that an order asks for."""
    rng = np.random.default_rng(order.seed)
    face, scene, camera = random_shot(rng)
    base = photograph(face, scene, camera, image_px)
    if not order.bits:
        return base
    donor = photograph(*_donor(face, scene, rng), image_px)
    parts = [part for part, bit in enumerate(order.bits) if bit == "1"]
    return composite(base, donor, parts, RETOUCHES[order.difficulty])


def _donor(face: Face, scene: Scene, rng: np.random.Generator) -> tuple[Face, Scene, Camera]:
    """Another face with a skin and a pose like the base's, as a forger would choose it, in a light and camera of its own."""
    other, place, camera = random_shot(rng)
    other = replace(other, tone=float(np.clip(face.tone + rng.uniform(-0.3, 0.3), 0, 1)), beard=face.beard)
    place = replace(
        place,
        centre_x=scene.centre_x,
        centre_y=scene.centre_y,
        size=scene.size * float(rng.uniform(0.94, 1.06)),
        roll=scene.roll + float(rng.uniform(-0.04, 0.04)),
        yaw=scene.yaw + float(rng.uniform(-0.15, 0.15)),
    )
    return other, place, camera


def save(order: Order, folder: Path, image_px: int) -> None:
    """Every photo takes this one way to its file, whatever it shows."""
    Image.fromarray(developed(drawn(order, image_px))).save(folder / order.path, quality=JPEG_QUALITY)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`; it takes `path`'s place when the block ends well, else it goes."""
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise FakefaceError(f"{path}: is there already, and is not overwritten; remove it first")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def run(folder: Path, params: SampleParams, workers: int) -> None:
    """Draw the sample in several processes; how many makes no difference to the files."""
    wanted = orders(params)
    with replacing_folder(folder) as temporary:
        for parent in sorted({(temporary / order.path).parent for order in wanted}):
            parent.mkdir(parents=True)
        with ProcessPoolExecutor(workers, initializer=_work_beside_others) as pool:
            saved = pool.map(partial(save, folder=temporary, image_px=params.image_px), wanted, chunksize=8)
            for _ in tqdm(saved, "draw", total=len(wanted), unit="photo", disable=None):
                pass


def _work_beside_others() -> None:
    """Leave interrupts to the parent, and the other cores to the other processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.sample", description=__doc__.splitlines()[0])
    parser.add_argument("sample", type=Path, help="the folder to make")
    parser.add_argument(
        "--params", type=Path, default=Path("params.yaml"), help="where its parameters stand (default: %(default)s)"
    )
    asked = parser.parse_args(argv)
    run(asked.sample, load_params(asked.params, "sample", SampleParams), workers=os.cpu_count() or 1)


if __name__ == "__main__":
    run_as_command(main)
