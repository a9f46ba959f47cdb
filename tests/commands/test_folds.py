import json
import os
import sys
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakeface.commands.folds import (
    AVERAGED_SIDES,
    Result,
    averages,
    grouped,
    page,
    pooled,
    reason_in,
    scores_match_params,
    spread,
)
from fakeface.core.params import flat_params
from fakeface.core.records import OBJECTIVE_NAMES
from fakeface.scoring.evaluation import linked_pair_scores
from fakeface.scoring.intervals import resample
from fakeface.scoring.predictions import LinkedPairs
from fakeface.scoring.results import HEADLINE, SCORE_NAMES, LinkedPairScores, Scores, SideScores
from tests.checkout import Checkout
from tests.conftest import ROOT
from tests.scored import model, scores

PARAMS = {"loss": "ce", "threshold": "half", "split.fold": 0, "split.folds": 5, "split.by": "group", "train.lr": 1e-3}
SCRIPT = """
from dataclasses import asdict, replace
from pathlib import Path

import yaml

from fakeface.core.files import write_json
from fakeface.scoring.results import SCORE_NAMES, SideScores
from tests.scored import model, scores

params = yaml.safe_load(Path("params.yaml").read_text())
side = SideScores(9, **dict.fromkeys(SCORE_NAMES, params["split"]["fold"] / 10 + params["train"]["epochs"]))
trained = model(valid=side, test=replace(side, ece=None))
write_json(Path("metrics/scores.json"), asdict(scores(trained, trained)))
"""
PIPELINE = """
stages:
  split:
    cmd: grep fold params.yaml > split.txt
    params: [split]
    outs: [split.txt]
  evaluate:
    cmd: python evaluate.py
    params: [loss, train]
    deps: [split.txt]
    outs: [metrics/scores.json]
"""


def scores_at(value: float) -> Scores:
    """Every score of every model and side is another multiple of `value`."""
    multiples = (value * factor for factor in count(1))
    sides = [SideScores(9, *(next(multiples) for _ in SCORE_NAMES)) for _ in range(4)]
    ce, bce = (model(valid=sides[at], test=sides[at + 1]) for at in (0, 2))
    return scores(ce, bce, data="photos")


def result(fold: int, value: float = 0.01, **changes: Any) -> Result:
    return Result(
        PARAMS | {"split.fold": fold} | {key.replace("__", "."): value for key, value in changes.items()}, scores_at(value)
    )


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_spread_is_mean_and_sample_deviation(values: list[float]) -> None:
    found = spread(values)
    assert found["mean"] == pytest.approx(np.mean(values))
    assert found["sd"] == pytest.approx(np.std(values, ddof=1), abs=1e-9)
    assert found["values"] == values


def test_what_is_undefined_in_a_fold_has_no_mean() -> None:
    assert spread([0.5, None, 0.7]) == {"mean": None, "sd": None, "values": [0.5, None, 0.7]}


def test_folds_are_averaged_for_each_loss_and_side() -> None:
    (group,) = averages(grouped([result(2, 0.03), result(0, 0.01), result(4, 0.04)]))
    assert (group["folds"], group["missing"], group["differs"], group["data"]) == ([0, 2, 4], [1, 3], {}, "photos")
    assert group["ce"]["valid"]["accuracy"]["values"] == [0.01, 0.03, 0.04]
    for objective in OBJECTIVE_NAMES:
        for side in AVERAGED_SIDES:
            folds = [scores_at(value).models[objective] for value in (0.01, 0.03, 0.04)]
            for name in HEADLINE:
                assert group[objective][side][name] == spread([getattr(getattr(fold, side), name) for fold in folds])
            webs = [fold.web if side == "test" else fold.valid_web for fold in folds]
            for name in ("accuracy", "roc_auc"):
                assert group[objective][side][f"web_{name}"] == spread([getattr(web, name) for web in webs])
            assert group[objective][side]["web_drop"] == spread([web.drop.difference for web in webs])
        assert group[objective]["train_valid_gap"] == spread([0.2] * 3)
        assert group[objective]["valid"]["pairwise_accuracy"] == spread([0.8] * 3)


