"""Parts about training: an epoch on the CPU and on a GPU, where its time goes, and what bf16 does to a score."""

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import torch
from scipy import stats

from bench.photos import NOTEBOOK_RECIPE, Workspace, new_workspace, write_params
from bench.rounds import PROJECT, Go, Goal, Measures, Options, Result, alternating, timed
from bench.trainings import BareTraining, FilesTraining, return_freed_memory
from fakeface.core.params import read_yaml
from fakeface.core.records import EpochRecord
from fakeface.detector import load_detector, score_image
from fakeface.params import AnswersParams, DeviceName, load_params
from fakeface.photos.images import read_image
from fakeface.scoring.scores import point_estimate, roc_auc
from fakeface.tracking.records import new_run_record
from fakeface.tracking.runs import live_run
from fakeface.training.batches import to_tensors
from fakeface.training.checkpoint import open_checkpoints
from fakeface.training.devices import Device, device_tags, keep_freed_memory, select_device
from fakeface.training.fit import fit, new_network, train_epoch
from fakeface.training.optimization import new_optimizer
from fakeface.training.packed import PackedSide, load_side
from fakeface.training.recipe import Recipe
from stages import pack, train

VALID_SHARE = 0.2
LAPS = ("data_s", "forward_s", "backward_s", "valid_s")
SHOWN_OPERATIONS = 15


def training(options: Options) -> Result:
    """An epoch from real JPEGs with validation, log and checkpoint, ResNet18 at 224 px, on the CPU."""
    return _epochs("training", options, "cpu", of_notebook=2.5, of_limit=0.93)


def gpu(options: Options) -> Result:
    """The same on a GPU, where there is one."""
    if not torch.cuda.is_available():
        return Result("gpu", "An epoch on a GPU: no CUDA device is visible here, nothing was measured.", {})
    return _epochs("gpu", options, "cuda", of_notebook=10, of_limit=0.8)


def _epochs(part: str, options: Options, device_name: DeviceName, of_notebook: float, of_limit: float) -> Result:
    work, recipe, device = _prepared(options, device_name)
    train_count, valid_count = (len(side.records) for side in _sides(work))
    bare = BareTraining(recipe, device, train_count, valid_count, work.pack_params.eval_px)
    again = partial(pack.run, pack.Paths(work.paths.split, work.faces, work.root / "again"), work.photos, work.pack_params)
    with own_epochs(work, recipe, device) as own_epoch:
        contenders: dict[str, Go] = {
            "fakeface": partial(_after, keep_freed_memory, own_epoch),
            "notebook": partial(_after, return_freed_memory, timed, FilesTraining(work, recipe, device, simple=False).epoch),
            "simple": partial(_after, return_freed_memory, timed, FilesTraining(work, recipe, device, simple=True).epoch),
            "limit": partial(_after, keep_freed_memory, timed, bare.epoch),
            "fakeface: pack, once": partial(timed, again),
        }
        rows = alternating(part, contenders, options.rounds)
    return Result(
        part,
        f"An epoch of {_network(recipe)}: train, validate, keep, log. notebook: 4 workers, Pillow, float32; simple: "
        "torchvision's reference recipe; limit: the same steps on one batch in memory.",
        rows,
        [
            Goal("fakeface", "notebook", at_least=of_notebook),
            Goal("fakeface", "simple"),
            Goal("fakeface", "limit", at_least=of_limit),
            Goal("simple", "limit"),
        ],
        _facts(work, device),
        train_count,
    )


def profile(options: Options) -> Result:
    """Which operations an epoch's training spends its time in, as torch's profiler tells it."""
    work, recipe, device = _prepared(options, "auto")
    train_side, valid_side = _sides(work)
    network = new_network(recipe, device, valid_side.images.shape[1])
    optimizer, train_set = new_optimizer(network, recipe.train), to_tensors(train_side, device)
    epochs = count(1)

    def shares() -> Measures:
        with torch.profiler.profile() as profiled:
            train_epoch(network, None, optimizer, train_set, recipe, device, next(epochs))
        own = "self_device_time_total" if device.is_cuda else "self_cpu_time_total"
        own_us = {event.key: float(getattr(event, own)) for event in profiled.key_averages()}
        return {name: 100 * us / sum(own_us.values()) for name, us in sorted(own_us.items(), key=lambda event: -event[1])}

    rows = alternating("profile", {"epoch": shares}, options.rounds)["epoch"]
    longest = sorted(rows, key=lambda name: -sum(rows[name]))[:SHOWN_OPERATIONS]
    return Result(
        "profile",
        f"Percent of the time of an epoch's training steps, {_network(recipe)}, by operation.",
        {name: {"percent": rows[name]} for name in longest},
        sizes=_facts(work, device),
    )


