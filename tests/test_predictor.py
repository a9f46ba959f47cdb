import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fakeface.core.records import Framing
from fakeface.detector import Answers, Detector, Score, load_detector, load_detectors, score_image
from fakeface.faces.crops import crop
from fakeface.faces.finder import find_faces
from fakeface.photos.images import ImageError
from fakeface.predictor import Photo, Verdict, corners_of_crop, decode_photo, judge, map_disagrees, shown_p_fake
from tests.conftest import photo
from tests.faces.drawn import drawn_face
from tests.tiny_models import IMAGE_PX, write_model


def models(folder: Path, framing: Framing) -> dict[str, Detector]:
    write_model(folder / "ce", "ce", framing=framing, gives_evidence=True)
    write_model(folder / "bce", "bce", framing=framing)
    return load_detectors(folder)


@pytest.fixture(scope="module")
def detectors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Detector]:
    return models(tmp_path_factory.mktemp("face"), "face")


@pytest.fixture(scope="module")
def centre_detectors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Detector]:
    return models(tmp_path_factory.mktemp("centre"), "centre")


@pytest.fixture(scope="module")
def two_faces() -> Image.Image:
    """A small face on the left, a large one on the right."""
    picture = photo(0, 700, 400)
    picture.paste(drawn_face(1, 160), (30, 100))
    picture.paste(drawn_face(0, 320), (330, 40))
    return picture


def test_the_largest_face_has_the_score_that_infer_gives_the_photo(
    detectors: dict[str, Detector], two_faces: Image.Image
) -> None:
    largest, *_ = judge(Photo(two_faces), detectors)
    for name, score in score_image(two_faces, detectors).items():
        assert largest.verdicts[name].score.p_fake == pytest.approx(score.p_fake, abs=1e-5)


def test_every_face_is_judged_the_largest_first(detectors: dict[str, Detector], two_faces: Image.Image) -> None:
    judgements = judge(Photo(two_faces), detectors)
    assert [(judgement.number, judgement.faces) for judgement in judgements] == [(1, 2), (2, 2)]
    boxes = [judgement.box for judgement in judgements if judgement.box]
    assert boxes[0][0] > 330 > 190 > boxes[1][2]
    for judgement, face in zip(judgements, find_faces(two_faces), strict=True):
        for name, detector in detectors.items():
            seen = crop(two_faces, face.landmarks, "face", IMAGE_PX)
            np.testing.assert_array_equal(judgement.verdicts[name].crop.pixels, seen.pixels)
            p_fake = float(detector.scores(seen.pixels[np.newaxis], seen.regions[np.newaxis]).p_fake[0])
            assert judgement.verdicts[name].score.p_fake == pytest.approx(p_fake, abs=1e-5)


def test_the_corners_are_where_the_crop_was_taken(detectors: dict[str, Detector], two_faces: Image.Image) -> None:
    """Cut out along them by Pillow, the photo looks like the crop."""
    verdict = judge(Photo(two_faces), detectors)[0].verdicts["ce"]
    upper_left, upper_right, lower_right, lower_left = verdict.corners
    quad = np.concatenate([upper_left, lower_left, lower_right, upper_right]).tolist()
    again = two_faces.transform((256, 256), Image.Transform.QUAD, quad, Image.Resampling.BILINEAR).resize((IMAGE_PX, IMAGE_PX))
    assert np.abs(np.asarray(again).astype(int) - verdict.crop.pixels).mean() < 4


def test_a_centre_squares_corners_are_the_squares(two_faces: Image.Image) -> None:
    square = [(150, 0), (550, 0), (550, 400), (150, 400)]
    np.testing.assert_allclose(corners_of_crop(two_faces, None, "centre", IMAGE_PX), square)
    np.testing.assert_allclose(corners_of_crop(two_faces, None, "face", IMAGE_PX), square)
    np.testing.assert_allclose(corners_of_crop(two_faces, None, "native", IMAGE_PX), square)


def test_without_a_face_the_picture_is_judged_only_if_asked_and_marked(detectors: dict[str, Detector]) -> None:
    picture = Photo(photo(0, 90, 60))
    assert judge(picture, detectors) == []
    (judgement,) = judge(picture, detectors, whole=True)
    assert (judgement.box, judgement.faces) == (None, 0)
    assert "no_face" in judgement.reservations
    expected = score_image(picture.image, detectors)["ce"].p_fake
    assert judgement.verdicts["ce"].score.p_fake == pytest.approx(expected, abs=1e-5)


def test_models_of_centre_squares_judge_the_centre_whatever_it_shows(
    centre_detectors: dict[str, Detector], two_faces: Image.Image
) -> None:
    (judgement,) = judge(Photo(two_faces), centre_detectors)
    assert judgement.box is None
    assert "no_face" not in judgement.reservations
    for name, score in score_image(two_faces, centre_detectors).items():
        assert judgement.verdicts[name].score.p_fake == pytest.approx(score.p_fake, abs=1e-5)


