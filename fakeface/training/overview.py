"""A branch that sees the face aligned, at half its size, by a network that is trained from its first layer to its last.

It tells of what the branches beside it cannot: they judge the photo's own pixels, which the web resizes; here a face is as
large in every photo.
"""

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fakeface.faces.regions import Region
from fakeface.training.augmentation import COLOURS
from fakeface.training.region_branches import CLASSES, DROPOUT, OUTPUTS, Standardization
from fakeface.training.torchvision_ops import import_torchvision

SHRINK = 2
ANCHORS = (Region.LEFT_EYE, Region.RIGHT_EYE, Region.MOUTH)
TEMPLATE = ((0.345, 0.36), (0.655, 0.36), (0.5, 0.74))
"""Where their centres come to lie, as shares of the crop's side: the chin is inside, hair and background mostly not."""
SHIFT = 0.07
"""In training a crop is shifted by up to this share of its side in each direction."""
PROBE_PX = 224


def shrunk(planes: Tensor) -> Tensor:
    """What an overview takes, (N, 4, H / 2, W / 2), of planes (N, 4, H, W): colours of four pixels in one, regions of one."""
    return torch.cat([F.avg_pool2d(planes[:, :COLOURS], SHRINK), planes[:, COLOURS:, ::SHRINK, ::SHRINK]], dim=1)


class Overview(nn.Module):
    """Judges the mean over all places of an architecture's last feature maps: standardised, by a linear layer."""

    def __init__(self, backbone: nn.Module, name: str, channels: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.name = name
        self.standardize = Standardization(channels)
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(channels, OUTPUTS)

    def look(self, planes: Tensor) -> Tensor:
        """The feature maps, float32 (N, C, h, w), of the face in planes as `shrunk` gives them; in training it moves about."""
        with torch.autocast(planes.device.type, enabled=False):  # places in bf16 would be a pixel off
            matrix, origin = alignment(planes)
            if self.training:
                shifts = (2 * torch.rand([len(planes), 1, 2], device=planes.device) - 1) * SHIFT
                origin = origin + shifts @ matrix.transpose(1, 2)
            points = _centres(planes.shape[-1], planes) @ matrix.unsqueeze(1).transpose(2, 3) + origin.unsqueeze(1)
            colours = _sampled(planes[:, :COLOURS], _mirrored(points, planes.shape[-1]))
        features: Tensor = self.backbone(colours)[self.name]
        return features.float()

    def forward(self, features: Tensor) -> Tensor:
        """(N, OUTPUTS)."""
        outputs: Tensor = self.head(self.dropout(self.standardize(features.mean(dim=(2, 3)))))
        return outputs

    def distance(self, features: Tensor) -> Tensor:
        """How far feature maps lie from those seen in training, (N,)."""
        return self.standardize.distance(features.mean(dim=(2, 3)))

    def evidence(self, features: Tensor, planes: Tensor, side: int, margin: Tensor) -> Tensor:
        """(N, side, side): what each place adds to `margin` (2,) times the outputs, in evaluation, less what is typical.

        This is the class activation map of Zhou et al., "Learning deep features for discriminative localization", CVPR 2016,
        laid back onto the face in `planes`. What of it lies beyond them is spread over all places.
        """
        typical, scale = self.standardize.running()
        weights = margin @ self.head.weight[:CLASSES] * scale
        local = torch.einsum("c,nchw->nhw", weights, features) - weights @ typical
        total = local.mean(dim=(1, 2), keepdim=True)
        matrix, origin = alignment(planes)
        size = matrix.square().sum(dim=(1, 2)).view(-1, 1, 1) / 2  # the determinant, as it is a similarity's
        points = (_centres(side, planes) - origin.unsqueeze(1)) @ matrix.unsqueeze(1) / size.unsqueeze(1)
        placed = _sampled(local.unsqueeze(1), points)[:, 0] / (size * side**2)
        return placed + (total - placed.sum(dim=(1, 2), keepdim=True)) / side**2


def alignment(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Matrix (N, 2, 2), origin (N, 1, 2): from points of the aligned face to those of planes (N, 4, S, S), as shares of sides.

    It is the similarity transform by least squares that brings the template onto the centres of the ANCHORS (Umeyama, TPAMI
    1991); where one of these is not seen, the planes are taken as they are.
    """
    masks = torch.stack([planes[:, COLOURS] == int(region) for region in ANCHORS], dim=1).float()
    areas = masks.sum(dim=(2, 3)).unsqueeze(2)
    places = _centres(planes.shape[-1], planes)
    centres = torch.einsum("nrhw,hwd->nrd", masks, places) / areas.clamp_min(1)
    template = planes.new_tensor(TEMPLATE)
    middle, target = template.mean(dim=0), centres.mean(dim=1, keepdim=True)
    x, y = (template - middle).unbind(1)
    u, v = (centres - target).unbind(2)
    norm = (x.square() + y.square()).sum()
    cosine, sine = (u @ x + v @ y) / norm, (v @ x - u @ y) / norm
    matrix = torch.stack([cosine, -sine, sine, cosine], dim=1).view(-1, 2, 2)
    origin = target - middle.view(1, 2) @ matrix.transpose(1, 2)
    is_seen = areas.amin(dim=1, keepdim=True) > 0
    return torch.where(is_seen, matrix, torch.eye(2, device=planes.device)), torch.where(is_seen, origin, 0.0)


def _centres(side: int, like: Tensor) -> Tensor:
    """(side, side, 2): x and y of each place's centre, as shares of the side."""
    shares = (torch.arange(int(side), device=like.device, dtype=torch.float32) + 0.5) / int(side)
    y, x = torch.meshgrid(shares, shares, indexing="ij")
    return torch.stack([x, y], dim=2)


def _mirrored(points: Tensor, side: int) -> Tensor:
    """Points as shares of the sides, those beyond mirrored at the border, and none nearer to it than a pixel's centre.

    With them `grid_sample` gives what its padding "reflection" gives, for which ONNX Runtime takes five times as long.
    """
    folded = 1 - (points - 2 * (points / 2).floor() - 1).abs()
    return folded.clamp(0.5 / int(side), 1 - 0.5 / int(side))


def _sampled(values: Tensor, points: Tensor) -> Tensor:
    """Values (N, C, h, w) at points (N, S, S, 2), as shares of the sides -> (N, C, S, S); zeros beyond them."""
    return F.grid_sample(values.float(), 2 * points - 1, align_corners=False)


def new_overview(network: nn.Module) -> Overview:
    """Of a classifier's layers up to the last feature maps, which start with their weights."""
    import_torchvision()
    from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about layers that evaluation skips, of which none is asked for
        names = get_graph_node_names(network)[1]
        with torch.inference_mode():
            features = create_feature_extractor(network, names).eval()(torch.zeros(1, COLOURS, PROBE_PX, PROBE_PX))
        last = [name for name, value in features.items() if _is_map(value)][-1]
        return Overview(create_feature_extractor(network, [last]), last, features[last].shape[1])


def _is_map(value: object) -> bool:
    return isinstance(value, Tensor) and value.ndim == len("NCHW") and value.shape[2] > 1
