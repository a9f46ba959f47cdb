import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import torch
from PIL import Image

from fakeface.commands import predict
from fakeface.core.files import read_json, read_rows, sha256_of, write_json, write_rows
from fakeface.core.listing import FileRecord
from fakeface.core.records import (
    OBJECTIVE_NAMES,
    PARTS,
    SAMPLE_MARKER,
    ElsewhereRecord,
    EvidenceRecord,
    ObjectiveName,
    PerturbedRecord,
    PredictionRecord,
    Side,
    SplitRecord,
)
from fakeface.detector import CARD_FILE, HELD_OUT, NETWORK_FILE, load_detectors, score_image
from fakeface.faces.crops import crop
from fakeface.faces.finder import find_landmarks
from fakeface.photos.images import fit, read_image
from fakeface.photos.perturbations import PERTURBATIONS
from fakeface.training.export import ExportedClassifier, export_onnx
from fakeface.training.losses import OBJECTIVES
from stages import infer
from tests.conftest import Command, Outcome, photo, write_params
from tests.faces.drawn import drawn_face
from tests.split_rows import image
from tests.tiny_models import IMAGE_PX, write_model

PHOTOS: dict[str, tuple[Side, tuple[int, int]]] = {
    "z.jpg": ("test", (48, 48)),
    "a.png": ("train", (90, 50)),
    "sub/하나.webp": ("valid", (20, 70)),
    "out.jpg": ("excluded", (48, 48)),
    "b.bmp": ("test", (33, 32)),
    "c.jpg": ("train", (600, 600)),
}
"""Side and size by path; the rows of the split stand in this order, which is not the paths'."""
TEMPERATURE = 2.5


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both models, calibrated by a temperature other than 1."""
    folder = tmp_path_factory.mktemp("models")
    for objective in OBJECTIVES:
        write_calibrated(folder / objective, objective, TEMPERATURE)
    return folder


def write_calibrated(folder: Path, objective: ObjectiveName, temperature: float) -> None:
    plain = write_model(folder, objective)
    mean, std = plain.mean.flatten().tolist(), plain.std.flatten().tolist()
    export_onnx(
        ExportedClassifier(plain.network, OBJECTIVES[objective], mean, std, temperature), IMAGE_PX, folder / NETWORK_FILE
    )


@pytest.fixture
def models(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "models"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Photos of all sides, and the split that says so."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    rows = []
    for number, (name, (side, size)) in enumerate(PHOTOS.items()):
        photo(number, *size).save(folder / name)
        rows.append(image(number, number % 2, path=name, side=side, sha256=sha256_of(folder / name)))
    write_rows(tmp_path / "split.csv", SplitRecord, rows)
    write_params(tmp_path / "params.yaml", {"data": {"root": str(folder)}})
    return folder


@pytest.fixture
def run(command: Command, root: Path, models: Path, tmp_path: Path) -> Callable[[], Outcome]:
    tables = ("split", "elsewhere-listing", "predictions", "perturbed", "evidence", "elsewhere")
    paths = {name: tmp_path / f"{name}.csv" for name in tables}
    write_rows(paths["elsewhere-listing"], FileRecord, [])
    paths |= {"models": models, "metrics": tmp_path / "elsewhere.json", "params": tmp_path / "params.yaml"}
    return lambda: command(infer, *(word for name, path in paths.items() for word in (f"--{name}", path)))


def predictions(tmp_path: Path) -> list[PredictionRecord]:
    return read_rows(tmp_path / "predictions.csv", PredictionRecord)


def by_hand(model: Path, pixels: npt.NDArray[np.uint8]) -> tuple[float, npt.NDArray[np.float32]]:
    """p_fake and logits of one image, by the network and nothing else."""
    session = onnxruntime.InferenceSession(model / NETWORK_FILE, providers=["CPUExecutionProvider"])
    p_fake, logits = session.run(["p_fake", "logits"], {"images": pixels[np.newaxis]})
    return float(p_fake[0]), logits[0]


def test_a_row_per_image_in_the_order_of_the_split(run: Callable[[], Outcome], tmp_path: Path) -> None:
    assert run() == Outcome(0, "", "")
    expected = [(record.path, record.side, record.label) for record in read_rows(tmp_path / "split.csv", SplitRecord)]
    found = [(row.path, row.side, row.label) for row in predictions(tmp_path)]
    assert found == [row for row in expected if row[1] != "excluded"]
    assert len(found) == len(PHOTOS) - 1


def test_it_is_what_predict_says_of_the_same_photo(
    run: Callable[[], Outcome], command: Command, root: Path, models: Path, tmp_path: Path
) -> None:
    run()
    rows = predictions(tmp_path)
    outcome = command(predict, "--json", "--models", models, "--threshold", "half", *(root / row.path for row in rows))
    told = [json.loads(line) for line in outcome.out.splitlines()]
    for objective in OBJECTIVE_NAMES:
        expected = [verdict[objective]["p_fake"] for verdict in told]
        assert [getattr(row, f"{objective}_p_fake") for row in rows] == expected


def test_a_valid_photo_is_judged_by_the_networks_that_have_not_seen_it(
    run: Callable[[], Outcome], models: Path, tmp_path: Path
) -> None:
    """Also as the web leaves it; photos of the other sides are judged by the refitted ones."""
    run()
    before, web_before = predictions(tmp_path), read_rows(tmp_path / "perturbed.csv", PerturbedRecord)
    for objective in OBJECTIVE_NAMES:
        shutil.move(models / objective, tmp_path / objective)
        write_calibrated(models / objective, objective, 2 * TEMPERATURE)
        shutil.move(tmp_path / objective, models / objective / HELD_OUT)
    run()
    after, web_after = predictions(tmp_path), read_rows(tmp_path / "perturbed.csv", PerturbedRecord)
    assert {one.side for one, other in zip(before, after, strict=True) if one == other} == {"valid"}
    assert {one.side for one, other in zip(before, after, strict=True) if one != other} == {"train", "test"}
    (valid,) = (row.path for row in after if row.side == "valid")
    assert {one.path for one, other in zip(web_before, web_after, strict=True) if one == other} == {valid}


def test_of_a_face_it_is_what_predict_says_too(
    run: Callable[[], Outcome], command: Command, root: Path, models: Path, tmp_path: Path
) -> None:
    """A face is found anew in each photo, and in each perturbed one."""
    rows = read_rows(tmp_path / "split.csv", SplitRecord)
    for number, name in enumerate(("z.jpg", "c.jpg")):
        drawn_face(number, 200).save(root / name)
    rows = [replace(row, sha256=sha256_of(root / row.path)) for row in rows]
    write_rows(tmp_path / "split.csv", SplitRecord, rows)
    shutil.rmtree(models)
    for objective in OBJECTIVE_NAMES:
        write_model(models / objective, objective, framing="face", sees_regions=True)
    assert run() == Outcome(0, "", "")
    found = predictions(tmp_path)
    words = ("--json", "--whole", "--models", models)
    outcome = command(predict, *words, *(root / row.path for row in found))
    told = [json.loads(line) for line in outcome.out.splitlines()]
    assert [row.ce_p_fake for row in found] == [verdict["ce"]["p_fake"] for verdict in told]
    detectors = load_detectors(models)
    for row in read_rows(tmp_path / "perturbed.csv", PerturbedRecord):
        perturbed = PERTURBATIONS[row.perturbation](read_image(root / row.path))
        seen = crop(perturbed, find_landmarks(perturbed), "face", IMAGE_PX)
        for objective, p_fake in (("ce", row.ce_p_fake), ("bce", row.bce_p_fake)):
            by_hand = detectors[objective].scores(seen.pixels[np.newaxis], seen.regions[np.newaxis])
            assert p_fake == pytest.approx(by_hand.p_fake[0], abs=1e-6)


def test_it_is_what_the_network_says_by_hand(run: Callable[[], Outcome], root: Path, models: Path, tmp_path: Path) -> None:
    run()
    for row in predictions(tmp_path):
        pixels = fit(read_image(root / row.path), IMAGE_PX)
        ce_p_fake, ce_logits = by_hand(models / "ce", pixels)
        bce_p_fake, bce_logits = by_hand(models / "bce", pixels)
        assert (row.ce_p_fake, row.bce_p_fake) == pytest.approx((ce_p_fake, bce_p_fake), abs=1e-6)
        assert row.bce_argmax == int(bce_logits[1] > bce_logits[0])
        for objective, raw, logits in (("ce", row.ce_raw_p_fake, ce_logits), ("bce", row.bce_raw_p_fake, bce_logits)):
            trained = OBJECTIVES[objective].p_fake(torch.tensor(logits[np.newaxis]))  # type: ignore[index]
            assert raw == pytest.approx(trained.item(), abs=1e-6)


def test_raw_and_calibrated_are_a_temperature_apart(run: Callable[[], Outcome], tmp_path: Path) -> None:
    run()
    for row in predictions(tmp_path):
        for calibrated, raw in ((row.ce_p_fake, row.ce_raw_p_fake), (row.bce_p_fake, row.bce_raw_p_fake)):
            odds = np.log(raw / (1 - raw)) / TEMPERATURE
            assert calibrated == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-5)
            assert calibrated != raw


@pytest.mark.parametrize("logits", [(0.0, 0.0), (-3.0, 2.0), (900.0, -900.0), (-900.0, 900.0)])
@pytest.mark.parametrize("objective", OBJECTIVE_NAMES)
def test_raw_p_fake_is_the_one_of_the_loss(objective: Any, logits: tuple[float, float]) -> None:
    trained = OBJECTIVES[objective].p_fake(torch.tensor([logits], dtype=torch.float64)).item()
    assert infer.RAW_P_FAKE[objective](np.array(logits)) == pytest.approx(trained, abs=1e-12)


def test_test_images_come_again_under_each_perturbation_and_valid_ones_as_the_web_leaves_them(
    run: Callable[[], Outcome], root: Path, models: Path, tmp_path: Path
) -> None:
    run()
    rows = read_rows(tmp_path / "perturbed.csv", PerturbedRecord)
    perturbations: dict[Side, list[str]] = {"train": [], "valid": ["web"], "test": list(PERTURBATIONS), "excluded": []}
    expected_rows = [(path, name) for path, (side, _) in PHOTOS.items() for name in perturbations[side]]
    assert [(row.path, row.perturbation) for row in rows] == expected_rows
    for row in rows:
        pixels = fit(PERTURBATIONS[row.perturbation](read_image(root / row.path)), IMAGE_PX)
        expected = tuple(by_hand(models / objective, pixels)[0] for objective in OBJECTIVE_NAMES)
        assert (row.ce_p_fake, row.bce_p_fake) == pytest.approx(expected, abs=1e-6)


def test_an_image_is_judged_alike_whatever_its_neighbours(run: Callable[[], Outcome], tmp_path: Path) -> None:
    run()
    together = {row.path: row for row in predictions(tmp_path)}
    rows = read_rows(tmp_path / "split.csv", SplitRecord)
    write_rows(tmp_path / "split.csv", SplitRecord, rows[:0:-2])
    run()
    alone = predictions(tmp_path)
    assert len(alone) == 2
    assert alone == [together[row.path] for row in alone]


def test_the_same_again_is_the_same_bytes(run: Callable[[], Outcome], tmp_path: Path) -> None:
    run()
    names = ("predictions.csv", "perturbed.csv", "evidence.csv", "elsewhere.csv", "elsewhere.json")
    before = [(tmp_path / name).read_bytes() for name in names]
    run()
    assert [(tmp_path / name).read_bytes() for name in names] == before


def test_models_without_evidence_leave_a_table_without_rows(run: Callable[[], Outcome], tmp_path: Path) -> None:
    run()
    assert (tmp_path / "evidence.csv").read_text() == "path,objective,left_eye,right_eye,nose,mouth\n"


def test_evidence_is_that_of_valid_and_test_images_by_the_models_that_give_it(
    run: Callable[[], Outcome], root: Path, models: Path, tmp_path: Path
) -> None:
    """As the photos are distributed; a photo without a face has a row of empty cells."""
    rows = read_rows(tmp_path / "split.csv", SplitRecord)
    drawn_face(0, 200).save(root / "z.jpg")
    write_rows(tmp_path / "split.csv", SplitRecord, [replace(row, sha256=sha256_of(root / row.path)) for row in rows])
    shutil.rmtree(models / "bce")
    write_model(models / "bce", "bce", framing="face", gives_evidence=True)
    assert run() == Outcome(0, "", "")
    found = read_rows(tmp_path / "evidence.csv", EvidenceRecord)
    assert [(row.path, row.objective) for row in found] == [(row.path, "bce") for row in rows if row.side in ("valid", "test")]
    parts = {row.path: [getattr(row, name) for name in PARTS] for row in found}
    told = score_image(read_image(root / "z.jpg"), load_detectors(models))["bce"].parts
    assert told is not None
    assert parts.pop("z.jpg") == list(told.values())
    assert all(values == [None] * len(PARTS) for values in parts.values())


def name_elsewhere(tmp_path: Path, **files: bytes) -> Path:
    """A folder of photos from elsewhere with these files, listed, and named beside the other photos."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    rows = []
    for name, data in files.items():
        (folder / name).write_bytes(data)
        rows.append(FileRecord(name, len(data), sha256_of(folder / name), ""))
    rows.append(FileRecord("pipe.jpg", None, "", "not a regular file"))
    write_rows(tmp_path / "elsewhere-listing.csv", FileRecord, rows)
    write_params(tmp_path / "params.yaml", {"data": {"root": str(tmp_path / "photos")}, "elsewhere": {"root": str(folder)}})
    return folder


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def two_faces() -> Image.Image:
    picture = Image.new("RGB", (700, 400), "gray")
    picture.paste(drawn_face(1, 160), (30, 100))
    picture.paste(drawn_face(0, 320), (330, 40))
    return picture


