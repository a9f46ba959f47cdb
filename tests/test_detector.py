import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from fakeface.core.errors import FakefaceError
from fakeface.core.files import read_json, write_json
from fakeface.core.records import FRAMINGS, PARTS
from fakeface.detector import BATCH_SIZE, CARD_FILE, NETWORK_FILE, Detector, crop_photo, load_detector, score_image
from fakeface.faces.crops import crop
from fakeface.faces.finder import find_landmarks
from fakeface.faces.regions import Region, evidence_by_part
from fakeface.training.export import ExportedClassifier
from tests.conftest import ROOT, photo
from tests.faces.drawn import drawn_face
from tests.tiny_models import ANSWERS, IMAGE_PX, write_model

CARD = {"objective": "bce", "image_px": IMAGE_PX, "framing": "centre", "is_sample": True}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[ExportedClassifier, Path]:
    """A network, and the folder that it was left in."""
    folder = tmp_path_factory.mktemp("models") / "bce"
    return write_model(folder, "bce", is_sample=True), folder


@pytest.fixture
def folder(trained: tuple[ExportedClassifier, Path], tmp_path: Path) -> Path:
    """A copy to do harm to."""
    return Path(shutil.copytree(trained[1], tmp_path / "bce"))


def complaint(folder: Path) -> str:
    with pytest.raises(FakefaceError) as caught:
        load_detector(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_it_knows_what_it_was_made_for(folder: Path) -> None:
    detector = load_detector(folder)
    assert (detector.objective, detector.image_px, detector.is_sample) == ("bce", IMAGE_PX, True)
    assert (detector.framing, detector.sees_regions) == ("centre", False)
    assert asdict(detector.answers) == ANSWERS


def test_a_process_that_is_sent_it_again_and_again_loads_it_once(folder: Path) -> None:
    detector, images = load_detector(folder), np.zeros((2, IMAGE_PX, IMAGE_PX, 3), np.uint8)
    sent = pickle.dumps(detector)
    assert len(sent) < 1000
    received = pickle.loads(sent)  # noqa: S301 - our own bytes
    np.testing.assert_array_equal(received.scores(images).p_fake, detector.scores(images).p_fake)
    assert pickle.loads(sent) is received  # noqa: S301


def test_a_process_that_has_another_model_in_its_folder_refuses_it(folder: Path) -> None:
    sent = pickle.dumps(load_detector(folder))
    os.utime(folder / NETWORK_FILE, ns=(0, 1))
    with pytest.raises(FakefaceError, match=rf"^{folder}: not the model that was sent: expected the same folder on all"):
        pickle.loads(sent)  # noqa: S301


@pytest.mark.parametrize("count", [1, BATCH_SIZE, BATCH_SIZE + 1, 3 * BATCH_SIZE - 1])
def test_scores_are_the_networks_however_many_images(trained: tuple[ExportedClassifier, Path], count: int) -> None:
    classifier, folder = trained
    photos = np.random.default_rng(0).integers(0, 256, (count, IMAGE_PX, IMAGE_PX, 3), dtype=np.uint8)
    p_fake, logits, evidence, novelty = load_detector(folder).scores(photos)
    with torch.inference_mode():
        expected_p_fake, expected_logits = classifier(torch.from_numpy(photos))
    np.testing.assert_allclose(p_fake, expected_p_fake, atol=1e-5)
    np.testing.assert_allclose(logits, expected_logits, atol=1e-4)
    assert p_fake.dtype == logits.dtype == np.float64
    assert evidence is None
    assert novelty is None


def test_an_images_score_does_not_depend_on_its_neighbours(folder: Path) -> None:
    photos = np.random.default_rng(0).integers(0, 256, (20, IMAGE_PX, IMAGE_PX, 3), dtype=np.uint8)
    detector = load_detector(folder)
    together = detector.scores(photos).p_fake
    alone = [detector.scores(photo[np.newaxis])[0][0] for photo in photos]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_a_mapped_or_turned_array_is_scored_alike(folder: Path) -> None:
    photos = np.random.default_rng(0).integers(0, 256, (3, IMAGE_PX, IMAGE_PX, 3), dtype=np.uint8)
    detector = load_detector(folder)
    turned = photos.transpose(0, 2, 1, 3)
    assert (detector.scores(turned)[0] == detector.scores(np.ascontiguousarray(turned))[0]).all()


@pytest.mark.parametrize("absent", [NETWORK_FILE, CARD_FILE, ""])
def test_a_folder_without_a_model_says_how_to_get_one(folder: Path, absent: str) -> None:
    (folder / absent).unlink() if absent else shutil.rmtree(folder)
    assert complaint(folder) == f"{folder}: no trained model; expected network.onnx and model.json, which `dvc repro` makes"


@pytest.mark.parametrize("damage", ["empty", "text", "half"])
def test_a_damaged_network_is_named(folder: Path, damage: str) -> None:
    path = folder / NETWORK_FILE
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"<html>\n404\n</html>", "half": whole[: len(whole) // 2]}[damage])
    assert complaint(folder).startswith(f"{path}: not a network: ")


@pytest.mark.parametrize("key", CARD)
def test_a_key_that_the_card_lacks_is_named(folder: Path, key: str) -> None:
    write_json(folder / CARD_FILE, {name: value for name, value in CARD.items() if name != key})
    assert complaint(folder) == f"{folder / CARD_FILE}: {key}: missing"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("image_px", "32", "'32': expected int"),
        ("is_sample", 1, "1: expected bool"),
        ("objective", None, "None: expected str"),
        ("framing", None, "None: expected str"),
        ("framing", "hand", "'hand': expected face or native or centre"),
        ("thresholds", [0.5], "[0.5]: expected dict"),
        ("thresholds", {"half": None}, "None: expected a number"),
        ("answers", 0.5, "0.5: expected dict"),
        ("answers", {"max_error": 0.1, "real_below": 0.4}, "None: expected a number"),
        ("answers", {"max_error": 0.1, "real_below": True, "fake_from": 0.6}, "True: expected a number"),
        ("answers", {"max_error": 0.1, "real_below": 0.7, "fake_from": 0.6}, "0.7: expected at most answers.fake_from, 0.6"),
    ],
)
def test_a_card_of_another_version_is_named(folder: Path, key: str, value: Any, expected: str) -> None:
    write_json(folder / CARD_FILE, read_json(folder / CARD_FILE) | {key: value})
    assert complaint(folder).startswith(f"{folder / CARD_FILE}: {key}")
    assert complaint(folder).endswith(f": {expected}")


