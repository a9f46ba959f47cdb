"""Average the scores of cross-validation: mean, standard deviation and each fold's value, for both losses.

    dvc exp run --queue -S 'split.fold=range(0,5)'
    dvc queue start
    fakeface folds

Reads the workspace's result and those of the experiments made from a commit, whose scores DVC's cache keeps; results whose
parameters are equal but for the fold are averaged together. Writes nothing. All folds have the same test images and share
training images: the deviation says what another split would change, it is no standard error.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory
from typing import Any

from fakeface.commands import require
from fakeface.core.errors import FakefaceError
from fakeface.core.files import read_json
from fakeface.core.params import read_yaml
from fakeface.core.records import OBJECTIVE_NAMES, SHORT_NAMES

PARAMS, LOCK, SCORES = "params.yaml", "dvc.lock", "metrics/scores.json"
DVC = (sys.executable, "-m", "dvc")
FOLD, FOLDS = "split.fold", "split.folds"
OF_NO_CONSEQUENCE = ("loss", "evaluate", "report")
"""Sections that change none of the averaged scores: which loss is the headline, intervals, pages."""
AVERAGED_SIDES = ("valid", "test")
AVERAGED = ("accuracy", "roc_auc", "average_precision", "equal_error_rate", "brier", "ece")
HOW = "`dvc exp run --queue -S 'split.fold=range(0,5)'` and `dvc queue start` make them"


@dataclass(frozen=True)
class Result:
    """What one run left: its parameters as "section.key", and what `evaluate` wrote to scores.json."""

    params: dict[str, Any]
    scores: dict[str, Any]


@dataclass(frozen=True)
class Folds:
    """Scores by fold of runs with otherwise the same parameters."""

    params: dict[str, Any]
    scores: dict[int, dict[str, Any]]


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters as "section.key"."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def stages_behind(path: str, lock: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What DVC noted of the stages that lead to a file, last first."""
    found: list[dict[str, Any]] = []
    waiting = [path]
    while waiting:
        file = waiting.pop()
        for stage in lock.get("stages", {}).values():
            makes = any(f"{file}/".startswith(f"{out['path']}/") for out in stage.get("outs", ()))
            if makes and stage not in found:
                found.append(stage)
                waiting += (dep["path"] for dep in stage.get("deps", ()))
    return found


