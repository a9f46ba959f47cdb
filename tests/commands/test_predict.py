import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fakeface.commands import predict
from fakeface.core.files import read_json, write_json
from fakeface.core.records import OBJECTIVE_NAMES, THRESHOLD_NAMES
from fakeface.detector import CARD_FILE, NETWORK_FILE, Answers, Detector, Scores, load_detector
from fakeface.faces.crops import crop
from fakeface.faces.finder import find_faces
from fakeface.photos.images import fit, read_image
from fakeface.reporting import figures
from fakeface.reporting.judgements import RESERVATIONS
from fakeface.tracking.store import open_store, store_uri
from tests.conftest import ROOT, Command, Outcome, photo
from tests.faces.drawn import drawn_face
from tests.tiny_models import ANSWERS, IMAGE_PX, THRESHOLDS, write_model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "ce", "ce")
    write_model(folder / "bce", "bce")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Four photos, two of them not square, in formats of their own."""
    sizes = {"a.jpg": (48, 48), "b.png": (90, 50), "c.webp": (20, 70), "d.bmp": (33, 32)}
    for seed, (name, size) in enumerate(sizes.items()):
        photo(seed, *size).save(tmp_path / name)
    return [tmp_path / name for name in sizes]


def test_the_verdict_is_the_one_that_evaluate_would_give(command: Command, models: Path, photos: list[Path]) -> None:
    """Evaluate scores many images at once that `pack` fitted; predict one photo at a time."""
    outcome = command(predict, "--json", "--models", models, *photos)
    assert (outcome.status, outcome.err) == (0, "")
    told = [json.loads(line) for line in outcome.out.splitlines()]
    assert [verdict["photo"] for verdict in told] == [str(path) for path in photos]
    packed = np.stack([fit(read_image(path), IMAGE_PX) for path in photos])
    for objective in OBJECTIVE_NAMES:
        p_fake = load_detector(models / objective).scores(packed).p_fake
        assert [verdict[objective]["p_fake"] for verdict in told] == pytest.approx(p_fake.tolist(), abs=1e-6)
        assert [verdict[objective]["answer"] for verdict in told] == [Answers(**ANSWERS).answer(p) for p in p_fake]


def test_in_words_it_is_a_line_per_photo(command: Command, models: Path, photos: list[Path]) -> None:
    outcome = command(predict, "--models", models, "--threshold", "half", *photos)
    json_lines = command(predict, "--json", "--models", models, "--threshold", "half", *photos).out.splitlines()
    for line, told in zip(outcome.out.splitlines(), map(json.loads, json_lines), strict=True):
        answers = [f"{name}: {told[name]['answer']} (p_fake {told[name]['p_fake']:.3f})" for name in OBJECTIVE_NAMES]
        doubts = [f"[{'; '.join(RESERVATIONS[name] for name in told['reservations'])}]"] if told["reservations"] else []
        assert line == "  ".join([told["photo"], told["answer"], *answers, *doubts])


def test_in_words_an_answer_that_is_none_says_where_the_others_begin(
    command: Command, models: Path, photos: list[Path], tmp_path: Path
) -> None:
    never = Path(shutil.copytree(models, tmp_path / "models"))
    for objective in OBJECTIVE_NAMES:
        card = read_json(never / objective / CARD_FILE)
        write_json(never / objective / CARD_FILE, card | {"answers": {"max_error": 0.1, "real_below": 0.0, "fake_from": 1.1}})
    (line,) = command(predict, "--models", never, photos[0]).out.splitlines()
    assert "  inconclusive  ce: inconclusive (p_fake 0." in line
    assert line.count(", real below 0.000, fake from 1.100)") == 2


def test_no_number_that_people_read_is_surer_than_99_percent(
    command: Command, models: Path, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Detector, "scores", lambda *_: Scores(np.array([0.9999]), np.zeros((1, 2))))
    assert command(predict, "--models", models, photos[0]).out.count("(p_fake 0.990)") == 2
    assert json.loads(command(predict, "--models", models, "--json", photos[0]).out)["ce"]["p_fake"] == 0.9999


def test_in_words_a_threshold_other_than_a_half_is_told(command: Command, models: Path, photos: list[Path]) -> None:
    """Else a photo with a p_fake of 0.6 is called real without a reason."""
    (line,) = command(predict, "--models", models, "--threshold", "few_false_alarms", photos[0]).out.splitlines()
    assert line.count(", fake from 0.700)") == 2


@pytest.mark.parametrize("threshold", THRESHOLD_NAMES)
def test_the_verdict_follows_the_threshold_that_was_asked_for(
    command: Command, models: Path, photos: list[Path], tmp_path: Path, threshold: str
) -> None:
    (tmp_path / "params.yaml").write_text(f"threshold: {threshold}\n")
    asked = command(predict, "--json", "--models", models, "--threshold", threshold, *photos).out
    assert command(predict, "--json", "--models", models, "--params", tmp_path / "params.yaml", *photos).out == asked
    for verdict in map(json.loads, asked.splitlines()):
        for objective in OBJECTIVE_NAMES:
            told = verdict[objective]
            assert told["real_below"] == told["fake_from"] == THRESHOLDS[threshold]
            assert told["answer"] == ("fake" if told["p_fake"] >= THRESHOLDS[threshold] else "real")


def test_the_two_models_are_not_one(command: Command, models: Path, photos: list[Path]) -> None:
    (line,) = command(predict, "--json", "--models", models, photos[0]).out.splitlines()
    assert json.loads(line)["ce"]["p_fake"] != json.loads(line)["bce"]["p_fake"]


def test_what_is_no_photo_does_not_harm_the_others(command: Command, models: Path, photos: list[Path], tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no photo\n")
    absent = tmp_path / "absent.jpg"
    (tmp_path / "empty").mkdir()
    outcome = command(predict, "--models", models, photos[0], text, absent, tmp_path / "empty", photos[1])
    assert outcome.status == 1
    assert [line.split("  ")[0] for line in outcome.out.splitlines()] == [str(photos[0]), str(photos[1])]
    assert outcome.err.splitlines() == [
        f"error: {tmp_path}/empty: no photo in this folder: expected JPEG, PNG, WEBP, BMP or TIFF",
        f"error: {text}: not a JPEG, PNG, WEBP, BMP or TIFF image",
        f"error: {absent}: No such file or directory",
    ]


def test_of_a_folder_all_photos_are_judged_and_counted(command: Command, models: Path, tmp_path: Path) -> None:
    for seed, name in enumerate(("b.jpg", "a.png", "below/c.jpg", ".hidden.jpg", ".trash/d.jpg")):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        photo(seed).save(tmp_path / "photos" / name)
    (tmp_path / "photos/notes.txt").write_text("no photo\n")
    outcome = command(predict, "--models", models, tmp_path / "photos", "--figure", tmp_path / "out.png")
    assert (outcome.status, outcome.err) == (0, f"note: {tmp_path}/photos: 3 photos; 1 other file left out\n")
    shown = [Path(line.split("  ")[0]).relative_to(tmp_path / "photos") for line in outcome.out.splitlines()]
    assert list(map(str, shown)) == ["a.png", "b.jpg", "below/c.jpg"]
    (tmp_path / "photos/below/c.jpg").write_bytes(b"damaged")
    outcome = command(predict, "--models", models, tmp_path / "photos")
    assert (outcome.status, outcome.out.count("\n")) == (1, 2)


def test_a_folder_of_something_else_says_what_was_expected(command: Command, models: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/notes.txt").write_text("no photo\n")
    outcome = command(predict, "--models", models, tmp_path / "folder")
    expected = "no photo in this folder: expected JPEG, PNG, WEBP, BMP or TIFF, found 1 other file"
    assert outcome == Outcome(1, "", f"error: {tmp_path}/folder: {expected}\n")


@pytest.mark.parametrize("name", ["가족 사진 (1).jpg", "with spaces.jpg", "-dash.jpg", 'quo"te.jpg'])
def test_any_name_will_do(command: Command, models: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    photo(0).save(path)
    outcome = command(predict, "--json", "--models", models, "--figure", tmp_path / "결과 그림.png", path)
    assert (outcome.status, outcome.err) == (0, "")
    assert name.replace('"', '\\"') in outcome.out
    assert json.loads(outcome.out)["photo"] == str(path)
    assert (tmp_path / "결과 그림.png").is_file()


@pytest.fixture(scope="module")
def face_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    write_model(folder / "ce", "ce", framing="face", gives_evidence=True)
    write_model(folder / "bce", "bce", framing="face")
    return folder


@pytest.fixture
def two_faces(tmp_path: Path) -> Path:
    picture = photo(0, 700, 400)
    picture.paste(drawn_face(1, 160), (30, 100))
    picture.paste(drawn_face(0, 320), (330, 40))
    picture.save(tmp_path / "two.png")
    return tmp_path / "two.png"


def test_every_face_has_a_line_an_object_and_a_row(command: Command, face_models: Path, two_faces: Path) -> None:
    words = ("--model", face_models, two_faces)
    lines = command(predict, *words).out.splitlines()
    assert [line.split("  ")[1].split(":")[0] for line in lines] == ["face 1 of 2", "face 2 of 2"]
    objects = [json.loads(line) for line in command(predict, "--json", *words).out.splitlines()]
    assert [(told["face"], told["faces"]) for told in objects] == [(1, 2), (2, 2)]
    assert objects[0]["box"][0] > 330 > 190 > objects[1]["box"][2]
    rows = list(csv.DictReader(command(predict, "--csv", *words).out.splitlines()))
    assert [(row["photo"], row["face"], row["answer"]) for row in rows] == [
        (str(two_faces), str(told["face"]), told["answer"]) for told in objects
    ]
    assert [float(row["bce_p_fake"]) for row in rows] == [told["bce"]["p_fake"] for told in objects]
    assert [[float(row[side]) for side in ("left", "top", "right", "bottom")] for row in rows] == [
        told["box"] for told in objects
    ]


def test_a_photo_without_a_face_is_judged_only_if_asked_and_the_line_says_so(
    command: Command, face_models: Path, photos: list[Path]
) -> None:
    outcome = command(predict, "--model", face_models, photos[0])
    assert outcome == Outcome(1, "", f"error: {photos[0]}: no face found; --whole judges the whole picture\n")
    outcome = command(predict, "--model", face_models, "--whole", photos[0])
    assert (outcome.status, outcome.err) == (0, "")
    assert "[no face found, the whole picture was judged" in outcome.out
    told = json.loads(command(predict, "--model", face_models, "--whole", "--json", photos[0]).out)
    assert (told["face"], told["faces"], told["box"]) == (1, 0, None)


@pytest.mark.parametrize(
    ("fail_on", "bounds", "status"),
    [
        ("fake", (0.0, 0.0), 3),
        ("fake", (1.1, 1.1), 0),
        ("fake", (0.0, 1.1), 0),
        ("inconclusive", (0.0, 1.1), 3),
        ("inconclusive", (0.0, 0.0), 3),
        ("inconclusive", (1.1, 1.1), 0),
    ],
)
def test_a_script_can_stop_at_an_answer(
    command: Command, models: Path, photos: list[Path], tmp_path: Path, fail_on: str, bounds: tuple[float, float], status: int
) -> None:
    real_below, fake_from = bounds
    sure = Path(shutil.copytree(models, tmp_path / "models"))
    for objective in OBJECTIVE_NAMES:
        card = read_json(sure / objective / CARD_FILE)
        answers = {"max_error": 0.1, "real_below": real_below, "fake_from": fake_from}
        write_json(sure / objective / CARD_FILE, card | {"answers": answers})
    assert command(predict, "--models", sure, "--fail-on", fail_on, *photos).status == status


def test_a_figure_has_the_photo_and_both_models_crops_of_each_face(
    command: Command, face_models: Path, two_faces: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown: list[Any] = []
    draw = figures.verdicts_figure

    def keep(panels: list[Any]) -> Any:
        shown.extend(panels)
        return draw(panels)

    monkeypatch.setattr(figures, "verdicts_figure", keep)
    assert command(predict, "--model", face_models, "--figure", tmp_path / "out.png", two_faces).status == 0
    assert [words.split(":")[0] for _, _, words in shown] == ["face 1", "ce", "bce", "face 2", "ce", "bce"]
    picture = read_image(two_faces)
    for face, panels in zip(find_faces(picture), (shown[:3], shown[3:]), strict=True):
        crop_alone = Image.fromarray(crop(picture, face.landmarks, "face", IMAGE_PX).pixels)
        enlarged = np.asarray(crop_alone.resize((predict.FIGURE_PX, predict.FIGURE_PX), Image.Resampling.BICUBIC))
        np.testing.assert_array_equal(panels[2][1], enlarged)  # bce gives no evidence, so there is no map over it
        assert np.abs(panels[1][1].astype(int) - enlarged).max() > 20


def test_a_pattern_is_expanded_and_one_that_fits_nothing_is_named(
    command: Command, models: Path, photos: list[Path], tmp_path: Path
) -> None:
    outcome = command(predict, "--models", models, f"{tmp_path}/*.[jp]*", f"{tmp_path}/*.gif")
    assert [line.split("  ")[0] for line in outcome.out.splitlines()] == [str(path) for path in photos[:2]]
    assert (outcome.status, outcome.err) == (1, f"error: {tmp_path}/*.gif: nothing fits this pattern\n")


def test_a_list_on_standard_input_is_judged(models: Path, photos: list[Path]) -> None:
    names = "".join(f"{path}\n" for path in photos)
    done = as_the_shell_runs_it(photos[0].parent, "--models", models, "-", listed=names.encode())
    assert [line.split("  ")[0] for line in done.stdout.decode().splitlines()] == names.split()
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_model_that_mlflow_keeps_is_fetched_by_its_alias(
    command: Command, models: Path, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/store.db")
    monkeypatch.chdir(tmp_path)
    store = open_store(store_uri())
    run = store.client.create_run(store.experiment_id)
    store.client.log_artifacts(run.info.run_id, str(models), "models")
    store.client.create_registered_model("fakeface")
    source = f"{run.info.artifact_uri}/models"
    version = store.client.create_model_version("fakeface", source, run.info.run_id)
    store.client.set_registered_model_alias("fakeface", "champion", version.version)
    expected = command(predict, "--json", "--model", models, photos[0])
    for uri in (f"runs:/{run.info.run_id}/models", "models:/fakeface@champion"):
        assert command(predict, "--json", "--model", uri, photos[0]) == expected
    outcome = command(predict, "--model", "models:/fakeface@nobody", photos[0])
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (1, "", 1)
    assert outcome.err.startswith("error: models:/fakeface@nobody: ")
    store.client.log_text(run.info.run_id, "no model", "notes/notes.txt")
    outcome = command(predict, "--model", f"runs:/{run.info.run_id}/notes", photos[0])
    assert outcome.err.endswith("/notes: no models ce and bce in it: expected what `report` registers\n")


def as_the_shell_runs_it(
    folder: Path,
    *arguments: object,
    listed: bytes | None = None,
    **env: str,
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "fakeface", "predict", *map(str, arguments)],
        capture_output=True,
        input=listed,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | env,
    )


def test_a_name_that_is_not_utf8_is_shown_all_the_same(models: Path, tmp_path: Path) -> None:
    """As the shell runs it in most languages: standard output refuses such a name."""
    path = tmp_path / "caf\udce9.jpg"
    photo(0).save(tmp_path / "latin1.jpg")
    (tmp_path / "latin1.jpg").rename(path)
    done = as_the_shell_runs_it(tmp_path, "--figure=out.png", "--models", models, path, PYTHONIOENCODING="utf-8:strict")
    assert (done.returncode, done.stderr.decode()) == (0, "")
    assert done.stdout.decode().startswith(rf"{tmp_path}/caf\udce9.jpg  ")


def test_json_names_every_file_as_it_is(models: Path, tmp_path: Path) -> None:
    """A name that is not UTF-8 is another than one that is spelled like its escape."""
    names = ["caf\udce9.jpg", r"caf\udce9.jpg", "two\nlines.jpg", r"two\nlines.jpg", "\x1b[31mred \u202e.jpg", "가.jpg"]
    for name in names:
        photo(0).save(tmp_path / "photo.jpg")
        (tmp_path / "photo.jpg").rename(tmp_path / name)
    done = as_the_shell_runs_it(tmp_path, "--json", "--models", models, *names)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    assert [json.loads(line)["photo"] for line in done.stdout.decode().splitlines()] == names
    assert "\x1b" not in done.stdout.decode()


def test_a_name_that_the_console_cannot_show_is_escaped_and_the_rest_judged(models: Path, tmp_path: Path) -> None:
    names = ("사진.jpg", "two\nlines.jpg", "\x1b[31mred.jpg", "😀.jpg", "plain.jpg")
    for name in names:
        photo(0).save(tmp_path / name)
    done = as_the_shell_runs_it(tmp_path, "--models", models, *names, "no\nphoto.jpg", PYTHONIOENCODING="ascii")
    shown = [line.split("  ")[0] for line in done.stdout.decode("ascii").splitlines()]
    assert shown == [r"\uc0ac\uc9c4.jpg", r"two\nlines.jpg", r"\x1b[31mred.jpg", r"\U0001f600.jpg", "plain.jpg"]
    assert (done.returncode, done.stderr.decode().splitlines()[-1]) == (1, r"error: no\nphoto.jpg: No such file or directory")


def test_json_is_json_on_any_console(models: Path, tmp_path: Path) -> None:
    names = ("사진.jpg", "é.jpg", "😀.jpg", "two\nlines.jpg")
    for name in names:
        photo(0).save(tmp_path / name)
    for encoding in ("ascii", "latin-1", "euc-kr", "utf-8"):
        done = as_the_shell_runs_it(tmp_path, "--json", "--models", models, *names, PYTHONIOENCODING=encoding)
        assert [json.loads(line)["photo"] for line in done.stdout.decode(encoding).splitlines()] == list(names)


def test_a_reader_that_has_seen_enough_ends_it_without_a_word(models: Path, tmp_path: Path) -> None:
    """`fakeface predict *.jpg | head -1`."""
    for number in range(40):
        photo(number).save(tmp_path / f"{number:02}.jpg")
    words = (sys.executable, "-m", "fakeface", "predict", "--models", str(models), *sorted(map(str, tmp_path.glob("*.jpg"))))
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, cwd=tmp_path, env=env, **pipes) as process:
        assert process.stdout.readline().startswith(str(tmp_path / "00.jpg").encode())  # type: ignore[union-attr]
        process.stdout.close()  # type: ignore[union-attr]
        complaint = process.stderr.read().decode()  # type: ignore[union-attr]
    assert process.returncode == -signal.SIGPIPE
    assert "rror" not in complaint
    assert "Traceback" not in complaint


def test_the_bounds_are_the_models_own_whatever_params_yaml_says(
    command: Command, models: Path, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a file that is named counts, and it has to be there."""
    (tmp_path / "params.yaml").write_text("threshold: few_false_alarms\n")
    monkeypatch.chdir(tmp_path)
    for told in map(json.loads, command(predict, "--json", "--models", models, *photos).out.splitlines()):
        for objective in OBJECTIVE_NAMES:
            assert (told[objective]["real_below"], told[objective]["fake_from"]) == (0.4, 0.6)
    outcome = command(predict, "--models", models, "--params", "other.yaml", *photos)
    assert (outcome.status, outcome.err) == (2, "error: other.yaml: no such file\n")


