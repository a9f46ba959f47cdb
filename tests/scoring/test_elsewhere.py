from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from fakeface.core.errors import FakefaceError
from fakeface.core.files import write_rows
from fakeface.core.records import ANSWER_NAMES, ElsewhereRecord
from fakeface.detector import Answers
from fakeface.scoring.elsewhere import face_scores, score_elsewhere
from fakeface.scoring.intervals import resample
from fakeface.scoring.predictions import Card, ElsewherePredictions, load_elsewhere
from fakeface.scoring.scores import Novelty, Probabilities

CARD = Card(1.0, {"half": 0.5, "balanced_accuracy": 0.4, "few_false_alarms": 0.8}, Answers(0.1, 0.3, 0.6))


def unknown(p_fake: Probabilities) -> Novelty:
    return np.full_like(p_fake, np.nan)


def of(photos: list[str], p_fake: Probabilities) -> ElsewherePredictions:
    return ElsewherePredictions(
        "photos", len(set(photos)), 0, photos, {"ce": p_fake, "bce": 1 - p_fake}, dict.fromkeys(("ce", "bce"), unknown(p_fake))
    )


def test_the_interval_is_over_photos_not_faces() -> None:
    """A photo's faces are alike: a crowd of fifty tells hardly more than one of them."""
    rng = np.random.default_rng(0)
    alone = rng.uniform(size=40)
    crowds = np.repeat(alone, 50)
    names = [str(number) for number in range(40)]
    scored = [
        score_elsewhere(of(photos, p_fake), {"ce": CARD, "bce": CARD}, "half", 2000, 0).ce
        for photos, p_fake in ((names, alone), ([name for name in names for _ in range(50)], crowds))
    ]
    assert scored[0] is not None
    assert scored[1] is not None
    assert scored[0].false_positive_rate == scored[1].false_positive_rate == pytest.approx((alone >= 0.5).mean())
    assert scored[1].false_positive_rate_interval == pytest.approx(scored[0].false_positive_rate_interval)


def test_the_three_answers_are_all_there_are() -> None:
    p_fake = np.random.default_rng(1).uniform(size=97)
    found = face_scores(p_fake, unknown(p_fake), CARD, "half", resample([str(number) for number in range(97)], 100, 0))
    assert [found.answers[name].images for name in ANSWER_NAMES] == [
        (p_fake < 0.3).sum(),
        ((p_fake >= 0.3) & (p_fake < 0.6)).sum(),
        (p_fake >= 0.6).sum(),
    ]
    assert sum(scored.coverage or 0 for scored in found.answers.values()) == pytest.approx(1)


def test_what_is_unlike_the_photos_learned_from_is_inconclusive_whatever_its_p_fake() -> None:
    p_fake, novelty = np.array([0.9, 0.9, 0.1, 0.5]), np.array([1.1, 0.9, 1.1, 1.1])
    found = face_scores(p_fake, novelty, CARD, "half", resample(list("abcd"), 100, 0))
    assert [found.answers[name].images for name in ANSWER_NAMES] == [0, 3, 1]
    assert found.novel == 0.75
    assert found.false_positive_rate == 0.75  # by the threshold, which always decides


def test_the_sentence_says_what_is_called_fake_by_threshold_and_where_neither_may_be_said() -> None:
    found = score_elsewhere(of(["a", "b", "c", "d"], np.array([0.9, 0.5, 0.2, 0.1])), {"ce": CARD, "bce": CARD}, "half", 100, 0)
    assert found.sentence.endswith(
        "Where a model may also say neither, cross-entropy calls 25.0 % fake and 25.0 % inconclusive, "
        "BCE calls 50.0 % fake and 25.0 % inconclusive."
    )


def test_the_order_of_rows_changes_nothing(tmp_path: Path) -> None:
    rows = [ElsewhereRecord(f"{number % 7}.jpg", 1 + number // 7, number / 40, number / 50) for number in range(40)]
    found = []
    for written in (rows, rows[::-1]):
        write_rows(tmp_path / "elsewhere.csv", ElsewhereRecord, written)
        loaded = load_elsewhere(tmp_path / "elsewhere.csv", "photos")
        found.append(asdict(score_elsewhere(loaded, {"ce": CARD, "bce": CARD}, "half", 100, 0)))
    assert found[0] == found[1]


def test_a_network_that_says_no_probability_is_named(tmp_path: Path) -> None:
    write_rows(tmp_path / "elsewhere.csv", ElsewhereRecord, [ElsewhereRecord("a.jpg", 1, 0.5, 1.01)])
    with pytest.raises(FakefaceError, match=r"elsewhere\.csv: bce_p_fake of a\.jpg: 1\.01: expected 0 to 1"):
        load_elsewhere(tmp_path / "elsewhere.csv", "photos")
