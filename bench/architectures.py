"""Which networks of torchvision can be trained and exported, and at which sizes: rewrites docs/architectures.md.

    python -m bench.architectures > trials.txt          every one in torchvision's registry; by name: some of them
    python -m bench.architectures --page trials.txt     writes the page of what was tried

Each in a process of its own with random weights, at several sizes, by the rehearsal with which every training starts.
"""

import json
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import wrap

from torch import nn

from bench.rounds import PROJECT
from fakeface.core.errors import FakefaceError, run_as_command
from fakeface.params import ARCHITECTURES, EFFICIENTNET_LITE0, AugmentParams, ModelParams, TrainParams, load_params
from fakeface.training.devices import select_device
from fakeface.training.network import new_classifier
from fakeface.training.recipe import Recipe
from fakeface.training.rehearsal import rehearse
from fakeface.training.torchvision_ops import import_torchvision

PAGE = PROJECT / "docs/architectures.md"
SIZES = (64, 96, 128, 224)
"""In pixels, of the square images."""
TIME_LIMIT_S = 900


@dataclass
class Trial:
    """What became of one architecture; `sizes` says for each size why it is refused there, "" where it works."""

    parameters: int = 0
    refused: str = ""
    sizes: dict[str, str] = field(default_factory=dict)


def names() -> list[str]:
    return [EFFICIENTNET_LITE0, *sorted(import_torchvision().models.list_models())]


def child(arch: str) -> None:
    """Try one architecture in this process; a line of JSON after each size."""
    recipe, trial = _recipe(arch), Trial()
    try:
        network = new_classifier(recipe.model, seed=0)
        trial.parameters = sum(parameter.numel() for parameter in network.parameters())
        for px in SIZES:
            trial.sizes[str(px)] = _refusal(network, recipe, px)
            print(json.dumps(vars(trial)), flush=True)
    except FakefaceError as error:
        trial.refused = str(error)
    print(json.dumps(vars(trial)), flush=True)


def _recipe(arch: str) -> Recipe:
    """The sample's, with random weights: channels of (0.5, 0.25) stand in for what `compute_stats` measures."""
    params = PROJECT / "params.yaml"
    train, augment = load_params(params, "train", TrainParams), load_params(params, "augment", AugmentParams)
    return Recipe(
        "ce",
        train,
        augment,
        ModelParams(arch=arch, weights="random", pooling="image", frozen=False, parts=0, cooccurrences=False, overview=False),
        "centre",
        [0.5] * 3,
        [0.25] * 3,
    )


def _refusal(network: nn.Module, recipe: Recipe, px: int) -> str:
    recipe = replace(recipe, augment=replace(recipe.augment, crop_px=px))
    device = select_device(recipe.train.device, recipe.train.precision)
    try:
        rehearse(network, recipe, device, px)
    except FakefaceError as error:
        return str(error)
    return ""


def _refusal_of_name(arch: str) -> str:
    """`ModelParams` does not know it."""
    kind = import_torchvision().models.get_model_builder(arch).__module__.split(".")[2:-1]
    return f"by name: of torchvision.models.{kind[0]}" if kind else "by name: not one output and a last linear layer"


def tried(arch: str) -> Trial:
    """What becomes of it; a process that fails by itself, or takes too long, is a reason too."""
    if arch not in ARCHITECTURES:
        return Trial(refused=_refusal_of_name(arch))
    command = [sys.executable, "-m", "bench.architectures", "--child", arch]
    try:
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False)
        printed, complaint = done.stdout, f"exit {done.returncode}: {done.stderr[-200:]}" if done.returncode else ""
    except subprocess.TimeoutExpired as expired:
        printed, complaint = (expired.stdout or b"").decode(), f"not done within {TIME_LIMIT_S} s"
    trial = Trial(**json.loads(printed.splitlines()[-1])) if printed.strip() else Trial()
    return replace(trial, refused=trial.refused or complaint)


def page(trials: dict[str, Trial], untried: int) -> str:
    """Markdown: a row per architecture that was tried, those refused at every size by their reason alone."""
    count = f"{len(trials)}, not tried yet: {untried}" if untried else f"all {len(trials)} names"
    about = (
        "What `model.arch` may name, as `python -m bench.architectures` found it: each with random weights, by the rehearsal "
        "with which every training starts (a forward and a backward pass, the export to ONNX, the exported network on one "
        f"image and on three). Tried: {count}. A training rehearses whichever it is given, at its own sizes, and is "
        "refused before its first step where that fails."
    )
    head = "| architecture | million parameters | sides in px that work | else |"
    lines = ["# Architectures", "", *wrap(about, 128), "", head, "|---|---|---|---|"]
    for arch, trial in sorted(trials.items()):
        works = [px for px, reason in trial.sizes.items() if not reason]
        reasons = {
            reason.rpartition("architectures.md: ")[2][:110] for reason in (*trial.sizes.values(), trial.refused) if reason
        }
        parameters = f"{trial.parameters / 1e6:.1f}" if trial.parameters else ""
        refused = "; ".join(sorted(reasons)).replace("|", "/")
        lines.append(f"| {arch} | {parameters} | {', '.join(works) or 'none'} | {refused} |")
    return "\n".join(lines) + "\n"


def write_page(trials_path: Path) -> None:
    rows = (line.split(" ", 1) for line in trials_path.read_text(encoding="utf-8").splitlines())
    trials = {arch: Trial(**json.loads(values)) for arch, values in rows}
    PAGE.write_text(page(trials, len(set(names()) - trials.keys())), encoding="utf-8")


def main(argv: list[str]) -> None:
    if argv[:1] == ["--page"]:
        write_page(Path(argv[1]))
        return
    if argv[:1] == ["--child"]:
        child(argv[1])
        return
    for arch in argv or names():
        print(arch, json.dumps(vars(tried(arch))), flush=True)


if __name__ == "__main__":
    run_as_command(main)
