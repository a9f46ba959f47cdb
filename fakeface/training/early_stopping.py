"""Which epoch is the best so far, and whether training goes on after it."""

from fakeface.core.records import EpochRecord
from fakeface.params import TrainParams


def best_epoch(epochs: list[EpochRecord]) -> EpochRecord:
    """The first of the epochs with the best validation accuracy."""
    return max(epochs, key=lambda epoch: (epoch.valid_accuracy, -epoch.epoch))


def is_over(epochs: list[EpochRecord], params: TrainParams) -> bool:
    done = len(epochs)
    return done >= params.epochs or (done > 0 and done - best_epoch(epochs).epoch >= params.patience)