def test_a_network_of_another_size_is_named(folder: Path) -> None:
    write_json(folder / CARD_FILE, read_json(folder / CARD_FILE) | {"image_px": 48})
    found = f"logits, p_fake of images [{IMAGE_PX}, {IMAGE_PX}, 3]"
    assert complaint(folder) == f"{folder / NETWORK_FILE}: {found}: expected p_fake and logits of images [48, 48, 3]"


def test_a_network_with_other_outputs_is_named(folder: Path) -> None:
    network = onnx.load(folder / NETWORK_FILE)
    network.graph.output.pop()
    onnx.save(network, folder / NETWORK_FILE)
    assert f": expected p_fake and logits of images [{IMAGE_PX}, {IMAGE_PX}, 3]" in complaint(folder)


@pytest.mark.parametrize(("text", "reason"), [("{", "not JSON"), ("[1, 2]", "objective: missing"), ("", "not JSON")])
def test_a_card_that_is_none_is_named(folder: Path, text: str, reason: str) -> None:
    (folder / CARD_FILE).write_text(text)
    assert complaint(folder).startswith(f"{folder / CARD_FILE}: {reason}")


def test_a_verdict_needs_no_torch(folder: Path) -> None:
    code = f"""
import sys
import numpy as np
from pathlib import Path
from fakeface.detector import load_detector
load_detector(Path({str(folder)!r})).scores(np.zeros((1, {IMAGE_PX}, {IMAGE_PX}, 3), np.uint8))
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")


def test_onnxruntime_reports_to_nobody(folder: Path, tmp_path: Path) -> None:
    """Its reporter leaves a file that names the session as soon as it starts."""
    (tmp_path / "tmp").mkdir()
    code = f"from pathlib import Path; from fakeface.detector import load_detector; load_detector(Path({str(folder)!r}))"
    env = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env | {"TMPDIR": str(tmp_path / "tmp")})
    assert done.returncode == 0
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.fixture(scope="module")
def detectors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Detector]:
    """By what they see: two framings, with and without regions."""
    folder = tmp_path_factory.mktemp("kinds")
    for framing in FRAMINGS:
        write_model(folder / framing, "ce", framing=framing)
        write_model(folder / f"{framing}, regions", "ce", framing=framing, sees_regions=True)
    return {path.name: load_detector(path) for path in sorted(folder.iterdir())}


def test_regions_are_fed_to_the_networks_that_ask_for_them(detectors: dict[str, Detector]) -> None:
    image = photo(0, 300, 220)
    image.paste(drawn_face(0), (120, 20))
    landmarks = find_landmarks(image)
    assert landmarks is not None
    scores = score_image(image, detectors)
    for framing in FRAMINGS:
        expected = crop(image, landmarks, framing, IMAGE_PX)
        logits = detectors[framing].scores(expected.pixels[np.newaxis])[1][0]
        np.testing.assert_allclose(scores[framing].logits, logits)
        share = (expected.regions == Region.REST).mean()
        assert 0 < share < 1
        np.testing.assert_allclose(scores[f"{framing}, regions"].logits, logits + np.array([0, share]), atol=1e-5)


def test_evidence_is_the_networks_and_its_means_are_of_the_crops_parts(tmp_path: Path) -> None:
    """The tiny network's evidence is the red of each place."""
    write_model(tmp_path / "ce", "ce", framing="face", gives_evidence=True, gives_novelty=True)
    write_model(tmp_path / "bce", "bce", framing="face", sees_regions=True)
    detectors = {name: load_detector(tmp_path / name) for name in ("ce", "bce")}
    image = drawn_face(0, 200)
    scores = score_image(image, detectors)
    seen = crop(image, find_landmarks(image), "face", IMAGE_PX)
    red = seen.pixels[..., 0].reshape(4, 8, 4, 8).mean(axis=(1, 3)) / 255
    assert scores["ce"].evidence is not None
    np.testing.assert_allclose(scores["ce"].evidence, red, atol=1e-6)
    expected = evidence_by_part(red, seen.regions)
    assert None not in expected.values()
    assert scores["ce"].parts == pytest.approx(expected, abs=1e-6)
    assert scores["ce"].novelty == pytest.approx(2 * red.mean(), abs=1e-5)
    assert (scores["bce"].evidence, scores["bce"].parts, scores["bce"].novelty) == (None, None, None)


