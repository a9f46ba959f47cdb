from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest

from fakeface.core.arguments import ParamsPath, parse_paths
from stages import compute_stats
from tests.conftest import Command


@dataclass(frozen=True)
class Paths:
    objective: Annotated[Literal["ce", "bce"], "the loss"]
    train_images: Annotated[Path, ".npy to read"]
    params: ParamsPath = Path("params.yaml")


def test_a_path_is_an_option_and_a_choice_is_positional() -> None:
    assert parse_paths(Paths, ["bce", "--train-images", "a.npy"]) == Paths("bce", Path("a.npy"), Path("params.yaml"))
    assert parse_paths(Paths, ["ce", "--train-images", "a", "--params", "b"]) == Paths("ce", Path("a"), Path("b"))


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["ce"], "the following arguments are required: --train-images"),
        (["mse", "--train-images", "a.npy"], "invalid choice: 'mse'"),
        (["ce", "--train-images", "a.npy", "b.npy"], "unrecognized arguments: b.npy"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_is_wrong(
    capsys: pytest.CaptureFixture[str], argv: list[str], complaint: str
) -> None:
    with pytest.raises(SystemExit) as exited:
        parse_paths(Paths, argv)
    assert exited.value.code == 2
    assert complaint in capsys.readouterr().err


def test_help_is_the_modules_docstring_with_a_line_per_path(command: Command) -> None:
    printed = command(compute_stats, "--help").out
    assert printed.startswith("usage: python -m stages.compute_stats ")
    assert (compute_stats.__doc__ or "").strip() in printed
    assert "--stats PATH" in printed
