"""A network that looks at a face by region: at what each shows and how they differ, not at where they lie in the photo."""

import warnings
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fakeface.core.errors import ParamsError
from fakeface.core.records import PARTS
from fakeface.faces.regions import Region
from fakeface.training.torchvision_ops import import_torchvision

POOLED_REGIONS = tuple(region for region in Region if region is not Region.OUTSIDE)
STRIDES = (8, 16)
"""Px of the image per px of the feature maps that are pooled: where parts and their borders are seen best (docs/log.md)."""
CLASSES = 2
OUTPUTS = CLASSES + len(PARTS)
"""Real, fake, and for each part whether it was replaced."""
DROPOUT = 0.3
PROBE_PX = 224
LEAST_VARIANCE = 1e-4
LEAST_PIXELS = 1e-6


def region_masks(inputs: Tensor) -> Tensor:
    """(N, R, H, W), 1 where a pixel is of the pooled region, of inputs (N, 4, H, W) whose last plane holds the Region."""
    return torch.stack([inputs[:, 3] == int(region) for region in POOLED_REGIONS], dim=1).float()


class Standardization(nn.BatchNorm1d):
    """Batch normalisation without weights; written out in evaluation, where torch's exporter does not know the width."""

    def __init__(self, width: int) -> None:
        super().__init__(width, affine=False)

    def forward(self, values: Tensor) -> Tensor:
        """Of values (N, width)."""
        if self.training or self.running_mean is None or self.running_var is None:
            return super().forward(values)
        return (values - self.running_mean) * (self.running_var + self.eps).rsqrt()


class RegionPooling(nn.Module):
    """Mean and deviation of every channel over each region, standardised: (N, C, h, w), masks (N, R, H, W) -> (N, 2 * C * R).

    A feature counts by the share of its area that lies in the region. A region that is not seen has means of 0.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.width = 2 * channels * len(POOLED_REGIONS)
        self.standardize = Standardization(self.width)

    def forward(self, features: Tensor, masks: Tensor) -> Tensor:
        features = features.float()
        shares = F.avg_pool2d(masks, masks.shape[-1] // features.shape[-1]).flatten(2)
        shares = shares / (shares.sum(dim=2, keepdim=True) + LEAST_PIXELS)
        features = features.flatten(2).transpose(1, 2)
        means = shares @ features
        variances = (shares @ features.square() - means.square()).clamp_min(0)
        pooled = torch.cat([means, (variances + LEAST_VARIANCE).sqrt()], dim=2).reshape(-1, self.width)
        return self.standardize(pooled)  # type: ignore[no-any-return]


class RegionNetwork(nn.Module):
    """A backbone up to stride 16, pooled by region at STRIDES, with a linear head on each; their outputs are summed.

    Takes (N, 4, H, W): normalised colours, and the Region of each pixel.
    """

    def __init__(self, backbone: nn.Module, channels: Sequence[int]) -> None:
        super().__init__()
        self.backbone = backbone
        self.poolings = nn.ModuleList(RegionPooling(count) for count in channels)
        self.dropout = nn.Dropout(DROPOUT)
        self.heads = nn.ModuleList(nn.Linear(pooling.width, OUTPUTS) for pooling in self.poolings)

    def branches(self, inputs: Tensor) -> list[Tensor]:
        """What each head makes of the images, (N, OUTPUTS) each."""
        masks = region_masks(inputs)
        features = self.backbone(inputs[:, :3])
        pooled = [pool(features[str(stride)], masks) for stride, pool in zip(STRIDES, self.poolings, strict=True)]
        return [head(self.dropout(values)).float() for head, values in zip(self.heads, pooled, strict=True)]

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (N, 2)."""
        return torch.stack(self.branches(inputs)).sum(dim=0)[:, :CLASSES]


def new_region_network(network: nn.Module, arch: str) -> RegionNetwork:
    """The layers of a classifier up to stride 16, under a new head.

    Raises:
        ParamsError: it has no feature maps of STRIDES, as a transformer has not.
    """
    names = _blocks_by_stride(network)
    if not set(STRIDES) <= names.keys():
        raise ParamsError(f"model.pooling: regions: {arch} has no feature maps at strides {' and '.join(map(str, STRIDES))}")
    import_torchvision()
    from torchvision.models.feature_extraction import create_feature_extractor

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about layers that evaluation skips, of which none is asked for
        backbone = create_feature_extractor(network, {names[stride]: str(stride) for stride in STRIDES})
    with torch.inference_mode():
        features = backbone.eval()(torch.zeros(1, 3, PROBE_PX, PROBE_PX))
    return RegionNetwork(backbone, [features[str(stride)].shape[1] for stride in STRIDES])


def _blocks_by_stride(network: nn.Module) -> dict[int, str]:
    """The name of the last of the outermost blocks, modules of several layers, whose output has that stride."""
    names: dict[int, str] = {}

    def note(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == len("NCHW") and output.shape[2] == output.shape[3]:
            stride = PROBE_PX // output.shape[2]
            names[stride] = min(name, names.get(stride, name), key=lambda block: block.count("."))

    blocks = [(name, module) for name, module in network.named_modules() if name and any(module.children())]
    hooks = [module.register_forward_hook(lambda _, __, output, name=name: note(name, output)) for name, module in blocks]
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 3, PROBE_PX, PROBE_PX))
    for hook in hooks:
        hook.remove()
    return names
