"""The drawn sample: its names and folders, that its seed decides all of it, and that it is whole or not there."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fakeface.core.errors import FakefaceError
from fakeface.core.files import sha256_of
from fakeface.core.records import SAMPLE_MARKER
from fakeface.faces.finder import find_landmarks
from fakeface.faces.regions import PARTS, Region, region_map
from fakeface.params import SampleParams
from fakeface.synthetic.photos import to_8_bit
from stages import sample
from stages.sample import Paths, PhotoSpec, is_used, photo_of, photo_specs, run
from tests.conftest import ROOT, write_params
from tests.processors import OLDEST, PROCESSORS, needs_wide_instructions

SMALL = SampleParams(seed=3, image_px=64, training_real=3, training_fake=5, test_real=2, test_fake=3)
LARGE = SampleParams(seed=0, image_px=160, training_real=50, training_fake=50, test_real=20, test_fake=45)
TWO_DOZEN: dict[str, Any] = {"image_px": 160, "training_real": 9, "training_fake": 9}
Drawn = subprocess.CompletedProcess[str]
NAME = re.compile(r"(training|test)/(real/real_\d{5}|fake/(easy|mid|hard)_[1-9]\d*_(?!0000)[01]{4})\.jpg")


def hashes(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in sorted(folder.rglob("*.jpg"))}


@pytest.fixture(scope="module")
def drawn_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "sample"
    run(Paths(folder), SMALL, workers=1)
    return folder


def test_names_counts_and_sides() -> None:
    specs = photo_specs(LARGE)
    assert all(NAME.fullmatch(spec.path) for spec in specs)
    folders = Counter(spec.path.rpartition("/")[0] for spec in specs)
    assert folders == {"training/real": 50, "training/fake": 50, "test/real": 20, "test/fake": 45}
    assert Counter(spec.difficulty for spec in specs if spec.path.startswith("test/fake")) == {
        "easy": 15,
        "mid": 15,
        "hard": 15,
    }
    numbers = [re.sub(r"_[01]{4}\.jpg$", "", spec.path.rpartition("/")[2]) for spec in specs]
    assert len(set(numbers)) == len(specs), "a number is used once, also across training and test"
    assert all(f"_{spec.bits}.jpg" in spec.path for spec in specs if spec.bits)


def test_every_pattern_of_bits_occurs_as_often_as_any_other() -> None:
    counts = Counter(spec.bits for spec in photo_specs(LARGE) if spec.path.startswith("test/fake"))
    assert len(counts) == 15
    assert set(counts.values()) == {3}


def test_no_two_photos_share_a_seed() -> None:
    states = {tuple(spec.seed.generate_state(4)) for spec in photo_specs(LARGE)}
    assert len(states) == len(photo_specs(LARGE))


def test_the_folder_holds_the_specified_photos(drawn_sample: Path) -> None:
    assert sorted(hashes(drawn_sample)) == sorted(spec.path for spec in photo_specs(SMALL))
    assert sorted(path.name for path in drawn_sample.parent.iterdir()) == ["sample"]
    tables = set()
    for path in drawn_sample.rglob("*.jpg"):
        with Image.open(path) as image:
            assert (image.format, image.size, image.mode) == ("JPEG", (64, 64), "RGB")
            tables.add(str(image.quantization))  # type: ignore[attr-defined]
    assert len(tables) == 1, "real and fake leave through one encoder"


def test_the_same_seed_gives_the_same_bytes_whatever_the_workers(drawn_sample: Path, tmp_path: Path) -> None:
    run(Paths(tmp_path / "again"), SMALL, workers=2)
    assert hashes(tmp_path / "again") == hashes(drawn_sample)


@pytest.mark.parametrize(("bits", "region"), [("1000", Region.LEFT_EYE), ("0100", Region.RIGHT_EYE), ("0010", Region.NOSE)])
def test_a_bit_is_the_part_that_is_found_there_in_the_photo(bits: str, region: Region) -> None:
    """Left and right by the names are those of the faces that are found, and of the set's real photos: the photo's."""
    spec = PhotoSpec("base.jpg", np.random.SeedSequence(7))
    base, edited = (to_8_bit(photo_of(which, 256)) for which in (spec, replace(spec, difficulty="easy", bits=bits)))
    landmarks = find_landmarks(Image.fromarray(base))
    assert landmarks is not None
    changed = np.abs(edited.astype(int) - base).mean(axis=2)
    regions = region_map(landmarks, 256)
    assert max(PARTS, key=lambda part: changed[regions == part].mean()) == region


def test_another_seed_gives_other_photos() -> None:
    ours, theirs = photo_specs(SMALL), photo_specs(SampleParams(**{**vars(SMALL), "seed": 4}))
    assert not np.array_equal(photo_of(ours[0], 64).pixels, photo_of(theirs[0], 64).pixels)


def test_only_the_named_parts_come_from_the_donor() -> None:
    fake = next(spec for spec in photo_specs(LARGE) if spec.difficulty == "easy")
    base = photo_of(PhotoSpec(fake.path, fake.seed), 64)
    for part in range(4):
        bits = "".join("1" if index == part else "0" for index in range(4))
        changed = np.abs(photo_of(PhotoSpec(fake.path, fake.seed, "easy", bits), 64).pixels - base.pixels).max(axis=0) > 0
        assert changed[base.parts[part] > 1].mean() > 0.9
        assert not changed[base.parts[part] < -1].any()


def command(*arguments: object, **environment: str) -> Drawn:
    return subprocess.run(
        [sys.executable, "-m", "stages.sample", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def draw(folder: Path, root: object = None, environment: Mapping[str, str] = MappingProxyType({}), **changes: object) -> Drawn:
    """What `python -m stages.sample` makes of folder/sample, where data.root is that or another one."""
    values = {"data": {"root": str(root or folder / "sample")}, "sample": vars(SMALL) | changes}
    write_params(folder / "params.yaml", values)
    return command("--sample", folder / "sample", "--params", folder / "params.yaml", **environment)


@pytest.fixture(scope="module")
def two_dozen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Hashes of photos as large as the project's, as they come here."""
    folder = tmp_path_factory.mktemp("two_dozen")
    done = draw(folder, **TWO_DOZEN)
    assert done.returncode == 0, done.stderr
    return hashes(folder / "sample")


