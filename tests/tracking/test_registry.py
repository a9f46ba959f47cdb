"""What `report` registers, and when a version becomes the champion: real databases, and a real server."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fakeface.commands import promote
from tests.checkout import PROJECT, environment
from tests.conftest import Command, Outcome
from tests.test_tracking import free_port, mlflow_server
from tests.tracking.candidates import images_of, write_candidate

POOR, FAIR, ALIKE, GOOD, ELSEWHERE = "1", "2", "3", "4", "5"
"""Versions by what they are: FAIR and ALIKE differ by chance, ELSEWHERE was tested on other images."""


@pytest.fixture(scope="module")
def candidates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By the version that each becomes."""
    root = tmp_path_factory.mktemp("candidates")
    skills = {POOR: 0.2, FAIR: 1.5, ALIKE: 1.7, GOOD: 4.0, ELSEWHERE: 9.0}
    for number, skill in skills.items():
        (root / number).mkdir()
        write_candidate(root / number, skill, images_of(120, 60 if number == ELSEWHERE else 0))
    return {number: root / number for number in skills}


def reported(candidates: dict[str, Path], checkout: Path, uri: str) -> str:
    """What `report` prints of the candidates, one after the other."""
    named = [f"{folder}={'not clearly' if number == POOR else 'beats'}" for number, folder in candidates.items()]
    done = subprocess.run(
        [sys.executable, "-m", "tests.tracking.candidates", *named],
        cwd=checkout,
        env=environment(PYTHONPATH=str(PROJECT), DVC_ROOT=str(checkout), MLFLOW_TRACKING_URI=uri),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return done.stdout


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory, candidates: dict[str, Path]) -> Path:
    """A checkout whose database has all candidates, and no champion."""
    checkout = tmp_path_factory.mktemp("registered")
    assert reported(candidates, checkout, "") == "done\n"
    return checkout