def test_a_figure_has_a_row_per_photo(command: Command, models: Path, photos: list[Path], tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no photo\n")
    out = tmp_path / "out.png"
    assert command(predict, "--models", models, "--figure", out, *photos, tmp_path / "text.jpg").status == 1
    with Image.open(out) as image:
        assert image.format == "PNG"
        four_rows = image.size
    assert command(predict, "--models", models, "--figure", out, photos[0]).status == 0
    with Image.open(out) as image:
        assert (image.width, 4 * image.height) == four_rows


@pytest.mark.parametrize(
    ("ending", "start"), [("jpg", b"\xff\xd8\xff"), ("JPEG", b"\xff\xd8\xff"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
)
def test_a_figures_ending_decides_what_it_is(
    command: Command, models: Path, photos: list[Path], tmp_path: Path, ending: str, start: bytes
) -> None:
    out = tmp_path / f"out.{ending}"
    assert command(predict, "--models", models, "--figure", out, photos[0]).status == 0
    once = out.read_bytes()
    assert once.startswith(start)
    assert command(predict, "--models", models, "--figure", out, photos[0]).status == 0
    assert out.read_bytes() == once


@pytest.mark.parametrize("name", ["out", "out.", "out.bmp", "out.webp", "out.png.txt", ".png"])
def test_another_ending_is_refused_before_anything_is_judged(
    command: Command, models: Path, photos: list[Path], tmp_path: Path, name: str
) -> None:
    outcome = command(predict, "--models", models, "--figure", tmp_path / name, photos[0])
    expected = f"error: {tmp_path / name}: a figure's name should end in .png, .jpg, .jpeg, .pdf, .svg\n"
    assert outcome == Outcome(1, "", expected)


def test_without_a_photo_there_is_no_figure(command: Command, models: Path, tmp_path: Path) -> None:
    assert command(predict, "--models", models, "--figure", tmp_path / "out.png", tmp_path / "absent.jpg").status == 1
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file/out.png", "Not a directory"),
        ("file/below/out.png", "Not a directory"),
        ("folder.png", "Is a directory"),
        ("a" * 250 + ".png", "File name too long"),
        ("/proc/out.png", "No such file or directory"),
        ("/proc/below/out.png", "No such file or directory"),
    ],
)
def test_a_place_where_no_figure_can_be_is_told_before_anything_is_judged(
    command: Command, models: Path, photos: list[Path], tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.png").mkdir()
    outcome = command(predict, "--models", models, "--figure", tmp_path / name, photos[0])
    assert outcome == Outcome(1, "", f"error: {tmp_path / name}: {reason}\n")


def test_a_figure_may_go_to_a_new_folder_which_is_made_only_for_it(
    command: Command, models: Path, photos: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "new/folder/out.PNG"
    assert command(predict, "--models", models, "--figure", out, tmp_path / "absent.jpg").status == 1
    assert not (tmp_path / "new").exists()
    assert command(predict, "--models", models, "--figure", out, photos[0]).status == 0
    assert [path.name for path in out.parent.iterdir()] == ["out.PNG"]


def test_more_photos_than_a_figure_has_room_for_are_refused_before_any_is_judged(
    command: Command, models: Path, photos: list[Path], tmp_path: Path
) -> None:
    many = [photos[0]] * (predict.MAX_FIGURE_PHOTOS + 1)
    outcome = command(predict, "--models", models, "--figure", tmp_path / "out.png", *many)
    assert outcome == Outcome(1, "", f"error: {tmp_path}/out.png: 101 photos: a figure has room for 100\n")


def test_the_drawn_sample_knows_nothing_of_real_photos(
    command: Command, models: Path, photos: list[Path], tmp_path: Path
) -> None:
    drawn = Path(shutil.copytree(models, tmp_path / "models"))
    write_json(drawn / "bce" / CARD_FILE, read_json(drawn / "bce" / CARD_FILE) | {"is_sample": True})
    outcome = command(predict, "--models", drawn, photos[0])
    assert outcome.status == 0
    assert outcome.err == "note: these models learned from the drawn sample; on a real photo their verdict means nothing\n"


def test_without_models_one_line_says_how_to_get_them(command: Command, photos: list[Path], tmp_path: Path) -> None:
    outcome = command(predict, "--models", tmp_path / "models", *photos)
    assert (outcome.status, outcome.out) == (1, "")
    expected = f"{tmp_path}/models/ce: no trained model; expected {NETWORK_FILE} and {CARD_FILE}, which `dvc repro` makes"
    assert outcome.err == f"error: {expected}\n"


def test_a_model_in_the_others_place_is_named(command: Command, models: Path, photos: list[Path], tmp_path: Path) -> None:
    """Both would be told under names that are not theirs."""
    shutil.copytree(models / "ce", tmp_path / "models/ce")
    shutil.copytree(models / "ce", tmp_path / "models/bce")
    outcome = command(predict, "--models", tmp_path / "models", *photos)
    assert outcome == Outcome(1, "", f"error: {tmp_path}/models/bce/{CARD_FILE}: objective: 'ce': expected 'bce'\n")


def test_a_model_without_the_threshold_is_named(command: Command, models: Path, photos: list[Path], tmp_path: Path) -> None:
    """As an older version leaves it."""
    card = Path(shutil.copytree(models, tmp_path / "models")) / "bce" / CARD_FILE
    write_json(card, read_json(card) | {"thresholds": {"half": 0.5}})
    assert command(predict, "--models", tmp_path / "models", *photos).status == 0
    outcome = command(predict, "--models", tmp_path / "models", "--threshold", "few_false_alarms", *photos)
    assert outcome == Outcome(1, "", f"error: {card}: thresholds.few_false_alarms: missing\n")


def test_without_a_photo_the_usage_is_shown(command: Command) -> None:
    outcome = command(predict)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("usage: fakeface predict ")