def is_of_its_params(params: Mapping[str, Any], lock: Mapping[str, Any]) -> bool:
    """Whether the stages behind the scores ran with these parameters ("section.key"), each on what those before it made.

    A run of one stage alone, or one that was interrupted, leaves the scores of the run before it beside its own parameters.
    """
    stages = stages_behind(SCORES, lock)
    made = {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", ())}
    read = [(dep["path"], dep.get("md5")) for stage in stages for dep in stage.get("deps", ())]
    noted = [pair for stage in stages for pair in flat(stage.get("params", {}).get(PARAMS, {})).items()]
    return (
        bool(stages)
        and all(made.get(path, md5) == md5 for path, md5 in read)
        and all(key in params and params[key] == value for key, value in noted)
    )


def grouped(results: Iterable[Result]) -> list[Folds]:
    """Results with the same parameters but for the fold; of two runs of one fold the first counts."""
    groups: list[Folds] = []
    for result in results:
        rest = {
            key: value for key, value in result.params.items() if key != FOLD and key.partition(".")[0] not in OF_NO_CONSEQUENCE
        }
        group = next((group for group in groups if group.params == rest), None)
        if group is None:
            group = Folds(rest, {})
            groups.append(group)
        group.scores.setdefault(result.params[FOLD], result.scores)
    return groups


def averages(groups: Sequence[Folds]) -> list[dict[str, Any]]:
    """Each group as JSON; `differs` holds the parameters in which the groups are not all alike."""
    keys = {key: None for group in groups for key in group.params}
    differing = [key for key in keys if any(group.params.get(key) != groups[0].params.get(key) for group in groups)]
    found = []
    for group in groups:
        folds = sorted(group.scores)
        of_fold = [group.scores[fold] for fold in folds]
        found.append(
            {
                "differs": {key: group.params.get(key) for key in differing},
                "data": of_fold[0]["data"],
                "folds": folds,
                "missing": [fold for fold in range(group.params[FOLDS]) if fold not in folds],
            }
            | {
                objective: {
                    side: {name: spread([scores[objective][side][name] for scores in of_fold]) for name in AVERAGED}
                    for side in AVERAGED_SIDES
                }
                for objective in OBJECTIVE_NAMES
            }
        )
    return found


def spread(values: Sequence[float | None]) -> dict[str, Any]:
    """Mean and sample standard deviation (n - 1); None where a value is not defined, and where there is only one."""
    known = [value for value in values if value is not None]
    if len(known) < max(len(values), 2):
        return {"mean": None, "sd": None, "values": list(values)}
    return {"mean": fmean(known), "sd": stdev(known), "values": list(values)}


def page(found: Sequence[Mapping[str, Any]]) -> str:
    return "\n\n".join("\n".join(paragraph(group)) for group in found)


def paragraph(group: Mapping[str, Any]) -> Iterator[str]:
    """A group's table: a row per score and side, for each loss."""
    missing = f"; missing: {', '.join(map(str, group['missing']))}" if group["missing"] else ""
    what = "the drawn sample, not real photos" if group["data"] == "sample" else "photos"
    yield f"{len(group['folds'])} of {len(group['folds']) + len(group['missing'])} folds of {what}{missing}"
    yield from (f"{key}: {value}" for key, value in group["differs"].items())
    for objective in OBJECTIVE_NAMES:
        yield ""
        yield _row(SHORT_NAMES[objective], "mean ± sd", [f"fold {fold}" for fold in group["folds"]])
        for side in AVERAGED_SIDES:
            for name, of in group[objective][side].items():
                mean = f"{_number(of['mean'])} ± {_number(of['sd'])}"
                yield _row(f"{side} {name}", mean, [_number(value) for value in of["values"]])


def read_result(params: Path, lock: Path, scores: Path, where: str) -> Result | None:
    """The result that a run left in three files; None where one is missing, or the scores are not those of the parameters.

    Raises:
        FakefaceError: a file is damaged, or the scores are of another version.
    """
    if not all(path.is_file() for path in (params, lock, scores)):
        return None
    result = Result(flat(read_yaml(params)), read_json(scores))
    if not is_of_its_params(result.params, read_yaml(lock)):
        return None
    try:
        averages(grouped([result]))
    except (KeyError, TypeError):
        raise FakefaceError(f"{where}: {PARAMS} or {SCORES} is of another version: run it again") from None
    return result


def experiments(revision: str) -> Iterator[tuple[str, Result | None]]:
    """Name and result of each experiment that was made from a commit: parameters and lock from Git, scores from the cache."""
    commits = _output(*DVC, "exp", "list", "--rev", revision, "--sha-only").decode().split()
    cache = Path(_output(*DVC, "cache", "dir").decode().strip()) if commits else Path()
    for commit in commits:
        with TemporaryDirectory() as folder:
            params, lock = Path(folder, PARAMS), Path(folder, LOCK)
            for path in (params, lock):
                with suppress(FakefaceError):  # a file that the experiment lacks
                    path.write_bytes(_output("git", "show", f"{commit}:./{path.name}"))
            where = f"experiment {commit[:7]}"
            yield where, read_result(params, lock, cache / cached_name(SCORES, lock), where)


def cached_name(file: str, lock: Path) -> str:
    """The path in DVC's cache of the out that a dvc.lock names; one that does not exist where it names none."""
    stages = read_yaml(lock).get("stages", {}).values() if lock.is_file() else ()
    md5 = next((out["md5"] for stage in stages for out in stage.get("outs", ()) if out["path"] == file), "none")
    return f"files/md5/{md5[:2]}/{md5[2:]}"


def run(revision: str | None, *, as_json: bool) -> None:
    """Print the averages; the workspace is of the last commit, so it counts where no other is asked for."""
    require("dvc", "`fakeface folds`")
    found = list(experiments(revision or "HEAD"))
    if revision is None:
        found.insert(0, ("the workspace", read_result(Path(PARAMS), Path(LOCK), Path(SCORES), "the workspace")))
    for where, result in found:
        if result is None:
            print(f"note: {where} is left out: its scores are missing or not those of its parameters", file=sys.stderr)
    groups = grouped(result for _, result in found if result is not None)
    several = [group for group in groups if len(group.scores) > 1]
    if not several:
        known = "; ".join(f"fold {fold} of {group.params[FOLDS]}" for group in groups for fold in group.scores) or "none"
        raise FakefaceError(f"no two folds of the same parameters: found {known}; {HOW}")
    found_averages = averages(several)
    print(json.dumps(found_averages, indent=2, ensure_ascii=False) if as_json else page(found_averages))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", dest="as_json", action="store_true", help="print JSON")
    parser.add_argument(
        "--rev",
        dest="revision",
        metavar="COMMIT",
        help="experiments made from that commit (default: from the last one, and the workspace)",
    )


def _output(*command: str) -> bytes:
    """What a command prints. Raises FakefaceError with its last word where it fails."""
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        complaint = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit {done.returncode}"]
        raise FakefaceError(complaint[-1].removeprefix("ERROR: "))
    return done.stdout


def _row(name: str, mean: str, values: Iterable[str]) -> str:
    return f"{name:<26}{mean:<18}" + "".join(f"{value:<8}" for value in values).rstrip()


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
