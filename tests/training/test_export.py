from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from fakeface.core.records import OBJECTIVE_NAMES
from fakeface.params import ModelParams
from fakeface.training.export import ExportedClassifier, export_onnx
from fakeface.training.losses import OBJECTIVES
from fakeface.training.network import new_classifier

LITE0 = "efficientnet_lite0"
TEMPERATURE = 1.7


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[ExportedClassifier, onnxruntime.InferenceSession]]:
    """Each objective's classifier, and the file it was exported to, for images of 32 px."""
    folder = tmp_path_factory.mktemp("exported")
    pairs: dict[str, tuple[ExportedClassifier, onnxruntime.InferenceSession]] = {}
    for objective, arch in zip(OBJECTIVE_NAMES, (LITE0, "resnet18"), strict=True):
        network = new_classifier(
            ModelParams(
                arch=arch,
                weights="imagenet" if arch == LITE0 else "random",
                pooling="image",
                frozen=False,
                parts=0,
                cooccurrences=False,
                overview=False,
            ),
            seed=0,
        )
        wrapped = ExportedClassifier(network, OBJECTIVES[objective], [0.5, 0.4, 0.3], [0.2, 0.3, 0.4], TEMPERATURE)
        export_onnx(wrapped, 32, folder / f"{objective}.onnx")
        session = onnxruntime.InferenceSession(folder / f"{objective}.onnx", providers=["CPUExecutionProvider"])
        pairs[objective] = wrapped, session
    assert sorted(path.name for path in folder.iterdir()) == ["bce.onnx", "ce.onnx"], "one file each, weights included"
    return pairs


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("objective", OBJECTIVE_NAMES)
@torch.inference_mode()
def test_the_exported_network_is_the_trained_one(exported: Any, objective: str, count: int) -> None:
    wrapped, session = exported[objective]
    photos = np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    p_fake, logits = session.run(["p_fake", "logits"], {"images": photos})
    for found, expected in zip((p_fake, logits), wrapped(torch.from_numpy(photos)), strict=True):
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)
    assert (p_fake.shape, logits.shape) == ((count,), (count, 2))


@torch.inference_mode()
def test_the_exported_p_fake_is_calibrated_and_the_logits_are_not(exported: Any) -> None:
    wrapped, session = exported["ce"]
    photos = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    p_fake, logits = session.run(["p_fake", "logits"], {"images": photos})
    np.testing.assert_allclose(p_fake, 1 / (1 + np.exp((logits[:, 0] - logits[:, 1]) / TEMPERATURE)), atol=1e-5)
    pixels = torch.from_numpy(photos).permute(0, 3, 1, 2) / 255
    np.testing.assert_allclose(logits, wrapped.network((pixels - wrapped.mean) / wrapped.std).numpy(), atol=1e-4)


@torch.inference_mode()
def test_the_exported_network_normalises_as_the_training_did(exported: Any) -> None:
    wrapped, _ = exported["bce"]
    photos = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    normalised = (photos / 255 - np.array([0.5, 0.4, 0.3])) / np.array([0.2, 0.3, 0.4])
    logits = wrapped.network(torch.from_numpy(normalised.transpose(0, 3, 1, 2)).float())
    torch.testing.assert_close(wrapped(torch.from_numpy(photos)), (torch.sigmoid(logits[:, 1] / TEMPERATURE), logits))
