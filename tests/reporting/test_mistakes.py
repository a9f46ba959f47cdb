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
from fakeface.reporting.mistakes import THUMBNAIL_PX, Mistake, confident_mistakes, thumbnail, wrong_verdicts
from fakeface.scoring.predictions import SidePredictions
from tests.conftest import photo
from tests.split_rows import image


def predicted(labels: list[int], p_fake: list[float]) -> SidePredictions:
    values = np.array(p_fake, dtype=np.float64)
    return SidePredictions(np.array(labels, dtype=np.int64), values, values, values > 0.5, np.full_like(values, np.nan))


def test_the_most_confident_of_the_wrong_verdicts_come_first() -> None:
    """0.9 for a real image is as confident as 0.1 for a fake; correct verdicts are left out."""
    predictions = predicted([0, 1, 0, 1, 0, 1], [0.6, 0.05, 0.9, 0.8, 0.2, 0.3])
    assert wrong_verdicts(predictions, 0.5) == [1, 2, 5, 0]


def test_a_threshold_decides_what_is_wrong() -> None:
    assert wrong_verdicts(predicted([0, 1], [0.6, 0.6]), 0.5) == [0]
    assert wrong_verdicts(predicted([0, 1], [0.6, 0.6]), 0.7) == [1]
    assert wrong_verdicts(predicted([0, 1], [0.6, 0.6]), 0.6) == [0]  # from the threshold on it is fake


def test_of_equals_the_first_image_comes_first() -> None:
    assert wrong_verdicts(predicted([0, 1, 0, 1], [0.75, 0.25, 0.75, 0.25]), 0.5) == [0, 1, 2, 3]


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), max_size=20), st.floats(0, 1))
def test_every_wrong_verdict_is_there_once(images: list[tuple[int, float]], threshold: float) -> None:
    found = wrong_verdicts(predicted([label for label, _ in images], [p_fake for _, p_fake in images]), threshold)
    assert sorted(found) == [at for at, (label, p_fake) in enumerate(images) if (p_fake >= threshold) != label]
    confidence = [p_fake if p_fake >= threshold else 1 - p_fake for _, p_fake in (images[at] for at in found)]
    assert confidence == sorted(confidence, reverse=True)


def test_without_a_folder_no_photo_is_opened() -> None:
    rows = [image(0, 0), image(1, 1, path="fake/가.jpg", difficulty="hard")]
    (found,) = confident_mistakes(rows, predicted([0, 1], [0.1, 0.2]), 0.5, 9, None)
    assert found == Mistake("fake/가.jpg", 1, "hard", 0.2, "")


def test_at_most_so_many_mistakes_are_listed_the_most_confident_first() -> None:
    rows = [image(number, 0) for number in range(3)]
    mistakes = confident_mistakes(rows, predicted([0, 0, 0], [0.6, 0.9, 0.7]), 0.5, 2, None)
    assert [mistake.path for mistake in mistakes] == ["0001.jpg", "0002.jpg"]


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
        confident_mistakes([image(0, 0)], predicted([0], [0.9]), 0.5, 1, tmp_path)


def test_a_photo_that_has_changed_is_not_shown(tmp_path: Path) -> None:
    photo(1).save(tmp_path / "0000.jpg")
    with pytest.raises(ImageError, match=r"0000\.jpg: changed since it was indexed"):
        confident_mistakes([image(0, 0)], predicted([0], [0.9]), 0.5, 1, tmp_path)
