import pytest

from fakeface.reporting.published import published_lines
from fakeface.scoring.results import ModelScores
from tests.scored import model, scores

PUBLISHED = scores(
    model(0.783, 0.871, (0.733, 0.830), (0.830, 0.909)),
    model(0.830, 0.905, (0.787, 0.873), (0.871, 0.938)),
)
INTERVALS = "published 0.783 (0.733 to 0.830), 0.871 (0.830 to 0.909)"


@pytest.mark.parametrize(
    ("own", "line"),
    [
        pytest.param(
            model(0.797, 0.866),
            f"cross-entropy: accuracy 0.797, AUC 0.866; {INTERVALS}: both inside the published 95 % intervals",
            id="inside",
        ),
        pytest.param(
            model(0.733, 0.909),
            f"cross-entropy: accuracy 0.733, AUC 0.909; {INTERVALS}: both inside the published 95 % intervals",
            id="on the edge",
        ),
        pytest.param(
            model(0.732, 0.910),
            f"cross-entropy: accuracy 0.732, AUC 0.910; {INTERVALS}: both outside the published 95 % intervals",
            id="outside",
        ),
        pytest.param(
            model(0.8, 0.7),
            f"cross-entropy: accuracy 0.800, AUC 0.700; {INTERVALS}: "
            "accuracy inside the published 95 % interval, AUC outside the published 95 % interval",
            id="one of each",
        ),
        pytest.param(
            model(0.8, None),
            f"cross-entropy: accuracy 0.800, AUC -; {INTERVALS}: "
            "accuracy inside the published 95 % interval, AUC not comparable",
            id="undefined",
        ),
    ],
)
def test_each_models_scores_are_held_against_the_published_intervals(own: ModelScores, line: str) -> None:
    lines = published_lines(scores(own, PUBLISHED.bce), PUBLISHED, same_split=True)
    assert lines[0] == line
    assert lines[1].startswith(
        "BCE: accuracy 0.830, AUC 0.905; published 0.830 (0.787 to 0.873), 0.905 (0.871 to 0.938): both inside "
    )
    assert len(lines) == 2


def test_without_a_published_interval_nothing_is_claimed() -> None:
    published = scores(model(0.783, 0.871, None, None))
    assert published_lines(scores(), published, same_split=True)[0].endswith("published 0.783, 0.871: both not comparable")


def test_scores_of_another_split_are_not_compared() -> None:
    (line,) = published_lines(PUBLISHED, PUBLISHED, same_split=False)
    assert line == "The published scores are of other images or another split: they cannot be compared with these."


def test_verdicts_by_another_threshold_are_not_compared() -> None:
    (line,) = published_lines(scores(threshold="few_false_alarms"), PUBLISHED, same_split=True)
    assert line == "The published verdicts are by threshold `half`: they cannot be compared with these."