def test_without_photos_from_elsewhere_there_are_no_rows(run: Callable[[], Outcome], tmp_path: Path) -> None:
    run()
    assert read_rows(tmp_path / "elsewhere.csv", ElsewhereRecord) == []
    counts = {"photos": 0, "without_face": 0, "faces": 0, "rejected": 0, "is_sample": False}
    assert read_json(tmp_path / "elsewhere.json") == counts


def test_each_face_from_elsewhere_is_judged_as_predict_does(
    run: Callable[[], Outcome], command: Command, root: Path, models: Path, tmp_path: Path
) -> None:
    for objective in OBJECTIVE_NAMES:
        shutil.rmtree(models / objective)
        write_model(models / objective, objective, framing="face", sees_regions=True)
    photos = {"couple.png": png(two_faces()), "nobody.png": png(photo(3)), "one.png": png(drawn_face(2, 200))}
    folder = name_elsewhere(tmp_path, **photos, **{"notes.txt": b"no photo"})
    told = "from elsewhere: 3 faces in 3 photos, 2 files cannot be used\n"
    told += "  notes.txt: not a JPEG, PNG, WEBP, BMP or TIFF image\n  pipe.jpg: not a regular file\n"
    assert run() == Outcome(0, told, "")
    rows = read_rows(tmp_path / "elsewhere.csv", ElsewhereRecord)
    assert [(row.path, row.face) for row in rows] == [("couple.png", 1), ("couple.png", 2), ("nobody.png", 0), ("one.png", 1)]
    assert (rows[2].ce_p_fake, rows[2].bce_p_fake) == (None, None)
    outcome = command(predict, "--json", "--models", models, *(folder / name for name in photos))
    verdicts = [verdict for line in outcome.out.splitlines() if "ce" in (verdict := json.loads(line))]
    for objective in OBJECTIVE_NAMES:
        expected = [verdict[objective]["p_fake"] for verdict in verdicts]
        assert [getattr(row, f"{objective}_p_fake") for row in rows if row.face] == expected
    counts = {"photos": 3, "without_face": 1, "faces": 3, "rejected": 2}
    assert read_json(tmp_path / "elsewhere.json") == counts | {"is_sample": False}
    (tmp_path / SAMPLE_MARKER).touch()
    run()
    assert read_json(tmp_path / "elsewhere.json") == counts | {"is_sample": True}


