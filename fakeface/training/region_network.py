"""A network that looks at a face by region: at what each shows and how they differ, not at where they lie in the photo."""

import warnings
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fakeface.core.errors import ParamsError
from fakeface.core.records import PARTS
from fakeface.faces.cooccurrences import SIZE
from fakeface.faces.regions import Region
from fakeface.training.augmentation import COLOURS
from fakeface.training.torchvision_ops import import_torchvision

POOLED_REGIONS = tuple(region for region in Region if region is not Region.OUTSIDE)
STRIDES = (8, 16)
"""Px of the image per px of the feature maps that are pooled: where parts and their borders are seen best (docs/log.md)."""
CLASSES = 2
OUTPUTS = CLASSES + len(PARTS)
"""Real, fake, and for each part whether it was replaced."""
DROPOUT = 0.3
HIDDEN_UNITS = 128
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
        if self.training:
            return super().forward(values)
        mean, scale = self.running()
        return (values - mean) * scale

    def running(self) -> tuple[Tensor, Tensor]:
        """What evaluation takes off the values, and multiplies them by, (width,) each."""
        mean, variance = self.get_buffer("running_mean"), self.get_buffer("running_var")
        return mean, (variance + self.eps).rsqrt()


class FeatureBranch(nn.Module):
    """Judges mean and deviation of every channel of a feature map over each region: standardised, by a linear layer.

    A feature counts by the share of its area that lies in the region; a region that is not seen has means of 0.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.width = 2 * channels * len(POOLED_REGIONS)
        self.standardize = Standardization(self.width)
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(self.width, OUTPUTS)

    def forward(self, features: Tensor, masks: Tensor) -> Tensor:
        """Of features (N, C, h, w), by masks (N, R, H, W) -> (N, OUTPUTS)."""
        outputs: Tensor = self.head(self.dropout(self.standardize(self.pool(features, masks))))
        return outputs

    def pool(self, features: Tensor, masks: Tensor) -> Tensor:
        """(N, width): for each region the means of all channels, then the deviations."""
        _, _, means, deviations = _pool(features, masks)
        return torch.cat([means, deviations], dim=2).reshape(-1, self.width)

    def evidence(self, features: Tensor, masks: Tensor, margin: Tensor) -> Tensor:
        """(N, h, w): what each place adds to `margin` (2,) times the logits, in evaluation.

        A mean is a sum over places. So is a deviation, with squared distances from the mean, divided by the deviation.
        """
        values, shares, means, deviations = _pool(features, masks)
        weights, typical = (part.view(1, len(POOLED_REGIONS), -1) for part in self.weights(margin))
        of_means, of_deviations = weights.chunk(2, dim=2)
        of_squares = of_deviations / deviations
        of_values = of_means - 2 * of_squares * means
        constant = (of_squares * (means.square() + LEAST_VARIANCE)).sum(dim=2, keepdim=True)
        constant = constant - (weights * typical).sum(dim=2, keepdim=True)
        values = values.transpose(1, 2)
        local = of_values @ values + of_squares @ values.square() + constant
        return (shares * local).sum(dim=1).reshape(-1, *features.shape[2:])

    def weights(self, margin: Tensor) -> tuple[Tensor, Tensor]:
        """Of `margin` times the logits: the weight of each value before it is standardised, and the value that adds nothing."""
        typical, scale = self.standardize.running()
        return margin @ self.head.weight[:CLASSES] * scale, typical


class CooccurrenceBranch(nn.Module):
    """Judges co-occurrences (N, SIZE), standardised, by one hidden layer -> (N, OUTPUTS)."""

    def __init__(self) -> None:
        super().__init__()
        self.standardize = Standardization(SIZE)
        self.head = nn.Sequential(nn.Linear(SIZE, HIDDEN_UNITS), nn.ReLU(), nn.Linear(HIDDEN_UNITS, OUTPUTS))

    def forward(self, cooccurrences: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.standardize(cooccurrences))
        return outputs

    def typical(self) -> Tensor:
        """What it makes of the mean co-occurrences, (OUTPUTS,)."""
        outputs: Tensor = self.head(self.standardize.running()[0].new_zeros(1, SIZE))[0]
        return outputs

    def evidence(self, outputs: Tensor, masks: Tensor, margin: Tensor) -> Tensor:
        """(N, H / 8, W / 8): what `margin` (2,) times the outputs has more than for a typical photo, spread over the face.

        Regions are judged together, so no part of it belongs to one of them.
        """
        more = (outputs - self.typical())[:, :CLASSES] @ margin
        shares = F.avg_pool2d(masks, STRIDES[0]).sum(dim=1)
        shares = shares / (shares.sum(dim=(1, 2), keepdim=True) + LEAST_PIXELS)
        return shares * more.view(-1, 1, 1)


def _pool(features: Tensor, masks: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Values (N, h * w, C), shares (N, R, h * w) that are 1 in sum over a region, means and deviations (N, R, C)."""
    values = features.flatten(2).transpose(1, 2)
    shares = F.avg_pool2d(masks, masks.shape[-1] // features.shape[-1]).flatten(2)
    shares = shares / (shares.sum(dim=2, keepdim=True) + LEAST_PIXELS)
    means = shares @ values
    variances = (shares @ values.square() - means.square()).clamp_min(0)
    return values, shares, means, (variances + LEAST_VARIANCE).sqrt()


class RegionNetwork(nn.Module):
    """A backbone up to stride 16 with a branch at each of STRIDES, and maybe one of co-occurrences; their outputs are summed.

    Takes (N, 4, H, W), normalised colours and the Region of each pixel, and (N, SIZE), the photos' co-occurrences, which are
    needed only where there is a branch of them.
    """

    def __init__(self, backbone: nn.Module, channels: Sequence[int], *, cooccurrences: bool) -> None:
        super().__init__()
        self.backbone = backbone
        self.judges = nn.ModuleList(FeatureBranch(count) for count in channels)
        self.cooccurrences = CooccurrenceBranch() if cooccurrences else None

    def forward(self, inputs: Tensor, cooccurrences: Tensor | None = None) -> Tensor:
        """Logits (N, 2)."""
        return total_logits(self.branches(inputs, cooccurrences))

    def branches(self, inputs: Tensor, cooccurrences: Tensor | None = None) -> list[Tensor]:
        """What each branch makes of the images, (N, OUTPUTS) each."""
        looks = self._look(inputs)
        with torch.autocast(inputs.device.type, enabled=False):  # means and variances of many pixels need float32
            masks = region_masks(inputs)
            outputs = [branch(features, masks) for branch, features in looks]
            if self.cooccurrences is not None and cooccurrences is not None:
                outputs.append(self.cooccurrences(cooccurrences))
            return outputs

    def explain(self, inputs: Tensor, cooccurrences: Tensor | None, margin: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, 2), and (N, H / 8, W / 8): what each place adds to `margin` (2,) times the logits.

        In evaluation the sum over all places is that product, less the product with the biases and with what co-occurrences of
        a typical photo add; a region that a face does not show adds nothing.
        """
        masks = region_masks(inputs)
        outputs, maps = [], []
        for branch, features in self._look(inputs):
            outputs.append(branch(features, masks))
            evidence = branch.evidence(features, masks, margin).unsqueeze(1)
            repeats = masks.shape[-1] // STRIDES[0] // evidence.shape[-1]
            maps.append(F.interpolate(evidence, scale_factor=float(repeats), mode="nearest")[:, 0] / repeats**2)
        if self.cooccurrences is not None and cooccurrences is not None:
            outputs.append(self.cooccurrences(cooccurrences))
            maps.append(self.cooccurrences.evidence(outputs[-1], masks, margin))
        return total_logits(outputs), torch.stack(maps).sum(dim=0)

    def _look(self, inputs: Tensor) -> list[tuple[FeatureBranch, Tensor]]:
        """Each branch with what it judges, float32 (N, C, h, w)."""
        colours = inputs[:, :COLOURS]
        features = self.backbone(colours)
        return [
            (cast(FeatureBranch, branch), features[str(stride)].float())
            for branch, stride in zip(self.judges, STRIDES, strict=True)
        ]


def total_logits(branches: Sequence[Tensor]) -> Tensor:
    """Logits (N, 2), the sum over the branches' outputs (N, 2 or more)."""
    return torch.stack([*branches]).sum(dim=0)[:, :CLASSES]


def new_region_network(network: nn.Module, arch: str, *, cooccurrences: bool) -> RegionNetwork:
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
    return RegionNetwork(backbone, [features[str(stride)].shape[1] for stride in STRIDES], cooccurrences=cooccurrences)


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
