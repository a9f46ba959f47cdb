from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fakeface.core.errors import ParamsError
from fakeface.faces.cooccurrences import SIZE
from fakeface.faces.regions import Region
from fakeface.params import ModelParams
from fakeface.training.network import copy_weights, new_classifier
from fakeface.training.optimization import new_optimizer
from fakeface.training.overview import shrunk
from fakeface.training.region_branches import POOLED_REGIONS, FeatureBranch, areas_by_side, region_masks, spread
from fakeface.training.region_network import RegionNetwork, summaries
from tests.training.tiny import TRAIN

PX = 64
PLAIN = ModelParams(
    arch="resnet18", weights="random", pooling="image", frozen=False, parts=0, cooccurrences=False, overview=False
)


def region_network(
    arch: str = "resnet18", *, frozen: bool = False, cooccurrences: bool = False, overview: bool = False
) -> RegionNetwork:
    params = ModelParams(
        arch=arch,
        weights="random",
        pooling="regions",
        frozen=frozen,
        parts=0.3,
        cooccurrences=cooccurrences,
        overview=overview,
    )
    network = new_classifier(params, seed=0)
    assert isinstance(network, RegionNetwork)
    return network


def inputs(count: int = 3, px: int = PX, seed: int = 0) -> Tensor:
    """Noise, and regions in squares of 16 px."""
    generator = torch.Generator().manual_seed(seed)
    colours = torch.randn(count, 3, px, px, generator=generator)
    codes = torch.randint(0, len(Region), (count, 1, px // 16, px // 16), generator=generator).float()
    return torch.cat([colours, codes.repeat_interleave(16, dim=2).repeat_interleave(16, dim=3)], dim=1)


def values(count: int, seed: int = 0) -> Tensor:
    """In the place of co-occurrences."""
    return torch.rand(count, SIZE, generator=torch.Generator().manual_seed(seed))


def test_masks_say_of_which_region_each_pixel_is() -> None:
    planes = inputs()
    masks = region_masks(planes)
    assert masks.shape == (3, len(POOLED_REGIONS), PX, PX)
    assert Region.OUTSIDE not in POOLED_REGIONS
    for index, region in enumerate(POOLED_REGIONS):
        assert torch.equal(masks[:, index] == 1, planes[:, 3] == float(region))


@pytest.mark.parametrize(("px", "sides"), [(64, [8, 4, 4]), (448, [56, 28]), (96, [12, 6, 4])])
def test_a_place_is_of_a_region_by_its_share_of_pixels_whatever_the_map(px: int, sides: list[int]) -> None:
    masks = torch.randint(0, 2, (2, 3, px, px), generator=torch.Generator().manual_seed(0)).float()
    areas = areas_by_side(masks, sides)
    for side in sides:
        size = px // side
        expected = masks.view(2, 3, side, size, side, size).mean(dim=(3, 5))
        torch.testing.assert_close(areas[side], expected)
        if size & (size - 1) == 0:
            assert torch.equal(areas[side], F.avg_pool2d(masks, size))


def test_pooling_gives_mean_and_deviation_over_each_region() -> None:
    """Against numpy-like selection of the feature's pixels; of two maps the second one comes last."""
    planes, features = inputs(), torch.randn(3, 5, 4, 4, generator=torch.Generator().manual_seed(1))
    seen, _ = summaries([torch.rand(3, 7, 8, 8), features], region_masks(planes))
    both = FeatureBranch([7, 5]).pool(seen)
    assert both.shape == (3, 2 * (7 + 5) * len(POOLED_REGIONS))
    pooled = both[:, -2 * 5 * len(POOLED_REGIONS) :].view(3, len(POOLED_REGIONS), 10)
    codes = planes[:, 3, ::16, ::16]
    for image in range(3):
        for index, region in enumerate(POOLED_REGIONS):
            inside = features[image][:, codes[image] == float(region)]
            if inside.shape[1] == 0:
                assert pooled[image, index, :5].abs().max() < 1e-6
                continue
            torch.testing.assert_close(pooled[image, index, :5], inside.mean(dim=1), rtol=0, atol=5e-3)
            torch.testing.assert_close(pooled[image, index, 5:], inside.std(dim=1, correction=0), rtol=0, atol=2e-2)


MAPS = {
    "resnet18": ["8_128", "16_256"],
    "efficientnet_lite0": ["8_40", "16_80", "16_112"],
    "mobilenet_v3_small": ["8_24", "16_40", "16_48"],
    "densenet121": ["8_128", "8_512", "16_256", "16_1024"],
}
"""By architecture, stride and channels of the last of its blocks of each."""


@pytest.mark.parametrize("arch", MAPS)
def test_any_architecture_with_feature_maps_can_be_pooled_by_region(arch: str) -> None:
    network = region_network(arch, cooccurrences=True, overview=True).eval()
    assert network.maps == MAPS[arch]
    outputs = network.branches(inputs(), values(3))
    assert [tuple(output.shape) for output in outputs] == [(3, 6)] * 3
    torch.testing.assert_close(network(inputs(), values(3)), torch.stack(outputs).sum(dim=0)[:, :2])


def test_a_frozen_backbone_stays_as_it_is_and_what_judges_it_learns() -> None:
    """Its batch normalisation too, which would else follow the images."""
    network = region_network(frozen=True, cooccurrences=True, overview=True)
    before = copy_weights(network)
    optimizer = new_optimizer(network, TRAIN)
    network.train()(inputs(), values(3)).square().sum().backward()
    optimizer.step()
    changed = {name for name, value in copy_weights(network).items() if not torch.equal(value, before[name])}
    assert not any(name.startswith("backbone.") for name in changed)
    assert {"features.head.weight", "features.standardize.running_mean", "cooccurrences.head.0.weight"} <= changed
    assert {"overview.backbone.conv1.weight", "overview.backbone.bn1.running_mean", "overview.head.weight"} <= changed
    assert not network.backbone.training
    assert region_network().train().backbone.training


def test_a_network_without_feature_maps_is_refused_by_name() -> None:
    with pytest.raises(ParamsError, match=r"^model\.pooling: regions: vit_b_32 has no feature maps at strides 8 and 16$"):
        region_network("vit_b_32")


def test_what_lies_outside_the_face_does_not_count() -> None:
    """Beyond the reach of a ResNet18's filters at stride 16, that is."""
    network = region_network().eval()
    planes = inputs(count=1, px=256)
    planes[:, 3] = float(Region.OUTSIDE)
    planes[:, 3, :32, :32] = float(Region.NOSE)
    changed = planes.clone()
    changed[:, :3, 192:, 192:] = 0
    assert torch.equal(network(planes), network(changed))
    changed[:, :3, 8:16, 8:16] = 0
    assert not torch.equal(network(planes), network(changed))


def test_layers_behind_the_last_feature_map_are_left_out() -> None:
    names = {name.split(".")[0] for name in region_network().backbone.state_dict()}
    assert {"layer1", "layer2", "layer3"} <= names
    assert not {"layer4", "fc"} & names


@pytest.mark.parametrize(("cooccurrences", "overview"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("margin", [(-1.0, 1.0), (0.0, 1.0)])
@torch.inference_mode()
def test_evidence_adds_up_to_the_log_odds(margin: tuple[float, float], *, cooccurrences: bool, overview: bool) -> None:
    """After a few batches, so that running means and variances are none of the first ones; every region is seen."""
    network, weights = region_network(cooccurrences=cooccurrences, overview=overview), torch.tensor(margin)
    for seed in range(3):
        network.train()(inputs(8), values(8, seed))
    planes = inputs(px=128)
    (logits, distances), evidence = network.eval().explain(planes, values(3), weights)
    assert evidence.shape == (3, 16, 16)
    assert all((planes[0, 3] == float(region)).any() for region in POOLED_REGIONS)
    biases = float(weights @ network.features.head.bias[:2])
    if network.cooccurrences is not None:
        assert not torch.equal(logits, network(planes, values(3, seed=1)))
        biases += float(weights @ network.cooccurrences.typical()[:2])
    if network.overview is not None:
        biases += float(weights @ network.overview.head.bias[:2])
    torch.testing.assert_close(logits, network(planes, values(3)))
    torch.testing.assert_close(distances, network.judge(planes, values(3)).distances)
    torch.testing.assert_close(evidence.sum(dim=(1, 2)) + biases, logits @ weights, rtol=1e-3, atol=1e-3)


@torch.inference_mode()
def test_evidence_lies_where_the_regions_are() -> None:
    planes = inputs(px=128)
    planes[:, 3, :, 64:] = float(Region.OUTSIDE)
    _, evidence = region_network(cooccurrences=True).eval().explain(planes, values(3), torch.tensor([-1.0, 1.0]))
    assert (evidence[:, :, 8:] == 0).all()
    assert (evidence[:, :, :8] != 0).any()


@torch.inference_mode()
def test_each_branch_tells_how_far_an_image_lies_from_those_it_learned_from() -> None:
    """In the mean of its values' squares, as multiples of what is typical: about 1."""
    network = region_network(cooccurrences=True, overview=True)
    for seed in range(60):
        network.train()(inputs(8, seed=seed), values(8, seed))
    learned = network.eval().judge(inputs(8, seed=3), values(8, 3)).distances
    assert learned.shape == (8, 3)
    assert learned.mean(dim=0).tolist() == pytest.approx([1, 1, 1], abs=0.5)
    strange = inputs(8, seed=3)
    strange[:, :3] *= 5
    changed = network.judge(strange, values(8, 3)).distances
    assert (changed[:, [0, 2]] > 2 * learned[:, [0, 2]]).all()
    assert torch.equal(changed[:, 1], learned[:, 1])
    assert (network.judge(inputs(8, seed=3), 5 * values(8, 3)).distances[:, 1] > 2 * learned[:, 1]).all()


@pytest.mark.parametrize("autocast", [False, True])
def test_cooccurrences_are_one_more_branch_in_float32_whatever_the_precision(*, autocast: bool) -> None:
    network = region_network(cooccurrences=True).eval()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        outputs = network.branches(inputs(), values(3))
    assert [output.dtype for output in outputs] == [torch.float32] * 2
    torch.testing.assert_close(outputs[-1], network.branches(inputs(), values(3))[-1], rtol=0, atol=0)


OVERVIEW_CHANNELS = {"resnet18": 512, "efficientnet_lite0": 1280, "mobilenet_v3_small": 576, "densenet121": 1024}
"""Of the feature maps that an architecture takes the mean of."""


@pytest.mark.parametrize("arch", OVERVIEW_CHANNELS)
@torch.inference_mode()
def test_an_overview_sees_what_the_architecture_itself_judges(arch: str) -> None:
    """Its mean is what goes into the architecture's last linear layer, of the same crop at half the size; here of no face."""
    network = region_network(arch, overview=True).eval()
    assert network.overview is not None
    plain = new_classifier(replace(PLAIN, arch=arch), seed=0).eval()
    *_, last = (layer for layer in plain.modules() if isinstance(layer, torch.nn.Linear))
    seen: list[Tensor] = []
    last.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    planes = inputs(px=256)
    planes[:, 3] = float(Region.REST)
    plain(F.avg_pool2d(planes[:, :3], 2))
    maps = network.overview.look(shrunk(planes))
    assert maps.shape[1] == OVERVIEW_CHANNELS[arch]
    if arch != "mobilenet_v3_small":  # which has one more linear layer in between
        torch.testing.assert_close(maps.mean(dim=(2, 3)), seen[0], rtol=1e-4, atol=1e-5)


def test_evidence_spread_over_more_places_stays_the_same_in_sum() -> None:
    """Also where a place is no whole number of the smaller ones; each keeps to where it was."""
    evidence = torch.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]])
    for side in (3, 6, 10):
        spread_out = spread(evidence, side)
        assert spread_out.shape == (1, side, side)
        torch.testing.assert_close(spread_out.sum(), evidence.sum())
    torch.testing.assert_close(spread(evidence, 4)[0, 0], torch.tensor([1 / 4, 1 / 4, 2 / 2, 3 / 2]))