def test_models_that_look_for_no_face_judge_the_centre_from_elsewhere(run: Callable[[], Outcome], tmp_path: Path) -> None:
    name_elsewhere(tmp_path, **{"nobody.png": png(photo(3))})
    run()
    (row,) = read_rows(tmp_path / "elsewhere.csv", ElsewhereRecord)
    assert (row.path, row.face) == ("nobody.png", 1)
    assert row.ce_p_fake is not None


def test_a_folder_without_a_face_is_one_line(run: Callable[[], Outcome], models: Path, tmp_path: Path) -> None:
    shutil.rmtree(models / "ce")
    write_model(models / "ce", "ce", framing="face")
    folder = name_elsewhere(tmp_path, **{"nobody.png": png(photo(3))})
    told = "0 faces in 1 photos, 1 files cannot be used; pipe.jpg: not a regular file"
    assert run() == Outcome(1, "", f"error: {folder}: elsewhere.root should name photos of faces: {told}\n")
    assert not (tmp_path / "predictions.csv").exists()


def test_a_photo_from_elsewhere_that_changed_since_is_named(run: Callable[[], Outcome], tmp_path: Path) -> None:
    path = name_elsewhere(tmp_path, **{"one.png": png(photo(3))}) / "one.png"
    path.write_bytes(png(photo(4)))
    assert run() == Outcome(1, "", f"error: {path}: changed since it was indexed: `dvc repro` indexes it again\n")


