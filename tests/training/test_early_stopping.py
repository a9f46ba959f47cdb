import pytest

from fakeface.core.records import EpochRecord
from fakeface.training.early_stopping import best_epoch, is_over
from tests.training.tiny import TRAIN, with_train


def history(*valid_accuracies: float) -> list[EpochRecord]:
    return [EpochRecord(number, 0.5, 0.5, 0.5, accuracy, 0.01) for number, accuracy in enumerate(valid_accuracies, 1)]


def test_the_best_epoch_is_the_first_with_the_best_validation_accuracy() -> None:
    assert best_epoch(history(0.5, 0.8, 0.7, 0.8), TRAIN).epoch == 2
    assert best_epoch(history(0.5), TRAIN).epoch == 1


def test_averaged_weights_are_those_of_the_last_of_all_epochs() -> None:
    averaging = with_train(averaging=0.9, epochs=5, patience=1).train
    assert best_epoch(history(0.5, 0.8, 0.7), averaging).epoch == 3
    assert not is_over(history(0.5, 0.4, 0.4, 0.4), averaging)
    assert is_over(history(0.5, 0.4, 0.4, 0.4, 0.4), averaging)


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ((), False),
        ((0.5,), False),
        ((0.5, 0.5), False),
        ((0.5, 0.5, 0.4), True),
        ((0.5, 0.6, 0.4), False),
        ((0.5, 0.6, 0.7, 0.8), False),
        ((0.5, 0.6, 0.7, 0.8, 0.9), True),
    ],
)
def test_training_is_over_after_all_epochs_or_two_that_are_no_better(accuracies: tuple[float, ...], *, expected: bool) -> None:
    assert is_over(history(*accuracies), with_train(epochs=5, patience=2).train) == expected
