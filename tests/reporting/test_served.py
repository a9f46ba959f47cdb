"""The registered model as a stranger serves it: `mlflow models serve` by its alias, with pickle disabled, asked by HTTP."""

import base64
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
import pytest
from PIL import Image

from bench.server import Server, served
from fakeface.detector import load_detectors
from fakeface.predictor import Photo, judge
from fakeface.reporting.judgements import as_json
from tests.checkout import PROJECT, environment
from tests.faces.drawn import drawn_face
from tests.tracking.candidates import images_of, write_candidate
from tests.tracking.test_registry import reported


def png(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def judged(server: Server, *photos: str) -> list[dict[str, Any]]:
    status, text = server.post(records(*photos))
    assert status == 200, text
    found: list[dict[str, Any]] = json.loads(text)["predictions"]
    return found


def records(*photos: Any) -> dict[str, Any]:
    return {"dataframe_records": [{"photo": photo} for photo in photos]}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("candidate")
    write_candidate(folder, 4.0, images_of(40))
    return folder


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    checkout = tmp_path_factory.mktemp("checkout")
    assert reported({"1": models}, checkout, "") == "done\n"
    store = f"sqlite:///{checkout}/mlflow.db"
    mlflow.MlflowClient(store).set_registered_model_alias("fakeface", "champion", "1")
    env = environment(
        PYTHONPATH=str(PROJECT),
        MLFLOW_TRACKING_URI=store,
        MLFLOW_ALLOW_PICKLE_DESERIALIZATION="false",
        MLFLOW_DISABLE_TELEMETRY="true",
    )
    with served("models:/fakeface@champion", checkout, env) as server:
        yield server


def two_faces() -> Image.Image:
    picture = Image.new("RGB", (700, 400), "gray")
    picture.paste(drawn_face(1, 160), (30, 100))
    picture.paste(drawn_face(0, 320), (330, 40))
    return picture


def test_each_face_of_each_photo_is_judged_as_the_command_does(server: Server, models: Path) -> None:
    detectors = load_detectors(models / "models")
    found = judged(server, png(two_faces()), png(drawn_face(2, 200)), png(Image.new("RGB", (80, 80))))
    assert [len(photo["faces"]) for photo in found] == [2, 1, 0]
    for photo, image in zip(found, (two_faces(), drawn_face(2, 200)), strict=False):
        for face, expected in zip(photo["faces"], judge(Photo(image), detectors), strict=True):
            wanted = as_json(expected, detectors)
            assert face["box"] == wanted["box"]
            assert face["answer"] == wanted["answer"]
            for name in ("ce", "bce"):
                assert face[name]["p_fake"] == pytest.approx(wanted[name]["p_fake"], abs=1e-5)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (records("@@@"), "photo 1: not base64"),
        (records(png(Image.new("RGB", (40, 40))), base64.b64encode(b"no photo").decode()), "photo 2: "),
        (records(*["aaaa"] * 33), "33 photos: expected at most 32 in a request"),
        ({"dataframe_records": [{"picture": "aaaa"}]}, "photo"),
        (b"{", ""),
        ({"nothing": 1}, ""),
    ],
    ids=["text", "no photo", "too many", "another column", "no JSON", "no input"],
)
def test_wrong_input_is_an_answer_4xx_of_one_line(server: Server, body: Any, complaint: str) -> None:
    status, text = server.post(body)
    assert 400 <= status < 500
    assert len(text.splitlines()) == 1
    assert complaint in json.loads(text)["message"]
    assert "Traceback" not in text


def test_another_content_type_is_refused(server: Server) -> None:
    assert server.post(b"<photo/>", "text/xml")[0] == 415


def test_eight_clients_at_once_lose_no_answer_and_memory_stays(server: Server) -> None:
    photos = [png(drawn_face(seed, 120)) for seed in range(8)]
    alone = [judged(server, photo) for photo in photos]
    with ThreadPoolExecutor(8) as clients:
        assert list(clients.map(partial(judged, server), photos)) == alone
        before = server.memory_mib()
        assert list(clients.map(partial(judged, server), photos * 8)) == alone * 8
    assert server.memory_mib() - before < 60
