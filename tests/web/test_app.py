"""The page's server, as a client sees it: `fakeface web` in a process of its own."""

import base64
import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from fakeface.commands import predict
from fakeface.core.records import OBJECTIVE_NAMES
from tests.conftest import ROOT, Command, photo
from tests.faces.drawn import drawn_face
from tests.tiny_models import write_model
from tests.web.served import Served, served


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "ce", "ce", framing="face", gives_evidence=True, is_sample=True)
    write_model(folder / "bce", "bce", framing="face", is_sample=True)
    return folder


@pytest.fixture(scope="module")
def site(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(models, tmp_path_factory.mktemp("site") / "here") as site:
        yield site


def encoded(image: Image.Image, format_: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


FACE = encoded(drawn_face(0, 200))


def two_faces() -> Image.Image:
    picture = photo(0, 1800, 1000)
    picture.paste(drawn_face(1, 400), (60, 100))
    picture.paste(drawn_face(0, 800), (900, 40))
    return picture


def test_a_photo_unlike_those_learned_from_gets_words_of_its_own(tmp_path: Path, command: Command) -> None:
    """The tiny network finds a photo the stranger the more red it is. In `predict` the reason stands where the bounds would."""
    for objective in OBJECTIVE_NAMES:
        write_model(tmp_path / "models" / objective, objective, framing="face", gives_novelty=True)
    red, green, blue = drawn_face(0, 200).split()
    Image.merge("RGB", (red.point(lambda value: 128 + value // 2), green, blue)).save(tmp_path / "red.png")
    line = command(predict, "--model", tmp_path / "models", tmp_path / "red.png").out
    assert "real below" not in line
    assert "fake from" not in line
    assert line.split("  ")[1] == "inconclusive"
    assert "[unlike the photos that the models learned from]" in line
    with served(tmp_path / "models", tmp_path / "here") as site:
        (face,) = site.ask("/judge", (tmp_path / "red.png").read_bytes()).json["faces"]
        assert face["sentence"] == "The models have learned from no photo like this one, so they say neither."
        assert face["meaning"].startswith("It does not mean half fake, nor that something is wrong with the photo")
        assert "The photo is unlike those that the networks learned from." in face["reservations"]


def test_it_says_of_a_photo_what_the_command_says(site: Served, models: Path, command: Command, tmp_path: Path) -> None:
    two_faces().save(tmp_path / "two.png")
    told = [json.loads(line) for line in command(predict, "--json", "--model", models, tmp_path / "two.png").out.splitlines()]
    answered = site.ask("/judge", (tmp_path / "two.png").read_bytes()).json
    assert len(answered["faces"]) == len(told) == 2
    for face, by_command in zip(answered["faces"], told, strict=True):
        assert (face["number"], face["answer"]) == (by_command["face"], by_command["answer"])
        for name in OBJECTIVE_NAMES:
            assert face["models"][name]["p_fake"] == pytest.approx(by_command[name]["p_fake"], abs=1e-5)
            assert face["models"][name]["answer"] == by_command[name]["answer"]


def test_boxes_and_crops_are_in_pixels_of_the_small_picture(site: Served) -> None:
    answered = site.ask("/judge", encoded(two_faces())).json
    preview = Image.open(io.BytesIO(base64.b64decode(answered["preview"])))
    assert preview.size == (1200, 667)
    left, top, right, bottom = answered["faces"][0]["box"]
    assert 600 < left < right < 1133
    assert 27 < top < bottom < 560
    corners = answered["faces"][0]["models"]["ce"]["corners"]
    assert all(550 < x < 1200 and 0 < y < 667 for x, y in corners)
    assert len(answered["faces"][0]["models"]["ce"]["evidence"]) == 4
    assert answered["faces"][0]["models"]["bce"]["evidence"] is None


def test_without_a_face_it_says_so_and_judges_the_picture_only_if_asked(site: Served) -> None:
    assert site.ask("/judge", encoded(photo(0, 90, 60))).json["faces"] == []
    (face,) = site.ask("/judge?whole=1", encoded(photo(0, 90, 60))).json["faces"]
    assert (face["box"], face["title"]) == (None, "The whole picture")
    assert "No face was found: the whole picture was judged." in face["reservations"]


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_every_format_is_shown_as_it_was_judged(site: Served, format_: str) -> None:
    """Of a TIFF, which no browser shows, too."""
    answered = site.ask("/judge", encoded(drawn_face(0, 200), format_)).json
    assert Image.open(io.BytesIO(base64.b64decode(answered["preview"]))).size == (200, 200)
    assert len(answered["faces"]) == 1


def animation() -> bytes:
    return encoded(photo(0), "WEBP", save_all=True, append_images=[photo(1)])


@pytest.mark.parametrize(
    ("data", "status", "english", "korean"),
    [
        (b"no photo\n", 422, "not a JPEG, PNG, WEBP, BMP or TIFF image", "JPEG, PNG, WEBP, BMP, TIFF 이미지가 아닙니다"),
        (b"", 422, "empty file", "빈 파일입니다"),
        (FACE[:2000], 422, "truncated PNG", "끝이 잘린 이미지입니다"),
        (animation(), 422, "2 frames: expected a still image", "움직이는 이미지가 아니라 정지 이미지여야 합니다"),
        (b"x" * 20_000_001, 413, "more than 20,000,000 bytes", "너무 큽니다"),
    ],
    ids=["text", "empty", "truncated", "animated", "large"],
)
def test_what_cannot_be_judged_is_one_sentence(site: Served, data: bytes, status: int, english: str, korean: str) -> None:
    answered = site.ask("/judge", data)
    assert (answered.status, list(answered.json)) == (status, ["error"])
    assert answered.json["error"].startswith(f"This photo could not be judged: {english}")
    assert site.ask("/judge?lang=ko", data).json == {"error": f"이 사진은 판정할 수 없습니다: {korean}"}


def test_a_photo_of_80_mb_is_refused_before_it_has_arrived(site: Served) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as client:
        client.sendall(b"POST /judge HTTP/1.1\r\nHost: localhost\r\nContent-Length: 80000000\r\n\r\n" + FACE)
        assert client.recv(12) == b"HTTP/1.1 413"


def test_a_photo_that_does_not_say_how_large_it_is_is_read_up_to_the_limit(site: Served) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as client:
        client.sendall(b"POST /judge HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(21):
            client.sendall(b"f4240\r\n" + bytes(1_000_000) + b"\r\n")
        assert client.recv(12) == b"HTTP/1.1 413"


def test_30_megapixels_are_judged_and_60_refused_before_they_are_decoded(site: Served) -> None:
    picture = Image.new("RGB", (6000, 5000), "grey")
    picture.paste(drawn_face(0, 400).resize((4000, 4000)), (1000, 500))
    assert len(site.ask("/judge", encoded(picture, "JPEG", quality=80)).json["faces"]) == 1
    before = site.memory_bytes()
    bomb = encoded(Image.new("RGB", (10_000, 6000)))
    assert "10,000 x 6,000 pixels: more than 50,000,000" in site.ask("/judge", bomb).json["error"]
    assert site.memory_bytes() - before < 50e6


def test_it_answers_only_to_its_own_names(site: Served) -> None:
    """Else another site could have a visitor's browser ask for it by a name of its own."""
    assert site.ask("/", Host="localhost").status == 200
    assert site.ask("/", Host="evil.example").status == 400
    assert site.ask("/judge", FACE, Host="evil.example").status == 400


def test_another_site_cannot_send_photos_here(site: Served) -> None:
    assert site.ask("/judge", FACE, Sec_Fetch_Site="cross-site").status == 403
    assert site.ask("/judge", FACE, Sec_Fetch_Site="same-origin").status == 200


@pytest.mark.parametrize("path", ["/", "/card", "/static/page.js", "/static/page.css", "/examples/0.jpg"])
def test_everything_comes_with_the_same_policy(site: Served, path: str) -> None:
    answered = site.ask(path)
    assert answered.status == 200
    assert answered.headers["content-security-policy"].startswith("default-src 'self'; ")
    assert "unsafe" not in answered.headers["content-security-policy"]
    assert (answered.headers["cache-control"], answered.headers["referrer-policy"]) == ("no-store", "no-referrer")


@pytest.mark.parametrize("path", ["/nothing", "/examples/9.jpg", "/static/../app.py", "/judge"])
def test_there_is_nothing_else(site: Served, path: str) -> None:
    assert site.ask(path).status in (404, 405)


def test_the_drawn_faces_are_photos_with_one_face(site: Served) -> None:
    for number in range(3):
        answered = site.ask("/judge", site.ask(f"/examples/{number}.jpg").body).json
        assert len(answered["faces"]) == 1


@pytest.mark.parametrize(
    ("path", "accepted", "language"),
    [
        ("/", "", "en"),
        ("/", "ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ("/", "fr,en;q=0.5,ko;q=0.2", "en"),
        ("/", "de", "en"),
        ("/?lang=ko", "en", "ko"),
        ("/?lang=xx", "ko", "ko"),
    ],
)
def test_the_language_is_the_browsers_or_the_one_asked_for(site: Served, path: str, accepted: str, language: str) -> None:
    answered = site.ask(path, Accept_Language=accepted)
    assert answered.headers["content-language"] == language
    assert f'<html lang="{language}">' in answered.body.decode()


def test_many_at_once_all_get_their_own_answer(site: Served) -> None:
    photos = [encoded(drawn_face(seed, 160)) for seed in range(4)]
    alone = [site.ask("/judge", data).json for data in photos]
    with ThreadPoolExecutor(8) as clients:
        together = list(clients.map(lambda number: site.ask("/judge", photos[number % 4]).json, range(40)))
    assert together == [alone[number % 4] for number in range(40)]


def test_nothing_of_a_photo_is_kept_on_disk_or_in_a_log(site: Served) -> None:
    site.ask("/judge", FACE)
    site.ask("/judge", b"no photo")
    assert list(site.folder.iterdir()) == []
    assert site.log.read_bytes() == b""


def test_the_card_of_models_without_scores_is_what_they_say_of_themselves(site: Served) -> None:
    text = site.ask("/card").body.decode()
    assert "<h1>The models</h1>" in text
    assert "the drawn sample" in text


def test_a_port_that_is_taken_is_one_line(site: Served, models: Path) -> None:
    command = (sys.executable, "-m", "fakeface", "web", "--model", str(models), "--port", str(site.port))
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: --host 127.0.0.1 --port {site.port}: Address already in use\n"
