"""The listing of the photos' folder: complete, the same everywhere, never stale, and quick where nothing changed."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from fakeface.core.files import read_rows
from fakeface.core.listing import FileRecord
from stages import scan
from tests.conftest import ROOT, Command, Outcome, without_privileges, write_params

Scan = Callable[..., Outcome]
Listing = Callable[[], dict[str, FileRecord]]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six files in nested folders; what is in them does not matter here."""
    for path in ("real/a.jpg", "real/b.png", "real/id0/1.jpg", "fake/얼굴 사진.jpg", "fake/empty", "notes.txt"):
        file = tmp_path / "photos" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("" if path == "fake/empty" else path)
    return tmp_path / "photos"


def arguments(folder: Path) -> list[object]:
    names = {"--listing": "listing.csv", "--elsewhere": "elsewhere.csv", "--params": "params.yaml"}
    return [word for option, name in names.items() for word in (option, folder / name)]


@pytest.fixture
def run(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scan:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "checkout"))

    def run(root: Path, elsewhere: Path | None = None) -> Outcome:
        roots = {"data": {"root": str(root)}, "elsewhere": {"root": elsewhere and str(elsewhere)}}
        write_params(tmp_path / "params.yaml", roots)
        return command(scan, *arguments(tmp_path))

    return run


@pytest.fixture
def listing(tmp_path: Path) -> Listing:
    return lambda: {record.path: record for record in read_rows(tmp_path / "listing.csv", FileRecord)}


def caches(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "checkout").glob(".cache/scan/*"))


def test_every_file_is_a_row(photos: Path, run: Scan, listing: Listing) -> None:
    assert run(photos) == Outcome(0, "", "")
    paths = ["fake/empty", "fake/얼굴 사진.jpg", "notes.txt", "real/a.jpg", "real/b.png", "real/id0/1.jpg"]
    assert list(listing()) == paths
    for path, record in listing().items():
        data = (photos / path).read_bytes()
        assert record == FileRecord(path, len(data), sha256(data).hexdigest(), "")


def test_the_same_files_give_the_same_bytes_wherever_they_are(photos: Path, run: Scan, tmp_path: Path) -> None:
    run(photos)
    before = (tmp_path / "listing.csv").read_bytes()
    shutil.copytree(photos, tmp_path / "copied")
    (tmp_path / "link").symlink_to("copied")
    for root in (tmp_path / "copied", tmp_path / "link", photos):
        run(root)
        assert (tmp_path / "listing.csv").read_bytes() == before


