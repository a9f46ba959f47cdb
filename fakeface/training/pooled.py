"""What a frozen backbone makes of the images, looked at once for all epochs: each photo and copy, as it is and flipped."""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from fakeface.core.records import PackedName
from fakeface.training.augmentation import COLOURS, swap_eyes
from fakeface.training.batches import SideTensors, eval_rows
from fakeface.training.devices import Device
from fakeface.training.looks import Looks
from fakeface.training.overview import shrunk
from fakeface.training.recipe import Recipe
from fakeface.training.region_network import RegionNetwork, Seen

LOOK_BATCH_SIZE = 16


class PooledTensors(NamedTuple):
    """One side's feature maps, pooled by region: `pooled` (N, 1 + K, 2, width), of photo and copies, as they are and flipped.

    The rest is as in SideTensors. Of valid only `pooled[:, 0, 0]` is there. `images` are those that an overview is trained on.
    """

    pooled: Tensor
    images: SideTensors | None
    cooccurrences: Tensor
    labels: Tensor
    parts: Tensor

    @property
    def copies(self) -> int:
        return self.pooled.shape[1] - 1

    def augmented(
        self, rows: Tensor, versions: Tensor, values: dict[str, Tensor], order: list[int], recipe: Recipe, device: Device
    ) -> Seen:
        """Network inputs of some images, changed by their `random_values`: what is pooled by the flip alone."""
        pooled = self.pooled[rows, versions, values["flip"].long()]
        if self.images is None:
            return Seen(pooled, None)
        where = self.images.images.device  # the CPU, where a GPU has no room for them
        images = self.images.augmented(rows.to(where), versions.to(where), values, order, recipe, device)
        return Seen(pooled, shrunk(images))

    def plain(self, rows: slice, recipe: Recipe, device: Device) -> Seen:
        """Network inputs of some images as evaluation takes them."""
        pooled = self.pooled[rows, 0, 0]
        return Seen(pooled, None if self.images is None else shrunk(self.images.plain(rows, recipe, device)))


def look_once(
    network: RegionNetwork, side: SideTensors, recipe: Recipe, device: Device, looks: Looks, name: PackedName
) -> PooledTensors:
    """In float32, as it is exported; copies and flipped ones too, but of valid. Of several processes each looks at a part."""
    pooled: Tensor | None = device.ranks.of_first(looks.load(name))
    if pooled is None:
        pooled = _pooled(network, side, recipe, device, name)
        if device.ranks.is_first:
            looks.save(name, pooled)
    pooled = pooled.to(device.torch_device)
    images = side if network.overview else None
    return PooledTensors(pooled, images, side.cooccurrences.to(device.torch_device), side.labels, side.parts)


@torch.no_grad()
def _pooled(network: RegionNetwork, side: SideTensors, recipe: Recipe, device: Device, name: PackedName) -> Tensor:
    """(N, 1 + K, 2, width), of valid (N, 1, 1, width)."""
    network.eval()
    count, versions, flips = (len(side.labels), 1, 1) if name == "valid" else (len(side.labels), 1 + side.copies, 2)
    pooled = torch.zeros((count, versions, flips, network.features.width), device=device.torch_device)
    own_batches = eval_rows(count, LOOK_BATCH_SIZE)[device.ranks.rank :: device.ranks.count]
    is_hidden = None if device.ranks.is_first else True
    for rows in tqdm(own_batches, f"looking at {name}", unit="batch", leave=False, disable=is_hidden):
        for version in range(versions):
            planes = side.plain(rows, recipe, replace(device, bf16=False), version)
            for flip in range(flips):
                pooled[rows, version, flip] = network.pool(_flipped(planes) if flip else planes)
    return device.ranks.added(pooled)


def _flipped(planes: Tensor) -> Tensor:
    """Planes (N, 4, H, W) as a mirror shows them."""
    flipped = planes.flip(3)
    swap_eyes(flipped[:, COLOURS], torch.ones(len(flipped), dtype=torch.bool, device=flipped.device))
    return flipped
