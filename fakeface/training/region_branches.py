"""The branches of a network that looks at a face by region: what they see, how they judge it, and where the evidence lies."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from fakeface.core.records import PARTS
from fakeface.faces.cooccurrences import SIZE
from fakeface.faces.regions import Region

POOLED_REGIONS = tuple(region for region in Region if region is not Region.OUTSIDE)
STRIDES = (8, 16)
"""Px of the image per px of the feature maps that are pooled, the last of each width (docs/log.md)."""
CLASSES = 2
OUTPUTS = CLASSES + len(PARTS)
"""Real, fake, and for each part whether it was replaced."""
DROPOUT = 0.3
HIDDEN_UNITS = 512
LEAST_VARIANCE = 1e-4
LEAST_PIXELS = 1e-6


def region_masks(inputs: Tensor) -> Tensor:
    """(N, R, H, W), 1 where a pixel is of the pooled region, of inputs (N, 4, H, W) whose last plane holds the Region."""
    return torch.stack([inputs[:, 3] == int(region) for region in POOLED_REGIONS], dim=1).float()


class Summary(NamedTuple):
    """Of feature maps (N, C, h, h) by region.

    `values` (N, h * h, C), `shares` (N, R, h * h), 1 in sum over a region, `means` and `deviations` (N, R, C), `side` h.
    """

    values: Tensor
    shares: Tensor
    means: Tensor
    deviations: Tensor
    side: int


def areas_by_side(masks: Tensor, sides: Sequence[int]) -> dict[int, Tensor]:
    """For maps of each side how much of a place is of which region, (N, R, side, side), of masks (N, R, H, H).

    Coarser ones are the means of finer ones: the same values, for less.
    """
    areas, finer = {}, masks
    for side in sorted(set(sides), reverse=True):
        finer = finer if int(finer.shape[-1]) % side == 0 else masks
        areas[side] = finer = _pooled(finer, side)
    return areas


def _pooled(masks: Tensor, side: int) -> Tensor:
    """Means over squares, (N, R, side, side), first over rows, then over columns: ONNX Runtime is many times as fast so."""
    size = int(masks.shape[-1]) // side
    rows = masks[..., : side * size, : side * size].reshape(-1, masks.shape[1], side, size, side * size).mean(dim=3)
    return rows.reshape(-1, masks.shape[1], side, side, size).mean(dim=4)


def summarize(features: Tensor, areas: Tensor) -> Summary:
    """Of feature maps (N, C, h, h), by the regions' areas (N, R, h, h) in each place."""
    values = features.flatten(2).transpose(1, 2)
    shares = areas.flatten(2)
    shares = shares / (shares.sum(dim=2, keepdim=True) + LEAST_PIXELS)
    means = shares @ values
    variances = (shares @ values.square() - means.square()).clamp_min(0)
    return Summary(values, shares, means, (variances + LEAST_VARIANCE).sqrt(), int(features.shape[-1]))


class Standardization(nn.BatchNorm1d):
    """Batch normalisation without weights; written out in evaluation, where torch's exporter does not know the width."""

    def __init__(self, width: int) -> None:
        super().__init__(width, affine=False)

    def forward(self, values: Tensor) -> Tensor:
        """Of values (N, width)."""
        if self.training:
            return super().forward(values)
        mean, scale = self.running()
        return (values - mean) * scale

    def distance(self, values: Tensor) -> Tensor:
        """How far values (N, width) lie from those seen in training, (N,): about 1 for these.

        It is the mean of their squares, standardised: the squared Mahalanobis distance over the width, as if the values were
        independent (Lee et al., "A simple unified framework for detecting out-of-distribution samples", NeurIPS 2018).
        """
        return self(values).square().mean(dim=1)  # type: ignore[no-any-return]

    def running(self) -> tuple[Tensor, Tensor]:
        """What evaluation takes off the values, and multiplies them by, (width,) each."""
        mean, variance = self.get_buffer("running_mean"), self.get_buffer("running_var")
        return mean, (variance + self.eps).rsqrt()


