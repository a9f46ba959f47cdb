"""Fixed statistics of an image by region: how strong noise and edges are there, in brightness and in colour.

A part from another photo has that photo's noise, sharpness and compression; no filter here is learned.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fakeface.training.augmentation import COLOURS, GREY_WEIGHTS

FILTERS = (
    ((1, -2, 1),),
    ((1,), (-2,), (1,)),
    ((1, 0, -2, 0, 1),),
    ((1,), (0,), (-2,), (0,), (1,)),
    ((-1, 2, -1), (2, -4, 2), (-1, 2, -1)),
    ((-1, 2, -2, 2, -1), (2, -6, 8, -6, 2), (-2, 8, -12, 8, -2), (2, -6, 8, -6, 2), (-1, 2, -2, 2, -1)),
)
"""High-pass filters of the spatial rich model (Fridrich and Kodovsky, IEEE TIFS 2012), second differences also at twice the
distance: what they leave of a photo is noise and edges. Each is divided by the largest of its values."""
GREY_LEVEL = 1 / 64
"""About one grey level of 255 in normalised colours, whose deviation is about a quarter of the range."""
LEVELS = (0.5, 1.5, 3.0, 6.0)
"""Grey levels at which the share of pixels with a larger residual is taken: a coarse histogram with soft bins."""
STATISTICS = 2 + len(LEVELS)
LEAST_PIXELS = 1.0


class RegionStatistics(nn.Module):
    """Normalised colours (N, 3, H, W) and masks (N, R, H, W) -> (N, width * R): per region, plane and filter STATISTICS values.

    Planes are brightness and its differences to blue and to red. The values are the logarithms of the mean absolute and the
    mean squared residual, and the share of residuals beyond each of LEVELS.
    """

    width = STATISTICS * COLOURS * len(FILTERS)
    planes: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        grey = torch.tensor(GREY_WEIGHTS)
        blue, red = torch.tensor([0.0, 0.0, 1.0]) - grey, torch.tensor([1.0, 0.0, 0.0]) - grey
        self.register_buffer("planes", torch.stack([grey, blue, red]).view(COLOURS, COLOURS, 1, 1), persistent=False)
        side = max(len(taps) for taps in FILTERS)
        filters = torch.zeros(len(FILTERS), 1, side, side)
        for kernel, taps in zip(filters, FILTERS, strict=True):
            values = torch.tensor(taps, dtype=torch.float32)
            top, left = ((side - extent) // 2 for extent in values.shape)
            kernel[0, top : top + len(taps), left : left + len(taps[0])] = values / values.abs().max()
        self.register_buffer("filters", filters.repeat(COLOURS, 1, 1, 1), persistent=False)

    def forward(self, colours: Tensor, masks: Tensor) -> Tensor:
        shares = masks.flatten(2)
        shares = (shares / (shares.sum(dim=2, keepdim=True) + LEAST_PIXELS)).transpose(1, 2)
        planes = F.conv2d(colours.float() / GREY_LEVEL, self.planes)
        residuals = F.conv2d(planes, self.filters, padding=self.filters.shape[-1] // 2, groups=COLOURS).flatten(2).abs()
        moments = [(torch.bmm(values, shares) + LEVELS[0] / 10).log() for values in (residuals, residuals.square())]
        beyond = [torch.bmm(torch.sigmoid((residuals - level) * (4 / level)), shares) for level in LEVELS]
        return torch.cat(moments + beyond, dim=1).flatten(1)
