import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.child import measured
from fakeface.core.files import read_json, read_rows
from fakeface.core.frames import frame_of
from fakeface.core.records import ImageRecord, RejectedRecord
from stages import index
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
def run(command: Command, tmp_path: Path) -> Index:
    def run(root: Path, max_rejected: object = 20) -> Outcome:
        params = tmp_path / "params.yaml"
        write_params(params, {"data": {"root": str(root)}, "index": {"max_rejected": max_rejected}})
        out = tmp_path / "out"
        paths = ("--images", out / "images.csv", "--rejected", out / "rejected.csv", "--metrics", out / "index.json")
        return command(index, *paths, "--params", params)

    return run


@pytest.fixture
def images(tmp_path: Path) -> Callable[[], dict[str, ImageRecord]]:
    return lambda: {record.path: record for record in read_rows(tmp_path / "out" / "images.csv", ImageRecord)}


@pytest.fixture
def rejected(tmp_path: Path) -> Callable[[], dict[str, str]]:
    return lambda: {record.path: record.reason for record in read_rows(tmp_path / "out" / "rejected.csv", RejectedRecord)}


Images = Callable[[], dict[str, ImageRecord]]
Rejected = Callable[[], dict[str, str]]


def test_every_image_is_a_row(faces: Path, run: Index, images: Images, rejected: Rejected, tmp_path: Path) -> None:
    assert run(faces) == Outcome(0, "", "")
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
    assert run(own) == Outcome(0, "", "")
    family = images()["real/우리 가족 (1).png"]
    assert (family.label, family.difficulty, family.luma_quantisation_sum, family.subset) == (0, "", None, "")
    assert images()["fake/real deal.webp"].label == 1
    assert images()["fake/mid_1_0010.jpg"].difficulty == "mid"


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
    (real / "real_00015.jpg").mkdir()
    os.mkfifo(real / "real_00016.jpg")
    photo(20).save(fake / "real_00017.jpg")
    photo(21).save(real / "portrait.jpg")
    photo(22).save(real / "real_00018 (1).jpg")
    (real / "real_00019\n.jpg").write_bytes(jpeg)
    (real / os.fsdecode(b"real_\xff.jpg")).write_bytes(jpeg)
    photo(23).save(fake / "hard_1_1111.webp", save_all=True, append_images=[photo(24)])
    (real / "real_00030.jpg").write_bytes((fake / "easy_0_0001.jpg").read_bytes())
    assert run(faces) == Outcome(0, "", "")
    name_rule = "its name tells no label: expected one like real_00001.jpg or easy_100_1110.jpg"
    assert rejected() == {
        "training/real/real_00010.jpg": f"truncated JPEG (only {len(jpeg) // 2:,} bytes are there)",
        "training/real/real_00011.jpg": "empty file",
        "training/real/real_00012.jpg": "not a JPEG, PNG, WEBP, BMP or TIFF image",
        "training/real/real_00013.jpg": "a link to nothing",
        "training/real/real_00014.jpg": "Too many levels of symbolic links",
        "training/real/real_00015.jpg": "a folder",
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
    assert run(own) == Outcome(0, "", "")
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
    assert run(faces, max_rejected=4) == Outcome(1, "", f"error: {complaint} (all in {tmp_path}/out/rejected.csv)\n")
    assert len(rejected()) == 5
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["rejected.csv"]


def test_a_class_without_images_is_an_error(own: Path, run: Index) -> None:
    shutil.rmtree(own / "fake")
    complaint = f"error: {own}: no fake image that can be used: expected some of each class\n"
    assert run(own) == Outcome(1, "", complaint)
    (own / "fake").mkdir()
    assert run(own) == Outcome(1, "", complaint)
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
        "or training_real training_fake, or real fake\n",
    )


def test_a_missing_folder_is_one_line(run: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = tmp_path / "absent"
    assert run(absent) == Outcome(1, "", f"error: {absent}: no such folder: data.root should name a folder of photos\n")
    monkeypatch.chdir(tmp_path)
    assert run(Path("data/sample")) == Outcome(1, "", "error: data/sample: no such folder: `dvc repro` draws it\n")


@pytest.mark.parametrize(
    ("target", "reason"),
    [("fake", "Too many levels of symbolic links"), ("nowhere", "No such file or directory"), ("file", "Not a directory")],
)
def test_a_folder_that_cannot_be_listed_is_an_error(own: Path, run: Index, target: str, reason: str) -> None:
    shutil.rmtree(own / "fake")
    (own / "file").write_bytes(b"")
    (own / "fake").symlink_to(own / target)
    assert run(own) == Outcome(1, "", f"error: {own}/fake: {reason}\n")


@contextmanager
def without_privileges() -> Iterator[None]:
    """Root may read everything: be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_may_not_be_read(run: Index, rejected: Rejected, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_photos(root, {"real": 2, "fake": 2})
        root.chmod(0o755)
        (root / "real/real_00001.jpg").chmod(0)
        tmp_path.chmod(0o777)
        with without_privileges():
            record = index.examine(index.Candidate("real/real_00001.jpg", 0, "", any_name=True), root)
        assert record == RejectedRecord("real/real_00001.jpg", "Permission denied")
        (root / "fake").chmod(0)
        with without_privileges(), pytest.raises(PermissionError, match="fake"):
            index.find_candidates(root)
        (root / "fake").chmod(0o755)


def test_a_photo_costs_two_kilobytes_of_memory_at_most(tmp_path: Path) -> None:
    peaks_mib = []
    for count in (5_000, 30_000):
        root = tmp_path / f"{count}"
        write_photos(root, {"real": 1, "fake": 1})
        for folder, first in (("real", "real_00000.jpg"), ("fake", "easy_0_0001.jpg")):
            for number in range(count // 2):
                os.link(root / folder / first, root / folder / f"photo {number}.jpg")
        write_params(tmp_path / "params.yaml", {"data": {"root": str(root)}, "index": {"max_rejected": 0}})
        paths = ("--images", tmp_path / "images", "--rejected", tmp_path / "rejected", "--metrics", tmp_path / "metrics")
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
