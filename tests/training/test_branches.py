import torch
from torch import Tensor

from fakeface.training.batches import Batch
from fakeface.training.branches import training_loss
from tests.training.tiny import RECIPE

LABELS = torch.tensor([0, 1, 1])
PARTS = torch.tensor([[0.0, 0, 0, 0], [1, 0, 0, 1], [float("nan")] * 4])


def outputs(seed: int) -> Tensor:
    """Of three images, two classes and four parts."""
    return torch.randn(3, 6, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def test_each_branch_learns_as_if_it_were_alone() -> None:
    """Of the sum's loss, what one branch has learned the others would not learn."""
    batch = Batch(torch.zeros(3, 4, 8, 8), torch.zeros(3, 1), LABELS, PARTS, images=3)
    one, other = outputs(0), outputs(1)
    loss = training_loss([one, other], batch, RECIPE)
    torch.testing.assert_close(loss, (training_loss([one], batch, RECIPE) + training_loss([other], batch, RECIPE)) / 2)
    (beside_another,) = torch.autograd.grad(loss, one)
    (alone,) = torch.autograd.grad(training_loss([one], batch, RECIPE), one)
    torch.testing.assert_close(beside_another, alone / 2)
