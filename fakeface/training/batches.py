"""From packed images to batches as the network takes them: augmented for training, normalised, on the device."""

import warnings
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from fakeface.training.augmentation import COLOURS, augment, random_values
from fakeface.training.devices import Device
from fakeface.training.packed import PackedSide
from fakeface.training.ranks import Ranks
from fakeface.training.recipe import Recipe

EVAL_BATCH_SIZE = 64
CACHED_IMAGES = 8
"""On a CPU so many images are preprocessed at a time: what one change passes on to the next stays in the cache."""


class SideTensors(NamedTuple):
    """One side's images uint8 (N, P, P, 3), laundered copies (N, K, P, P, 3), labels (N,), parts (N, 4).

    `regions` (N, 1 + K, P, P) and `cooccurrences` (N, 1 + K, SIZE) are those of the photos and of the copies.
    """

    images: Tensor
    regions: Tensor
    laundered: Tensor
    cooccurrences: Tensor
    labels: Tensor
    parts: Tensor

    @property
    def copies(self) -> int:
        return self.laundered.shape[1]

    def rows(self, rows: Tensor, versions: Tensor) -> Tensor:
        """Some images with regions as a fourth plane, (n, P, P, 4); of `versions` (n,) 0 is the photo, k its k-th copy."""
        images = self.images[rows]
        if len(chosen := versions.nonzero().flatten()):
            images[chosen] = self.laundered[rows[chosen], versions[chosen] - 1]
        return torch.cat([images, self.regions[rows, versions].unsqueeze(-1)], dim=-1)

    def augmented(
        self, rows: Tensor, versions: Tensor, values: dict[str, Tensor], order: list[int], recipe: Recipe, device: Device
    ) -> Tensor:
        """Network inputs (n, 4, crop_px, crop_px) of some images, changed by their `random_values`."""
        images, parts = self.rows(rows, versions).to(device.torch_device), []
        for part in chunks(len(rows), device):
            planes = augment(images[part], {name: value[part] for name, value in values.items()}, recipe.augment, order)
            parts.append(to_network_format(normalize(planes, recipe), recipe, device))
        return torch.cat(parts)

    def plain(self, rows: slice, recipe: Recipe, device: Device, version: int = 0) -> Tensor:
        """Network inputs (n, 4, P, P) as evaluation takes them."""
        index = torch.arange(rows.start, rows.stop, device=self.images.device)
        images = self.rows(index, torch.full_like(index, version)).to(device.torch_device)
        parts = [normalize(to_planes(images[part]), recipe) for part in chunks(len(images), device)]
        return torch.cat([to_network_format(part, recipe, device) for part in parts])


class Batch(NamedTuple):
    """Network inputs (N, 4, H, W), normalised colours and the Region of each pixel, with labels (N,) and parts (N, 4).

    Where a frozen backbone has looked at the images before, the inputs are what it has Seen.
    `cooccurrences` (N, SIZE) are of the photos' own pixels, not augmented. A part is 1 where it comes from another photo, 0
    where it does not, NaN where that is not known. Where several processes train together these are a process's own of
    `images`. Its mean loss then has a weight, its share of the images times the number of processes, so that the mean over
    processes is that over images; likewise for those whose parts are known.
    """

    inputs: Any
    cooccurrences: Tensor
    labels: Tensor
    parts: Tensor
    images: int
    weight: float = 1.0
    parts_weight: float = 1.0


def known(parts: Tensor) -> Tensor:
    """(N,): of which images the parts (N, 4) are known."""
    return ~parts.isnan().any(dim=1)


def to_tensors(side: PackedSide, device: Device) -> SideTensors:
    """Labels on the device; pixels on a GPU if they take at most half of its free memory, else mapped on the CPU."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # and nothing writes to it
        arrays = [torch.from_numpy(array) for array in (side.images, side.regions, side.laundered, side.cooccurrences)]
    if device.is_cuda and sum(array.nbytes for array in arrays) <= torch.cuda.mem_get_info(device.torch_device)[0] // 2:
        arrays = [array.to(device.torch_device) for array in arrays]
    labels, parts = (torch.from_numpy(values).to(device.torch_device) for values in (side.labels, side.parts))
    images, regions, laundered, cooccurrences = arrays
    return SideTensors(images, regions, laundered, cooccurrences, labels, parts)


def batch_sizes(count: int, batch_size: int) -> list[int]:
    """A last batch of one image joins the batch before it, since batch normalisation needs two."""
    sizes = [min(batch_size, count - first) for first in range(0, count, batch_size)]
    if len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [batch_size + 1]
    return sizes


class SideInputs(Protocol):
    """What batches are made of: SideTensors, or PooledTensors."""

    @property
    def cooccurrences(self) -> Tensor: ...
    @property
    def labels(self) -> Tensor: ...
    @property
    def parts(self) -> Tensor: ...
    @property
    def copies(self) -> int: ...

    def augmented(
        self, rows: Tensor, versions: Tensor, values: dict[str, Tensor], order: list[int], recipe: Recipe, device: Device
    ) -> Any: ...

    def plain(self, rows: slice, recipe: Recipe, device: Device) -> Any: ...


def train_batches(train: SideInputs, recipe: Recipe, device: Device, generator: torch.Generator) -> Iterator[Batch]:
    """Batches of side crop_px, shuffled and augmented, with all randomness from the generator; of each this process's part."""
    order = torch.randperm(len(train.labels), generator=generator).to(train.cooccurrences.device)
    epoch_values = random_values(len(order), recipe.augment, generator)
    epoch_values = {name: values.to(device.torch_device) for name, values in epoch_values.items()}
    versions = random_versions(train, recipe.augment.laundered, generator)
    first, ranks = 0, device.ranks
    for batch in torch.split(order, batch_sizes(len(order), recipe.train.batch_size)):
        colour_order = torch.randperm(4, generator=generator).tolist()
        own = ranks.own(len(batch))
        rows, drawn = batch[own], slice(first + own.start, first + own.stop)
        values = {name: values[drawn] for name, values in epoch_values.items()}
        inputs = train.augmented(rows, versions[drawn], values, colour_order, recipe, device)
        cooccurrences = train.cooccurrences[rows, versions[drawn]].to(device.torch_device)
        same_rows = rows.to(train.labels.device)
        own_parts = swap_eye_parts(train.parts[same_rows], values["flip"])
        labelled = Batch(inputs, cooccurrences, train.labels[same_rows], own_parts, len(batch))
        yield labelled if ranks.count == 1 else _weighted(labelled, train.parts[batch.to(train.parts.device)], ranks)
        first += len(batch)


