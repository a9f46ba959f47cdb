import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fakeface.training.optimization import current_learning_rate, learning_rate, new_optimizer, set_learning_rate
from tests.training.tiny import TRAIN, with_train


@given(steps=st.integers(1, 100), peak=st.floats(1e-6, 1))
def test_one_cycle_is_torchs_to_the_last_step(steps: int, peak: float) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=steps, cycle_momentum=False)
    optimizer.step()
    for step in range(steps):
        expected = optimizer.param_groups[0]["lr"]
        assert learning_rate(step, steps, peak, "one_cycle") == pytest.approx(expected, rel=1e-9, abs=1e-9 * peak)
        if step < steps - 1:
            schedule.step()


@given(steps=st.integers(1, 500), peak=st.floats(1e-6, 1))
def test_constant_is_constant(steps: int, peak: float) -> None:
    assert {learning_rate(step, steps, peak, "constant") for step in range(steps)} == {peak}


@pytest.mark.parametrize(("name", "expected"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_optimizer_is_the_one_asked_for(name: str, expected: type[torch.optim.Optimizer]) -> None:
    optimizer = new_optimizer(nn.Linear(2, 2), with_train(optimizer=name, lr=1e-5, weight_decay=1e-5).train)
    assert type(optimizer) is expected
    assert [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups] == [(1e-5, 1e-5)]
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2


def test_the_learning_rate_set_is_that_of_the_next_step() -> None:
    layer = nn.Linear(1, 1, bias=False)
    optimizer = new_optimizer(layer, TRAIN)
    set_learning_rate(optimizer, 0.0)
    assert current_learning_rate(optimizer) == 0
    before = layer.weight.item()
    layer(torch.ones(1, 1)).sum().backward()
    optimizer.step()
    assert layer.weight.item() == before
