"""Which epoch's weights are kept, and whether training goes on after it."""

from fakeface.core.records import EpochRecord
from fakeface.params import TrainParams


def best_epoch(epochs: list[EpochRecord], params: TrainParams) -> EpochRecord:
    """The first of the epochs with the best validation accuracy; the last one where weights are averaged."""
    if params.averaging > 0:
        return epochs[-1]
    return max(epochs, key=lambda epoch: (epoch.valid_accuracy, -epoch.epoch))


def is_over(epochs: list[EpochRecord], params: TrainParams) -> bool:
    done = len(epochs)
    return done >= params.epochs or (done > 0 and done - best_epoch(epochs, params).epoch >= params.patience)