def _weighted(batch: Batch, all_parts: Tensor, ranks: Ranks) -> Batch:
    """A process's part of a batch with its weights; `all_parts` are those of the whole batch."""
    shares = len(batch.labels) / batch.images, (known(batch.parts).sum() / known(all_parts).sum().clamp_min(1)).item()
    return batch._replace(weight=ranks.count * shares[0], parts_weight=ranks.count * shares[1])


def random_versions(train: SideInputs, share: float, generator: torch.Generator) -> Tensor:
    """For each image in an epoch's order, with probability `share` which of its laundered copies stands for it, from 1; else 0.

    Without laundered copies nothing is drawn.
    """
    count, device = len(train.labels), train.cooccurrences.device
    if train.copies == 0 or share == 0:
        return torch.zeros(count, dtype=torch.int64, device=device)
    drawn = torch.randint(train.copies, (count,), generator=generator) + 1
    return torch.where(torch.rand(count, generator=generator) < share, drawn, 0).to(device)


def swap_eye_parts(parts: Tensor, flipped: Tensor) -> Tensor:
    """Parts (N, 4), whose first two are the eyes, of images of which some are flipped."""
    return torch.where(flipped.view(-1, 1), parts[:, [1, 0, 2, 3]], parts)


def valid_batches(valid: SideInputs, recipe: Recipe, device: Device) -> Iterator[Batch]:
    """Batches of side eval_px, in order; where several processes evaluate together, every so many'th."""
    for rows in islice(eval_rows(len(valid.labels)), device.ranks.rank, None, device.ranks.count):
        cooccurrences = valid.cooccurrences[rows, 0].to(device.torch_device)
        inputs = valid.plain(rows, recipe, device)
        yield Batch(inputs, cooccurrences, valid.labels[rows], valid.parts[rows], len(cooccurrences))


def eval_rows(count: int, batch_size: int = EVAL_BATCH_SIZE) -> list[slice]:
    """Of so many images those of each batch, in order."""
    return [slice(first, min(first + batch_size, count)) for first in range(0, count, batch_size)]


def normalize(planes: Tensor, recipe: Recipe) -> Tensor:
    """(pixels - mean) / std of planes (N, 4, H, W), whose first three are colours in [0, 1]; regions stay."""
    mean, std = (torch.tensor(values, device=planes.device).view(1, COLOURS, 1, 1) for values in (recipe.mean, recipe.std))
    scale, shift = 1 / std, -mean / std
    return torch.cat([torch.addcmul(shift, planes[:, :COLOURS], scale), planes[:, COLOURS:]], dim=1)


def to_planes(images: Tensor) -> Tensor:
    """Packed images with regions (N, P, P, 4) as planes (N, 4, P, P), of which the first three, the colours, are in [0, 1]."""
    planes = images.permute(0, 3, 1, 2).float()
    return torch.cat([planes[:, :COLOURS] / 255, planes[:, COLOURS:]], dim=1)


def to_network_format(inputs: Tensor, recipe: Recipe, device: Device) -> Tensor:
    """The planes that the network takes, in the precision of the forward pass and the memory layout of the network."""
    inputs = inputs if recipe.model.pooling == "regions" else inputs[:, :COLOURS]
    bf16 = device.bf16 and recipe.model.pooling == "image"  # the backbone casts its own
    return inputs.to(torch.bfloat16 if bf16 else torch.float32, memory_format=recipe.memory_format)


def chunks(count: int, device: Device) -> Iterator[slice]:
    """Which images of a batch are preprocessed at a time."""
    size = count if device.is_cuda else CACHED_IMAGES
    for first in range(0, count, size):
        yield slice(first, first + size)