def precision(options: Options) -> Result:
    """float32 against bf16 on given photos: test AUC of whole trainings, a seed per round, paired. Long."""
    recipe = options.recipe or PROJECT / "recipes/quick.yaml"
    with redirect_stdout(sys.stderr):
        weights = read_yaml(recipe)["model"]["weights"]
        work = new_workspace(options, recipe, {"model": {"weights": weights}}, valid_share=None)
        contenders: dict[str, Go] = {name: _training_in(work, name) for name in ("float32", "bf16")}
        rows = alternating("precision", contenders, options.rounds)
    pairs = zip(rows["bf16"]["auc"], rows["float32"]["auc"], strict=True)
    differences = [bf16 - float32 for bf16, float32 in pairs]
    rows["bf16 less float32"] = {"auc": differences}
    sizes = {side: len(work.records(side)) for side in ("train", "valid", "test")}
    return Result(
        "precision",
        f"Test AUC of cross-entropy by {recipe.name} in both precisions; a seed per round, all else equal.",
        rows,
        [Goal("bf16", "float32")],
        sizes | {"mean difference of AUC": paired_interval(differences)},
    )


def paired_interval(differences: Sequence[float]) -> str:
    """Their mean, and where it lies by Student's t if they are drawn from a normal distribution; "unknown" for one alone."""
    mean, count = float(np.mean(differences)), len(differences)
    if count == 1:
        return f"{mean:+.4f}, interval unknown"
    reach = float(stats.t.ppf(0.975, count - 1) * np.std(differences, ddof=1) / math.sqrt(count))
    return f"{mean:+.4f}, 95 % interval {mean - reach:+.4f} to {mean + reach:+.4f}, paired over {count} seeds"


def _training_in(work: Workspace, name: str) -> Go:
    """Each call trains with the next seed, then judges the test photos as `predict` does, in float32."""
    seeds = count()

    def trained() -> Measures:
        write_params(work.paths.params, work.paths.params, {"train": {"precision": name, "seed": next(seeds)}})
        max_error = load_params(work.paths.params, "answers", AnswersParams).max_error
        measures = timed(train.run, work.paths, train.read_recipe(work.paths), max_error)
        detectors, test = {"ce": load_detector(work.paths.model)}, work.records("test")
        p_fake = [score_image(read_image(work.photos / record.path), detectors)["ce"].p_fake for record in test]
        auc = point_estimate(roc_auc, np.array([record.label for record in test]), np.array(p_fake))
        return measures | {"auc": float("nan") if auc is None else auc}

    return trained


def _prepared(options: Options, device_name: DeviceName) -> tuple[Workspace, Recipe, Device]:
    """Photos for the notebook's recipe, or the one asked for, in the precision that the machine does best."""
    changes = {
        "device": device_name,
        "precision": "auto",
        "layout": "channels_last",
        "epochs": options.rounds,
        "patience": options.rounds,
    }
    work = new_workspace(options, options.recipe or NOTEBOOK_RECIPE, {"train": changes}, VALID_SHARE)
    return work, train.read_recipe(work.paths), select_device(device_name, "auto")


def _after(setting: Callable[[], None], go: Callable[..., Measures], *arguments: Any) -> Measures:
    """A process has one allocator; each contender has it set as it would have it in a process of its own."""
    setting()
    return go(*arguments)


def _sides(work: Workspace) -> tuple[PackedSide, PackedSide]:
    return load_side(work.paths.packed, work.paths.split, "train"), load_side(work.paths.packed, work.paths.split, "valid")


def _facts(work: Workspace, device: Device) -> dict[str, Any]:
    counts = {side: len(work.records(side)) for side in ("train", "valid")}
    return counts | {name: device_tags(device)[f"device.{name}"] for name in ("type", "precision", "threads")}


def _network(recipe: Recipe) -> str:
    return f"{recipe.model.arch} at {recipe.augment.crop_px} px"


class _EpochDoneError(Exception):
    """Ends a training after one epoch, as a kill would."""


@dataclass
class _OneEpoch:
    """A log that measures one epoch, with the logging of it, and ends the training."""

    log: train.Log
    is_first: bool
    started: float = 0.0
    elapsed_s: float = 0.0

    def start(self, run_record: dict[str, Any]) -> None:
        if self.is_first:
            self.log.start(run_record)
        self.log.live_run.run_record = run_record
        self.started = time.perf_counter()

    def log_epoch(self, epoch: EpochRecord, *, is_best: bool) -> None:
        self.log.log_epoch(epoch, is_best=is_best)
        self.elapsed_s = time.perf_counter() - self.started
        raise _EpochDoneError


@contextmanager
def own_epochs(work: Workspace, recipe: Recipe, device: Device) -> Iterator[Go]:
    """Each call is the next epoch as `train` runs it, with checkpoint and log, resumed from the one before."""
    train_side, valid_side = _sides(work)
    params, tags = read_yaml(work.paths.params), device_tags(device)
    new_record = new_run_record("train_ce", params, train.LOGGED_SECTIONS, tags)
    numbers = count()
    with open_checkpoints(work.root, "train_ce", "bench") as checkpoints, live_run() as run_under_way:
        log = train.Log("train_ce", run_under_way, work.paths.split)

        def measured() -> Measures:
            one_epoch = _OneEpoch(log, is_first=next(numbers) == 0)
            with redirect_stdout(sys.stderr), suppress(_EpochDoneError):
                fit(recipe, device, train_side, valid_side, checkpoints, new_record, one_epoch)
            last = run_under_way.run_record["epochs"][-1]
            return (
                {"s": one_epoch.elapsed_s} | {lap: last[lap] for lap in LAPS} | {"log_s": one_epoch.elapsed_s - last["epoch_s"]}
            )

        yield measured
