"""A network's branches: what each makes of a batch, and the loss of all. A plain network is one branch."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from fakeface.training.batches import Batch, known
from fakeface.training.devices import Device
from fakeface.training.recipe import Recipe
from fakeface.training.region_branches import CLASSES
from fakeface.training.region_network import Judged, RegionNetwork, Seen


class Branches(nn.Module):
    """A network whose forward pass gives what each branch makes of the images, logits (N, 2) first."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor | Seen, cooccurrences: Tensor) -> list[Tensor]:
        if isinstance(self.network, RegionNetwork):
            return self.network.branches(inputs, cooccurrences)
        return [self.network(inputs)]


def branches_to_train(network: nn.Module, device: Device) -> nn.Module:
    """The network's Branches; where several processes train together, its gradients become those of all their images."""
    if device.ranks.count == 1:
        return Branches(network)
    # Buffers need no broadcast: in `whole_batch` they are the same in all processes.
    gpus = [device.torch_device] if device.is_cuda else None
    # A RegionNetwork keeps its backbone's layers beyond the last stride that it looks at.
    has_unused = isinstance(network, RegionNetwork)
    return DistributedDataParallel(Branches(network), gpus, forward_sync_buffers=False, find_unused_parameters=has_unused)


def forward(branches: nn.Module, batch: Batch, device: Device) -> list[Tensor]:
    """What each branch makes of the images, in float32 whatever the precision of the forward pass."""
    with device.autocast():
        outputs = branches(batch.inputs, batch.cooccurrences)
    return [output.float() for output in outputs]


def judge(network: nn.Module, inputs: Tensor | Seen, cooccurrences: Tensor) -> Judged:
    """What a network in evaluation makes of inputs as it takes them; a plain one has no distances, (N, 0)."""
    if isinstance(network, RegionNetwork):
        return network.judge(inputs, cooccurrences)
    logits: Tensor = network(inputs)
    return Judged(logits, logits[:, :0])


def training_loss(outputs: Sequence[Tensor], batch: Batch, recipe: Recipe) -> Tensor:
    """The mean of the branches' losses, each on its own: of their sum, what one has learned the others would not learn."""
    return torch.stack([_loss(output, batch, recipe) for output in outputs]).mean()


def _loss(outputs: Tensor, batch: Batch, recipe: Recipe) -> Tensor:
    """Of logits (N, 2), behind which may stand those of the parts (N, 4); images of unknown parts count for nothing."""
    smoothing = recipe.train.label_smoothing
    loss = recipe.objective.loss(outputs[:, :CLASSES], batch.labels, smoothing) * batch.weight
    of_known = known(batch.parts)
    if outputs.shape[1] == CLASSES or not of_known.any():
        return loss
    targets = batch.parts[of_known] * (1 - smoothing) + smoothing / 2
    parts_loss = F.binary_cross_entropy_with_logits(outputs[of_known, CLASSES:], targets)
    return loss + recipe.model.parts * batch.parts_weight * parts_loss
