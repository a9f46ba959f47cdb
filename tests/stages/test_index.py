import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from PIL import Image

from bench.child import measured
from fakeface.core.files import read_json, read_rows, write_rows
from fakeface.core.frames import frame_of
from fakeface.core.listing import FileRecord
from fakeface.core.records import SAMPLE_MARKER, ImageRecord, RejectedRecord
from stages import index, scan
from tests.conftest import Command, Outcome, photo, write_params, write_photos

Index = Callable[..., Outcome]


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """The set as its authors lay it out, with fewer photos."""
    write_photos(tmp_path / "faces", {"training/real": 4, "training/fake": 6, "test/real": 2, "test/fake": 3})
    return tmp_path / "faces"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of one's own: two real and two fake photos."""
    write_photos(tmp_path / "own", {"real": 2, "fake": 2})
    return tmp_path / "own"


@pytest.fixture
def run(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    """Runs `scan`, then `index`."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "checkout"))

    def run(root: Path, max_rejected: object = 20) -> Outcome:
        params = tmp_path / "params.yaml"
        write_params(params, {"data": {"root": str(root)}, "index": {"max_rejected": max_rejected}})
        out, listing = tmp_path / "out", tmp_path / "listing.csv"
        scanned = command(scan, "--listing", listing, "--elsewhere", tmp_path / "elsewhere.csv", "--params", params)
        if scanned.status:
            return scanned
        paths = (
            "--listing",
            listing,
            "--images",
            out / "images.csv",
            "--rejected",
            out / "rejected.csv",
            "--metrics",
            out / "index.json",
        )
        indexed = command(index, *paths, "--params", params)
        return replace(indexed, out=indexed.out.replace(f"({out / 'rejected.csv'} says why)", "(says why)"))

    return run


@pytest.fixture
def images(tmp_path: Path) -> Callable[[], dict[str, ImageRecord]]:
    return lambda: {record.path: record for record in read_rows(tmp_path / "out" / "images.csv", ImageRecord)}


@pytest.fixture
def rejected(tmp_path: Path) -> Callable[[], dict[str, str]]:
    return lambda: {record.path: record.reason for record in read_rows(tmp_path / "out" / "rejected.csv", RejectedRecord)}


def summary(
    real: int,
    fake: int,
    *subsets: str,
    duplicates: int = 0,
    elsewhere: int = 0,
    rejected: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """What `index` prints, but for the folder of rejected.csv."""
    lines = [f"{real + fake} images: {real} real, {fake} fake", *(f"  {subset}" for subset in subsets)]
    lines += [f"left out: {duplicates} duplicates, {elsewhere} files in other folders, {len(rejected)} rejected (says why)"]
    return "\n".join([*lines, *(f"  {path}: {reason}" for path, reason in rejected.items()), ""])


Images = Callable[[], dict[str, ImageRecord]]
Rejected = Callable[[], dict[str, str]]


def test_every_image_is_a_row(faces: Path, run: Index, images: Images, rejected: Rejected, tmp_path: Path) -> None:
    assert run(faces) == Outcome(0, summary(6, 9, "training: 4 real, 6 fake", "test: 2 real, 3 fake"), "")
    assert list(images()) == sorted(path.relative_to(faces).as_posix() for path in faces.rglob("*.jpg"))
    path = faces / "training/fake/mid_1_0010.jpg"
    with Image.open(path) as image:
        luma_sum = sum(image.quantization[0])  # type: ignore[attr-defined]
    assert images()["training/fake/mid_1_0010.jpg"] == ImageRecord(
        path="training/fake/mid_1_0010.jpg",
        sha256=sha256(path.read_bytes()).hexdigest(),
        label=1,
        difficulty="mid",
        left_eye=0,
        right_eye=0,
        nose=1,
        mouth=0,
        width=48,
        height=48,
        bytes=path.stat().st_size,
        luma_quantisation_sum=luma_sum,
        subset="training",
    )
    real = images()["test/real/real_00001.jpg"]
    assert (real.label, real.difficulty, real.nose, real.subset) == (0, "", None, "test")
    assert rejected() == {}
    assert read_json(tmp_path / "out/index.json") == {
        "images": 15,
        "real": 6,
        "fake": 9,
        "duplicates": 0,
        "rejected": 0,
        "is_sample": False,
    }


def test_the_same_folder_gives_the_same_bytes(faces: Path, run: Index, tmp_path: Path) -> None:
    run(faces)
    before = (tmp_path / "out/images.csv").read_bytes()
    shutil.move(faces, tmp_path / "elsewhere")
    run(tmp_path / "elsewhere")
    assert (tmp_path / "out/images.csv").read_bytes() == before


@pytest.mark.parametrize("above", ["", "archive", "archive/faces"])
def test_the_sets_folders_may_stand_below_the_root(run: Index, images: Images, tmp_path: Path, above: str) -> None:
    write_photos(tmp_path / "root" / above, {"training/real": 1, "training/fake": 1})
    assert run(tmp_path / "root").status == 0
    assert {Path(path).parent.as_posix() for path in images()} == {
        str(Path(above) / f"training/{name}") for name in ("real", "fake")
    }


def test_kaggles_doubled_copy_is_indexed_once(run: Index, images: Images, tmp_path: Path) -> None:
    root = tmp_path / "archive"
    write_photos(root / "real_and_fake_face", {"training_real": 3, "training_fake": 4})
    shutil.copytree(root / "real_and_fake_face", root / "real_and_fake_face_detection/real_and_fake_face")
    assert run(root).status == 0
    assert len(images()) == 7
    assert all(path.startswith("real_and_fake_face/training_") for path in images())
    assert {record.subset for record in images().values()} == {"training"}
    assert read_json(tmp_path / "out/index.json") == {
        "images": 7,
        "real": 3,
        "fake": 4,
        "duplicates": 7,
        "rejected": 0,
        "is_sample": False,
    }


def test_an_own_folder_needs_no_names(own: Path, run: Index, images: Images) -> None:
    photo(7).save(own / "real" / "우리 가족 (1).png")
    photo(8).save(own / "fake" / "real deal.webp")
    assert run(own) == Outcome(0, summary(3, 3), "")
    family = images()["real/우리 가족 (1).png"]
    assert (family.label, family.difficulty, family.luma_quantisation_sum, family.subset) == (0, "", None, "")
    assert images()["fake/real deal.webp"].label == 1
    assert images()["fake/mid_1_0010.jpg"].difficulty == "mid"


def test_in_an_own_folder_the_folder_decides(own: Path, run: Index, images: Images, rejected: Rejected) -> None:
    """And a name that says something else says nothing."""
    photo(7).save(own / "fake/real_00001.jpg")
    photo(8).save(own / "real/mid_1_0010.jpg")
    photo(9).save(own / "fake/hard_7_1100.jpg")
    assert run(own) == Outcome(0, summary(3, 4), "")
    assert rejected() == {}
    found = {path: (record.label, record.difficulty, record.left_eye) for path, record in images().items()}
    assert found["fake/real_00001.jpg"] == (1, "", None)
    assert found["real/mid_1_0010.jpg"] == (0, "", None)
    assert found["fake/hard_7_1100.jpg"] == (1, "hard", 1)


def test_photos_may_stand_in_folders_of_their_own(own: Path, run: Index, images: Images, rejected: Rejected) -> None:
    """A folder per person, say, whatever it is called."""
    for path in ("real/id0/1.jpg", "real/id1/1.jpg", "fake/test/real/deep/2.jpg", "fake/training_real/3.jpg"):
        (own / path).parent.mkdir(parents=True)
        photo(len(path)).save(own / path)
    assert run(own) == Outcome(0, summary(3, 4, duplicates=1), "")
    labels = {path: record.label for path, record in images().items()}
    assert labels["real/id0/1.jpg"] == 0
    assert labels["fake/test/real/deep/2.jpg"] == labels["fake/training_real/3.jpg"] == 1
    assert rejected() == {}


@pytest.mark.parametrize("above", ["", "real_vs_fake/real-vs-fake"])
@pytest.mark.parametrize(
    ("train", "valid", "test"), [("train", "valid", "test"), ("Train", "Validation", "Test"), ("train", "val", "test")]
)
def test_kaggles_140k_tree(run: Index, images: Images, tmp_path: Path, above: str, train: str, valid: str, test: str) -> None:
    """Its valid photos are for training: `split` draws the side valid."""
    root = tmp_path / "archive"
    names = {}
    for seed, (folder, subset) in enumerate([(train, "training"), (valid, "training"), (test, "test")]):
        for label in ("real", "fake"):
            path = Path(above, folder, label.capitalize() if folder[0].isupper() else label, f"{seed}{label}.jpg")
            (root / path).parent.mkdir(parents=True)
            photo(2 * seed + (label == "real")).save(root / path)
            names[path.as_posix()] = (label == "fake", subset)
    (root / "train.csv").write_text("id,label\n")
    assert run(root) == Outcome(0, summary(3, 3, "training: 2 real, 2 fake", "test: 1 real, 1 fake", elsewhere=1), "")
    assert {path: (bool(record.label), record.subset) for path, record in images().items()} == names


@pytest.mark.parametrize(
    ("folders", "complaint"),
    [
        (
            {"real": 3, "fake": 2, "old/test/real": 4, "old/test/fake": 5},
            "old/test/fake (5), old/test/real (4); and fake (2), real (3)",
        ),
        (
            {"training/real": 1, "training/fake": 1, "train/real": 2, "train/fake": 2},
            "training/fake (1), training/real (1); and train/fake (2), train/real (2)",
        ),
        (
            {"a/training_real": 1, "a/training_fake": 1, "b/training/real": 1, "b/training/fake": 1, "real": 1},
            "b/training/fake (1), b/training/real (1); and a/training_fake (1), a/training_real (1); and real (1)",
        ),
    ],
)
def test_two_layouts_in_one_folder_are_an_error(run: Index, tmp_path: Path, folders: dict[str, int], complaint: str) -> None:
    """None is preferred in silence."""
    write_photos(tmp_path / "photos", folders)
    told = f"{tmp_path}/photos: files in the folders of several layouts, of which one is expected: {complaint}"
    assert run(tmp_path / "photos") == Outcome(1, "", f"error: {told}\n")


def test_what_is_left_out_is_counted_and_told(own: Path, run: Index, tmp_path: Path) -> None:
    (own / "notes").mkdir()
    for number in range(2):
        (own / f"notes/{number}.txt").touch()
    (own / "real/empty.jpg").touch()
    (own / "fake/gone.jpg").symlink_to("nowhere")
    left_out = {"fake/gone.jpg": "a link to nothing", "real/empty.jpg": "empty file"}
    assert run(own) == Outcome(0, summary(2, 2, elsewhere=2, rejected=left_out), "")


@pytest.mark.parametrize("place", ["", "training", "copied/deep"])
def test_the_drawn_sample_says_itself_that_it_is_drawn(faces: Path, run: Index, tmp_path: Path, place: str) -> None:
    """Wherever it lies and whatever data.root is called."""
    run(faces)
    assert not read_json(tmp_path / "out/index.json")["is_sample"]
    (faces / SAMPLE_MARKER).write_text("drawn")
    root = faces
    if place == "training":
        root = faces / "training"
    elif place:
        shutil.copytree(faces, tmp_path / "archive" / place)
        root = tmp_path / "archive"
    outcome = run(root)
    assert (outcome.status, outcome.err) == (0, "")
    assert "0 files in other folders" in outcome.out
    assert read_json(tmp_path / "out/index.json")["is_sample"]


def test_three_bits_are_unknown_bits(faces: Path, run: Index, images: Images) -> None:
    photo(9).save(faces / "training/fake/easy_116_111.jpg")
    run(faces)
    record = images()["training/fake/easy_116_111.jpg"]
    assert (record.difficulty, record.left_eye, record.right_eye, record.nose, record.mouth) == ("easy", None, None, None, None)


def test_of_copies_the_one_nearest_to_the_root_stays() -> None:
    image = ImageRecord("b/c/real_1.jpg", "a", 0, "", None, None, None, None, 9, 9, 9, None, "training")
    records = [
        image,
        replace(image, path="b/real_1.jpg"),
        replace(image, path="a/c/real_1.jpg"),
        replace(image, path="c/real_1.jpg"),
        replace(image, path="b/d/real_1.jpg", sha256="b"),
        replace(image, path="b/e/real_1.jpg", sha256="c", label=1),
        replace(image, path="b/f/real_1.jpg", sha256="c", subset="test"),
        replace(image, path="real_2.jpg"),
    ]
    stay = ["b/d/real_1.jpg", "b/e/real_1.jpg", "b/f/real_1.jpg", "b/real_1.jpg", "real_2.jpg"]
    for order in (records, records[::-1]):
        assert list(index.drop_copies(frame_of(ImageRecord, order))["path"]) == stay


def test_of_several_copies_under_the_other_label_the_last_is_named(own: Path, run: Index, rejected: Rejected) -> None:
    data = (own / "fake/easy_0_0001.jpg").read_bytes()
    for name in ("b.jpg", "é.jpg", "\uff5e.jpg", "\U0001f600.jpg"):
        (own / "real" / name).write_bytes(data)
    assert run(own).status == 0
    assert rejected()["fake/easy_0_0001.jpg"] == "labelled real too: the same bytes as real/\U0001f600.jpg"
    assert list(rejected()) == [
        "fake/easy_0_0001.jpg",
        "real/b.jpg",
        "real/é.jpg",
        "real/\uff5e.jpg",
        "real/\U0001f600.jpg",
    ]


def test_copies_in_one_folder_and_across_subsets_stay(faces: Path, run: Index, images: Images) -> None:
    shutil.copy(faces / "training/real/real_00000.jpg", faces / "training/real/real_00099.jpg")
    shutil.copy(faces / "training/real/real_00001.jpg", faces / "test/real/real_00001.jpg")
    assert run(faces).status == 0
    assert len(images()) == 16


def test_what_the_system_leaves_behind_is_no_image(faces: Path, run: Index, images: Images, rejected: Rejected) -> None:
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._real_00000.jpg"):
        (faces / "training/real" / name).write_bytes(b"x")
    (faces / ".trash/training/real").mkdir(parents=True)
    (faces / ".trash/training/real/real_1.jpg").write_bytes(b"x")
    assert run(faces).status == 0
    assert (len(images()), rejected()) == (15, {})


def test_what_cannot_be_used_is_listed_and_the_rest_is_unharmed(
    faces: Path, run: Index, images: Images, rejected: Rejected
) -> None:
    run(faces)
    sound = images()
    real, fake = faces / "training/real", faces / "training/fake"
    jpeg = (real / "real_00000.jpg").read_bytes()
    (real / "real_00010.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (real / "real_00011.jpg").write_bytes(b"")
    (real / "real_00012.jpg").write_text("a diary")
    (real / "real_00013.jpg").symlink_to(real / "nowhere.jpg")
    (real / "real_00014.jpg").symlink_to(real / "real_00014.jpg")
    (real / "real_00015.jpg").mkdir()  # empty: no file
    os.mkfifo(real / "real_00016.jpg")
    photo(20).save(fake / "real_00017.jpg")
    photo(21).save(real / "portrait.jpg")
    photo(22).save(real / "real_00018 (1).jpg")
    (real / "real_00019\n.jpg").write_bytes(jpeg)
    (real / os.fsdecode(b"real_\xff.jpg")).write_bytes(jpeg)
    photo(23).save(fake / "hard_1_1111.webp", save_all=True, append_images=[photo(24)])
    (real / "real_00030.jpg").write_bytes((fake / "easy_0_0001.jpg").read_bytes())
    outcome = run(faces)
    assert (outcome.status, outcome.err) == (0, "")
    name_rule = "its name tells no label: expected one like real_00001.jpg or easy_100_1110.jpg"
    assert rejected() == {
        "training/real/real_00010.jpg": f"truncated JPEG (only {len(jpeg) // 2:,} bytes are there)",
        "training/real/real_00011.jpg": "empty file",
        "training/real/real_00012.jpg": "not a JPEG, PNG, WEBP, BMP or TIFF image",
        "training/real/real_00013.jpg": "a link to nothing",
        "training/real/real_00014.jpg": "Too many levels of symbolic links",
        "training/real/real_00016.jpg": "not a regular file",
        "training/fake/real_00017.jpg": "its name says real, its folder fake",
        "training/real/portrait.jpg": name_rule,
        "training/real/real_00018 (1).jpg": name_rule,
        "training/real/real_00019\n.jpg": "its name holds control characters or is not UTF-8",
        r"training/real/real_\udcff.jpg": "its name holds control characters or is not UTF-8",
        "training/fake/hard_1_1111.webp": "2 frames: expected a still image",
        "training/fake/easy_0_0001.jpg": "labelled real too: the same bytes as training/real/real_00030.jpg",
        "training/real/real_00030.jpg": "labelled fake too: the same bytes as training/fake/easy_0_0001.jpg",
    }
    sound.pop("training/fake/easy_0_0001.jpg")
    assert images() == sound


def test_every_kind_of_sound_image_is_used(own: Path, run: Index, images: Images, rejected: Rejected) -> None:
    real = own / "real"
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(1).convert("CMYK").save(real / "cmyk.jpg")
    photo(2).convert("L").save(real / "grey.jpg")
    photo(3).quantize(16).save(real / "palette.png")
    photo(4).convert("RGBA").save(real / "alpha.png")
    Image.fromarray(np.full((9, 9), 40_000, np.uint16)).save(real / "sixteen.png")
    photo(5, 40, 20).save(real / "turned.jpg", exif=exif)
    photo(6).save(real / "a png.jpg", "PNG")
    assert run(own) == Outcome(0, summary(9, 2), "")
    assert rejected() == {}
    assert len(images()) == 4 + 7
    assert (images()["real/turned.jpg"].width, images()["real/turned.jpg"].height) == (20, 40)


def test_too_many_rejected_is_an_error_that_says_why(faces: Path, run: Index, rejected: Rejected, tmp_path: Path) -> None:
    for number in range(10, 15):
        (faces / f"training/real/real_{number:05}.jpg").write_bytes(b"")
    assert run(faces, max_rejected=5).status == 0
    shutil.rmtree(tmp_path / "out")
    listed = "; ".join(f"training/real/real_{number:05}.jpg: empty file" for number in range(10, 13))
    complaint = f"{faces}: 5 files cannot be used, more than index.max_rejected (4): {listed}"
    outcome = run(faces, max_rejected=4)
    assert (outcome.status, outcome.err) == (1, f"error: {complaint} (all in {tmp_path}/out/rejected.csv)\n")
    assert len(rejected()) == 5
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["rejected.csv"]


def test_a_class_without_images_is_an_error(own: Path, run: Index) -> None:
    shutil.rmtree(own / "fake")
    complaint = f"error: {own}: no fake image that can be used: expected some of each class\n"
    assert run(own) == Outcome(1, summary(2, 0), complaint)
    (own / "fake").mkdir()
    assert run(own) == Outcome(1, summary(2, 0), complaint)
    (own / "fake/a.jpg").write_bytes(b"")
    assert run(own).err.startswith(complaint.strip() + ". fake/a.jpg: empty file (all in ")


@pytest.mark.parametrize("folders", [(), ("real",), ("faces/real", "faces/fake"), ("a/b/c/training/real",)])
def test_an_unknown_layout_names_those_known(run: Index, tmp_path: Path, folders: tuple[str, ...]) -> None:
    root = tmp_path / "photos"
    for folder in ("", *folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
    if folders != ("real",):
        (root / (folders[0] if folders else "") / "real_1.jpg").write_bytes(b"x")
    assert run(root) == Outcome(
        1,
        "",
        f"error: {root}: no images in the folders of a known layout: expected training/real training/fake test/real test/fake, "
        "or training_real training_fake, or train/real train/fake valid/real valid/fake test/real test/fake, or real fake\n",
    )


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("fake", "Too many levels of symbolic links"),
        ("nowhere", "a link to nothing"),
        (".", "a link to a folder that it lies in"),
        ("notes.txt", "not a JPEG, PNG, WEBP, BMP or TIFF image"),
    ],
)
def test_what_stands_in_the_place_of_a_labels_folder_is_told(own: Path, run: Index, target: str, reason: str) -> None:
    shutil.rmtree(own / "fake")
    (own / "notes.txt").write_text("a diary")
    (own / "fake").symlink_to(own / target)
    outcome = run(own)
    assert outcome.status == 1
    assert outcome.err.startswith(
        f"error: {own}: no fake image that can be used: expected some of each class. fake: {reason} ("
    )


def test_a_photo_that_changes_while_it_is_indexed_is_an_error(own: Path, run: Index, command: Command, tmp_path: Path) -> None:
    run(own)
    photo(9).save(own / "real/real_00001.jpg")
    out = tmp_path / "again"
    paths = ("--images", out / "images.csv", "--rejected", out / "rejected.csv", "--metrics", out / "index.json")
    outcome = command(index, "--listing", tmp_path / "listing.csv", *paths, "--params", tmp_path / "params.yaml")
    complaint = f"{own}/real/real_00001.jpg: changed since it was indexed: `dvc repro` indexes it again"
    assert outcome == Outcome(1, "", f"error: {complaint}\n")
    assert not out.exists()


def test_a_photo_costs_two_kilobytes_of_memory_at_most(tmp_path: Path) -> None:
    peaks_mib = []
    for count in (5_000, 30_000):
        root = tmp_path / f"{count}"
        write_photos(root, {"real": 1, "fake": 1})
        for folder, first in (("real", "real_00000.jpg"), ("fake", "easy_0_0001.jpg")):
            for number in range(count // 2):
                os.link(root / folder / first, root / folder / f"photo {number}.jpg")
        write_params(tmp_path / "params.yaml", {"data": {"root": str(root)}, "index": {"max_rejected": 0}})
        listing = tmp_path / "listing.csv"
        write_rows(listing, FileRecord, scan.list_files(root, {})[0])
        outs = ("--images", tmp_path / "images", "--rejected", tmp_path / "rejected", "--metrics", tmp_path / "metrics")
        paths = ("--listing", listing, *outs)
        peaks_mib.append(measured("stages.index", "main", *paths, "--params", tmp_path / "params.yaml")["peak_mib"])
    assert (peaks_mib[1] - peaks_mib[0]) * 2**20 < 2_048 * 25_000


@pytest.mark.parametrize("value", ["many", -1, 2.5, None])
def test_a_nonsense_parameter_exits_2(own: Path, run: Index, value: object, tmp_path: Path) -> None:
    outcome = run(own, max_rejected=value)
    assert outcome.status == 2
    assert outcome.err.startswith(f"error: {tmp_path}/params.yaml: index.max_rejected: ")
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_missing_argument_exits_2(command: Command) -> None:
    outcome = command(index)
    assert outcome.status == 2
    assert "--images" in outcome.err
