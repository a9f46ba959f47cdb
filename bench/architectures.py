"""Which networks of torchvision can be trained and exported, and at which sizes: rewrites docs/architectures.md.

    python -m bench.architectures             every one in torchvision's registry: half an hour on two cores
    python -m bench.architectures vgg11 ...   some of them, printed only

Each in a process of its own with random weights, at several sizes, by the rehearsal with which every training starts.
"""

import json
import subprocess
import sys
from dataclasses import dataclass, field, replace

from torch import nn

from bench.rounds import PROJECT
from fakeface.core.errors import FakefaceError, run_as_command
from fakeface.params import EFFICIENTNET_LITE0, AugmentParams, ModelParams, TrainParams, load_params
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
    return Recipe("ce", train, augment, ModelParams(arch=arch, weights="random"), [0.5] * 3, [0.25] * 3)


def _refusal(network: nn.Module, recipe: Recipe, px: int) -> str:
    recipe = replace(recipe, augment=replace(recipe.augment, crop_px=px))
    device = select_device(recipe.train.device, recipe.train.precision)
    try:
        rehearse(network, recipe, device, px)
    except FakefaceError as error:
        return str(error)
    return ""


def tried(arch: str) -> Trial:
    """Raises RuntimeError where the process fails by itself."""
    command = [sys.executable, "-m", "bench.architectures", "--child", arch]
    try:
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False)
        printed, complaint = done.stdout, f"exit {done.returncode}: {done.stderr[-200:]}" if done.returncode else ""
    except subprocess.TimeoutExpired as expired:
        printed, complaint = (expired.stdout or b"").decode(), f"not done within {TIME_LIMIT_S} s"
    trial = Trial(**json.loads(printed.splitlines()[-1])) if printed.strip() else Trial()
    return replace(trial, refused=trial.refused or complaint)


def main(argv: list[str]) -> None:
    if argv[:1] == ["--child"]:
        child(argv[1])
        return
    for arch in argv or names():
        print(arch, json.dumps(vars(tried(arch))), flush=True)


if __name__ == "__main__":
    run_as_command(main)