class FeatureBranch(nn.Module):
    """Judges mean and deviation of every channel of feature maps over each region: standardised, by a linear layer.

    A feature counts by the share of its area that lies in the region; a region that is not seen has means of 0.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.widths = [2 * count * len(POOLED_REGIONS) for count in channels]
        self.width = sum(self.widths)
        self.standardize = Standardization(self.width)
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(self.width, OUTPUTS)

    def forward(self, pooled: Tensor) -> Tensor:
        """(N, OUTPUTS)."""
        outputs: Tensor = self.head(self.dropout(self.standardize(pooled)))
        return outputs

    def distance(self, pooled: Tensor) -> Tensor:
        """How far what was pooled lies from what was in training, (N,)."""
        return self.standardize.distance(pooled)

    def pool(self, summaries: Sequence[Summary]) -> Tensor:
        """(N, width): of each map, for each region the means of all channels, then the deviations."""
        pooled = [torch.cat([summary.means, summary.deviations], dim=2).flatten(1) for summary in summaries]
        return torch.cat(pooled, dim=1)

    def evidence(self, summaries: Sequence[Summary], margin: Tensor, side: int) -> Tensor:
        """(N, side, side): what each place adds to `margin` (2,) times the logits, in evaluation."""
        weights, typical = (torch.split(values, self.widths) for values in self.weights(margin))
        shares = [_evidence(*each) for each in zip(summaries, weights, typical, strict=True)]
        return torch.stack([spread(share, side) for share in shares]).sum(dim=0)

    def weights(self, margin: Tensor) -> tuple[Tensor, Tensor]:
        """Of `margin` times the logits: the weight of each value before it is standardised, and the value that adds nothing."""
        typical, scale = self.standardize.running()
        return margin @ self.head.weight[:CLASSES] * scale, typical


def _evidence(summary: Summary, weights: Tensor, typical: Tensor) -> Tensor:
    """(N, h, w) of a feature map: what each place adds by its weight in the pooled values, those less `typical`.

    A mean is a sum over places. So is a deviation, with squared distances from the mean, divided by the deviation.
    """
    values, shares, means, deviations, side = summary
    weights, typical = (part.view(1, len(POOLED_REGIONS), -1) for part in (weights, typical))
    of_means, of_deviations = weights.chunk(2, dim=2)
    of_squares = of_deviations / deviations
    of_values = of_means - 2 * of_squares * means
    constant = (of_squares * (means.square() + LEAST_VARIANCE)).sum(dim=2, keepdim=True)
    constant = constant - (weights * typical).sum(dim=2, keepdim=True)
    values = values.transpose(1, 2)
    local = of_values @ values + of_squares @ values.square() + constant
    return (shares * local).sum(dim=1).reshape(-1, side, side)


def spread(evidence: Tensor, side: int) -> Tensor:
    """Evidence (N, h, w) over (N, side, side), the same in sum: each place's over those that lie in it."""
    for dim, shape in ((1, (-1, 1)), (2, (-1,))):
        within = np.arange(int(side)) * int(evidence.shape[dim]) // int(side)  # whole numbers, which torch's exporter traces
        shares = torch.from_numpy(1 / np.bincount(within)[within]).to(evidence)
        evidence = evidence.index_select(dim, torch.from_numpy(within).to(evidence.device)) * shares.view(shape)
    return evidence


class CooccurrenceBranch(nn.Module):
    """Judges co-occurrences (N, SIZE), standardised, by one hidden layer -> (N, OUTPUTS)."""

    def __init__(self) -> None:
        super().__init__()
        self.standardize = Standardization(SIZE)
        self.head = nn.Sequential(nn.Linear(SIZE, HIDDEN_UNITS), nn.ReLU(), nn.Linear(HIDDEN_UNITS, OUTPUTS))

    def forward(self, cooccurrences: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.standardize(cooccurrences))
        return outputs

    def distance(self, cooccurrences: Tensor) -> Tensor:
        """How far they lie from those seen in training, (N,)."""
        return self.standardize.distance(cooccurrences)

    def typical(self) -> Tensor:
        """What it makes of the mean co-occurrences, (OUTPUTS,)."""
        outputs: Tensor = self.head(self.standardize.running()[0].new_zeros(1, SIZE))[0]
        return outputs

    def evidence(self, outputs: Tensor, areas: Tensor, margin: Tensor) -> Tensor:
        """(N, h, w): what `margin` (2,) times the outputs has more than for a typical photo, spread over the face.

        `areas` (N, R, h, w) are those of the regions in each place; they are judged together, so no part of it belongs to one.
        """
        more = (outputs - self.typical())[:, :CLASSES] @ margin
        shares = areas.sum(dim=1)
        shares = shares / (shares.sum(dim=(1, 2), keepdim=True) + LEAST_PIXELS)
        return shares * more.view(-1, 1, 1)
