"""A network's branches: what each makes of a batch, and the loss of all. A plain network is one branch."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fakeface.training.batches import Batch
from fakeface.training.devices import Device
from fakeface.training.recipe import Recipe
from fakeface.training.region_network import CLASSES, RegionNetwork

BRANCH_WEIGHT = 0.3
"""Of the mean loss of the branches, each on its own, beside that of their sum: each must learn to tell fakes alone."""


def forward(network: nn.Module, batch: Batch, device: Device) -> list[Tensor]:
    """What each branch makes of the images, logits (N, 2) first, in float32 whatever the precision of the forward pass."""
    with device.autocast():
        if isinstance(network, RegionNetwork):
            outputs = network.branches(batch.inputs, batch.cooccurrences)
        else:
            outputs = [network(batch.inputs)]
    return [output.float() for output in outputs]


def logits_of(network: nn.Module, inputs: Tensor, cooccurrences: Tensor) -> Tensor:
    """(N, 2), of inputs as the network takes them, and co-occurrences, which a plain one does not see."""
    logits: Tensor = network(inputs, cooccurrences) if isinstance(network, RegionNetwork) else network(inputs)
    return logits


def training_loss(outputs: Sequence[Tensor], batch: Batch, recipe: Recipe) -> Tensor:
    """The objective's loss of the summed outputs, where there are branches with a share of each one's own."""
    if len(outputs) == 1:
        return _loss(outputs[0], batch, recipe)
    own = torch.stack([_loss(output, batch, recipe) for output in outputs]).mean()
    return _loss(torch.stack([*outputs]).sum(dim=0), batch, recipe) + BRANCH_WEIGHT * own


def _loss(outputs: Tensor, batch: Batch, recipe: Recipe) -> Tensor:
    """Of logits (N, 2), behind which may stand those of the parts (N, 4); images of unknown parts count for nothing."""
    smoothing = recipe.train.label_smoothing
    loss = recipe.objective.loss(outputs[:, :CLASSES], batch.labels, smoothing)
    known = ~batch.parts.isnan().any(dim=1)
    if outputs.shape[1] == CLASSES or not known.any():
        return loss
    targets = batch.parts[known] * (1 - smoothing) + smoothing / 2
    return loss + recipe.model.parts * F.binary_cross_entropy_with_logits(outputs[known, CLASSES:], targets)