@needs_wide_instructions
@pytest.mark.parametrize(
    "environment",
    [PROCESSORS["numpy"], PROCESSORS["libm"], PROCESSORS["libjpeg"], OLDEST],
    ids=["numpy", "libm", "libjpeg", "all"],
)
def test_the_same_bytes_whatever_the_processor(two_dozen: dict[str, str], environment: dict[str, str], tmp_path: Path) -> None:
    """That each environment takes effect is a test of tests/test_same_everywhere.py."""
    done = draw(tmp_path, environment=environment, **TWO_DOZEN)
    assert done.returncode == 0, done.stderr
    assert len(two_dozen) == 23
    assert hashes(tmp_path / "sample") == two_dozen


def test_a_wrong_parameter_is_named(tmp_path: Path) -> None:
    done = draw(tmp_path, test_real="many")
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path}/params.yaml: sample.test_real: 'many': should be a valid integer\n"
    assert not (tmp_path / "sample").exists()


@pytest.mark.parametrize("root", ["data/sample", "./data/../data/sample/", "$PWD/data/sample", "link", "data/sample/training"])
def test_the_sample_is_the_sample_however_it_is_spelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    (tmp_path / "link").symlink_to("data/sample")
    monkeypatch.chdir(tmp_path)
    assert is_used(Path("data/sample"), Path(root.replace("$PWD", str(tmp_path))))
    assert not is_used(Path("data/sample"), Path("data"))


def test_a_temporary_copy_draws_what_the_checkout_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC takes what ran in one with the same parameters for what would run in the other."""
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert is_used(Path("data/sample"), tmp_path / "data/sample")
    assert is_used(Path("data/sample"), Path("data/sample"))


def test_it_is_drawn_where_it_is_used_alone_and_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert draw(tmp_path, root=tmp_path / "photos").returncode == 0
    assert [path.name for path in (tmp_path / "sample").iterdir()] == ["NOT-DRAWN.txt"]
    shutil.rmtree(tmp_path / "sample")
    assert draw(tmp_path).returncode == 0
    assert sorted(path.name for path in (tmp_path / "sample").iterdir()) == [SAMPLE_MARKER, "test", "training"]
    assert "drawn" in (tmp_path / "sample" / SAMPLE_MARKER).read_text()
    assert list((tmp_path / "photos").iterdir()) == []


def test_it_is_drawn_too_where_its_photos_are_those_from_elsewhere(tmp_path: Path) -> None:
    values = {"data": {"root": str(tmp_path / "photos")}, "elsewhere": {"root": str(tmp_path / "sample/test/real")}}
    write_params(tmp_path / "params.yaml", values | {"sample": vars(SMALL)})
    assert command("--sample", tmp_path / "sample", "--params", tmp_path / "params.yaml").returncode == 0
    assert len(list((tmp_path / "sample/test/real").iterdir())) == SMALL.test_real


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "holiday.jpg").write_bytes(b"precious")
    done = command("--sample", tmp_path / "mine")
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path / 'mine'}: is there already, and is not overwritten; remove it first\n"
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "holiday.jpg"]


def test_a_file_in_the_way_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = command("--sample", tmp_path / "file" / "sample")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("stop", [KeyboardInterrupt, FakefaceError])
def test_no_half_folder_when_it_stops_midway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    def stopping(saved: object, *_: object, **__: object) -> object:
        next(saved)  # type: ignore[call-overload]
        raise stop

    monkeypatch.setattr(sample, "tqdm", stopping)
    with pytest.raises(stop):
        run(Paths(tmp_path / "sample"), SMALL, workers=1)
    assert list(tmp_path.iterdir()) == []
