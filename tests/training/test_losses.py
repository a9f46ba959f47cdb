import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fakeface.core.records import OBJECTIVE_NAMES
from fakeface.training.calibration import HALF
from fakeface.training.losses import OBJECTIVES, Objective, binary_cross_entropy, cross_entropy

LOGIT = st.floats(-80, 80, width=32)
CASES = st.lists(st.tuples(LOGIT, LOGIT, st.integers(0, 1)), min_size=1, max_size=8)
SMOOTHING = st.sampled_from([0.0, 0.05, 0.3])


def tensors(cases: list[tuple[float, float, int]]) -> tuple[Tensor, Tensor]:
    """Logits (N, 2) and labels (N,)."""
    return torch.tensor([case[:2] for case in cases], dtype=torch.float64), torch.tensor([case[2] for case in cases])


def differences(logits: Tensor) -> Tensor:
    """The logits whose output 1 is output 1 minus output 0; what stands in output 0 is not looked at."""
    return torch.stack([torch.full((len(logits),), 123.0), logits[:, 1] - logits[:, 0]], dim=1)


def test_each_name_has_its_objective() -> None:
    assert tuple(OBJECTIVES) == OBJECTIVE_NAMES
    assert all(objective.name == name for name, objective in OBJECTIVES.items())


@given(cases=CASES, smoothing=SMOOTHING)
def test_cross_entropy_on_two_logits_is_bce_on_their_difference(
    cases: list[tuple[float, float, int]], smoothing: float
) -> None:
    logits, labels = tensors(cases)
    ce, bce = OBJECTIVES["ce"], OBJECTIVES["bce"]
    torch.testing.assert_close(ce.loss(logits, labels, smoothing), bce.loss(differences(logits), labels, smoothing))
    torch.testing.assert_close(ce.p_fake(logits), bce.p_fake(differences(logits)))


@given(cases=CASES, smoothing=SMOOTHING)
def test_the_losses_are_their_definitions(cases: list[tuple[float, float, int]], smoothing: float) -> None:
    """Smoothing moves half its share of the target from the true class to the other (Szegedy et al., CVPR 2016, section 7)."""
    logits, labels = tensors(cases)
    ce = bce = 0.0
    for (real, fake), label in zip(logits.tolist(), labels.tolist(), strict=True):
        target = label * (1 - smoothing) + smoothing / 2
        log_sum = max(real, fake) + math.log1p(math.exp(-abs(real - fake)))
        ce -= target * (fake - log_sum) + (1 - target) * (real - log_sum)
        bce += max(fake, 0) - fake * target + math.log1p(math.exp(-abs(fake)))
    assert cross_entropy(logits, labels, smoothing).item() == pytest.approx(ce / len(cases))
    assert binary_cross_entropy(logits, labels, smoothing).item() == pytest.approx(bce / len(cases))


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVE_NAMES)
def test_a_loss_falls_towards_the_label(objective: Objective) -> None:
    logits = torch.tensor([[0.3, -0.2]], requires_grad=True)
    for label, direction in ((1, -1), (0, 1)):
        (gradient,) = torch.autograd.grad(objective.loss(logits, torch.tensor([label]), 0.0), logits)
        assert gradient[0, 1].sign() == direction


def test_bce_never_trains_output_0() -> None:
    logits = torch.randn((16, 2), generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels = torch.arange(16) % 2
    binary_cross_entropy(logits, labels, 0.0).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert (logits.grad[:, 0] == 0).all()
    assert (logits.grad[:, 1] != 0).all()


@pytest.mark.parametrize(("untrained_bias", "collapses_to"), [(9.0, 0), (-9.0, 1)])
def test_why_the_notebooks_bce_collapsed(untrained_bias: float, collapses_to: int) -> None:
    """Perfect by the sigmoid of output 1, all of one class by the larger output: chance has left output 0 where it is."""
    labels = torch.arange(40) % 2
    evidence = (2.0 * labels - 1).unsqueeze(1)
    layer = torch.nn.Linear(1, 2)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor([untrained_bias, 0.0]))
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(30):
        optimizer.zero_grad()
        binary_cross_entropy(layer(evidence), labels, 0.0).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    logits = layer(evidence).detach()
    assert ((OBJECTIVES["bce"].p_fake(logits) >= HALF).int() == labels).all()
    assert (logits.argmax(dim=1) == collapses_to).all()


def test_for_cross_entropy_both_rules_are_one() -> None:
    logits = torch.randn((1000, 2), generator=torch.Generator().manual_seed(1))
    assert ((OBJECTIVES["ce"].p_fake(logits) >= HALF).int() == logits.argmax(dim=1)).all()
    assert torch.equal(F.softmax(logits, dim=1)[:, 1], OBJECTIVES["ce"].p_fake(logits))
