import base64
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fakeface.core.files import sha256_of
from fakeface.photos.images import ImageError
from fakeface.reporting.mistakes import THUMBNAIL_PX, Mistake, confident_mistakes, shown, thumbnail
from fakeface.scoring.predictions import Judged
from tests.conftest import photo
from tests.split_rows import image


def judged(labels: list[int], p_fake: list[float]) -> Judged:
    values = np.array(p_fake, dtype=np.float64)
    return Judged(np.array(labels, dtype=np.int64), values, values, values > 0.5)


def test_the_surest_of_the_wrong_verdicts_come_first() -> None:
    """0.9 for a real one is as sure as 0.1 for a fake; what is right is not told."""
    of = judged([0, 1, 0, 1, 0, 1], [0.6, 0.05, 0.9, 0.8, 0.2, 0.3])
    assert confident_mistakes(of, 0.5) == [1, 2, 5, 0]


def test_a_threshold_decides_what_is_wrong() -> None:
    assert confident_mistakes(judged([0, 1], [0.6, 0.6]), 0.5) == [0]
    assert confident_mistakes(judged([0, 1], [0.6, 0.6]), 0.7) == [1]
    assert confident_mistakes(judged([0, 1], [0.6, 0.6]), 0.6) == [0]  # from the threshold on it is fake


def test_of_equals_the_first_image_comes_first() -> None:
    assert confident_mistakes(judged([0, 1, 0, 1], [0.75, 0.25, 0.75, 0.25]), 0.5) == [0, 1, 2, 3]


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), max_size=20), st.floats(0, 1))
def test_every_wrong_verdict_is_there_once(images: list[tuple[int, float]], threshold: float) -> None:
    found = confident_mistakes(judged([label for label, _ in images], [p_fake for _, p_fake in images]), threshold)
    assert sorted(found) == [at for at, (label, p_fake) in enumerate(images) if (p_fake >= threshold) != label]
    sureness = [p_fake if p_fake >= threshold else 1 - p_fake for _, p_fake in (images[at] for at in found)]
    assert sureness == sorted(sureness, reverse=True)


def test_without_a_folder_no_photo_is_opened() -> None:
    rows = [image(0, 0), image(1, 1, path="fake/가.jpg", difficulty="hard")]
    (found,) = shown(rows, judged([0, 1], [0.1, 0.2]), [1], None)
    assert found == Mistake("fake/가.jpg", 1, "hard", 0.2, "")


def test_a_thumbnail_is_the_centre_square_small(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    wide = Image.new("RGB", (300, 100), "white")
    wide.paste(photo(1, 100, 100), (100, 0))
    wide.save(path)
    scheme, _, data = thumbnail(image(0, 0, path=path.name, sha256=sha256_of(path)), tmp_path).partition(",")
    assert scheme == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as small:
        assert small.format == "JPEG"
        assert small.size == (THUMBNAIL_PX, THUMBNAIL_PX)
        expected = photo(1, 100, 100).resize(small.size, Image.Resampling.BILINEAR)
        assert np.abs(np.asarray(small, dtype=int) - np.asarray(expected, dtype=int)).mean() < 5


def test_a_photo_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"0000\.jpg: No such file"):
        shown([image(0, 0)], judged([0], [0.9]), [0], tmp_path)


def test_another_content_than_the_one_judged_is_not_shown(tmp_path: Path) -> None:
    photo(1).save(tmp_path / "0000.jpg")
    with pytest.raises(ImageError, match=r"0000\.jpg: changed since it was indexed"):
        shown([image(0, 0)], judged([0], [0.9]), [0], tmp_path)
