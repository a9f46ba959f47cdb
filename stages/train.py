"""Train one classifier.

Reads the packed train and valid images, their split and the statistics. Trains on augmented crops, keeps the weights of
the epoch with the best validation accuracy, stops early, and resumes a killed training at its last finished epoch. On
valid, too, it fits the temperature and chooses the thresholds that are kept with the model.
Writes a model folder (weights, exported network, card, the run's record), the epochs as CSV and their summary as JSON.
"""

import fakeface.training  # before torch

# isort: split
import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from fakeface import tracking
from fakeface.core.errors import FakefaceError, ParamsError, run_as_command
from fakeface.core.files import read_json, replacing, write_json, write_rows
from fakeface.core.params import load_params, read_yaml
from fakeface.core.records import EpochRecord, ObjectiveName
from fakeface.detector import CARD_FILE, NETWORK_FILE, RUN_FILE, WEIGHTS_FILE, load_detector
from fakeface.training.augmentation import AugmentParams
from fakeface.training.calibration import chosen_thresholds, fitted_temperature, tempered
from fakeface.training.checkpoint import ResumeFolder, fingerprint, resume_folder
from fakeface.training.devices import chosen_device, description, keep_freed_memory, peak_memory
from fakeface.training.fit import Recipe, Trainer, TrainParams
from fakeface.training.losses import OBJECTIVES
from fakeface.training.network import ExportedClassifier, ModelParams, export_onnx
from fakeface.training.packed import PackedSide, load_side

EXPORT_TOLERANCE = 1e-4
LOGGED_SECTIONS = ("split", "pack", "augment", "model", "train")


class Paths(NamedTuple):
    packed: Path
    split: Path
    stats: Path
    index_counts: Path
    model: Path
    metrics: Path
    history: Path
    params: Path


class Progress:
    """The finished epochs of a training, kept so that a kill at any point loses at most one."""

    def __init__(self, trainer: Trainer, kept: ResumeFolder, run_record: dict[str, Any]) -> None:
        self.trainer, self.kept, self.run_record = trainer, kept, run_record
        self.epochs: list[EpochRecord] = []
        self.best_weights: dict[str, Tensor] = {}
        state = kept.load()
        if state is not None:
            self.run_record = state["run_record"]
            self.epochs = [EpochRecord(**epoch) for epoch in state["epochs"]]
            self.best_weights = {name: value.contiguous() for name, value in state["best"].items()}
            trainer.network.load_state_dict(state["network"])
            trainer.optimizer.load_state_dict(state["optimizer"])

    @property
    def best(self) -> EpochRecord:
        """The first of the epochs with the best validation accuracy."""
        return max(self.epochs, key=lambda epoch: (epoch.valid_accuracy, -epoch.epoch))

    @property
    def is_over(self) -> bool:
        done, params = len(self.epochs), self.trainer.recipe.train
        return done >= params.epochs or (done > 0 and done - self.best.epoch >= params.patience)

    def remaining(self) -> Iterator[EpochRecord]:
        """Train what is left, epoch by epoch; each is kept before it is told."""
        told = time.perf_counter()
        while not self.is_over:
            started = time.perf_counter()
            logging_s = started - told
            train_loss, train_accuracy = self.trainer.train_epoch(len(self.epochs) + 1)
            train_s = time.perf_counter() - started
            valid_loss, valid_accuracy = self.trainer.valid_epoch()
            epoch = EpochRecord(
                len(self.epochs) + 1, train_loss, valid_loss, train_accuracy, valid_accuracy, self.trainer.last_learning_rate
            )
            self._refuse_if_diverged(epoch)
            self.epochs.append(epoch)
            if self.best == epoch:
                self.best_weights = self.trainer.weights()
            told = time.perf_counter()
            timing = {
                "timestamp_ms": int(time.time() * 1000),
                "epoch_s": told - started,
                "images_per_second": len(self.trainer.train_labels) / train_s,
                **self.trainer.train_seconds,
                "valid_s": told - started - train_s,
                "logging_s": logging_s,  # of the epoch before: its checkpoint, and what MLflow was told
            }
            self.run_record["epochs"].append(asdict(epoch) | timing)
            self._keep()
            yield epoch

    def _keep(self) -> None:
        state = {
            "run_record": self.run_record,
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "network": self.trainer.network.state_dict(),
            "optimizer": self.trainer.optimizer.state_dict(),
        }
        self.kept.save(state, len(self.epochs), self.best.epoch)

    def _refuse_if_diverged(self, epoch: EpochRecord) -> None:
        if not math.isfinite(epoch.train_loss + epoch.valid_loss):
            raise FakefaceError(
                f"train.lr: {self.trainer.recipe.train.lr}: the loss of epoch {epoch.epoch} became "
                f"{epoch.train_loss:g} on train, {epoch.valid_loss:g} on valid; expected finite numbers: try a lower rate"
            )