def pairs_of(groups: list[list[bool]], seed: int) -> tuple[LinkedPairScores, list[list[bool]]]:
    """A fold whose pairs, group by group, are in the right order or not; its interval is that of `evaluate`."""
    above = [right for group in groups for right in group]
    positions = np.arange(2 * len(above)).reshape(-1, 2)
    p_fake = np.array([[0.4, 0.6] if right else [0.6, 0.4] for right in above]).ravel()
    names = [str(number) for number, group in enumerate(groups) for _ in range(2 * len(group))]
    return linked_pair_scores(LinkedPairs(positions, len(groups)), p_fake, resample(names, 2000, seed)), groups


def test_pooled_pairs_are_as_if_all_folds_were_one() -> None:
    """The share exactly, the interval nearly: that of resampling the groups of all folds together."""
    rng = np.random.default_rng(0)
    folds = [
        pairs_of([list(rng.random(rng.integers(1, 4)) < share) for _ in range(60)], seed)
        for seed, share in enumerate((0.6, 0.7, 0.8, 0.65, 0.75))
    ]
    whole, _ = pairs_of([group for _, groups in folds for group in groups], seed=9)
    found = pooled([fold for fold, _ in folds])
    assert (found["pairs"], found["groups"]) == (whole.pairs, whole.groups)
    assert found["pairwise_accuracy"] == pytest.approx(whole.pairwise_accuracy)
    assert whole.interval is not None
    assert found["interval"] == pytest.approx(whole.interval, abs=0.015)


def test_folds_without_pairs_add_nothing_to_the_pool() -> None:
    none, some = LinkedPairScores(0, 0, None, None), LinkedPairScores(8, 5, 0.75, (0.5, 1.0))
    assert pooled([none, some]) == {"pairs": 8, "groups": 5, "pairwise_accuracy": 0.75, "interval": [0.5, 1.0]}
    assert pooled([none, none]) == {"pairs": 0, "groups": 0, "pairwise_accuracy": None, "interval": None}


def test_a_fold_that_ran_twice_counts_once() -> None:
    (group,) = grouped([result(0, 0.01), result(1, 0.02), result(0, 0.9)])
    assert group.scores == {0: scores_at(0.01), 1: scores_at(0.02)}


def test_which_loss_is_the_headline_does_not_matter() -> None:
    (group,) = grouped([result(0), result(1, loss="bce"), result(2, evaluate__resamples=9), result(3, report__mistakes=1)])
    assert sorted(group.scores) == [0, 1, 2, 3]


@pytest.mark.parametrize("changes", [{"train__lr": 1e-4}, {"split__by": "image"}, {"threshold": "few_false_alarms"}])
def test_other_parameters_are_another_group(changes: dict[str, Any]) -> None:
    """A threshold too: accuracy under one is not averaged with accuracy under another."""
    groups = grouped([result(fold, **also) for fold in (0, 1) for also in ({}, changes)])
    assert [sorted(group.scores) for group in groups] == [[0, 1], [0, 1]]
    ((key, value),) = changes.items()
    name = key.replace("__", ".")
    assert [group["differs"] for group in averages(groups)] == [{name: PARAMS[name]}, {name: value}]


def test_a_parameter_that_only_one_group_has_differs() -> None:
    groups = grouped([result(fold, **also) for fold in (0, 1) for also in ({}, {"train__new": 1})])
    assert [group["differs"] for group in averages(groups)] == [{"train.new": None}, {"train.new": 1}]


def test_the_page_has_a_table_for_each_loss_under_what_differs() -> None:
    groups = grouped([result(fold, 0.01 * (fold + 1), split__by=by) for by in ("group", "image") for fold in (0, 1, 3)])
    lines = page(averages(groups)).splitlines()
    assert lines[:5] == [
        "3 of 5 folds of photos; missing: 2, 4",
        "split.by: group",
        "",
        "cross-entropy             mean ± sd         fold 0  fold 1  fold 3",
        "valid accuracy            0.023 ± 0.015     0.010   0.020   0.040",
    ]
    assert lines[5].startswith("valid web_accuracy        0.610 ± 0.000 ")
    assert lines.count("valid pairwise_accuracy, pooled: 0.800 (0.713 to 0.858), 90 pairs in 63 groups") == 4
    assert lines.count("BCE                       mean ± sd         fold 0  fold 1  fold 3") == 2
    assert "split.by: image" in lines
    assert len([line for line in lines if line.startswith("test roc_auc ")]) == 4