def test_what_cannot_be_read_has_a_reason_and_the_rest_is_unharmed(photos: Path, run: Scan, listing: Listing) -> None:
    """DVC, when it walked the folder itself, hung at the pipe and failed at most others."""
    run(photos)
    sound = listing()
    real = photos / "real"
    (real / "dangling.jpg").symlink_to("nowhere")
    (real / "itself.jpg").symlink_to("itself.jpg")
    (real / "up").symlink_to("..")
    (real / "device.jpg").symlink_to("/dev/zero")
    os.mkfifo(real / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listener, pytest.MonkeyPatch.context() as patch:
        patch.chdir(real)  # a socket's path is short
        listener.bind("socket.jpg")
    for name in (b"bytes\xff.jpg", b"two\nlines.jpg"):
        Path(os.fsdecode(os.fsencode(real) + b"/" + name)).touch()
    folder = Path(os.fsdecode(os.fsencode(photos) + b"/folder\xff"))
    folder.mkdir()
    (folder / "1.jpg").touch()
    with (real / "huge.jpg").open("wb") as file:
        file.truncate(2**30 + 1)
    assert run(photos) == Outcome(0, "", "")
    unreadable = {path: record for path, record in listing().items() if path not in sound}
    name_rule = "its name holds control characters or is not UTF-8"
    assert {path: record.reason for path, record in unreadable.items()} == {
        "real/dangling.jpg": "a link to nothing",
        "real/itself.jpg": "Too many levels of symbolic links",
        "real/up": "a link to a folder that it lies in",
        "real/device.jpg": "not a regular file",
        "real/pipe.jpg": "not a regular file",
        "real/socket.jpg": "not a regular file",
        r"real/bytes\udcff.jpg": name_rule,
        "real/two\nlines.jpg": name_rule,
        r"folder\udcff/1.jpg": name_rule,
        "real/huge.jpg": "1,073,741,825 bytes: more than 1,073,741,824",
    }
    assert {(record.bytes, record.sha256) for record in unreadable.values()} == {(None, "")}
    assert {path: listing()[path] for path in sound} == sound


def test_what_may_not_be_read_has_a_reason(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for folder in ("open", "shut"):
            (root / folder).mkdir()
            (root / folder / "1.jpg").touch()
        root.chmod(0o755)
        (root / "open/1.jpg").chmod(0)
        (root / "shut").chmod(0)
        with without_privileges():
            records, _ = scan.list_files(root, {})
        (root / "shut").chmod(0o755)
    assert records == [
        FileRecord("open/1.jpg", None, "", "Permission denied"),
        FileRecord("shut", None, "", "a folder that cannot be listed: Permission denied"),
    ]


def test_what_is_hidden_is_not_listed(photos: Path, run: Scan, listing: Listing) -> None:
    run(photos)
    before = listing()
    (photos / ".trash").mkdir()
    for path in (".trash/a.jpg", "real/.DS_Store", "real/._a.jpg", "real/Thumbs.db", "fake/desktop.ini"):
        (photos / path).write_bytes(b"x")
    run(photos)
    assert listing() == before


def test_folders_and_files_may_be_links(photos: Path, run: Scan, listing: Listing, tmp_path: Path) -> None:
    run(photos)
    before = {path: record.sha256 for path, record in listing().items()}
    (photos / "real").rename(tmp_path / "elsewhere")
    (photos / "real").symlink_to(tmp_path / "elsewhere")
    (photos / "notes.txt").rename(tmp_path / "notes")
    (photos / "notes.txt").symlink_to(tmp_path / "notes")
    run(photos)
    assert {path: record.sha256 for path, record in listing().items()} == before


def overwrite_keeping_times(path: Path) -> None:
    status = path.stat()
    path.write_text(path.read_text()[::-1])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace_keeping_times(path: Path) -> None:
    shutil.copy2(path, path.with_suffix(".new"))
    overwrite_keeping_times(path.with_suffix(".new"))
    path.with_suffix(".new").rename(path)


@pytest.mark.parametrize(
    "change",
    [lambda path: path.write_text("longer than before"), overwrite_keeping_times, replace_keeping_times, Path.unlink],
    ids=["written", "times kept", "another file", "deleted"],
)
@pytest.mark.parametrize("settled_ns", [0, scan.SETTLED_NS], ids=["hash kept", "hash not kept"])
def test_a_changed_photo_is_noticed(
    photos: Path, run: Scan, listing: Listing, change: Callable[[Path], None], settled_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "SETTLED_NS", settled_ns)
    run(photos)
    before = listing()
    change(photos / "real/a.jpg")
    run(photos)
    after = listing()
    assert after.get("real/a.jpg") != before.pop("real/a.jpg")
    after.pop("real/a.jpg", None)
    assert after == before


def test_what_is_unchanged_is_not_read_again(
    photos: Path, run: Scan, listing: Listing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Seen by a wrong hash in the memory, which a run believes."""
    monkeypatch.setattr(scan, "SETTLED_NS", 0)
    run(photos)
    (cache,) = caches(tmp_path)
    hashes = json.loads(cache.read_text())
    hashes["real/a.jpg"][-1] = "believed"
    cache.write_text(json.dumps(hashes))
    run(photos)
    assert listing()["real/a.jpg"].sha256 == "believed"


def test_what_has_just_changed_is_read_again(photos: Path, run: Scan, tmp_path: Path) -> None:
    """Written again within a tick of the clock it would bear the same time."""
    run(photos)
    assert caches(tmp_path) == []


@pytest.mark.parametrize("damaged", ["", "[1]", "{", '{"real/a.jpg": 3}', '{"real/a.jpg": []}', "\xff", "null"])
def test_a_damaged_memory_is_no_memory(photos: Path, run: Scan, damaged: str, tmp_path: Path) -> None:
    run(photos)
    before = (tmp_path / "listing.csv").read_bytes()
    cache = tmp_path / "checkout/.cache/scan" / f"{sha256(os.fsencode(photos)).hexdigest()[:16]}.json"
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_bytes(damaged.encode("latin-1"))
    assert run(photos) == Outcome(0, "", "")
    assert (tmp_path / "listing.csv").read_bytes() == before


def test_a_memory_that_cannot_be_kept_is_none(photos: Path, run: Scan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(scan, "SETTLED_NS", 0)
    (tmp_path / "checkout").write_text("a file where the folder should be")
    assert run(photos) == Outcome(0, "", "")


def test_of_many_folders_the_last_ones_are_remembered(
    photos: Path, run: Scan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(scan, "SETTLED_NS", 0)
    for number in range(scan.MAX_CACHES + 3):
        run(photos.rename(tmp_path / f"photos {number}"))
        photos = tmp_path / f"photos {number}"
    assert len(caches(tmp_path)) == scan.MAX_CACHES


def test_a_run_without_a_change_imports_next_to_nothing(
    photos: Path, run: Scan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is part of every `dvc repro`."""
    monkeypatch.setattr(scan, "SETTLED_NS", 0)
    (photos / "dangling.jpg").symlink_to("nowhere")
    run(photos)
    heavy = {"numpy", "pandas", "PIL", "pydantic", "yaml", "tqdm", "concurrent", "fakeface.core.records"}
    code = f"""
import sys
from stages import scan
scan.main({[str(word) for word in arguments(tmp_path)]})
print(sorted({heavy} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_missing_folder_is_one_line(run: Scan, tmp_path: Path) -> None:
    for name in ("absent", "params.yaml"):
        complaint = f"error: {tmp_path / name}: no such folder: data.root should name a folder of photos\n"
        assert run(tmp_path / name) == Outcome(1, "", complaint)
    assert not (tmp_path / "listing.csv").exists()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Two files of which `photos` has none."""
    (tmp_path / "others/holiday").mkdir(parents=True)
    for name in ("holiday/beach.jpg", "portrait.png"):
        (tmp_path / "others" / name).write_text(f"another {name}")
    return tmp_path / "others"


def test_photos_from_elsewhere_are_listed_apart(photos: Path, run: Scan, elsewhere: Path, tmp_path: Path) -> None:
    run(photos)
    before = (tmp_path / "listing.csv").read_bytes()
    assert read_rows(tmp_path / "elsewhere.csv", FileRecord) == []
    for _ in range(2):  # the second time the roots come out of the memory of params.yaml
        assert run(photos, elsewhere) == Outcome(0, "", "")
        assert (tmp_path / "listing.csv").read_bytes() == before
        data = b"another holiday/beach.jpg"
        beach, portrait = read_rows(tmp_path / "elsewhere.csv", FileRecord)
        assert beach == FileRecord("holiday/beach.jpg", len(data), sha256(data).hexdigest(), "")
        assert portrait.path == "portrait.png"
    (elsewhere / "portrait.png").write_text("edited")
    assert run(photos, elsewhere) == Outcome(0, "", "")
    assert read_rows(tmp_path / "elsewhere.csv", FileRecord)[1].sha256 == sha256(b"edited").hexdigest()


def test_a_folder_that_is_not_from_elsewhere_is_one_line(photos: Path, run: Scan, elsewhere: Path, tmp_path: Path) -> None:
    """Before anything is trained."""
    empty = tmp_path / "empty"
    empty.mkdir()
    expected = "elsewhere.root should name a folder of photos, or be null"
    assert run(photos, empty) == Outcome(1, "", f"error: {empty}: no file in this folder: {expected}\n")
    absent = tmp_path / "absent"
    assert run(photos, absent) == Outcome(1, "", f"error: {absent}: no such folder: {expected}\n")

    shutil.copy(photos / "real/id0/1.jpg", elsewhere / "known.jpg")
    expected = "the same bytes as real/id0/1.jpg in data.root: elsewhere.root should name other photos"
    assert run(photos, elsewhere) == Outcome(1, "", f"error: {elsewhere}: known.jpg: {expected}\n")

    (elsewhere / "known.jpg").unlink()
    (elsewhere / "training/Fake").mkdir(parents=True)
    (elsewhere / "training/Fake/1.jpg").touch()
    expected = "in a folder of fakes: elsewhere.root should name photos none of which is a composite"
    assert run(photos, elsewhere) == Outcome(1, "", f"error: {elsewhere}: training/Fake/1.jpg: {expected}\n")
    assert not (tmp_path / "listing.csv").exists()


def test_missing_parameters_are_one_line(command: Command, tmp_path: Path) -> None:
    outcome = command(scan, *arguments(tmp_path))
    assert outcome == Outcome(2, "", f"error: {tmp_path / 'params.yaml'}: no such file\n")


def test_the_users_own_folder_is_where_it_is_now(
    photos: Path, run: Scan, listing: Listing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found for the same params.yaml before is of another user."""
    shutil.copytree(photos / "real", tmp_path / "other/photos")
    for home, count in ((tmp_path, 6), (tmp_path / "other", 3)):
        monkeypatch.setenv("HOME", str(home))
        assert run(Path("~/photos")) == Outcome(0, "", "")
        assert len(listing()) == count


@pytest.mark.parametrize("damaged", ["", "{", "3", "[1]", '["", 3]', "\xff", "null"])
def test_a_damaged_memory_of_the_parameters_is_none(photos: Path, run: Scan, damaged: str, tmp_path: Path) -> None:
    memory = tmp_path / "checkout/.cache/params/checked"
    run(photos)
    before = memory.read_bytes()
    memory.write_bytes(damaged.encode("latin-1"))
    assert run(photos) == Outcome(0, "", "")
    assert memory.read_bytes() == before


def test_a_mistake_in_any_section_ends_the_first_stage_that_runs(photos: Path, command: Command, tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(tmp_path / "checkout"))
        for changes, complaint in (
            ({"loss": "tripple"}, "loss: 'tripple': should be 'ce' or 'bce'"),
            ({"train": {"lr": "abc"}}, "train.lr: 'abc': "),
            ({"train": {"learning_rate": 1}}, "train.learning_rate: unknown parameter"),
        ):
            write_params(params, {"data": {"root": str(photos)}} | changes)
            outcome = command(scan, *arguments(tmp_path))
            assert outcome.status == 2
            assert outcome.err.startswith(f"error: {params}: {complaint}")
        write_params(params, {"data": {"root": str(photos)}})
        assert command(scan, *arguments(tmp_path)) == Outcome(0, "", "")
