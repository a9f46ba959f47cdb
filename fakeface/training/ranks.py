"""Processes that train one network together: which part of each batch a process has, and what they tell each other."""

from dataclasses import dataclass
from typing import Any

import torch.distributed
from torch import Tensor


@dataclass(frozen=True)
class Ranks:
    """Process `rank` of `count`, each with the same weights; of the `local_count` on its machine it is the `local_rank`."""

    rank: int
    count: int
    local_rank: int
    local_count: int

    @property
    def is_first(self) -> bool:
        """The one that writes, logs and keeps checkpoints."""
        return self.rank == 0

    def own(self, images: int) -> slice:
        """The process's part of a batch of so many; two processes' parts differ by one image at most."""
        return slice(self.rank * images // self.count, (self.rank + 1) * images // self.count)

    def shares(self, images: int) -> list[float]:
        """Which share of such a batch each process has."""
        parts = [(number + 1) * images // self.count - number * images // self.count for number in range(self.count)]
        return [part / images for part in parts]

    def added(self, value: Tensor) -> Tensor:
        """The sum of all processes' values, in place, the same bits on all."""
        if self.count > 1:
            torch.distributed.all_reduce(value)
        return value

    def gathered(self, value: Tensor) -> Tensor:
        """All processes' values (count, ...)."""
        values = [torch.empty_like(value) for _ in range(self.count)]
        torch.distributed.all_gather(values, value)
        return torch.stack(values)

    def of_first(self, value: Any) -> Any:
        """The first process's value, whatever the others have."""
        if self.count == 1:
            return value
        values = [value]
        torch.distributed.broadcast_object_list(values)
        return values[0]


ALONE = Ranks(rank=0, count=1, local_rank=0, local_count=1)