def test_each_model_has_a_size_of_its_own(run: Callable[[], Outcome], root: Path, models: Path, tmp_path: Path) -> None:
    run()
    before = predictions(tmp_path)
    classifier = write_model(tmp_path / "other", "bce")
    classifier.network[0] = torch.nn.AvgPool2d(16)  # type: ignore[operator]
    export_onnx(classifier, 2 * IMAGE_PX, models / "bce" / NETWORK_FILE)
    card = read_json(models / "bce" / CARD_FILE)
    write_json(models / "bce" / CARD_FILE, card | {"image_px": 2 * IMAGE_PX})
    assert run() == Outcome(0, "", "")
    for row, old in zip(predictions(tmp_path), before, strict=True):
        assert row.ce_p_fake == old.ce_p_fake
        pixels = fit(read_image(root / row.path), 2 * IMAGE_PX)
        assert row.bce_p_fake == pytest.approx(by_hand(models / "bce", pixels)[0], abs=1e-6)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda path: path.unlink(), "No such file or directory"),
        (lambda path: photo(99).save(path), "changed since it was indexed: `dvc repro` indexes it again"),
        (lambda path: path.write_bytes(b""), "changed since it was indexed: `dvc repro` indexes it again"),
    ],
)
def test_a_photo_that_changed_since_is_named(
    run: Callable[[], Outcome], root: Path, tmp_path: Path, harm: Callable[[Path], object], reason: str
) -> None:
    path = root / "b.bmp"
    harm(path)
    assert run() == Outcome(1, "", f"error: {path}: {reason}\n")
    assert not list(tmp_path.glob("*predictions*"))
    assert not list(tmp_path.glob("*perturbed*"))


def test_an_excluded_photo_is_not_even_opened(run: Callable[[], Outcome], root: Path) -> None:
    (root / "out.jpg").unlink()
    assert run().status == 0


def test_without_a_model_one_line_says_how_to_get_it(run: Callable[[], Outcome], models: Path) -> None:
    shutil.rmtree(models / "bce")
    expected = f"{models}/bce: no trained model; expected {NETWORK_FILE} and {CARD_FILE}, which `dvc repro` makes"
    assert run() == Outcome(1, "", f"error: {expected}\n")


def test_a_split_that_is_no_table_is_one_line(run: Callable[[], Outcome], tmp_path: Path, root: Path) -> None:
    (tmp_path / "split.csv").write_text("path\na.jpg\n")
    outcome = run()
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert outcome.err.startswith(f"error: {tmp_path}/split.csv: line 2: ")


def test_help_says_what_it_does(command: Command) -> None:
    outcome = command(infer, "--help")
    assert outcome.status == 0
    assert "Score every image with both classifiers" in outcome.out
