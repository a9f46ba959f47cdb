"""What a frozen backbone makes of the images, looked at once for all epochs: each photo and copy, as it is and flipped."""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from fakeface.training.augmentation import COLOURS, swap_eyes
from fakeface.training.batches import SideTensors, eval_rows
from fakeface.training.devices import Device
from fakeface.training.recipe import Recipe
from fakeface.training.region_network import RegionNetwork

LOOK_BATCH_SIZE = 16


class PooledTensors(NamedTuple):
    """One side's feature maps, pooled by region: `pooled` (N, 1 + K, 2, width), of photo and copies, as they are and flipped.

    The rest is as in SideTensors. Of valid only `pooled[:, 0, 0]` is there.
    """

    pooled: Tensor
    cooccurrences: Tensor
    labels: Tensor
    parts: Tensor

    @property
    def copies(self) -> int:
        return self.pooled.shape[1] - 1

    def augmented(self, rows: Tensor, versions: Tensor, values: dict[str, Tensor], *_: object) -> Tensor:
        """Network inputs (n, width) of some images, flipped where `values` say so."""
        return self.pooled[rows, versions, values["flip"].long()]

    def plain(self, rows: slice, *_: object) -> Tensor:
        """Network inputs (n, width) as evaluation takes them."""
        return self.pooled[rows, 0, 0]


@torch.no_grad()
def look_once(network: RegionNetwork, side: SideTensors, recipe: Recipe, device: Device, *, train: bool) -> PooledTensors:
    """In float32, as it is exported; of train images copies and flipped ones too. Of several processes each looks at all."""
    network.eval()
    count, versions = len(side.labels), 1 + side.copies if train else 1
    pooled = torch.empty((count, versions, 1 + train, network.features.width), device=device.torch_device)
    batches, name = eval_rows(count, LOOK_BATCH_SIZE), f"looking at {'train' if train else 'valid'}"
    for rows in tqdm(batches, name, unit="batch", leave=False, disable=None if device.ranks.is_first else True):
        for version in range(versions):
            planes = side.plain(rows, recipe, replace(device, bf16=False), version)
            pooled[rows, version, 0] = network.pool(planes)
            if train:
                pooled[rows, version, 1] = network.pool(_flipped(planes))
    return PooledTensors(pooled, side.cooccurrences.to(device.torch_device), side.labels, side.parts)


def _flipped(planes: Tensor) -> Tensor:
    """Planes (N, 4, H, W) as a mirror shows them."""
    flipped = planes.flip(3)
    swap_eyes(flipped[:, COLOURS], torch.ones(len(flipped), dtype=torch.bool, device=flipped.device))
    return flipped
