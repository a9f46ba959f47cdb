"""Traits: each is in its range, wherever in it."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from fakeface.synthetic.traits import RANGES, random_traits


@pytest.mark.parametrize("kind", RANGES, ids=lambda kind: kind.__name__)
def test_every_trait_spreads_over_its_range(kind: type) -> None:
    rng = np.random.default_rng(0)
    many: list[Any] = [random_traits(kind, rng) for _ in range(200)]
    for field in fields(kind):
        low, high = RANGES[kind][field.name]
        places = [(getattr(traits, field.name) - low) / (high - low) for traits in many]
        assert 0 <= min(places) < 0.1, field.name
        assert 0.9 < max(places) <= 1, field.name
