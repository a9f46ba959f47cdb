"""What the page is told of a judged photo: a small picture of it, and for each face the answer in words and the maps."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from fakeface.core.records import Answer
from fakeface.detector import Detector
from fakeface.predictor import Judgement, Photo, Verdict, shown_p_fake
from fakeface.web.about import About
from fakeface.web.words import RESERVATIONS, WORDS, Language

PREVIEW_PX, PREVIEW_QUALITY = 1200, 88
MAP_DIGITS = 4


def judged(
    photo: Photo, judgements: Sequence[Judgement], detectors: dict[str, Detector], about: About, language: Language
) -> dict[str, Any]:
    """JSON; boxes and corners are in px of the preview."""
    preview = photo.image.copy()
    preview.thumbnail((PREVIEW_PX, PREVIEW_PX), Image.Resampling.LANCZOS)
    scale = preview.width / photo.image.width
    words = WORDS[language]
    count = sum(judgement.box is not None for judgement in judgements)
    faces = words["nothing"] if not count else words["one_face" if count == 1 else "many_faces"].format(number=count)
    return {
        "preview": base64.b64encode(_jpeg(preview)).decode("ascii"),
        "alt": words["photo_of"].format(faces=faces),
        "faces": [_face(judgement, detectors, about, language, scale) for judgement in judgements],
    }


def _face(
    judgement: Judgement, detectors: dict[str, Detector], about: About, language: Language, scale: float
) -> dict[str, Any]:
    words = WORDS[language]
    share = max(detector.answers.max_error for detector in detectors.values())
    are_of_one_mind = len({verdict.answer for verdict in judgement.verdicts.values()}) == 1
    is_novel = judgement.answer == "inconclusive" and "novel" in judgement.reservations
    reason = "novel" if is_novel else judgement.answer
    return {
        "number": judgement.number,
        "title": words["face"].format(number=judgement.number) if judgement.box else words["picture"],
        "box": [round(scale * value, 1) for value in judgement.box] if judgement.box else None,
        "answer": judgement.answer,
        "word": words[judgement.answer],
        "sentence": words[f"says_{reason}"] if are_of_one_mind or is_novel else words["says_differing"],
        "meaning": words[f"means_{reason}"].format(share=f"{share:.0%}"),
        "reservations": [RESERVATIONS[language][name] for name in judgement.reservations],
        "models": {
            name: _model(name, verdict, detectors[name], words, scale)
            | {"map": _map_words(verdict.answer, words, shows_edits=about.shows_edits[name])}
            for name, verdict in judgement.verdicts.items()
        },
    }


def _model(name: str, verdict: Verdict, detector: Detector, words: dict[str, str], scale: float) -> dict[str, Any]:
    answer = verdict.answer
    shown = shown_p_fake(verdict.score.p_fake)
    percent = f"{shown:.0%}"
    return {
        "label": words[name],
        "answer": answer,
        "word": words[answer],
        "p_fake": verdict.score.p_fake,
        "shown": shown,
        "percent": percent,
        "spoken": words["meter"].format(model=words[name], answer=words[answer], percent=percent),
        "real_below": min(max(detector.answers.real_below, 0), 1),
        "fake_from": min(max(detector.answers.fake_from, 0), 1),
        "corners": np.round(scale * verdict.corners, 1).tolist(),
        "evidence": None if verdict.score.evidence is None else np.round(verdict.score.evidence, MAP_DIGITS).tolist(),
    }


def _map_words(answer: Answer, words: dict[str, str], *, shows_edits: bool) -> dict[str, str]:
    """A fake's map may be called what was edited, and that only where the test images say so."""
    return {
        "label": words["edits" if shows_edits and answer == "fake" else "origin"],
        "note": "" if shows_edits else words["origin_note"],
    }


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=PREVIEW_QUALITY)
    return file.getvalue()
