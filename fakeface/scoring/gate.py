"""Whether a model is better than the champion: by AUC on the same test images, beyond the interval of the difference."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fakeface.core.errors import FakefaceError
from fakeface.core.records import ObjectiveName, SplitRecord
from fakeface.scoring.comparison import difference
from fakeface.scoring.intervals import resample
from fakeface.scoring.predictions import load_images, load_predictions
from fakeface.scoring.results import Difference
from fakeface.scoring.scores import Probabilities, roc_auc

RESAMPLES, SEED = 2000, 0


@dataclass(frozen=True)
class Tested:
    """A model's p_fake (N,) of its test images; `name` is what it is called in errors."""

    name: str
    images: Sequence[SplitRecord]
    p_fake: Probabilities


def read_tested(name: str, split: Path, predictions: Path, objective: ObjectiveName) -> Tested:
    """From the tables that `split` and `infer` wrote. Raises FakefaceError where they do not belong together."""
    images = load_images(split)
    return Tested(name, images["test"], load_predictions(predictions, images)[objective]["test"].p_fake)


def lead(candidate: Tested, champion: Tested) -> Difference:
    """The candidate's AUC less the champion's; images by their content, whatever the files are called.

    Raises:
        FakefaceError: their test images are not the same.
    """
    known = {(image.sha256, image.label): position for position, image in enumerate(champion.images)}
    positions = [known.get((image.sha256, image.label)) for image in candidate.images]
    shared = [position for position in positions if position is not None]
    if not len(shared) == len(positions) == len(known):
        raise FakefaceError(
            f"{candidate.name}: {len(positions):,} test images, {len(shared):,} of them among the {len(known):,} of "
            f"{champion.name}: expected the same ones, or their scores do not compare"
        )
    labels = np.array([image.label for image in candidate.images], dtype=np.int64)
    weights = resample([image.group for image in candidate.images], RESAMPLES, SEED)
    return difference(roc_auc, labels, candidate.p_fake, champion.p_fake[shared], weights)


def is_better(lead: Difference) -> bool:
    """Whether the difference is more than chance."""
    return lead.interval is not None and lead.interval[0] > 0
