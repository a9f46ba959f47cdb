from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from fakeface.training.batches import to_tensors, train_batches
from fakeface.training.fit import inputs, new_network
from fakeface.training.joined import Joined
from fakeface.training.looks import Looks
from fakeface.training.packed import PackedSide
from fakeface.training.recipe import Recipe
from tests.training.test_pooled import LOOKED_AT, PX, train_side
from tests.training.tiny import CPU

NOT_FROZEN = replace(LOOKED_AT, model=replace(LOOKED_AT.model, frozen=False, overview=False))
WITHOUT_OVERVIEW = replace(LOOKED_AT, model=replace(LOOKED_AT.model, overview=False))


def halves(side: PackedSide, count: int) -> tuple[PackedSide, PackedSide]:
    names = ("images", "regions", "laundered", "cooccurrences", "records")
    first, second = ({name: getattr(side, name)[part] for name in names} for part in (slice(count), slice(count, None)))
    return replace(side, **first), replace(side, **second)


def tensors_of(inputs: Any) -> list[torch.Tensor]:
    return [inputs] if isinstance(inputs, torch.Tensor) else [value for value in inputs if value is not None]


@pytest.mark.parametrize("recipe", [NOT_FROZEN, WITHOUT_OVERVIEW, LOOKED_AT], ids=["pixels", "pooled", "pooled and planes"])
def test_an_epoch_of_two_sides_is_one_of_both_together(recipe: Recipe) -> None:
    """The same images, copies and changes in the same order, with the same labels, parts and co-occurrences."""
    network, whole = new_network(recipe, CPU, PX), train_side()
    sides = [inputs(network, side, "train", recipe, CPU, Looks()) for side in (whole, *halves(whole, 7))]
    epochs = [
        list(train_batches(side, recipe, CPU, torch.Generator().manual_seed(3))) for side in (sides[0], Joined.of(*sides[1:]))
    ]
    assert sum(len(batch.labels) for batch in epochs[0]) == len(whole.records)
    for mine, yours in zip(*epochs, strict=True):
        assert torch.equal(mine.labels, yours.labels)
        assert torch.equal(mine.cooccurrences, yours.cooccurrences)
        np.testing.assert_array_equal(mine.parts, yours.parts)
        for one, other in zip(tensors_of(mine.inputs), tensors_of(yours.inputs), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_evaluation_sees_the_first_side() -> None:
    first, second = (to_tensors(side, CPU) for side in halves(train_side(), 7))
    rows = slice(2, 5)
    assert torch.equal(Joined.of(first, second).plain(rows, NOT_FROZEN, CPU), first.plain(rows, NOT_FROZEN, CPU))
