import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from bench.child import measured
from fakeface.core.files import read_json, read_rows, write_rows
from fakeface.core.records import GroupRecord, ImageRecord, PairRecord
from fakeface.params import RelateParams
from fakeface.relations import shortlist
from fakeface.relations.cache import open_cache
from fakeface.relations.features import Features, detect_features
from fakeface.relations.matching import count_shared_points
from stages import relate
from tests.conftest import Command, Outcome, write_params
from tests.relations.test_features import pasted, textured

Relate = Callable[..., Outcome]

SECTION: dict[str, Any] = {"image_px": 450, "keypoints": 800, "max_scale": 2.0, "min_points": 7}


def write_index(root: Path, rows: Path) -> list[ImageRecord]:
    """The index of a folder as the stage `index` would write it."""
    records = []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name, digest = path.relative_to(root).as_posix(), sha256(path.read_bytes()).hexdigest()
        label, subset = (1 if "/fake/" in name else 0), name.split("/")[0].replace("real", "")
        bits = (None,) * 4
        records.append(ImageRecord(name, digest, label, "", *bits, 240, 240, path.stat().st_size, None, subset))  # type: ignore[arg-type]
    write_rows(rows, ImageRecord, records)
    return records


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Six unrelated photos; one of them copied, one in another format, one in a composite, one mirrored in a test composite."""
    root = tmp_path / "photos"
    for folder in ("training/real", "training/fake", "test/real", "test/fake"):
        (root / folder).mkdir(parents=True)
    real = root / "training/real"
    for number in range(6):
        textured(number).save(real / f"real_{number}.jpg", quality=90)
    shutil.copy(real / "real_0.jpg", root / "test/real/real_9.jpg")
    Image.open(real / "real_1.jpg").save(real / "real_8.png")
    pasted(textured(2), 60, 1.1, 5).save(root / "training/fake/easy_2_0001.jpg", quality=85)
    ImageOps.mirror(pasted(textured(2), 61)).save(root / "test/fake/mid_2_0001.jpg", quality=85)
    return root


@pytest.fixture
def run(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Relate:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "checkout"))

    def run(root: Path, out: str = "out", **changes: object) -> Outcome:
        params = tmp_path / "params.yaml"
        write_params(params, {"data": {"root": str(root)}, "relate": SECTION | changes})
        if not (tmp_path / "images.csv").exists():
            write_index(root, tmp_path / "images.csv")
        paths = (
            "--images",
            tmp_path / "images.csv",
            "--relations",
            tmp_path / out,
            "--metrics",
            tmp_path / out / "relate.json",
        )
        return command(relate, *paths, "--params", params)

    return run


def pairs(folder: Path) -> dict[tuple[str, str], str]:
    return {(row.path_a, row.path_b): row.kind for row in read_rows(folder / "pairs.csv", PairRecord)}


def groups(folder: Path) -> set[frozenset[str]]:
    rows = read_rows(folder / "groups.csv", GroupRecord)
    return {frozenset(row.path for row in rows if row.group == group) for group in {row.group for row in rows}}


def tables(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ("pairs.csv", "groups.csv", "relate.json")]


def test_what_is_related_is_one_group(root: Path, run: Relate, tmp_path: Path) -> None:
    assert run(root) == Outcome(0, "", "")
    found = pairs(tmp_path / "out")
    donor, composite, in_test = "training/real/real_2.jpg", "training/fake/easy_2_0001.jpg", "test/fake/mid_2_0001.jpg"
    assert found == {
        ("test/real/real_9.jpg", "training/real/real_0.jpg"): "bytes",
        ("training/real/real_1.jpg", "training/real/real_8.png"): "pixels",
        (composite, donor): "photo",
        (in_test, donor): "mirrored",
        (in_test, composite): "mirrored",
    }
    related = {group for group in groups(tmp_path / "out") if len(group) > 1}
    assert related == {
        frozenset({"test/real/real_9.jpg", "training/real/real_0.jpg"}),
        frozenset({"training/real/real_1.jpg", "training/real/real_8.png"}),
        frozenset({donor, composite, in_test}),
    }
    assert read_json(tmp_path / "out/relate.json") == {
        "pairs": 5,
        "pairs_bytes": 1,
        "pairs_pixels": 1,
        "pairs_photo": 1,
        "pairs_mirrored": 2,
        "groups": 3,
        "images_in_groups": 7,
        "largest_group": 3,
        "groups_real_and_fake": 1,
        "groups_training_and_test": 2,
    }


def test_every_image_is_a_row_and_its_group_is_a_content(root: Path, run: Relate, tmp_path: Path) -> None:
    run(root)
    records = read_rows(tmp_path / "images.csv", ImageRecord)
    rows = read_rows(tmp_path / "out/groups.csv", GroupRecord)
    assert [row.path for row in rows] == [record.path for record in records]
    digest = {record.path: record.sha256 for record in records}
    for row in rows:
        assert row.group == min(digest[other.path] for other in rows if other.group == row.group)


def test_order_names_cache_and_cores_change_nothing(
    root: Path, run: Relate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(root, "first")
    run(root, "cached")
    assert tables(tmp_path / "cached") == tables(tmp_path / "first")
    shutil.rmtree(tmp_path / "checkout")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    run(root, "without_cache")
    assert tables(tmp_path / "without_cache") == tables(tmp_path / "first")

    shutil.rmtree(tmp_path / "checkout")
    records = read_rows(tmp_path / "images.csv", ImageRecord)
    shuffled = np.random.default_rng(0).permutation(len(records))
    renamed = [replace(records[old], path=f"{new}.jpg") for new, old in enumerate(shuffled)]
    was = {new.path: next(old.path for old in records if replace(old, path=new.path) == new) for new in renamed}
    for new, old in was.items():
        shutil.copy(root / old, tmp_path / new)
    write_rows(tmp_path / "images.csv", ImageRecord, renamed)
    run(tmp_path, "renamed")
    by_name = {row.path: row.group for row in read_rows(tmp_path / "first/groups.csv", GroupRecord)}
    for row in read_rows(tmp_path / "renamed/groups.csv", GroupRecord):
        assert row.group == by_name[was[row.path]]


def test_only_what_is_new_is_computed(root: Path, run: Relate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described: list[object] = []
    compared: list[object] = []

    def describe(*args: Any) -> Features:
        described.append(args)
        return detect_features(*args)

    def compare(*args: Any) -> int:
        compared.append(args)
        return count_shared_points(*args)

    monkeypatch.setattr(relate, "detect_features", describe)
    monkeypatch.setattr(relate, "count_shared_points", compare)
    run(root)
    assert len(described) == 9  # of ten files two have the same bytes
    first = len(compared)
    assert first > 0
    run(root)
    assert (len(described), len(compared)) == (9, first)
    run(root, min_points=9)
    assert (len(described), len(compared)) == (9, first)
    pasted(textured(4), 70).save(root / "training/fake/hard_4_1000.jpg")
    (tmp_path / "images.csv").unlink()
    run(root)
    assert len(described) == 10
    assert 0 < len(compared) - first < first
    assert pairs(tmp_path / "out")["training/fake/hard_4_1000.jpg", "training/real/real_4.jpg"] == "photo"
    run(root, keypoints=700)
    assert len(described) == 20


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no archive", b"sha256_a,sha256_b\n1,2\n", b"\xff\0\xfe"])
def test_a_damaged_cache_is_no_cache(root: Path, run: Relate, tmp_path: Path, damage: bytes) -> None:
    run(root, "first")
    for path in (tmp_path / "checkout/.cache/relate").glob("*/*"):
        path.write_bytes(damage)
    assert run(root, "second") == Outcome(0, "", "")
    assert tables(tmp_path / "second") == tables(tmp_path / "first")


def test_an_interrupted_run_leaves_nothing_half(
    root: Path, run: Relate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(root, "whole")
    shutil.rmtree(tmp_path / "checkout")
    done: list[int] = []

    def stopped(*args: Any) -> Features:
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(1)
        return detect_features(*args)

    with monkeypatch.context() as patch:
        patch.setattr(relate, "detect_features", stopped)
        assert run(root, "out").status == 130
    assert not (tmp_path / "out").exists()
    assert {path.suffix for path in (tmp_path / "checkout").rglob("*") if path.is_file()} == {".npz"}
    assert not [link for link in Path("/proc/self/fd").iterdir() if str(tmp_path) in os.path.realpath(link)]
    run(root, "out")
    assert tables(tmp_path / "out") == tables(tmp_path / "whole")


def relate_in_small_buckets(argv: list[str]) -> None:
    """The stage with working memory for a few images at a time, so that growth is what is kept of all."""
    shortlist.BUCKET = 512
    relate.main(argv)


def test_memory_grows_by_features_and_a_small_row_per_image(tmp_path: Path) -> None:
    """Each image's features are cached here, so that the photos themselves are not needed."""
    params, rows = tmp_path / "params.yaml", tmp_path / "images.csv"
    write_params(params, {"data": {"root": str(tmp_path)}, "relate": SECTION})
    settings = RelateParams(**SECTION)
    rng = np.random.default_rng(0)
    counts, keypoints = (1000, 4000), 40
    feature_bytes, search_bytes, row_bytes = 136 * keypoints * 9 / 8, 64 * keypoints, 2048  # an eighth is room to grow
    peaks: list[float] = []
    for count in counts:
        shared = rng.gamma(0.5, 60, (count, 128))
        checkout = tmp_path / str(count)
        cache = open_cache(checkout / ".cache/relate", (settings.image_px, settings.keypoints, settings.max_scale))
        digests = [sha256(str(number).encode()).hexdigest() for number in range(count)]
        for digest in digests:
            descriptors = rng.gamma(0.5, 60, (keypoints, 128))
            descriptors[:5] = shared[rng.integers(0, count, 5)] + rng.normal(size=128)
            of_image = Features(np.zeros((keypoints, 2), np.float32), np.clip(descriptors, 0, 255).astype(np.uint8))
            cache.store_features(digest, digest, of_image)
        bits = (None,) * 4
        images = [ImageRecord(f"{digest}.png", digest, 0, "", *bits, 64, 64, 99, None, "") for digest in digests]
        write_rows(rows, ImageRecord, images)
        paths = ("--images", rows, "--relations", checkout, "--metrics", checkout / "relate.json", "--params", params)
        measures = measured("tests.stages.test_relate", "relate_in_small_buckets", *paths, DVC_ROOT=str(checkout))
        peaks.append(2**20 * measures["peak_mib"])
    per_image = (peaks[1] - peaks[0]) / (counts[1] - counts[0])
    assert per_image <= feature_bytes + search_bytes + row_bytes