def test_without_a_face_no_part_has_evidence(tmp_path: Path) -> None:
    write_model(tmp_path / "ce", "ce", gives_evidence=True)
    score = score_image(photo(0), {"ce": load_detector(tmp_path / "ce")})["ce"]
    assert score.parts == dict.fromkeys(PARTS)
    assert score.evidence is not None


def test_evidence_of_many_images_is_that_of_each(tmp_path: Path) -> None:
    write_model(tmp_path / "ce", "ce", gives_evidence=True)
    images = np.random.default_rng(0).integers(0, 256, (BATCH_SIZE + 3, IMAGE_PX, IMAGE_PX, 3), dtype=np.uint8)
    evidence = load_detector(tmp_path / "ce").scores(images, np.zeros(images.shape[:3], np.uint8)).evidence
    assert evidence is not None
    np.testing.assert_allclose(evidence, images[..., 0].reshape(-1, 4, 8, 4, 8).mean(axis=(2, 4)) / 255, atol=1e-6)


def test_many_images_with_their_regions_are_scored_as_one_by_one(detectors: dict[str, Detector]) -> None:
    rng, count = np.random.default_rng(0), BATCH_SIZE + 3
    images = rng.integers(0, 256, (count, IMAGE_PX, IMAGE_PX, 3), dtype=np.uint8)
    regions = rng.integers(0, len(Region), (count, IMAGE_PX, IMAGE_PX), dtype=np.uint8)
    detector = detectors["face, regions"]
    together = detector.scores(images, regions).p_fake
    alone = [detector.scores(images[[row]], regions[[row]])[0][0] for row in range(count)]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_without_a_face_all_see_the_centre(detectors: dict[str, Detector]) -> None:
    crops = crop_photo(photo(0, 90, 50), detectors)
    for seen in crops.values():
        np.testing.assert_array_equal(seen.pixels, crop(photo(0, 90, 50), None, "centre", IMAGE_PX).pixels)
        assert (seen.regions == Region.REST).all()


@pytest.mark.parametrize("kind", ["centre", "centre, regions", "face", "face, regions"])
def test_faces_are_looked_for_once_and_only_where_they_matter(
    detectors: dict[str, Detector], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    looked: list[Any] = []
    monkeypatch.setattr("fakeface.detector.find_landmarks", looked.append)
    score_image(photo(0), {"ce": detectors[kind], "bce": detectors[kind]})
    assert len(looked) == (0 if kind == "centre" else 1)


def test_regions_of_another_size_are_named(folder: Path) -> None:
    write_model(folder / "new", "bce", sees_regions=True)
    write_json(folder / "new" / CARD_FILE, read_json(folder / "new" / CARD_FILE) | {"image_px": 48})
    found = f"logits, p_fake of images [{IMAGE_PX}, {IMAGE_PX}, 3], regions [{IMAGE_PX}, {IMAGE_PX}]: expected "
    assert complaint(folder / "new").startswith(f"{folder / 'new' / NETWORK_FILE}: {found}")
