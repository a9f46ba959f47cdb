"""Decoding and statistics as others write them, and as fast as they can be; no torch. Commands take a list of arguments."""

import os
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fakeface.core.cores import available_cores
from fakeface.core.parallel import SCHEDULER, on_all_machines

Pixels = NDArray[np.uint8]


def files(folder: Path | str) -> list[Path]:
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


def decoded(path: Path, px: int) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((px, px), Image.Resampling.BILINEAR))


def give_out(argv: list[str]) -> None:
    """PHOTO COUNT: have the photo decoded so many times, on workers where there are some."""
    photo, count = argv
    for _ in on_all_machines(partial(decoded_again, photo=Path(photo)), repeat(0, int(count)), None):
        pass


def decoded_again(_: int, photo: Path) -> Pixels:
    return decoded(photo, 64)


def give_out_nothing(argv: list[str]) -> None:
    """COUNT: so many tasks that do nothing, on the scheduler's workers, a few at a time."""
    from fakeface.core.cluster import connected

    with connected(os.environ[SCHEDULER]) as cluster:
        submit, waiting = cluster.submitter(partial(int)), deque[Future[int]]()
        for number in range(int(argv[0])):
            waiting.append(submit(number))
            if len(waiting) > 2 * cluster.threads():
                waiting.popleft().result()
        for future in waiting:
            future.result()


def statistics_in_lists(images: Iterable[Pixels]) -> tuple[list[float], list[float]]:
    """Mean and deviation per channel in 0..1, as the notebook has them: every pixel of every image in a Python list."""
    values: tuple[list[int], list[int], list[int]] = ([], [], [])
    for image in images:
        for channel, of_channel in enumerate(values):
            of_channel.extend(image[..., channel].ravel().tolist())
    return [float(np.mean(channel)) / 255 for channel in values], [float(np.std(channel)) / 255 for channel in values]


def statistics_in_numpy(images: Pixels) -> tuple[list[float], list[float]]:
    scaled = images / 255
    return scaled.mean(axis=(0, 1, 2)).tolist(), scaled.std(axis=(0, 1, 2)).tolist()


def list_statistics_of_files(argv: list[str]) -> None:
    """FOLDER, at the photos' full size."""
    statistics_in_lists(np.asarray(Image.open(path).convert("RGB")) for path in files(argv[0]))


def list_statistics_of_array(argv: list[str]) -> None:
    """FILE.npy."""
    statistics_in_lists(np.load(argv[0]))


def numpy_statistics_of_array(argv: list[str]) -> None:
    """FILE.npy."""
    statistics_in_numpy(np.load(argv[0]))


def sum_of_array(argv: list[str]) -> None:
    """FILE.npy: every byte looked at once, eight at a time."""
    images = np.load(argv[0], mmap_mode="r").reshape(-1)
    images[: len(images) // 8 * 8].view(np.uint64).sum()


def bare_decoding(argv: list[str]) -> None:
    """FOLDER PX: decode and resize on all cores, keep nothing."""

    def dropped(path: Path) -> None:
        decoded(path, int(argv[1]))

    with ThreadPoolExecutor(available_cores()) as executor:
        for _ in executor.map(dropped, files(argv[0])):
            pass


def simple_packing(argv: list[str]) -> None:
    """FOLDER PX FILE.npy: a loop, a stack, a file."""
    np.save(argv[2], np.stack([decoded(path, int(argv[1])) for path in files(argv[0])]))