def test_caches_of_earlier_settings_are_deleted_when_unused(root: Path, run: Relate, tmp_path: Path) -> None:
    caches = tmp_path / "checkout/.cache/relate"
    for image_px in (300, 320, 340):
        assert run(root, image_px=image_px) == Outcome(0, "", "")
    assert len(list(caches.iterdir())) == 3
    (oldest,) = (
        path for path in caches.iterdir() if all(path.stat().st_mtime <= one.stat().st_mtime for one in caches.iterdir())
    )
    deleted = f"{caches}: deleted unused caches of earlier settings: {oldest.name}\n"
    assert run(root, image_px=360) == Outcome(0, "", deleted)
    assert len(list(caches.iterdir())) == 3
    assert not oldest.exists()


def test_photos_without_a_feature_are_related_to_none(run: Relate, tmp_path: Path) -> None:
    (tmp_path / "photos/real").mkdir(parents=True)
    for shade in range(3):
        Image.new("RGB", (40, 40), (shade, 90, 90)).save(tmp_path / f"photos/real/{shade}.png")
    assert run(tmp_path / "photos") == Outcome(0, "", "")
    assert len(groups(tmp_path / "out")) == 3


def test_a_file_changed_since_it_was_indexed_is_told(root: Path, run: Relate, tmp_path: Path) -> None:
    write_index(root, tmp_path / "images.csv")
    path = root / "training/real/real_3.jpg"
    textured(99).save(path)
    assert run(root) == Outcome(1, "", f"error: {path}: changed since it was indexed: `dvc repro` indexes it again\n")
    path.unlink()
    assert run(root) == Outcome(1, "", f"error: {path}: No such file or directory\n")


@pytest.mark.parametrize(
    ("key", "value"), [("image_px", 10), ("keypoints", "many"), ("max_scale", 0.5), ("min_points", 3), ("threads", 2)]
)
def test_a_wrong_parameter_is_named(root: Path, run: Relate, key: str, value: object) -> None:
    outcome = run(root, **{key: value})
    assert outcome.status == 2
    assert f"params.yaml: relate.{key}: " in outcome.err