@pytest.fixture
def client(registered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Of a copy of that database, which this process is told to use."""
    import mlflow

    shutil.copy(registered / "mlflow.db", tmp_path / "registry.db")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/registry.db")
    return mlflow.MlflowClient(f"sqlite:///{tmp_path}/registry.db")


def champion(client: Any) -> str | None:
    return {name: str(number) for name, number in client.get_registered_model("fakeface").aliases.items()}.get("champion")


def test_each_candidate_is_a_version_with_its_tags_and_no_champion_yet(client: Any) -> None:
    versions = {str(version.version): version for version in client.search_model_versions("name='fakeface'")}
    assert sorted(versions) == [POOR, FAIR, ALIKE, GOOD, ELSEWHERE]
    assert versions[POOR].tags["against_baselines"] == "not clearly"
    assert versions[GOOD].tags["data"] == "sample"
    assert versions[GOOD].tags["objective"] == "ce"
    assert client.get_run(versions[GOOD].run_id).info.run_name == "train_ce"
    assert champion(client) is None


def test_a_report_made_anew_renews_the_tags_and_makes_no_second_version(
    client: Any, candidates: dict[str, Path], tmp_path: Path
) -> None:
    assert reported({POOR: candidates[FAIR]}, tmp_path, f"sqlite:///{tmp_path}/registry.db") == "done\n"
    versions = {str(version.version): version for version in client.search_model_versions("name='fakeface'")}
    assert len(versions) == 5
    assert versions[FAIR].tags["against_baselines"] == "not clearly"


def test_a_better_one_takes_the_place_and_one_that_differs_by_chance_does_not(client: Any, command: Command) -> None:
    first = command(promote, FAIR)
    expected = "models:/fakeface/2 is the champion, the first: it beats the best baseline that sees no face\n"
    assert first == Outcome(0, expected, "")
    refused = command(promote, ALIKE)
    assert (refused.status, refused.out, refused.err.count("\n")) == (1, "", 1)
    assert refused.err.startswith("error: models:/fakeface/3: AUC +0.")
    assert "against models:/fakeface/2 on the same 120 test images (95 % interval -" in refused.err
    assert champion(client) == FAIR
    better = command(promote, GOOD)
    assert (better.status, better.err) == (0, "")
    assert better.out.startswith("models:/fakeface/4 is the champion, in place of models:/fakeface/2: AUC +0.")
    assert champion(client) == GOOD
    assert client.get_model_version("fakeface", GOOD).tags["fakeface.in_place_of"] == FAIR
    assert command(promote, GOOD) == Outcome(0, "models:/fakeface/4 is the champion already\n", "")
    assert command(promote, FAIR).status == 1
    assert champion(client) == GOOD


def test_the_first_champion_has_to_beat_the_baselines(client: Any, command: Command) -> None:
    outcome = command(promote, POOR)
    assert outcome.err == (
        "error: models:/fakeface/1: against the best baseline that sees no face: 'not clearly': expected 'beats' of the first "
        "champion; `--force REASON` makes it the champion all the same\n"
    )
    assert (outcome.status, champion(client)) == (1, None)


def test_force_needs_a_reason_and_keeps_it(client: Any, command: Command) -> None:
    assert command(promote, POOR, "--force", " ").status == 2
    assert champion(client) is None
    outcome = command(promote, POOR, "--force", "a demonstration")
    assert outcome == Outcome(0, "models:/fakeface/1 is the champion, the first: forced\n", "")
    assert client.get_model_version("fakeface", POOR).tags["fakeface.forced"] == "a demonstration"
    assert champion(client) == POOR


def test_the_newest_version_is_meant_and_one_of_other_test_images_is_not_compared(client: Any, command: Command) -> None:
    command(promote, FAIR)
    outcome = command(promote)
    assert outcome.err == (
        "error: models:/fakeface/5: 120 test images, 60 of them among the 120 of models:/fakeface/2: expected the same ones, "
        "or their scores do not compare\n"
    )
    assert champion(client) == FAIR


def test_a_version_that_is_not_there_is_one_line(client: Any, command: Command) -> None:
    assert command(promote, "77").err == "error: models:/fakeface/77: not registered: expected versions 1, 2, 3, 4, 5\n"


def test_two_at_once_leave_one_champion_and_the_worse_does_not_win(client: Any, tmp_path: Path) -> None:
    """Whichever is first, the other is compared with it."""
    env = environment(PYTHONPATH=str(PROJECT), DVC_ROOT=str(tmp_path), MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path}/registry.db")
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "fakeface", "promote", number], cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True
        )
        for number in (FAIR, GOOD)
    ]
    errors = [process.communicate()[1] for process in both]
    assert champion(client) == GOOD
    assert errors[1] == ""
    assert errors[0] == "" or errors[0].startswith("error: models:/fakeface/2: AUC -0.")


def test_a_champion_made_meanwhile_is_not_replaced_unseen(client: Any) -> None:
    """As from another machine, whose lock is not ours."""
    from fakeface.core.errors import FakefaceError
    from fakeface.tracking.registry import open_registry

    with open_registry() as registry:
        good = registry.version(GOOD)
        client.set_registered_model_alias("fakeface", "champion", FAIR)
        with pytest.raises(FakefaceError, match="another promotion was faster; nothing is changed"):
            registry.promote(good, None, "in a hurry")
    assert champion(client) == FAIR
    assert "fakeface.forced" not in client.get_model_version("fakeface", GOOD).tags


def test_a_server_has_its_champion_too_and_one_that_is_down_is_one_line(
    candidates: dict[str, Path], tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    port = free_port()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with mlflow_server(tmp_path / "server", port) as uri:
        told = reported({FAIR: candidates[FAIR], GOOD: candidates[GOOD]}, tmp_path, uri)
        assert [line for line in told.splitlines() if "is slow to answer" not in line] == ["done"]
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert command(promote, "1").status == 0
        assert command(promote, "2").status == 0
        assert champion(mlflow.MlflowClient(uri)) == "2"
    outcome = command(promote, "1")
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (1, "", 1)
    assert outcome.err.startswith(f"error: MLflow at {uri}: ")


def test_before_anything_is_registered_one_line_says_what_is_missing(tmp_path: Path) -> None:
    done = promoted(tmp_path, "sqlite:///empty.db")
    assert done.stderr == "error: models:/fakeface: not registered: expected a model that `report` has registered\n"
    assert (done.returncode, done.stdout) == (1, "")


def promoted(checkout: Path, uri: str) -> subprocess.CompletedProcess[str]:
    """`fakeface promote` as the shell starts it."""
    env = environment(PYTHONPATH=str(PROJECT), DVC_ROOT=str(checkout), MLFLOW_TRACKING_URI=uri)
    command = [sys.executable, "-m", "fakeface", "promote"]
    return subprocess.run(command, cwd=checkout, env=env, text=True, capture_output=True)
