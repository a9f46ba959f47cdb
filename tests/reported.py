"""The files that `report` reads; the scores and the split's counts come from the real `evaluate` and `split`."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, logit

from fakeface.core.files import write_json, write_rows
from fakeface.core.frames import frame_of
from fakeface.core.records import (
    DIFFICULTIES,
    FAKE,
    OBJECTIVE_NAMES,
    PARTS,
    REAL,
    WEB,
    ElsewhereRecord,
    EpochRecord,
    EvidenceRecord,
    FaceRecord,
    ObjectiveName,
    PairRecord,
    PerturbedRecord,
    PredictionRecord,
    SplitRecord,
)
from fakeface.params import EvaluateParams, SplitParams, load_params
from fakeface.photos.perturbations import PERTURBATIONS
from fakeface.training.calibration import apply_temperature, choose_answers, choose_thresholds, fit_temperature
from stages import evaluate, split
from tests.checkout import PROJECT
from tests.conftest import photo

COUNTS = {"train": 60, "valid": 24, "test": 40}
COMMIT = "0123456789abcdef0123456789abcdef01234567"
EPOCHS = 5


@dataclass(frozen=True)
class Results:
    """A folder of results, with the photos that they are about."""

    root: Path

    def arguments(self) -> list[str]:
        """The arguments of `python -m stages.report`."""
        options = {
            "--split": "data/split.csv",
            "--predictions": "data/predictions.csv",
            "--models": "models",
            "--metrics": "metrics",
            "--page": "metrics/report.html",
            "--card": "docs/model-card.md",
            "--params": "params.yaml",
        }
        return [word for name, path in options.items() for word in (name, str(self.root / path))]

    @property
    def page(self) -> str:
        return (self.root / "metrics/report.html").read_text(encoding="utf-8")


def images(counts: dict[str, int] = COUNTS) -> list[SplitRecord]:
    """Half real, half fake on each side, all unrelated."""
    rows = []
    for number, side in enumerate(side for side, count in counts.items() for _ in range(count)):
        label = FAKE if number % 2 else REAL
        bits: list[Any] = [int(bit) for bit in f"{number % 15 + 1:04b}"] if label else [None] * 4
        difficulty = DIFFICULTIES[number % 3] if label else ""
        folder = "test" if side == "test" else "training"
        name = f"{difficulty}_{number}_{''.join(map(str, bits))}.jpg" if label else f"real_{number:05}.jpg"
        path = f"{folder}/{'fake' if label else 'real'}/{name}"
        content = sha256(_jpeg(number)).hexdigest()
        facts = dict(zip(PARTS, bits, strict=True)) | {"width": 48, "height": 48, "bytes": 900 + number, "subset": folder}
        facts |= {"label": label, "difficulty": difficulty, "luma_quantisation_sum": 406, "side": side, "group": content}
        rows.append(SplitRecord(path=path, sha256=content, **facts))
    return rows


def write_results(
    root: Path,
    rows: Sequence[SplitRecord],
    *,
    is_sample: bool = True,
    pairs: Sequence[PairRecord] = (),
    skill: float = 2.0,
    evidence: Sequence[ObjectiveName] = (),
    elsewhere: Sequence[ElsewhereRecord] = (),
) -> Results:
    """Results on these images, by models that separate fakes by `skill` standard deviations of p_fake's log-odds.

    Those named in `evidence` give it, CE mostly in the parts that are replaced. Photos from `elsewhere` are drawn ones.
    """
    (root / "params.yaml").parent.mkdir(parents=True, exist_ok=True)
    params = (PROJECT / "params.yaml").read_text()
    (root / "params.yaml").write_text(params.replace("root: data/sample", f"root: {root}/photos"))
    write_rows(root / "data/split.csv", SplitRecord, rows)
    _write_predictions(root, [row for row in rows if row.side != "excluded"], skill)
    _write_counts(root, rows, pairs, is_sample=is_sample)
    for objective in OBJECTIVE_NAMES:
        _write_training(root, objective)
    metrics, data = root / "metrics", root / "data"
    write_rows(data / "faces/faces.csv", FaceRecord, map(_face, range(len(rows)), rows))
    write_rows(data / "relate/pairs.csv", PairRecord, pairs)
    write_rows(data / "evidence.csv", EvidenceRecord, _evidence(rows, evidence))
    write_rows(data / "elsewhere.csv", ElsewhereRecord, elsewhere)
    paths = evaluate.Paths(
        data / "split.csv",
        metrics / "split.json",
        metrics / "index.json",
        root / "models",
        data / "predictions.csv",
        data / "perturbed.csv",
        data / "evidence.csv",
        data / "elsewhere.csv",
        metrics / "elsewhere.json",
        data / "faces/faces.csv",
        data / "relate",
        metrics,
    )
    evaluate.run(paths, "ce", "half", EvaluateParams(seed=0, resamples=100))
    return Results(root)


def write_photos_of(root: Path, rows: Sequence[SplitRecord]) -> None:
    """A picture for each test image, the one whose SHA-256 its row has."""
    jpegs = {sha256(jpeg).hexdigest(): jpeg for jpeg in map(_jpeg, range(len(rows)))}
    for row in rows:
        if row.side == "test":
            path = root / "photos" / row.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpegs[row.sha256])


def _face(number: int, row: SplitRecord) -> FaceRecord:
    """A face somewhere in the photo; none in every ninth."""
    if number % 9 == 0:
        return FaceRecord(row.path, 0, None, None, None, None, None)
    left, top = number % 11, number % 7
    return FaceRecord(row.path, 1, 0.9, left, top, left + 20.0, top + 30.0)


def _evidence(rows: Sequence[SplitRecord], objectives: Sequence[ObjectiveName]) -> Iterator[EvidenceRecord]:
    """In every ninth image no nose is seen."""
    rng = np.random.default_rng(0)
    for number, row in enumerate(rows):
        for objective in objectives:
            strength = 3 if objective == "ce" else 0
            parts = {part: rng.normal() + strength * (getattr(row, part) or 0) for part in PARTS}
            if row.side in ("valid", "test"):
                yield EvidenceRecord(row.path, objective, **parts | ({"nose": None} if number % 9 == 0 else {}))


def _jpeg(number: int) -> bytes:
    file = io.BytesIO()
    photo(number).save(file, "JPEG")
    return file.getvalue()


def _write_predictions(root: Path, rows: Sequence[SplitRecord], skill: float) -> None:
    rng = np.random.default_rng(0)
    labels = np.array([row.label for row in rows])
    sides = np.array([row.side for row in rows])
    base = rng.normal(size=len(rows))
    raw, calibrated = {}, {}
    for objective in OBJECTIVE_NAMES:
        strength = np.where(sides == "train", 2 * skill, skill)
        raw[objective] = expit(2 * ((labels - 0.5) * strength + 0.8 * base + 0.6 * rng.normal(size=len(rows))))
        valid = sides == "valid"
        temperature = fit_temperature(labels[valid], raw[objective][valid])
        calibrated[objective] = apply_temperature(raw[objective], temperature)
        card = {
            "objective": objective,
            "arch": "efficientnet_lite0",
            "image_px": 32,
            "is_sample": True,
            "best_epoch": EPOCHS - 1,
            "temperature": temperature,
            "thresholds": choose_thresholds(labels[valid], calibrated[objective][valid]),
            "answers": asdict(choose_answers(labels[valid], calibrated[objective][valid], 0.1)),
        }
        write_json(root / "models" / objective / "model.json", card)
    columns = {f"{name}_p_fake": calibrated[name] for name in OBJECTIVE_NAMES}
    columns |= {f"{name}_raw_p_fake": raw[name] for name in OBJECTIVE_NAMES}
    predictions = [
        PredictionRecord(
            path=row.path,
            side=row.side,
            label=row.label,
            **{name: float(values[position]) for name, values in columns.items()},
            bce_argmax=1 if raw["bce"][position] > 0.6 else 0,
        )
        for position, row in enumerate(rows)
    ]
    write_rows(root / "data/predictions.csv", PredictionRecord, predictions)
    perturbed = []
    for number, perturbation in enumerate(PERTURBATIONS, 1):
        changed = (sides == "test") | ((sides == "valid") & (perturbation == WEB))
        for position in np.flatnonzero(changed).tolist():
            odds = [logit(calibrated[name][position]) + rng.normal() * number / 3 for name in OBJECTIVE_NAMES]
            perturbed.append(PerturbedRecord(rows[position].path, perturbation, *map(float, expit(odds))))
    write_rows(root / "data/perturbed.csv", PerturbedRecord, perturbed)


def _write_counts(root: Path, rows: Sequence[SplitRecord], pairs: Sequence[PairRecord], *, is_sample: bool) -> None:
    metrics = root / "metrics"
    params = load_params(root / "params.yaml", "split", SplitParams)
    write_json(metrics / "split.json", split.summary(frame_of(SplitRecord, rows), frame_of(PairRecord, pairs), params))
    fakes = sum(row.label for row in rows)
    index = {"images": len(rows), "real": len(rows) - fakes, "fake": fakes, "duplicates": 0, "rejected": 1}
    write_json(metrics / "index.json", index | {"is_sample": is_sample})
    write_json(metrics / "elsewhere.json", {"is_sample": True})
    relate = {"pairs": len(pairs), "pairs_bytes": 0, "pairs_pixels": 0, "pairs_photo": len(pairs), "pairs_mirrored": 0}
    relate |= {"groups": len(pairs), "images_in_groups": 2 * len(pairs), "largest_group": 2, "groups_real_and_fake": 0}
    write_json(metrics / "relate.json", relate | {"groups_training_and_test": 0})
    write_json(metrics / "stats.json", {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2], "images": COUNTS["train"]})


def _write_training(root: Path, objective: str) -> None:
    """A history that overfits, its summary and its run record."""
    start = 0.70 if objective == "ce" else 0.66
    epochs = [
        EpochRecord(number, start / number**0.8, start / number**0.35 + 0.02, 0.5 + 0.09 * number, accuracy, 1e-3)
        for number, accuracy in zip(range(1, EPOCHS + 1), (0.55, 0.62, 0.70, 0.75, 0.74), strict=True)
    ]
    write_rows(root / f"metrics/{objective}_history.csv", EpochRecord, epochs)
    summary = {"best_epoch": EPOCHS - 1, "epochs": EPOCHS, "train_loss": 0.2, "valid_loss": 0.4}
    write_json(root / f"metrics/train_{objective}.json", summary | {"train_accuracy": 0.9, "valid_accuracy": 0.75})
    tags = {"device": "AMD EPYC", "device.type": "cpu", "device.precision": "bf16", "device.threads": "2"}
    tags |= {"version.torch": "2.13.0", "version.python": "3.11.2", "mlflow.source.git.commit": COMMIT}
    logged_epochs = [
        asdict(epoch) | {"epoch_s": 6.5, "images_per_second": 90.0, "timestamp_ms": 1_790_000_000_000 + 7000 * epoch.epoch}
        for epoch in epochs
    ]
    run_record = {"training_id": f"training of {objective}", "stage": f"train_{objective}", "started_ms": 1_790_000_000_000}
    run_record |= {"params": {"train.lr": 1e-3}, "tags": tags, "epochs": logged_epochs, "best_epoch": EPOCHS - 1}
    write_json(root / f"models/{objective}/run.json", run_record | {"memory": {"peak_memory_mib": 700.0}})
