"""What the page says of the models beside a verdict: their card, and whether their maps may be read as what was edited."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fakeface.core.errors import FakefaceError
from fakeface.core.files import read_json
from fakeface.core.records import MODEL_LABELS
from fakeface.detector import CARD_FILE, Detector
from fakeface.scoring.results import Scores, read_scores

SCORES_FILE, MODEL_CARD_FILE = "scores.json", "model-card.md"


@dataclass(frozen=True)
class About:
    """`shows_edits` by model; `card` in Markdown."""

    shows_edits: Mapping[str, bool]
    card: str


def read_about(models: Path, metrics: Path, detectors: Mapping[str, Detector]) -> About:
    """What a run left in `metrics`; of models that it does not know, only what they say of themselves."""
    scores = scores_of(metrics / SCORES_FILE, models, detectors)
    if scores is None:
        return About(dict.fromkeys(detectors, False), own_card(detectors))
    shown = {name: (found := model.localization) is not None and found.shows_edits for name, model in scores.models.items()}
    card = metrics / MODEL_CARD_FILE
    return About(
        {str(name): shows for name, shows in shown.items()}, card.read_text("utf-8") if card.is_file() else own_card(detectors)
    )


def scores_of(path: Path, models: Path, detectors: Mapping[str, Detector]) -> Scores | None:
    """Those of these models, whose temperatures, fitted on valid, are the same to the last digit; None where there are none."""
    try:
        scores = read_scores(path)
    except (OSError, FakefaceError):
        return None  # none, or of another version, as those of other models are likely to be
    temperatures = {name: read_json(models / name / CARD_FILE).get("temperature") for name in detectors}
    return scores if all(model.temperature == temperatures[name] for name, model in scores.models.items()) else None


def own_card(detectors: Mapping[str, Detector]) -> str:
    rows = [
        f"| {MODEL_LABELS[name]} | {detector.image_px} px, {detector.framing} | below {detector.answers.real_below:.3f} "  # type: ignore[index]
        f"| from {detector.answers.fake_from:.3f} | {detector.answers.max_error:.0%} |"
        for name, detector in detectors.items()
    ]
    is_sample = any(detector.is_sample for detector in detectors.values())
    learned = "the drawn sample: on real photos they know nothing" if is_sample else "photos"
    head = "| model | sees | real | fake | wrong, at most, on valid |\n|---|---|---|---|---|"
    unknown = "No scores of these models are at hand: `fakeface web --metrics` names the folder that a run leaves."
    return "\n".join(["# The models", "", f"They learned from {learned}. {unknown}", "", head, *rows, ""])
