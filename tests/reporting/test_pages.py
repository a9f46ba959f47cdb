import pytest

from fakeface.reporting.pages import (
    against_baselines,
    answer,
    bounds,
    difficulties,
    duration,
    percent,
    rendered,
    score,
    sentence,
    standing_against_baselines,
    utc,
    what_evidence_shows,
)
from fakeface.scoring.results import (
    BASELINE_LABELS,
    AccuracyAndAucIntervals,
    BaselineScores,
    Difference,
    ModelScores,
    WebScores,
)
from tests.scored import baseline, localization, model, scores

CHANCE = baseline()


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
def test_the_worse_of_two_standings_counts(candidate: ModelScores, header: BaselineScores, expected: tuple[str, str]) -> None:
    """By accuracy and by AUC."""
    baselines = dict.fromkeys(BASELINE_LABELS, CHANCE) | {"jpeg_header": header}
    assert standing_against_baselines(scores(candidate, baselines=baselines), "ce") == expected


def test_the_answer_is_one_sentence_with_n_and_intervals() -> None:
    text = answer(scores(model(0.75, 0.8)), "ce").replace("\N{NO-BREAK SPACE}", " ")
    assert text == (
        "On 1,300 test images of the drawn sample, the network trained with cross-entropy has an accuracy of 75.0 % "
        "(95 % interval 70.0 % to 80.0 %) and an AUC of 0.800 (95 % interval 0.750 to 0.850) as the images are distributed; "
        "after the web, where photos are reduced a little and compressed again, 71.0 % (95 % interval 66.0 % to 76.0 %) and "
        "0.740 (95 % interval 0.690 to 0.790)."
    )


def test_an_answer_without_intervals_or_without_a_score() -> None:
    unsure = WebScores(0.71, 0.74, AccuracyAndAucIntervals(None, None), Difference(0.06, None))
    photos = scores(bce=model(0.75, 0.8, None, None, web=unsure), data="photos")
    text = answer(photos, "bce").replace("\N{NO-BREAK SPACE}", " ")
    assert text == (
        "On 1,300 test photos, the network trained with BCE has an accuracy of 75.0 % and an AUC of 0.800 as the images are "
        "distributed; after the web, where photos are reduced a little and compressed again, 71.0 % and 0.740."
    )
    assert "the scores are undefined" in answer(scores(model(0.75, None)), "ce")


def test_the_best_baseline_is_named_with_its_scores() -> None:
    baselines = scores().baselines | {"jpeg_header": baseline(0.83, 0.84, (0.8, 0.86), (0.8, 0.87))}
    text = against_baselines(scores(model(0.75, 0.8), baselines=baselines), "ce").replace("\N{NO-BREAK SPACE}", " ")
    assert text == (
        "As distributed, it does not beat the best baseline that sees no face: the JPEG header alone, with an accuracy of "
        "83.0 % and an AUC of 0.840."
    )


@pytest.mark.parametrize(
    ("beats_constant_map", "beats_mean_map", "words"),
    [
        (True, True, "may be read as what was edited: *same in all fakes."),
        (True, False, "must not be read as what was edited: *clearly beat a map that is the same in all fakes."),
        (False, True, "must not be read as what was edited: *clearly beat a map that is the same everywhere."),
        (False, False, "must not be read as what was edited: *everywhere, nor one that is the same in all fakes."),
    ],
)
def test_evidence_shows_what_was_edited_only_where_it_beats_both_maps(
    *, beats_constant_map: bool, beats_mean_map: bool, words: str
) -> None:
    found = localization(beats_constant_map=beats_constant_map, beats_mean_map=beats_mean_map)
    text = what_evidence_shows(scores(bce=model(localization=found)), "bce")
    beginning, _, end = words.partition("*")
    assert text.startswith(f"Where the score of BCE comes from {beginning}")
    assert text.endswith(end)
    assert text.count(".") == 1


def test_a_model_without_evidence_says_so() -> None:
    expected = "The network trained with cross-entropy does not say where its score comes from."
    assert what_evidence_shows(scores(), "ce") == expected


def test_numbers_are_formatted() -> None:
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


def test_a_fact_that_a_template_needs_and_does_not_get_is_an_error() -> None:
    with pytest.raises(Exception, match="'scores' is undefined"):
        rendered("model-card.md.jinja", {"evaluate": {"loss": "ce"}})
