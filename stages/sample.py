"""Draw the sample: face-like photos and composites of them, named and laid out like the real set.

reads   params.yaml: data, elsewhere, sample
does    renders every photo from a seed of its own; a composite's faces appear in no other photo
writes  SAMPLE/training/{real,fake}/*.jpg, SAMPLE/test/{real,fake}/*.jpg and a file that says what they are, all or nothing;
        where data.root and elsewhere.root are other folders, a file that says so

It stands in for data that may not be redistributed, to run and to test the pipeline: no photo in it is of anybody.
"""

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

import numpy as np
from PIL import Image
from tqdm import tqdm

from fakeface.core.arguments import ParamsPath, parse_paths
from fakeface.core.checkout import checkout_root
from fakeface.core.cores import available_cores
from fakeface.core.errors import FakefaceError, run_as_command
from fakeface.core.records import FAKE, LABEL_NAMES, PARTS, REAL, SAMPLE_MARKER
from fakeface.params import DataParams, ElsewhereParams, SampleParams, load_params
from fakeface.synthetic.arithmetic import uniform
from fakeface.synthetic.photos import RETOUCHES, Photo, composite, render, to_8_bit
from fakeface.synthetic.traits import Camera, Face, Scene, random_shot

JPEG_QUALITY = 90
MARKER_TEXT = """\
The faces in this folder are drawn by Fakeface (python -m stages.sample): of nobody, and no test of a model for real photos.
Leave this file beside them: by it, reports and verdicts say that a model learned from drawn faces.
"""
NOT_DRAWN = "NOT-DRAWN.txt"
NOT_DRAWN_TEXT = """\
The sample is drawn while data.root or elsewhere.root in params.yaml is this folder or in it. DVC keeps what it drew before, and
puts it back then.
"""
PATTERNS = 2 ** len(PARTS) - 1


@dataclass(frozen=True)
class Paths:
    sample: Annotated[Path, "folder to make"]
    params: ParamsPath = Path("params.yaml")


@dataclass(frozen=True)
class PhotoSpec:
    """What a photo is rendered from; `bits` has a 1 for each of PARTS that comes from another face, none for a real photo."""

    path: str
    seed: np.random.SeedSequence
    difficulty: str = ""
    bits: str = ""


def photo_specs(params: SampleParams) -> list[PhotoSpec]:
    """Every photo of the sample; no seed and no number is used twice, and the bits' patterns are equally frequent."""
    seeds = iter(
        np.random.SeedSequence(params.seed).spawn(
            2 + params.training_real + params.training_fake + params.test_real + params.test_fake
        )
    )
    specs: list[PhotoSpec] = []
    numbers = dict.fromkeys(RETOUCHES, 0)
    first_real = 1
    for subset, real, fake in (
        ("training", params.training_real, params.training_fake),
        ("test", params.test_real, params.test_fake),
    ):
        reals = range(first_real, first_real + real)
        first_real += real
        specs += [PhotoSpec(f"{subset}/{LABEL_NAMES[REAL]}/real_{number:05}.jpg", next(seeds)) for number in reals]
        patterns = np.random.default_rng(next(seeds)).permutation(fake) % PATTERNS + 1
        for index, pattern in enumerate(patterns):
            difficulty = tuple(RETOUCHES)[index % len(RETOUCHES)]
            numbers[difficulty] += 1
            bits = f"{pattern:0{len(PARTS)}b}"
            name = f"{difficulty}_{numbers[difficulty]}_{bits}.jpg"
            specs.append(PhotoSpec(f"{subset}/{LABEL_NAMES[FAKE]}/{name}", next(seeds), difficulty, bits))
    return specs


def photo_of(spec: PhotoSpec, image_px: int) -> Photo:
    rng = np.random.default_rng(spec.seed)
    face, scene, camera = random_shot(rng)
    base = render(face, scene, camera, image_px)
    if not spec.bits:
        return base
    donor = render(*donor_traits(face, scene, rng), image_px)
    parts = [part for part, bit in enumerate(spec.bits) if bit == "1"]
    return composite(base, donor, parts, RETOUCHES[spec.difficulty])


def donor_traits(face: Face, scene: Scene, rng: np.random.Generator) -> tuple[Face, Scene, Camera]:
    """Another face with a skin and a pose like the base's, as a forger would choose it, in a light and camera of its own."""
    other_face, other_scene, camera = random_shot(rng)
    tone = min(max(face.tone + uniform(rng, -0.3, 0.3), 0.0), 1.0)
    other_scene = replace(
        other_scene,
        centre_x=scene.centre_x,
        centre_y=scene.centre_y,
        size=scene.size * uniform(rng, 0.94, 1.06),
        roll=scene.roll + uniform(rng, -0.04, 0.04),
        yaw=scene.yaw + uniform(rng, -0.15, 0.15),
    )
    return replace(other_face, tone=tone, beard=face.beard), other_scene, camera


def save(spec: PhotoSpec, folder: Path, image_px: int) -> None:
    """Every photo takes this one way to its file, whatever it shows."""
    Image.fromarray(to_8_bit(photo_of(spec, image_px))).save(folder / spec.path, quality=JPEG_QUALITY)


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


def is_used(sample: Path, root: Path) -> bool:
    """Whether a folder of photos is the sample or in it, however its name is spelled.

    The user's own sample counts in a temporary copy of the checkout too: DVC remembers what ran in one for the other.
    """
    real_root = Path(os.path.realpath(root))
    samples = {Path(os.path.realpath(sample)), Path(os.path.realpath(checkout_root() / sample))}
    return not samples.isdisjoint([real_root, *real_root.parents])


def run(paths: Paths, params: SampleParams, workers: int) -> None:
    """Draw the sample in several processes; how many makes no difference to the files."""
    specs = photo_specs(params)
    with replacing_folder(paths.sample) as temporary:
        for parent in sorted({(temporary / spec.path).parent for spec in specs}):
            parent.mkdir(parents=True)
        with ProcessPoolExecutor(workers, initializer=_leave_interrupts_to_parent) as pool:
            saved = pool.map(partial(save, folder=temporary, image_px=params.image_px), specs, chunksize=8)
            for _ in tqdm(saved, "draw", total=len(specs), unit="photo", disable=None):
                pass
        (temporary / SAMPLE_MARKER).write_text(MARKER_TEXT, encoding="utf-8")


def _leave_interrupts_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def main(argv: list[str]) -> None:
    paths = parse_paths(Paths, argv)
    roots = load_params(paths.params, "data", DataParams).root, load_params(paths.params, "elsewhere", ElsewhereParams).root
    if any(is_used(paths.sample, root) for root in roots if root):
        run(paths, load_params(paths.params, "sample", SampleParams), workers=available_cores())
    else:
        with replacing_folder(paths.sample) as temporary:
            (temporary / NOT_DRAWN).write_text(NOT_DRAWN_TEXT, encoding="utf-8")


if __name__ == "__main__":
    run_as_command(main)
