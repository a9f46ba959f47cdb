"""A branch that sees the whole crop at half its size, by a network that is trained from its first layer to its last."""

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fakeface.training.augmentation import COLOURS
from fakeface.training.region_branches import CLASSES, DROPOUT, OUTPUTS, Standardization, spread
from fakeface.training.torchvision_ops import import_torchvision

SHRINK = 2
PROBE_PX = 224


def shrunk(planes: Tensor) -> Tensor:
    """What an overview takes, (N, 3, H / 2, W / 2), of planes (N, 4, H, W): their colours, four pixels in one."""
    return F.avg_pool2d(planes[:, :COLOURS], SHRINK)


class Overview(nn.Module):
    """Judges the mean over all places of an architecture's last feature maps: standardised, by a linear layer."""

    def __init__(self, backbone: nn.Module, name: str, channels: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.name = name
        self.standardize = Standardization(channels)
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(channels, OUTPUTS)

    def look(self, colours: Tensor) -> Tensor:
        """The feature maps, float32 (N, C, h, w), of colours as `shrunk` gives them."""
        features: Tensor = self.backbone(colours)[self.name]
        return features.float()

    def forward(self, features: Tensor) -> Tensor:
        """(N, OUTPUTS)."""
        outputs: Tensor = self.head(self.dropout(self.standardize(features.mean(dim=(2, 3)))))
        return outputs

    def evidence(self, features: Tensor, side: int, margin: Tensor) -> Tensor:
        """(N, side, side): what each place adds to `margin` (2,) times the outputs, in evaluation, less what is typical.

        This is the class activation map of Zhou et al., "Learning deep features for discriminative localization", CVPR 2016.
        """
        typical, scale = self.standardize.running()
        weights = margin @ self.head.weight[:CLASSES] * scale
        height, width = features.shape[2:]
        local = torch.einsum("c,nchw->nhw", weights, features) - weights @ typical
        return spread(local / (height * width), side)


def new_overview(network: nn.Module) -> Overview:
    """Of a classifier's layers up to the last feature maps, which keep their weights as they start."""
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
