"""Parts about training: an epoch on the CPU and on a GPU, where its time goes, and what bf16 does to a score."""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import torch
from scipy import stats

from bench.photos import NOTEBOOK_RECIPE, Workspace, new_workspace, write_params
from bench.rounds import PROJECT, Go, Goal, Measures, Options, Result, alternating, timed
from bench.trainings import BareTraining, FilesTraining, return_freed_memory
from fakeface import tracking
from fakeface.commands.predict import judged
from fakeface.core.params import read_yaml
from fakeface.detector import load_detector
from fakeface.scoring.scores import point_estimate, roc_auc
from fakeface.training.checkpoint import resume_folder
from fakeface.training.devices import Device, DeviceName, chosen_device, description, keep_freed_memory
from fakeface.training.fit import Recipe, Trainer
from fakeface.training.packed import PackedSide, load_side
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
    trainer = Trainer(recipe, device, *_sides(work))
    bare = BareTraining(recipe, device, len(trainer.train_labels), len(trainer.valid_labels), work.pack_params.eval_px)
    again = partial(pack.run, pack.Paths(work.paths.split, work.root / "again"), work.photos, work.pack_params)
    with own_epochs(work, trainer) as own_epoch:
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
        _facts(trainer),
        len(trainer.train_labels),
    )


def profile(options: Options) -> Result:
    """Which operations an epoch's training spends its time in, as torch's profiler tells it."""
    work, recipe, device = _prepared(options, "auto")
    trainer = Trainer(recipe, device, *_sides(work))
    epochs = count(1)

    def shares() -> Measures:
        with torch.profiler.profile() as profiled:
            trainer.train_epoch(next(epochs))
        own = "self_device_time_total" if device.is_cuda else "self_cpu_time_total"
        own_us = {event.key: float(getattr(event, own)) for event in profiled.key_averages()}
        return {name: 100 * us / sum(own_us.values()) for name, us in sorted(own_us.items(), key=lambda event: -event[1])}

    rows = alternating("profile", {"epoch": shares}, options.rounds)["epoch"]
    longest = sorted(rows, key=lambda name: -sum(rows[name]))[:SHOWN_OPERATIONS]
    return Result(
        "profile",
        f"Percent of the time of an epoch's training steps, {_network(recipe)}, by operation.",
        {name: {"percent": rows[name]} for name in longest},
        sizes=_facts(trainer),
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
        measures = timed(train.run, "train_ce", "ce", work.paths)
        detector, test = load_detector(work.paths.model), work.records("test")
        p_fake = [judged(work.photos / record.path, [detector], "half").p_fake["ce"] for record in test]
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
    return work, train.read_recipe("ce", work.paths), chosen_device(device_name, "auto")


def _after(setting: Callable[[], None], go: Callable[..., Measures], *arguments: Any) -> Measures:
    """A process has one allocator; each contender has it set as it would have it in a process of its own."""
    setting()
    return go(*arguments)


def _sides(work: Workspace) -> tuple[PackedSide, PackedSide]:
    return load_side(work.paths.packed, work.paths.split, "train"), load_side(work.paths.packed, work.paths.split, "valid")


def _facts(trainer: Trainer) -> dict[str, Any]:
    told = {name: description(trainer.device)[f"device.{name}"] for name in ("type", "precision", "threads")}
    return {"train": len(trainer.train_labels), "valid": len(trainer.valid_labels)} | told


def _network(recipe: Recipe) -> str:
    return f"{recipe.model.arch} at {recipe.augment.crop_px} px"


@contextmanager
def own_epochs(work: Workspace, trainer: Trainer) -> Iterator[Go]:
    """Each call is the next epoch as `train` runs it, its checkpoint kept and MLflow told."""
    params, sections = read_yaml(work.paths.params), train.LOGGED_SECTIONS
    record = tracking.new_run_record("train_ce", params, sections, description(trainer.device))
    with (
        resume_folder(work.root, "train_ce", "bench") as kept,
        tracking.live_run(record, work.paths.split) as live_run,
    ):
        progress = train.Progress(trainer, kept, record)
        epochs = progress.remaining()

        def told_epoch() -> None:
            print(train.epoch_line(next(epochs), progress), file=sys.stderr)
            live_run.log_epochs()

        def measured() -> Measures:
            measures = timed(told_epoch)
            last = record["epochs"][-1]
            return measures | {lap: last[lap] for lap in LAPS} | {"log_s": measures["s"] - last["epoch_s"]}

        yield measured