def lock_of(params: dict[str, Any], split_md5: str = "1", read_md5: str = "1") -> dict[str, Any]:
    """A dvc.lock with a stage before `evaluate`, one after it, and one that is no longer there."""
    deps = [{"path": "data/split.csv", "md5": read_md5}, {"path": "stages/evaluate.py", "md5": "9"}]
    outs = [{"path": "data/split.csv", "md5": split_md5}]
    scores = [{"path": "metrics/scores.json", "md5": "3"}]
    return {
        "stages": {
            "split": {"params": {"params.yaml": {"split": params["split"]}}, "outs": outs},
            "evaluate": {"deps": deps, "params": {"params.yaml": {"loss": params["loss"]}}, "outs": scores},
            "report": {"deps": [{"path": "metrics/scores.json", "md5": "2"}], "outs": [{"path": "report.html", "md5": "4"}]},
            "old": {"params": {"params.yaml": {"gone": 1}}, "outs": [{"path": "old.csv", "md5": "5"}]},
        }
    }


def test_scores_older_than_their_parameters_do_not_match_them() -> None:
    params = {"loss": "ce", "split": {"fold": 0, "folds": 5}}
    assert scores_match_params(flat_params(params), lock_of(params))
    assert not scores_match_params(flat_params(params | {"loss": "bce"}), lock_of(params))
    assert not scores_match_params(flat_params(params | {"split": {"fold": 1, "folds": 5}}), lock_of(params))
    assert not scores_match_params({"loss": "ce"}, lock_of(params))
    assert not scores_match_params(flat_params(params), lock_of(params, split_md5="2"))  # split ran again, evaluate did not
    assert not scores_match_params(flat_params(params), {})


@pytest.fixture
def project(tmp_path: Path) -> Checkout:
    """A pipeline that takes a moment, which has run once: as in a clone, its lock is committed by nobody."""
    checkout = Checkout(tmp_path / "project")
    (checkout.root / "metrics").mkdir(parents=True)
    checkout.env["PYTHONPATH"] = str(ROOT)
    checkout.run("git", "init", "--quiet", "--initial-branch", "main")
    checkout.run("dvc", "init", "--quiet")
    checkout.run("dvc", "config", "core.analytics", "false")
    (checkout.root / "evaluate.py").write_text(SCRIPT)
    (checkout.root / "dvc.yaml").write_text(PIPELINE)
    (checkout.root / "params.yaml").write_text("loss: ce\nsplit: {folds: 4, fold: 0}\ntrain: {epochs: 0, lr: 1e-3}\n")
    (checkout.root / ".gitignore").write_text("/split.txt\n/metrics/*\n!/metrics/README.md\n")
    (checkout.root / "metrics/README.md").write_text("The folder has to be there.\n")
    checkout.commit()
    checkout.run("dvc", "repro", "--quiet")
    assert checkout.run("git", "status", "--porcelain").stdout == "?? dvc.lock\n"
    return checkout


def average(checkout: Checkout, *options: str) -> str:
    return checkout.run(sys.executable, "-m", "fakeface", "folds", *options, check=False).stdout


