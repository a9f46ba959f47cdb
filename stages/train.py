"""Train one classifier.

reads   PACKED/{train,valid}.npy, whose rows are those of SPLIT; STATS, their mean and deviation; INDEX_COUNTS, whether they
        are the drawn sample; params.yaml: augment, model, train, answers, and those that it logs
does    trains on augmented crops, keeps the weights of the epoch with the best validation accuracy, stops early, resumes a
        killed training after its last finished epoch, calibrates on valid, and logs to MLflow; for a refit trains once more on
        train and valid, PACKED/refit.npy, together
writes  MODEL: weights, exported network, model card and run record; HISTORY, a row per epoch; METRICS, the best epoch's
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any
from zlib import crc32

from fakeface.core.arguments import ParamsPath, parse_paths
from fakeface.core.checkout import checkout_root
from fakeface.core.errors import run_as_command
from fakeface.core.files import read_json, write_json, write_rows
from fakeface.core.params import read_yaml
from fakeface.core.records import EpochRecord, ObjectiveName
from fakeface.params import AnswersParams, AugmentParams, ModelParams, PackParams, TrainParams, load_params
from fakeface.tracking.records import new_run_record
from fakeface.tracking.runs import LiveRun, live_run
from fakeface.training.checkpoint import Checkpoints, fingerprint, open_checkpoints
from fakeface.training.devices import Device, device_tags, keep_freed_memory, peak_memory, select_device, use_available_cores
from fakeface.training.fit import FitResult, fit
from fakeface.training.launching import joined, launch, processes_to_start
from fakeface.training.looks import Looks, open_looks
from fakeface.training.model_folder import write_model
from fakeface.training.packed import PackedSide, load_side
from fakeface.training.ranks import ALONE, Ranks
from fakeface.training.recipe import Recipe

LOGGED_SECTIONS = ("split", "pack", "augment", "model", "train", "answers")
DECISIVE_CODE = ("stages/train.py", "fakeface/core", "fakeface/faces", "fakeface/training")
"""The code that decides what is trained: another checkpoint than that of the same code is not resumed from."""


@dataclass(frozen=True)
class Paths:
    objective: Annotated[ObjectiveName, "the loss: cross-entropy on both outputs, or BCE-with-logits on output 1"]
    packed: Annotated[Path, "folder to read train.npy and valid.npy from"]
    split: Annotated[Path, "CSV to read: every image's side"]
    stats: Annotated[Path, "JSON to read: mean and deviation of the train images"]
    index_counts: Annotated[Path, "JSON to read: what `index` counted"]
    model: Annotated[Path, "folder to write the model to"]
    metrics: Annotated[Path, "JSON to write: the best epoch's loss and accuracy"]
    history: Annotated[Path, "CSV to write: a row per epoch"]
    params: ParamsPath = Path("params.yaml")


def read_recipe(paths: Paths) -> Recipe:
    train = load_params(paths.params, "train", TrainParams)
    augment = load_params(paths.params, "augment", AugmentParams)
    model = load_params(paths.params, "model", ModelParams)
    stats = read_json(paths.stats)
    framing = load_params(paths.params, "pack", PackParams).framing
    return Recipe(paths.objective, train, augment, model, framing, stats["mean"], stats["std"])


def code_files(root: Path) -> Iterator[Path]:
    """The files of DECISIVE_CODE in a checkout."""
    for path in (root / name for name in DECISIVE_CODE):
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def training_fingerprints(
    recipe: Recipe, device: Device, paths: Paths, train: PackedSide, valid: PackedSide
) -> tuple[str, str]:
    """Names for all that decides a training, and for all that decides what its frozen backbone makes of the images."""
    weights = Path(recipe.model.weights)
    decisive = (train.regions, train.laundered, train.cooccurrences, valid.images, valid.regions, valid.cooccurrences)
    of_images = fingerprint(
        device_tags(device),
        paths.split,
        paths.stats,
        [[array.shape, crc32(array.data)] for array in decisive],
        train.images.shape,
        [recipe.model.arch, recipe.model.weights, recipe.train.layout],
        recipe.train.seed if recipe.model.weights == "random" else None,
        *([weights] if weights.is_file() else []),
        *code_files(Path(__file__).parents[1]),
    )
    return fingerprint(of_images, recipe.as_json()), of_images


@dataclass(frozen=True)
class Log:
    """Prints how the training goes, and logs it to MLflow."""

    headline: str
    live_run: LiveRun
    split: Path

    def start(self, run_record: dict[str, Any]) -> None:
        done = len(run_record["epochs"])
        print(self.headline + (f", resumed after epoch {done}" if done else ""), flush=True)
        self.live_run.start(run_record, self.split)

    def log_epoch(self, epoch: EpochRecord, *, is_best: bool) -> None:
        images_per_second = self.live_run.run_record["epochs"][-1]["images_per_second"]
        print(
            f"epoch {epoch.epoch:>3}  train loss {epoch.train_loss:.4f} accuracy {epoch.train_accuracy:.3f}  "
            f"valid loss {epoch.valid_loss:.4f} accuracy {epoch.valid_accuracy:.3f}  {images_per_second:.0f} images/s"
            + ("  best" if is_best else ""),
            flush=True,
        )
        self.live_run.log_epochs()


class RefitLog:
    """Prints how a refit goes, whose valid loss says nothing."""

    def start(self, run_record: dict[str, Any]) -> None:
        done = len(run_record["epochs"])
        print("refit on train and valid together" + (f", resumed after epoch {done}" if done else ""), flush=True)

    def log_epoch(self, epoch: EpochRecord, *, is_best: bool) -> None:  # noqa: ARG002 - as Log has it
        print(f"epoch {epoch.epoch:>3}  loss {epoch.train_loss:.4f} accuracy {epoch.train_accuracy:.3f}", flush=True)


class Silence:
    """The log of the processes that train beside the first one."""

    def start(self, run_record: dict[str, Any]) -> None:
        pass

    def log_epoch(self, epoch: EpochRecord, *, is_best: bool) -> None:
        pass


def refit_recipe(recipe: Recipe, result: FitResult) -> Recipe:
    """As many epochs as were best, whatever valid says of them."""
    epochs = result.best.epoch
    return replace(recipe, train=replace(recipe.train, epochs=epochs, patience=epochs))


def run(paths: Paths, recipe: Recipe, max_error: float, ranks: Ranks = ALONE) -> None:
    """Train with the other processes, if there are any, of which the first one writes and logs."""
    stage = f"train_{paths.objective}"
    train, valid = (load_side(paths.packed, paths.split, side) for side in ("train", "valid"))
    refit = load_side(paths.packed, paths.split, "refit") if recipe.train.refit else None
    keep_freed_memory()
    use_available_cores(ranks.local_count)
    device = select_device(recipe.train.device, recipe.train.precision, ranks)
    if not ranks.is_first:
        result = fit(recipe, device, train, valid, Checkpoints(None), {"epochs": []}, Silence())
        if refit:
            fit(refit_recipe(recipe, result), device, train, valid, Checkpoints(None), {"epochs": []}, Silence(), refit=refit)
        return
    tags = device_tags(device)
    run_record = new_run_record(stage, read_yaml(paths.params), LOGGED_SECTIONS, tags)
    headline = (
        f"{stage}: {len(train.records)} train and {len(valid.records)} valid images, {recipe.model.arch}, "
        f"{tags['device']}, {device.precision}" + (f", {ranks.count} processes" if ranks.count > 1 else "")
    )
    name, of_images = training_fingerprints(recipe, device, paths, train, valid)
    looks = open_looks(checkout_root() / ".cache" / "looks", of_images) if recipe.model.frozen else Looks()
    with open_checkpoints(checkout_root(), stage, name) as checkpoints:
        with live_run() as run_under_way:
            log = Log(headline, run_under_way, paths.split)
            result = fit(recipe, device, train, valid, checkpoints, run_record, log, looks)
            result.run_record.update(best_epoch=result.best.epoch, memory=peak_memory(device))
            network = result.network
            if refit:
                again, of_refit = refit_recipe(recipe, result), checkpoints.of_refit()
                network = fit(again, device, train, valid, of_refit, {"epochs": []}, RefitLog(), looks, refit).network
            is_sample = read_json(paths.index_counts)["is_sample"]
            write_model(paths.model, result, network, recipe, valid, max_error, is_sample=is_sample)
            write_rows(paths.history, EpochRecord, result.epochs)
            best = {name: value for name, value in asdict(result.best).items() if name not in ("epoch", "learning_rate")}
            write_json(paths.metrics, {"best_epoch": result.best.epoch, "epochs": len(result.epochs)} | best)
            run_under_way.complete(paths.model)
        checkpoints.remove()


def main(argv: list[str]) -> None:
    paths = parse_paths(Paths, argv)
    recipe, max_error = read_recipe(paths), load_params(paths.params, "answers", AnswersParams).max_error
    if (processes := processes_to_start(recipe.train)) > 1:
        launch(["-m", "stages.train", *argv], processes)
        return
    with joined() as ranks:
        run(paths, recipe, max_error, ranks)


if __name__ == "__main__":
    run_as_command(main)