@pytest.mark.parametrize(("image_px", "reservation"), [(160, None), (32, "small"), (20, "shrunk")])
def test_a_face_of_fewer_pixels_than_the_network_sees_is_told(
    centre_detectors: dict[str, Detector], image_px: int, reservation: str | None
) -> None:
    """The tiny network looks at 32 px; here a crop is as large as the picture's shorter side, less a px or four."""
    (judgement,) = judge(Photo(photo(0, 160, image_px if image_px == 160 else image_px - 5)), centre_detectors)
    assert [name for name in judgement.reservations if name in ("small", "shrunk")] == ([reservation] if reservation else [])


def test_a_face_cut_off_by_the_border_is_told(detectors: dict[str, Detector], two_faces: Image.Image) -> None:
    left, _, right, _ = judge(Photo(two_faces), detectors)[0].box or (0, 0, 0, 0)
    whole, cut = (two_faces.crop((200, 0, edge, 400)) for edge in (700, round(0.9 * right + 0.1 * left)))
    assert "cut_off" not in judge(Photo(whole), detectors)[0].reservations
    assert "cut_off" in judge(Photo(cut), detectors)[0].reservations


@pytest.mark.parametrize(("quality", "is_told"), [(30, True), (49, True), (50, False), (90, False)])
def test_compression_beyond_what_evaluate_measured_is_told(
    detectors: dict[str, Detector], two_faces: Image.Image, quality: int, is_told: bool
) -> None:
    file = io.BytesIO()
    two_faces.save(file, "JPEG", quality=quality)
    judgement = judge(decode_photo(file.getvalue(), "photo.jpg"), detectors)[0]
    assert ("compressed" in judgement.reservations) == is_told


@pytest.mark.parametrize(
    ("answer", "evidence", "disagrees"),
    [("fake", 1, False), ("fake", -1, True), ("real", -1, False), ("real", 1, True), ("inconclusive", 1, False)],
)
def test_a_map_that_points_the_other_way_than_the_answer_is_told(answer: str, evidence: float, disagrees: bool) -> None:
    """As where the network's bias decides, which no place can show."""
    image = Image.new("RGB", (IMAGE_PX, IMAGE_PX))
    score = Score(0.5, np.zeros(2), np.full((4, 4), evidence / 16), None, None)
    corners = corners_of_crop(image, None, "centre", IMAGE_PX)
    verdict = Verdict(answer, score, crop(image, None, "centre", IMAGE_PX), corners)  # type: ignore[arg-type]
    assert map_disagrees(verdict) == disagrees


def test_two_models_that_differ_decide_nothing_together(tmp_path: Path) -> None:
    write_model(tmp_path / "ce", "ce")
    detector = load_detector(tmp_path / "ce")
    always = {"real": Answers(0.1, 1, 1), "fake": Answers(0.1, 0, 0)}
    for ce, bce, expected in (("real", "real", "real"), ("fake", "fake", "fake"), ("real", "fake", "inconclusive")):
        judges = {"ce": as_if(detector, always[ce]), "bce": as_if(detector, always[bce])}
        assert judge(Photo(photo(0)), judges)[0].answer == expected


def test_of_a_photo_unlike_those_learned_from_neither_is_said(tmp_path: Path) -> None:
    """The tiny network finds the photo the stranger the more red it is; who wants two answers gets one all the same."""
    write_model(tmp_path / "ce", "ce", gives_novelty=True)
    write_model(tmp_path / "bce", "bce")
    ce, bce = (as_if(load_detector(tmp_path / name), Answers(0.1, 0, 0)) for name in ("ce", "bce"))
    dull, glaring = (Photo(Image.new("RGB", (60, 60), colour)) for colour in ("black", "red"))
    for photo_, answer, reservations in ((dull, "fake", False), (glaring, "inconclusive", True)):
        (judgement,) = judge(photo_, {"ce": ce, "bce": bce})
        assert (judgement.verdicts["ce"].answer, judgement.verdicts["bce"].answer) == (answer, "fake")
        assert ("novel" in judgement.reservations) == reservations
        assert judgement.answer == answer
    (judgement,) = judge(glaring, {"ce": as_if(ce, Answers(1, 0.5, 0)), "bce": bce})
    assert judgement.answer == "fake"
    assert "novel" in judgement.reservations


def as_if(detector: Detector, answers: Answers) -> Detector:
    return replace(detector, answers=answers)


def test_no_photo_is_shown_to_be_surer_than_99_percent() -> None:
    assert [shown_p_fake(p_fake) for p_fake in (0.0, 0.4, 1.0)] == [0.01, 0.4, 0.99]


def test_a_photo_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    file = io.BytesIO()
    Image.new("RGB", (2000, 1000)).save(file, "PNG")
    with pytest.raises(ImageError, match=r"^photo.png: 2,000 x 1,000 pixels: more than 1,000,000$"):
        decode_photo(file.getvalue(), "photo.png", max_pixels=1_000_000)
    assert decode_photo(file.getvalue(), "photo.png", max_pixels=2_000_000).quality is None
