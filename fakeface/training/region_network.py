"""A network that looks at a face by region: at what each shows and how they differ, not at where they lie in the photo."""

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from fakeface.core.errors import ParamsError
from fakeface.params import ModelParams
from fakeface.training.augmentation import COLOURS
from fakeface.training.overview import PROBE_PX, Overview, new_overview, shrunk
from fakeface.training.region_branches import (
    CLASSES,
    STRIDES,
    CooccurrenceBranch,
    FeatureBranch,
    Summary,
    areas_by_side,
    region_masks,
    summarize,
)
from fakeface.training.torchvision_ops import import_torchvision


class Seen(NamedTuple):
    """What is judged of pixels: feature maps `pooled` by region (N, width), and an overview's `planes` (N, 4, H / 2, W / 2)."""

    pooled: Tensor
    planes: Tensor | None


class Judged(NamedTuple):
    """Logits (N, 2), and for each of B branches how far what it sees lies from what it saw in training, `distances` (N, B)."""

    logits: Tensor
    distances: Tensor


Branch = FeatureBranch | CooccurrenceBranch | Overview


class RegionNetwork(nn.Module):
    """A backbone up to stride 16 with a branch that judges its feature maps, maybe more branches, and the sum of all.

    Takes (N, 4, H, W), normalised colours and the Region of each pixel, and (N, SIZE), the photos' co-occurrences, which are
    needed only where there is a branch of them. A `frozen` backbone keeps its weights, and its batch statistics, in training;
    an `overview` has one of its own, which is trained.
    """

    def __init__(
        self,
        backbone: nn.Module,
        channels: Mapping[str, int],
        *,
        frozen: bool,
        cooccurrences: bool,
        overview: Overview | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(not frozen)
        self.frozen = frozen
        self.maps = list(channels)
        self.features = FeatureBranch(list(channels.values()))
        self.cooccurrences = CooccurrenceBranch() if cooccurrences else None
        self.overview = overview

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - as torch has it
        super().train(mode)
        self.backbone.train(mode and not self.frozen)
        return self

    def forward(self, inputs: Tensor, cooccurrences: Tensor | None = None) -> Tensor:
        """Logits (N, 2)."""
        return total_logits(self.branches(inputs, cooccurrences))

    def branches(self, inputs: Tensor | Seen, cooccurrences: Tensor | None = None) -> list[Tensor]:
        """What each branch makes of the images, or of what was seen of them before, (N, OUTPUTS) each."""
        seen = inputs if isinstance(inputs, Seen) else self.see(inputs)
        view = self._view(seen.planes)
        with torch.autocast(seen.pooled.device.type, enabled=False):
            return [branch(values) for branch, values in self._shown(seen.pooled, cooccurrences, view)]

    def judge(self, inputs: Tensor | Seen, cooccurrences: Tensor | None) -> Judged:
        """In evaluation, of images or of what was seen of them before."""
        seen = inputs if isinstance(inputs, Seen) else self.see(inputs)
        shown = self._shown(seen.pooled, cooccurrences, self._view(seen.planes))
        return Judged(total_logits([branch(values) for branch, values in shown]), distances(shown))

    def _view(self, planes: Tensor | None) -> Tensor | None:
        """An overview's feature maps."""
        return None if self.overview is None or planes is None else self.overview.look(planes)

    def _shown(self, pooled: Tensor, cooccurrences: Tensor | None, view: Tensor | None) -> list[tuple[Branch, Tensor]]:
        """Each branch with what it judges, first the feature maps; `view` are the overview's."""
        shown: list[tuple[Branch, Tensor]] = [(self.features, pooled)]
        if self.cooccurrences is not None and cooccurrences is not None:
            shown.append((self.cooccurrences, cooccurrences))
        if self.overview is not None and view is not None:
            shown.append((self.overview, view))
        return shown

    def see(self, inputs: Tensor) -> Seen:
        """All that is judged of the pixels."""
        return Seen(self.pool(inputs), shrunk(inputs) if self.overview else None)

    def pool(self, inputs: Tensor) -> Tensor:
        """The feature maps pooled by region, (N, width)."""
        maps = self._look(inputs)
        with torch.autocast(inputs.device.type, enabled=False):  # means and variances of many pixels need float32
            return self.features.pool(summaries(maps, region_masks(inputs))[0])

    def explain(self, inputs: Tensor, cooccurrences: Tensor | None, margin: Tensor) -> tuple[Judged, Tensor]:
        """As `judge`, and (N, H / 8, W / 8): what each place adds to `margin` (2,) times the logits.

        The sum over all places is that product, less the product with the biases and with what co-occurrences of
        a typical photo add; a region that a face does not show adds nothing.
        """
        seen, areas = summaries(self._look(inputs), region_masks(inputs))
        planes = shrunk(inputs)
        view, pooled = self._view(planes), self.features.pool(seen)
        shown = self._shown(pooled, cooccurrences, view)
        outputs = [branch(values) for branch, values in shown]
        evidence = self.features.evidence(seen, margin, areas.shape[-1])
        if self.cooccurrences is not None and cooccurrences is not None:
            evidence = evidence + self.cooccurrences.evidence(outputs[1], areas, margin)
        if self.overview is not None and view is not None:
            evidence = evidence + self.overview.evidence(view, planes, evidence.shape[-1], margin)
        return Judged(total_logits(outputs), distances(shown)), evidence

    def _look(self, inputs: Tensor) -> list[Tensor]:
        """The feature maps that are judged, float32 (N, C, h, w)."""
        features = self.backbone(inputs[:, :COLOURS])
        return [features[name].float() for name in self.maps]


def summaries(maps: Sequence[Tensor], masks: Tensor) -> tuple[list[Summary], Tensor]:
    """Of each of the feature maps by region, and the regions' areas in the places of evidence, (N, R, H / 8, H / 8)."""
    finest = int(masks.shape[-1]) // STRIDES[0]
    areas = areas_by_side(masks, [finest, *(int(features.shape[-1]) for features in maps)])
    return [summarize(features, areas[int(features.shape[-1])]) for features in maps], areas[finest]


def total_logits(branches: Sequence[Tensor]) -> Tensor:
    """Logits (N, 2), the sum over the branches' outputs (N, 2 or more)."""
    return torch.stack([*branches]).sum(dim=0)[:, :CLASSES]


def distances(shown: Sequence[tuple[Branch, Tensor]]) -> Tensor:
    """(N, B), of each branch how far what it is shown lies from what it saw in training."""
    return torch.stack([branch.distance(values) for branch, values in shown], dim=1)


def new_region_network(network: nn.Module, params: ModelParams) -> RegionNetwork:
    """The layers of a classifier up to stride 16, under a new head; in an overview all of them once more.

    Raises:
        ParamsError: it has no feature maps of STRIDES, as a transformer has not.
    """
    blocks = _outermost_blocks(network)
    if not set(STRIDES) <= {block.stride for block in blocks}:
        raise ParamsError(
            f"model.pooling: regions: {params.arch} has no feature maps at strides {' and '.join(map(str, STRIDES))}"
        )
    import_torchvision()
    from torchvision.models.feature_extraction import create_feature_extractor

    last = {(block.stride, block.channels): block for block in blocks if block.stride in STRIDES}.values()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about layers that evaluation skips, of which none is asked for
        backbone = create_feature_extractor(network, {block.name: _key(block) for block in last})
    channels = {_key(block): block.channels for block in last}
    overview = new_overview(copy.deepcopy(network)) if params.overview else None
    return RegionNetwork(backbone, channels, frozen=params.frozen, cooccurrences=params.cooccurrences, overview=overview)


class Block(NamedTuple):
    """A module of several layers by its name, with the stride and the channels of the feature map that it puts out."""

    name: str
    stride: int
    channels: int


def _key(block: Block) -> str:
    return f"{block.stride}_{block.channels}"


def _outermost_blocks(network: nn.Module) -> list[Block]:
    """Those of each stride that lie in the fewest others, in the order in which they are passed."""
    passed: list[Block] = []

    def note(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == len("NCHW") and output.shape[2] == output.shape[3]:
            passed.append(Block(name, PROBE_PX // output.shape[2], output.shape[1]))

    blocks = [(name, module) for name, module in network.named_modules() if name and any(module.children())]
    hooks = [module.register_forward_hook(lambda _, __, output, name=name: note(name, output)) for name, module in blocks]
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 3, PROBE_PX, PROBE_PX))
    for hook in hooks:
        hook.remove()
    depths = {stride: min(block.name.count(".") for block in passed if block.stride == stride) for _, stride, _ in passed}
    return [block for block in passed if block.name.count(".") == depths[block.stride]]
