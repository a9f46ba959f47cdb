import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fakeface.commands import predict
from fakeface.core.files import read_json, write_json
from fakeface.core.records import OBJECTIVE_NAMES, THRESHOLD_NAMES
from fakeface.detector import CARD_FILE, NETWORK_FILE, load_detector
from fakeface.photos.images import fit, read_image
from tests.conftest import ROOT, Command, photo
from tests.tiny_models import IMAGE_PX, THRESHOLDS, write_model


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
        p_fake, _ = load_detector(models / objective).scores(packed)
        assert [verdict[objective]["p_fake"] for verdict in told] == pytest.approx(p_fake.tolist(), abs=1e-6)
        assert [verdict[objective]["verdict"] for verdict in told] == ["fake" if p >= 0.5 else "real" for p in p_fake]


def test_in_words_it_is_a_line_per_photo(command: Command, models: Path, photos: list[Path]) -> None:
    outcome = command(predict, "--models", models, *photos)
    as_json = [json.loads(line) for line in command(predict, "--json", "--models", models, *photos).out.splitlines()]
    assert outcome.out.splitlines() == [
        f"{verdict['photo']}  "
        + "  ".join(f"{name}: {verdict[name]['verdict']} (p_fake {verdict[name]['p_fake']:.3f})" for name in OBJECTIVE_NAMES)
        for verdict in as_json
    ]


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
            assert told["threshold"] == THRESHOLDS[threshold]
            assert told["verdict"] == ("fake" if told["p_fake"] >= told["threshold"] else "real")


def test_the_two_models_are_not_one(command: Command, models: Path, photos: list[Path]) -> None:
    (line,) = command(predict, "--json", "--models", models, photos[0]).out.splitlines()
    assert json.loads(line)["ce"]["p_fake"] != json.loads(line)["bce"]["p_fake"]


def test_what_is_no_photo_does_not_harm_the_others(command: Command, models: Path, photos: list[Path], tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no photo\n")
    absent = tmp_path / "absent.jpg"
    outcome = command(predict, "--models", models, photos[0], text, absent, tmp_path, photos[1])
    assert outcome.status == 1
    assert [line.split("  ")[0] for line in outcome.out.splitlines()] == [str(photos[0]), str(photos[1])]
    assert outcome.err.splitlines() == [
        f"error: {text}: not a JPEG, PNG, WEBP, BMP or TIFF image",
        f"error: {absent}: No such file or directory",
        f"error: {tmp_path}: a folder",
    ]


@pytest.mark.parametrize("name", ["가족 사진 (1).jpg", "with spaces.jpg", "-dash.jpg", 'quo"te.jpg'])
def test_any_name_will_do(command: Command, models: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    photo(0).save(path)
    outcome = command(predict, "--json", "--models", models, "--figure", tmp_path / "결과 그림.png", path)
    assert (outcome.status, outcome.err) == (0, "")
    assert name.replace('"', '\\"') in outcome.out
    assert json.loads(outcome.out)["photo"] == str(path)
    assert (tmp_path / "결과 그림.png").is_file()


def test_a_name_that_is_not_utf8_is_shown_all_the_same(models: Path, tmp_path: Path) -> None:
    """As the shell runs it in most languages: standard output refuses such a name."""
    path = tmp_path / "caf\udce9.jpg"
    photo(0).save(tmp_path / "latin1.jpg")
    (tmp_path / "latin1.jpg").rename(path)
    for option in ("--json", "--figure=out.png"):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "fakeface.commands.predict",
                option,
                "--params",
                ROOT / "params.yaml",
                "--models",
                models,
                path,
            ],
            capture_output=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8:strict"},
        )
        assert (done.returncode, done.stderr.decode()) == (0, "")
        assert "\\udce9.jpg" in done.stdout.decode()


def test_the_figure_shows_what_was_judged(command: Command, models: Path, photos: list[Path], tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no photo\n")
    out = tmp_path / "out.png"
    assert command(predict, "--models", models, "--figure", out, *photos, tmp_path / "text.jpg").status == 1
    with Image.open(out) as image:
        assert image.format == "PNG"
        four_in_a_row = image.size
    assert command(predict, "--models", models, "--figure", out, photos[0]).status == 0
    with Image.open(out) as image:
        assert image.width * 4 == four_in_a_row[0]
        assert image.height == four_in_a_row[1]


def test_without_a_photo_there_is_no_figure(command: Command, models: Path, tmp_path: Path) -> None:
    assert command(predict, "--models", models, "--figure", tmp_path / "out.png", tmp_path / "absent.jpg").status == 1
    assert not (tmp_path / "out.png").exists()


def test_a_figure_that_cannot_be_written_is_one_line(
    command: Command, models: Path, photos: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    outcome = command(predict, "--models", models, "--figure", tmp_path / "file" / "out.png", photos[0])
    assert outcome.status == 1
    assert outcome.out.count("\n") == 1
    assert outcome.err.count("\n") == 1


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


def test_without_a_photo_the_usage_is_shown(command: Command) -> None:
    outcome = command(predict)
    assert (outcome.status, outcome.out) == (2, "")
    assert "usage: python -m fakeface.commands.predict" in outcome.err
