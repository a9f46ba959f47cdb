"""A model folder as `train` leaves it, but for its run record, with a network that is exported in a moment."""

from pathlib import Path

import torch
from torch import nn

from fakeface.core.files import write_json
from fakeface.core.records import OBJECTIVE_NAMES, Framing, ObjectiveName
from fakeface.detector import CARD_FILE, NETWORK_FILE
from fakeface.training.export import ExportedClassifier, export_onnx
from fakeface.training.losses import OBJECTIVES

IMAGE_PX = 32
THRESHOLDS = {"half": 0.5, "balanced_accuracy": 0.45, "few_false_alarms": 0.7}


def write_model(
    folder: Path, objective: ObjectiveName, *, framing: Framing = "centre", is_sample: bool = False
) -> ExportedClassifier:
    """Leave a random network for images of 32 px in `folder`, and return it; each objective has a network of its own."""
    torch.manual_seed(OBJECTIVE_NAMES.index(objective))
    network = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(3 * 4 * 4, 2))
    classifier = ExportedClassifier(network, OBJECTIVES[objective], [0.5, 0.4, 0.3], [0.2, 0.3, 0.4])
    folder.mkdir(parents=True)
    export_onnx(classifier, IMAGE_PX, folder / NETWORK_FILE)
    card = {"objective": objective, "image_px": IMAGE_PX, "framing": framing, "is_sample": is_sample, "thresholds": THRESHOLDS}
    write_json(folder / CARD_FILE, card)
    return classifier
