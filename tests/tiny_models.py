"""A model folder as `train` leaves it, but for its run record, with a network that is exported in a moment."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from fakeface.core.files import write_json
from fakeface.core.records import OBJECTIVE_NAMES, Framing, ObjectiveName
from fakeface.detector import CARD_FILE, NETWORK_FILE
from fakeface.faces.cooccurrences import SIZE
from fakeface.faces.regions import Region
from fakeface.training.export import INPUTS, ExportedClassifier, export_onnx
from fakeface.training.losses import OBJECTIVES

IMAGE_PX = 32
THRESHOLDS = {"half": 0.5, "balanced_accuracy": 0.45, "few_false_alarms": 0.7}
ANSWERS = {"max_error": 0.1, "real_below": 0.4, "fake_from": 0.6}


def write_model(
    folder: Path,
    objective: ObjectiveName,
    *,
    framing: Framing = "centre",
    sees_regions: bool = False,
    sees_cooccurrences: bool = False,
    gives_evidence: bool = False,
    gives_novelty: bool = False,
    is_sample: bool = False,
) -> ExportedClassifier:
    """Leave a random network for images of 32 px in `folder`, and return it; each objective has a network of its own.

    One that sees regions adds the share of REST among them to logit 1, which the network returned knows nothing of, and the
    mean of co-occurrences if it sees those. One that gives evidence or novelty sees regions too; its evidence is the mean red
    of each place, from 0 to 1, its novelty twice that of the image.
    """
    torch.manual_seed(OBJECTIVE_NAMES.index(objective))
    network = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(3 * 4 * 4, 2))
    classifier = ExportedClassifier(network, OBJECTIVES[objective], [0.5, 0.4, 0.3], [0.2, 0.3, 0.4])
    folder.mkdir(parents=True)
    export_onnx(classifier, IMAGE_PX, folder / NETWORK_FILE)
    if sees_regions or gives_evidence or gives_novelty:
        more = [name for name, is_given in (("evidence", gives_evidence), ("novelty", gives_novelty)) if is_given]
        export_with_regions(classifier, folder / NETWORK_FILE, more, sees_cooccurrences=sees_cooccurrences)
    about = {"objective": objective, "image_px": IMAGE_PX, "framing": framing, "is_sample": is_sample}
    write_json(folder / CARD_FILE, about | {"thresholds": THRESHOLDS, "answers": ANSWERS})
    return classifier


class WithRegions(nn.Module):
    """uint8 images (N, px, px, 3) and regions (N, px, px) -> p_fake (N,), logits (N, 2), and `more`: "evidence", "novelty"."""

    def __init__(self, classifier: ExportedClassifier, more: list[str]) -> None:
        super().__init__()
        self.classifier = classifier
        self.more = more

    def forward(self, images: Tensor, regions: Tensor, cooccurrences: Tensor | None = None) -> tuple[Tensor, ...]:
        _, logits = self.classifier(images)
        share = (regions.to(torch.int32) == int(Region.REST)).to(torch.float32).mean(dim=(1, 2))
        if cooccurrences is not None:
            share = share + cooccurrences.mean(dim=1)
        logits = logits + torch.stack([torch.zeros_like(share), share], dim=1)
        outputs = self.classifier.objective.p_fake(logits), logits
        red = images[..., 0].to(torch.float32) / 255
        given = {"evidence": nn.functional.avg_pool2d(red.unsqueeze(1), 8)[:, 0], "novelty": 2 * red.mean(dim=(1, 2))}
        return *outputs, *(given[name] for name in self.more)


def export_with_regions(classifier: ExportedClassifier, path: Path, more: list[str], *, sees_cooccurrences: bool) -> None:
    inputs = list(INPUTS if sees_cooccurrences else INPUTS[:2])
    outputs = ["p_fake", "logits", *more]
    examples = [torch.zeros((2, IMAGE_PX, IMAGE_PX, *rest), dtype=torch.uint8) for rest in ((3,), ())]
    if sees_cooccurrences:
        examples.append(torch.zeros((2, SIZE)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in `export_onnx`
        torch.onnx.export(
            WithRegions(classifier, more).eval(),
            tuple(examples),
            path,
            dynamo=False,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={name: {0: "images"} for name in inputs + outputs},
        )
