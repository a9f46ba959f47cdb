from typing import Any

import pytest

from fakeface.core.records import PARTS
from fakeface.photos import perturbations
from fakeface.reporting.pages import (
    BASELINES,
    PERTURBATIONS,
    SLICES,
    against_baselines,
    answer,
    bounds,
    difficulties,
    duration,
    percent,
    rendered,
    rival,
    robustness_rows,
    score,
    sentence,
    slice_rows,
    utc,
)
from fakeface.scoring import baselines

Interval = tuple[float, float] | None


def model(accuracy: float | None, auc: float | None, accuracies: Interval = (0.7, 0.8), aucs: Interval = (0.75, 0.85)) -> Any:
    return {"test": {"accuracy": accuracy, "roc_auc": auc}, "intervals": {"accuracy": accuracies, "roc_auc": aucs}}


def baseline(accuracy: float, auc: float, accuracies: Interval, aucs: Interval) -> Any:
    return {"accuracy": accuracy, "roc_auc": auc, "intervals": {"accuracy": accuracies, "roc_auc": aucs}}


CHANCE = baseline(0.5, 0.5, (0.45, 0.55), (0.5, 0.5))


def scores(candidate: Any, header: Any = CHANCE) -> dict[str, Any]:
    return {
        "data": "sample",
        "test_images": 1300,
        "ce": candidate,
        "baselines": {"majority_class": CHANCE, "jpeg_header": header},
    }


@pytest.mark.parametrize(
    ("candidate", "header", "expected"),
    [
        (model(0.75, 0.80), CHANCE, ("beats", "majority_class")),
        (model(0.75, 0.80), baseline(0.72, 0.5, (0.68, 0.77), (0.4, 0.6)), ("not clearly", "jpeg_header")),
        (model(0.75, 0.80), baseline(0.5, 0.78, (0.4, 0.6), (0.73, 0.82)), ("not clearly", "jpeg_header")),
        (model(0.75, 0.80), baseline(0.75, 0.6, (0.7, 0.8), (0.5, 0.7)), ("does not beat", "jpeg_header")),
        (model(0.75, 0.80), baseline(0.6, 0.81, (0.5, 0.65), (0.76, 0.86)), ("does not beat", "jpeg_header")),
        (model(0.49, 0.80), CHANCE, ("does not beat", "majority_class")),
        (model(0.75, 0.80, None), CHANCE, ("not clearly", "majority_class")),
        (model(None, None), CHANCE, ("does not beat", "majority_class")),
    ],
)
def test_how_the_candidate_stands_is_how_it_stands_worse(candidate: Any, header: Any, expected: tuple[str, str]) -> None:
    assert rival(scores(candidate, header), "ce") == expected


def test_the_answer_is_one_sentence_with_n_and_intervals() -> None:
    told = answer(scores(model(0.75, 0.8)), "ce", "cross-entropy").replace("\N{NO-BREAK SPACE}", " ")
    assert told == (
        "On 1,300 test images of the drawn sample, the network trained with cross-entropy is right on 75.0 % "
        "(95 % interval 70.0 % to 80.0 %); its AUC is 0.800 (95 % interval 0.750 to 0.850)."
    )


def test_an_answer_without_intervals_or_without_a_score() -> None:
    told = answer(scores(model(0.75, 0.8, None, None)) | {"data": "photos"}, "ce", "BCE").replace("\N{NO-BREAK SPACE}", " ")
    assert told == "On 1,300 test photos, the network trained with BCE is right on 75.0 %; its AUC is 0.800."
    assert "nothing can be told" in answer(scores(model(0.75, None)), "ce", "BCE")


def test_what_a_header_tells_is_told() -> None:
    header = baseline(0.83, 0.84, (0.8, 0.86), (0.8, 0.87))
    told = against_baselines(scores(model(0.75, 0.8), header), "ce").replace("\N{NO-BREAK SPACE}", " ")
    assert told == (
        "It does not beat the best rule that never looks at the picture: the JPEG header alone, right on 83.0 % (AUC 0.840)."
    )


def test_every_baseline_part_and_perturbation_has_words() -> None:
    assert BASELINES.keys() == baselines.BASELINES.keys()
    assert PERTURBATIONS.keys() == perturbations.PERTURBATIONS.keys()
    assert SLICES["part"].keys() <= set(PARTS)


def test_numbers_as_they_are_read() -> None:
    assert [score(value) for value in (None, 0.0, 0.12345, 1.0)] == ["–", "0.000", "0.123", "1.000"]
    assert [percent(value) for value in (None, 0.1234, 1.0)] == ["–", "12.3\N{NO-BREAK SPACE}%", "100.0\N{NO-BREAK SPACE}%"]
    assert [bounds(value) for value in (None, (0.1, 0.25))] == ["no interval", "0.100 to 0.250"]
    assert [duration(value) for value in (0.4, 59.4, 61, 3600)] == ["0 s", "59 s", "1 min 1 s", "60 min 0 s"]
    assert sentence("BCE is ahead of CE") == "BCE is ahead of CE"
    assert sentence("cross-entropy and BCE") == "Cross-entropy and BCE"
    assert sentence("") == ""


def test_a_moment_is_the_same_wherever_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Seoul")
    assert utc(1_790_000_000_000) == "2026-09-21 14:13 UTC"


def test_difficulties_are_those_of_any_side_easiest_first() -> None:
    counts = {"images": 3, "real": 1, "fake": 2}
    split = {
        "train": counts | {"hard": 1, "easy": 1},
        "valid": counts,
        "test": counts | {"mid": 1, "알": 1},
        "excluded": counts,
    }
    assert difficulties(split) == ["easy", "mid", "hard", "알"]


def test_a_dimension_with_one_slice_tells_nothing() -> None:
    of = {"fakes": 9, "recall": 0.5, "roc_auc": 0.6, "roc_auc_interval": [0.5, 0.7]}
    sliced = {
        "difficulty": {"mid": of},
        "part": {"left_eye": of, "nose": of},
        "parts": {},
        "jpeg_table": {"same": of},
        "size": {"600 x 600": of},
    }
    rows = slice_rows({"ce": {"slices": sliced}, "bce": {"slices": sliced}})
    assert rows == {
        "what was replaced": [
            {"name": "left eye", "fakes": 9, "ce": of, "bce": of},
            {"name": "nose", "fakes": 9, "ce": of, "bce": of},
        ]
    }


def test_robustness_starts_with_the_images_as_they_are() -> None:
    of = {"roc_auc": 0.6, "roc_auc_interval": [0.5, 0.7], "accuracy": 0.6}
    found = model(0.75, 0.8) | {"perturbed": {"blur": of, "unheard_of": of}}
    rows = robustness_rows({"ce": found, "bce": found})
    assert [row["name"] for row in rows] == ["as they are", "blurred", "unheard_of"]
    assert rows[0]["ce"] == {"accuracy": 0.75, "roc_auc": 0.8, "roc_auc_interval": (0.75, 0.85)}
    assert rows[1]["bce"] == of


def test_a_fact_that_a_template_needs_and_does_not_get_is_an_error() -> None:
    with pytest.raises(Exception, match="'scores' is undefined"):
        rendered("model-card.md.jinja", {"evaluate": {"loss": "ce"}})
