"""Candidates in MLflow's registry as `report` leaves them, without the pipeline: `python -m tests.tracking.candidates ...`."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fakeface.core.files import write_json, write_rows
from fakeface.core.records import OBJECTIVE_NAMES, PredictionRecord, SplitRecord
from fakeface.detector import RUN_FILE, WEIGHTS_FILE
from fakeface.tracking.contact import Contact
from fakeface.tracking.records import new_run_record
from fakeface.tracking.registry import register
from fakeface.tracking.runs import publish_evaluation
from tests.checkout import PROJECT
from tests.split_rows import image
from tests.tracking.tracked import EPOCH

SERVED = PROJECT / "fakeface/reporting/served.py"


def write_candidate(folder: Path, skill: float, images: Sequence[SplitRecord]) -> None:
    """Both models of a training, and predictions by CE that are as good as `skill` says, on these test images."""
    from tests.tiny_models import write_model  # torch, which telling MLflow does not need

    for name in OBJECTIVE_NAMES:
        write_model(folder / "models" / name, name, framing="face", is_sample=True)
        record = new_run_record(f"train_{name}", {"model": {"arch": "tiny"}}, ("model",), {"device": "cpu"})
        record |= {"best_epoch": 1, "memory": {"peak_memory_mib": 1.0}, "epochs": [EPOCH]}
        write_json(folder / "models" / name / RUN_FILE, record)
        (folder / "models" / name / WEIGHTS_FILE).write_bytes(b"")
    write_rows(folder / "split.csv", SplitRecord, images)
    noise = np.random.default_rng(round(100 * skill)).normal(size=len(images))
    p_fake = 1 / (1 + np.exp(-(skill * (np.array([row.label for row in images]) - 0.5) + noise)))
    rows = [
        PredictionRecord(row.path, row.side, row.label, value, 0.5, value, 0.5, 0)
        for row, value in zip(images, p_fake.tolist(), strict=True)
    ]
    write_rows(folder / "predictions.csv", PredictionRecord, rows)


def images_of(count: int, first: int = 0) -> list[SplitRecord]:
    """Reals and fakes by turns, two to a group."""
    return [image(number, number % 2, group=f"{number // 2}") for number in range(first, first + count)]


def report_candidate(folder: Path, standing: str) -> None:
    """As the stage `report` tells MLflow of it, with CE as the candidate."""
    files = [folder / "split.csv", folder / "predictions.csv"]
    contact = Contact()
    publish_evaluation(contact, folder / "models/ce", folder / "split.csv", {"test_roc_auc": 0.5}, files, {})
    register(contact, folder / "models", "ce", SERVED, {"data": "sample", "against_baselines": standing})


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        candidate, _, standing = argument.partition("=")
        report_candidate(Path(candidate), standing)
    print("done")