def run(stage: str, objective: ObjectiveName, paths: Paths) -> None:
    recipe = read_recipe(objective, paths)
    train, valid = (load_side(paths.packed, paths.split, side) for side in ("train", "valid"))
    if recipe.augment.crop_px > train.images.shape[1]:
        limit = f"should be at most pack.train_px, {train.images.shape[1]}"
        raise ParamsError(f"{paths.params}: augment.crop_px: {recipe.augment.crop_px}: {limit}")
    keep_freed_memory()
    device = chosen_device(recipe.train.device, recipe.train.precision)
    run_record = tracking.new_run_record(stage, read_yaml(paths.params), LOGGED_SECTIONS, description(device))
    weights_file = [path] if (path := Path(recipe.model.weights)).is_file() else []
    decisive = (recipe.as_json(), description(device), paths.split, paths.stats, train.images.shape, valid.images.shape)
    name = fingerprint(*decisive, *weights_file, Path(__file__), *sorted(Path(fakeface.__file__).parent.rglob("*.py")))
    with resume_folder(tracking.repository(), stage, name) as kept:
        progress = Progress(Trainer(recipe, device, train, valid), kept, run_record)
        print(
            f"{stage}: {len(train.records)} train and {len(valid.records)} valid images, {recipe.model.arch}, "
            f"{progress.run_record['tags']['device']}, {device.precision}"
            + (f", resumed after epoch {len(progress.epochs)}" if progress.epochs else "")
        )
        with tracking.live_run(progress.run_record, paths.split) as live_run:
            for epoch in progress.remaining():
                print(epoch_line(epoch, progress), flush=True)
                live_run.log_epochs()
            progress.run_record |= {"best_epoch": progress.best.epoch, "memory": peak_memory(device)}
            write_model(recipe, progress, valid, paths)
            live_run.complete(paths.model)
        kept.remove()


def read_recipe(objective: ObjectiveName, paths: Paths) -> Recipe:
    stats = read_json(paths.stats)
    return Recipe(
        objective,
        load_params(paths.params, "train", TrainParams),
        load_params(paths.params, "augment", AugmentParams),
        load_params(paths.params, "model", ModelParams),
        stats["mean"],
        stats["std"],
    )


def write_model(recipe: Recipe, progress: Progress, valid: PackedSide, paths: Paths) -> None:
    """Leave the best epoch's model, calibrated, and its scores; the exported network is proven to equal the trained one."""
    network = progress.trainer.network
    network.load_state_dict(progress.best_weights)
    raw_p_fake = progress.trainer.valid_p_fake()
    temperature = fitted_temperature(valid.labels, raw_p_fake)
    classifier = ExportedClassifier(network, recipe.objective, recipe.mean, recipe.std, temperature).eval().cpu()
    image_px = valid.images.shape[1]
    paths.model.mkdir(parents=True, exist_ok=True)
    with replacing(paths.model / WEIGHTS_FILE) as temporary:
        temporary.write_bytes(save(progress.best_weights))
    with replacing(paths.model / NETWORK_FILE) as temporary:
        export_onnx(classifier, image_px, temporary)
    card = {
        "objective": recipe.objective_name,
        "arch": recipe.model.arch,
        "image_px": image_px,
        "is_sample": read_json(paths.index_counts)["is_sample"],
        "mean": recipe.mean,
        "std": recipe.std,
        "best_epoch": progress.best.epoch,
        "temperature": temperature,
        "thresholds": chosen_thresholds(valid.labels, tempered(raw_p_fake, temperature)),
    }
    write_json(paths.model / CARD_FILE, card)
    write_json(paths.model / RUN_FILE, progress.run_record)
    _check_export(classifier, np.array(valid.images[:8]), paths.model)
    write_rows(paths.history, EpochRecord, progress.epochs)
    summary = {name: value for name, value in asdict(progress.best).items() if name not in ("epoch", "learning_rate")}
    write_json(paths.metrics, {"best_epoch": progress.best.epoch, "epochs": len(progress.epochs)} | summary)


def _check_export(classifier: ExportedClassifier, images: np.ndarray[Any, np.dtype[np.uint8]], folder: Path) -> None:
    with torch.inference_mode():
        trained, _ = classifier(torch.from_numpy(images))
    exported, _ = load_detector(folder).scores(images)
    difference = float(np.abs(exported - trained.numpy()).max())
    if difference > EXPORT_TOLERANCE:
        raise FakefaceError(
            f"{folder / NETWORK_FILE}: p_fake differs by {difference:g} from the trained network's; expected 1e-4"
        )


def epoch_line(epoch: EpochRecord, progress: Progress) -> str:
    timing = progress.run_record["epochs"][-1]
    return (
        f"epoch {epoch.epoch:>3}  train loss {epoch.train_loss:.4f} accuracy {epoch.train_accuracy:.3f}  "
        f"valid loss {epoch.valid_loss:.4f} accuracy {epoch.valid_accuracy:.3f}  {timing['images_per_second']:.0f} images/s"
        + ("  best" if progress.best == epoch else "")
    )


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m stages.train", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("objective", choices=sorted(OBJECTIVES), help="the loss: cross-entropy, or BCE-with-logits on output 1")
    parser.add_argument("--packed", type=Path, required=True, help="folder with train.npy and valid.npy")
    parser.add_argument("--split", type=Path, required=True, help="the CSV that `split` wrote")
    parser.add_argument("--stats", type=Path, required=True, help="the JSON that `compute_stats` wrote")
    parser.add_argument("--index-counts", type=Path, required=True, help="the JSON that `index` wrote")
    parser.add_argument("--model", type=Path, required=True, help="folder to leave the model in")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON to write: the best epoch's scores")
    parser.add_argument("--history", type=Path, required=True, help="CSV to write: a row per epoch")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    arguments = vars(parser.parse_args(argv))
    objective = arguments.pop("objective")
    run(f"train_{objective}", objective, Paths(**arguments))


if __name__ == "__main__":
    run_as_command(main)
