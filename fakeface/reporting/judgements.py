"""What the predictor found in a photo, as a line of text, as a JSON object and as a row of CSV."""

import csv
import io
import json
from codecs import lookup
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fakeface.core.console import printable
from fakeface.core.records import OBJECTIVE_NAMES
from fakeface.detector import Answers, Detector, is_novel
from fakeface.predictor import Judgement, Reservation, shown_p_fake

RESERVATIONS: dict[Reservation, str] = {
    "no_face": "no face found, the whole picture was judged",
    "cut_off": "the face is cut off by the border",
    "small": "the face has fewer pixels than the network looks at",
    "shrunk": "the face is smaller than the scores were measured on",
    "compressed": "the JPEG is compressed more than the scores were measured on",
    "map_disagrees": "what the face shows adds up to the other answer",
    "novel": "unlike the photos that the models learned from",
}
BOX = ("left", "top", "right", "bottom")
CSV_COLUMNS = (
    *("photo", "face", "faces", *BOX, "answer"),
    *(f"{name}_{key}" for name in OBJECTIVE_NAMES for key in ("answer", "p_fake")),
    "reservations",
)


def text_line(photo: Path, judgement: Judgement, detectors: Mapping[str, Detector]) -> str:
    """For people: p_fake within the bounds that they are shown, and why an answer is none."""
    face = f"face {judgement.number} of {judgement.faces}: " if judgement.faces > 1 else ""
    models = [model_words(name, judgement, detectors[name].answers) for name in judgement.verdicts]
    doubts = "; ".join(RESERVATIONS[name] for name in judgement.reservations)
    return "  ".join([printable(str(photo)), f"{face}{judgement.answer}", *models, *([f"[{doubts}]"] if doubts else [])])


def model_words(name: str, judgement: Judgement, answers: Answers) -> str:
    verdict = judgement.verdicts[name]
    reason = f"p_fake {shown_p_fake(verdict.score.p_fake):.3f}"
    if answers.real_below < answers.fake_from:
        bounds = f", real below {answers.real_below:.3f}, fake from {answers.fake_from:.3f}"
        reason += bounds if verdict.answer == "inconclusive" and not is_novel(verdict.score.novelty) else ""
    elif answers.fake_from != 0.5:
        reason += f", fake from {answers.fake_from:.3f}"
    return f"{name}: {verdict.answer} ({reason})"


def json_line(photo: Path, judgement: Judgement, detectors: Mapping[str, Detector], encoding: str) -> str:
    """JSON is UTF-8: escaped as JSON escapes where the output's encoding is not, or a name is not."""
    is_utf8 = lookup(encoding).name == "utf-8" and str(photo).isprintable()
    return json.dumps({"photo": str(photo)} | as_json(judgement, detectors), ensure_ascii=not is_utf8)


def as_json(judgement: Judgement, detectors: Mapping[str, Detector]) -> dict[str, Any]:
    """With each model's exact p_fake, its novelty, and the bounds of its answers; `box` is null of a whole picture."""
    return {
        "face": judgement.number,
        "faces": judgement.faces,
        "box": None if judgement.box is None else [round(value, 1) for value in judgement.box],
        "answer": judgement.answer,
        "reservations": list(judgement.reservations),
    } | {
        name: {
            "answer": verdict.answer,
            "p_fake": verdict.score.p_fake,
            "novelty": verdict.score.novelty,
            "real_below": detectors[name].answers.real_below,
            "fake_from": detectors[name].answers.fake_from,
        }
        for name, verdict in judgement.verdicts.items()
    }


def csv_row(photo: Path, judgement: Judgement) -> str:
    """The cells of CSV_COLUMNS, p_fake exact; the box's are empty of a whole picture."""
    models = [cell for verdict in judgement.verdicts.values() for cell in (verdict.answer, verdict.score.p_fake)]
    box = [round(value, 1) for value in judgement.box] if judgement.box else [""] * len(BOX)
    counts = (judgement.number, judgement.faces)
    return csv_line(str(photo), *counts, *box, judgement.answer, *models, " ".join(judgement.reservations))


def csv_line(*cells: object) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="").writerow(cells)
    return file.getvalue()
