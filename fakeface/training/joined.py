"""Two sides' inputs as one, without copying the images of either: what a refit trains on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from fakeface.training.batches import SideInputs
from fakeface.training.devices import Device
from fakeface.training.recipe import Recipe
from fakeface.training.region_network import Seen


@dataclass(frozen=True)
class Joined:
    """SideInputs of both, the rows of the second after those of the first."""

    first: SideInputs
    second: SideInputs
    cooccurrences: Tensor
    labels: Tensor
    parts: Tensor

    @classmethod
    def of(cls, first: SideInputs, second: SideInputs) -> Self:
        both = [(side.cooccurrences, side.labels, side.parts) for side in (first, second)]
        return cls(first, second, *(torch.cat(values) for values in zip(*both, strict=True)))

    @property
    def copies(self) -> int:
        return self.first.copies

    def augmented(
        self, rows: Tensor, versions: Tensor, values: dict[str, Tensor], order: list[int], recipe: Recipe, device: Device
    ) -> Any:
        """Network inputs of some images, changed by their `random_values`, as the sides give them."""
        count = len(self.first.labels)
        made, places = [], []
        for side, is_here, before in ((self.first, rows < count, 0), (self.second, rows >= count, count)):
            if len(chosen := is_here.nonzero().flatten()):
                own_values = {name: value[chosen.to(value.device)] for name, value in values.items()}
                made.append(side.augmented(rows[chosen] - before, versions[chosen], own_values, order, recipe, device))
                places.append(chosen)
        return _together(made, torch.cat(places).argsort())

    def plain(self, rows: slice, recipe: Recipe, device: Device) -> Any:
        """Network inputs of some of the first side's images, as evaluation takes them."""
        return self.first.plain(rows, recipe, device)


def _together(parts: Sequence[Any], order: Tensor) -> Any:
    """Tensors, or what was Seen, one after the other, then in that order."""
    if isinstance(parts[0], Seen):
        pooled, planes = zip(*parts, strict=True)
        return Seen(_together(pooled, order), None if planes[0] is None else _together(planes, order))
    joined = torch.cat([*parts])
    return joined[order.to(joined.device)]