def test_experiments_are_found_and_averaged(project: Checkout) -> None:
    """Two folds for each of two parameters, one of which the workspace has too; and an experiment without scores of its own."""
    project.run("dvc", "exp", "run", "--queue", "--quiet", "-S", "split.fold=0,2", "-S", "train.epochs=0,1")
    project.run("dvc", "exp", "run", "--run-all", "--quiet")
    project.run("dvc", "exp", "run", "--quiet", "-S", "split.fold=3", "split")
    project.run("git", "checkout", "--quiet", ".")
    assert "is cached" in project.run("dvc", "repro").stdout  # the workspace's own result again
    note, _, rest = average(project, "--json").partition("\n")
    assert note.startswith("note: experiment ")
    assert note.endswith(" is left out: its scores are missing or not those of its parameters")
    own, other = json.loads(rest)
    assert (own["differs"], own["folds"], own["missing"]) == ({"train.epochs": 0}, [0, 2], [1, 3])
    assert (other["differs"], other["folds"], other["missing"]) == ({"train.epochs": 1}, [0, 2], [1, 3])
    assert own["bce"]["valid"]["accuracy"] == spread([0, 0.2])
    assert other["ce"]["test"]["roc_auc"] == spread([1, 1.2])
    assert own["ce"]["test"]["ece"] == spread([None, None])

    (project.root / "notes.txt").write_text("The next commit has no experiments yet.\n")
    project.commit()
    assert average(project).startswith("error: no two folds of the same parameters: found fold 0 of 4; ")
    text = average(project, "--rev", "HEAD~1")
    assert "2 of 4 folds of the drawn sample, not real photos; missing: 1, 3\ntrain.epochs: 0\n" in text
    assert "valid accuracy            0.100 ± 0.141     0.000   0.200\n" in text
    assert "test ece                  - ± -             -       -\n" in text


def test_an_experiment_with_damaged_scores_is_named(project: Checkout) -> None:
    (project.root / "metrics/scores.json").write_text('{"data": "sample"}')
    expected = "error: the workspace: metrics/scores.json: pairs_across_sides: missing; `dvc repro evaluate` writes it anew\n"
    assert average(project) == expected


def test_without_folds_one_line_says_how_to_get_them(project: Checkout) -> None:
    expected = "`dvc exp run --queue -S 'split.fold=range(0,5)'` and `dvc exp run --run-all` make them"
    assert average(project) == f"error: no two folds of the same parameters: found fold 0 of 4; {expected}\n"
    assert average(project, "--rev", "nonsense") == "error: unknown Git revision 'nonsense'\n"
    project.set_params({"loss": "bce"})
    (project.root / "params.yaml").write_text((project.root / "params.yaml").read_text().replace("fold: 0", "fold: 1"))
    note, error = average(project).splitlines()
    assert note == "note: the workspace is left out: its scores are missing or not those of its parameters"
    assert error == f"error: no two folds of the same parameters: found none; {expected}"


def test_outside_of_a_project_it_is_one_line(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path, {**os.environ, "PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1"})
    output = average(checkout)
    assert output.startswith("error: ")
    assert output.count("\n") == 1


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ("WARNING: slow\nERROR: bad - x: y\n\nHaving any troubles? Hit us up at https://dvc.org/support\n", "bad - x: y"),
        ("fatal: dubious\nTo add an exception, call:\n\n\tgit config x\n", "dubious To add an exception, call: git config x"),
        ("error: not a tree\nhint: try another\n", "not a tree"),
        ("Traceback (most recent call last):\n  File x\nImportError: No module 'dvc'\n", "ImportError: No module 'dvc'"),
        ("git: 'shw' is not a git command\n", "git: 'shw' is not a git command"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_reason_of_another_program_is_found_wherever_it_stands(stderr: str, reason: str) -> None:
    assert reason_in(stderr) == reason


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository away")
def test_a_repository_of_another_owner_is_named(project: Checkout) -> None:
    for path in (project.root, *project.root.rglob("*")):
        os.chown(path, 1234, 1234)
    line = average(project)
    assert line.startswith("error: ")
    assert "is not owned by current user" in line
    assert line.count("\n") == 1


def test_what_git_refuses_is_not_taken_for_a_file_that_is_missing(project: Checkout) -> None:
    project.run("dvc", "exp", "run", "--quiet", "-S", "split.fold=1")
    project.env["GIT_TEST_ASSUME_DIFFERENT_OWNER"] = "1"
    assert average(project).startswith("error: detected dubious ownership in repository at ")
