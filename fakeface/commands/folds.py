"""Average the scores of cross-validation: mean, standard deviation and each fold's value, for both losses.

    dvc exp run --queue -S 'split.fold=range(0,5)'
    dvc exp run --run-all
    fakeface folds

Scores stand there as distributed and after the web; the pairs of a real photo and a composite made from it are pooled too.
Reads the workspace's result and those of the experiments made from a commit, whose scores DVC's cache keeps; results whose
parameters are equal but for the fold are averaged together. Writes nothing. All folds have the same test images and share
training images: the deviation says what another split would change, it is no standard error.
"""

import argparse
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory
from typing import Any, Literal

from fakeface.commands import require
from fakeface.core.console import tell
from fakeface.core.errors import FakefaceError
from fakeface.core.params import flat_params, read_yaml
from fakeface.core.records import MODEL_LABELS, OBJECTIVE_NAMES
from fakeface.reporting.terminal import DATA_LABELS, number, table_row
from fakeface.scoring.results import LinkedPairScores, ModelScores, Scores, read_scores

PARAMS, LOCK, SCORES = "params.yaml", "dvc.lock", "metrics/scores.json"
DVC = (sys.executable, "-m", "dvc")
FOLD, FOLDS = "split.fold", "split.folds"
IRRELEVANT_SECTIONS = ("loss", "elsewhere", "evaluate", "report")
"""Sections that change none of the averaged scores: which loss is the headline, what else is judged, intervals, pages."""
AVERAGED_SIDES: tuple[Literal["valid", "test"], ...] = ("valid", "test")
ERROR_MARK = re.compile(r"(?:error|fatal): ", re.IGNORECASE)
IRRELEVANT_LINES = ("Having any troubles?", "hint: ")
"""What DVC and Git put beneath a reason."""
HOW_TO_GET_FOLDS = "`dvc exp run --queue -S 'split.fold=range(0,5)'` and `dvc exp run --run-all` make them"


@dataclass(frozen=True)
class Result:
    """The parameters of one run as `section.key`, and its scores."""

    params: dict[str, Any]
    scores: Scores


@dataclass(frozen=True)
class Folds:
    """Scores by fold, of runs whose other parameters are equal."""

    params: dict[str, Any]
    scores: dict[int, Scores]


def stages_behind(path: str, lock: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries in dvc.lock of the stages that lead to a file, last first."""
    entries: list[dict[str, Any]] = []
    waiting = [path]
    while waiting:
        file = waiting.pop()
        for stage in lock.get("stages", {}).values():
            makes = any(f"{file}/".startswith(f"{out['path']}/") for out in stage.get("outs", ()))
            if makes and stage not in entries:
                entries.append(stage)
                waiting += (dep["path"] for dep in stage.get("deps", ()))
    return entries


def scores_match_params(params: Mapping[str, Any], lock: Mapping[str, Any]) -> bool:
    """Whether the stages behind the scores ran with these parameters (`section.key`), each on the outs of those before it.

    A run of a single stage or an interrupted run leaves the scores of an earlier run beside its own parameters.
    """
    stages = stages_behind(SCORES, lock)
    made = {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", ())}
    read = [(dep["path"], dep.get("md5")) for stage in stages for dep in stage.get("deps", ())]
    recorded = [pair for stage in stages for pair in flat_params(stage.get("params", {}).get(PARAMS, {})).items()]
    return (
        bool(stages)
        and all(made.get(path, md5) == md5 for path, md5 in read)
        and all(key in params and params[key] == value for key, value in recorded)
    )


def grouped(results: Iterable[Result]) -> list[Folds]:
    """Results grouped by their parameters without the fold; of two runs of one fold the first counts."""
    groups: list[Folds] = []
    for result in results:
        rest = {
            key: value
            for key, value in result.params.items()
            if key != FOLD and key.partition(".")[0] not in IRRELEVANT_SECTIONS
        }
        group = next((group for group in groups if group.params == rest), None)
        if group is None:
            group = Folds(rest, {})
            groups.append(group)
        group.scores.setdefault(result.params[FOLD], result.scores)
    return groups


def averages(groups: Sequence[Folds]) -> list[dict[str, Any]]:
    """Each group as JSON; `differs` holds the parameters that are not equal in all groups."""
    keys = {key: None for group in groups for key in group.params}
    differing = [key for key in keys if any(group.params.get(key) != groups[0].params.get(key) for group in groups)]
    averaged = []
    for group in groups:
        folds = sorted(group.scores)
        models = {objective: [group.scores[fold].models[objective] for fold in folds] for objective in OBJECTIVE_NAMES}
        averaged.append(
            {
                "differs": {key: group.params.get(key) for key in differing},
                "data": group.scores[folds[0]].data,
                "folds": folds,
                "missing": [fold for fold in range(group.params[FOLDS]) if fold not in folds],
            }
            | {objective: loss_averages(models[objective]) for objective in OBJECTIVE_NAMES}
        )
    return averaged


def loss_averages(folds: Sequence[ModelScores]) -> dict[str, Any]:
    """One loss's scores of each side by name, the gap between train and valid, and valid's linked pairs pooled."""
    sides: dict[str, dict[str, Any]] = {}
    for side in AVERAGED_SIDES:
        headlines = [fold.headline(side) for fold in folds]
        sides[side] = {name: spread([headline[name] for headline in headlines]) for name in headlines[0]}
    sides["test"]["same_table_roc_auc"] = spread([fold.same_table.value for fold in folds])
    gap = spread([fold.train_valid_gap for fold in folds])
    return sides | {"train_valid_gap": gap, "pooled": pooled([fold.valid_linked_pairs for fold in folds])}


def pooled(folds: Sequence[LinkedPairScores]) -> dict[str, Any]:
    """The pairwise accuracy of all folds' valid pairs at once: no pair is on valid in two of them.

    The interval is put together from the folds' own (MOVER, Zou & Donner 2008): groups kept together are independent.
    """
    counts = {"pairs": sum(fold.pairs for fold in folds), "groups": sum(fold.groups for fold in folds)}
    accuracy = lower = upper = 0.0
    for fold in folds:
        if fold.pairwise_accuracy is not None and fold.interval is not None:
            share, (low, high) = fold.pairs / counts["pairs"], fold.interval
            accuracy += share * fold.pairwise_accuracy
            lower += (share * (fold.pairwise_accuracy - low)) ** 2
            upper += (share * (high - fold.pairwise_accuracy)) ** 2
    if not counts["pairs"]:
        return counts | {"pairwise_accuracy": None, "interval": None}
    interval = [max(0.0, accuracy - math.sqrt(lower)), min(1.0, accuracy + math.sqrt(upper))]
    return counts | {"pairwise_accuracy": accuracy, "interval": interval}


def spread(values: Sequence[float | None]) -> dict[str, Any]:
    """Mean and sample standard deviation (n - 1); None where a value is undefined, and where there is only one."""
    defined = [value for value in values if value is not None]
    if len(defined) < max(len(values), 2):
        return {"mean": None, "sd": None, "values": list(values)}
    return {"mean": fmean(defined), "sd": stdev(defined), "values": list(values)}


def page(groups: Sequence[Mapping[str, Any]]) -> str:
    return "\n\n".join("\n".join(paragraph(group)) for group in groups)


def paragraph(group: Mapping[str, Any]) -> Iterator[str]:
    """A group's table: a row per score and side, for each loss."""
    missing = f"; missing: {', '.join(map(str, group['missing']))}" if group["missing"] else ""
    data = DATA_LABELS[group["data"]]
    widths = (26, 18, *(8 for _ in group["folds"]))
    yield f"{len(group['folds'])} of {len(group['folds']) + len(group['missing'])} folds of {data}{missing}"
    yield from (f"{key}: {value}" for key, value in group["differs"].items())
    for objective in OBJECTIVE_NAMES:
        yield ""
        yield table_row((MODEL_LABELS[objective], "mean ± sd", *(f"fold {fold}" for fold in group["folds"])), widths)
        for side in AVERAGED_SIDES:
            for name, score in group[objective][side].items():
                mean = f"{number(score['mean'])} ± {number(score['sd'])}"
                yield table_row((f"{side} {name}", mean, *map(number, score["values"])), widths)
        gap, pairs = group[objective]["train_valid_gap"], group[objective]["pooled"]
        mean = f"{number(gap['mean'])} ± {number(gap['sd'])}"
        yield table_row(("train_valid_gap", mean, *map(number, gap["values"])), widths)
        estimate = number(pairs["pairwise_accuracy"], pairs["interval"])
        yield f"valid pairwise_accuracy, pooled: {estimate}, {pairs['pairs']} pairs in {pairs['groups']} groups"


def read_result(params: Path, lock: Path, scores: Path, where: str) -> Result | None:
    """The result that a run left in three files; None where one is missing, or the scores are not those of the parameters.

    Raises:
        FakefaceError: a file is damaged or of another version.
    """
    if not all(path.is_file() for path in (params, lock, scores)):
        return None
    values = flat_params(read_yaml(params))
    if not scores_match_params(values, read_yaml(lock)):
        return None
    if missing := [key for key in (FOLD, FOLDS) if key not in values]:
        raise FakefaceError(f"{where}: {PARAMS}: {missing[0]}: missing")
    try:
        return Result(values, read_scores(scores))
    except FakefaceError as error:
        raise FakefaceError(f"{where}: {str(error).replace(str(scores), SCORES)}") from None


def experiments(revision: str) -> Iterator[tuple[str, Result | None]]:
    """Name and result of each experiment that was made from a commit: parameters and lock from Git, scores from the cache."""
    commits = _output(*DVC, "exp", "list", "--rev", revision, "--sha-only").decode().split()
    cache = Path(_output(*DVC, "cache", "dir").decode().strip()) if commits else Path()
    for commit in commits:
        with TemporaryDirectory() as folder:
            params, lock = Path(folder, PARAMS), Path(folder, LOCK)
            for path in (params, lock):
                if _output("git", "ls-tree", commit, path.name):
                    path.write_bytes(_output("git", "show", f"{commit}:./{path.name}"))
            where = f"experiment {commit[:7]}"
            yield where, read_result(params, lock, cache / cached_name(SCORES, lock), where)


def cached_name(file: str, lock: Path) -> str:
    """The path in DVC's cache of the out that a dvc.lock names; one that does not exist where it names none."""
    stages = read_yaml(lock).get("stages", {}).values() if lock.is_file() else ()
    md5 = next((out["md5"] for stage in stages for out in stage.get("outs", ()) if out["path"] == file), "none")
    return f"files/md5/{md5[:2]}/{md5[2:]}"


def run(revision: str | None, *, as_json: bool) -> None:
    """Print the averages; the workspace belongs to the last commit, so it counts where `revision` is None."""
    require("dvc", "`fakeface folds`")
    results = list(experiments(revision or "HEAD"))
    if revision is None:
        results.insert(0, ("the workspace", read_result(Path(PARAMS), Path(LOCK), Path(SCORES), "the workspace")))
    for where, result in results:
        if result is None:
            tell(f"note: {where} is left out: its scores are missing or not those of its parameters")
    groups = grouped(result for _, result in results if result is not None)
    several = [group for group in groups if len(group.scores) > 1]
    if not several:
        known = "; ".join(f"fold {fold} of {group.params[FOLDS]}" for group in groups for fold in group.scores) or "none"
        raise FakefaceError(f"no two folds of the same parameters: found {known}; {HOW_TO_GET_FOLDS}")
    averaged = averages(several)
    print(json.dumps(averaged, indent=2, ensure_ascii=False) if as_json else page(averaged))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", dest="as_json", action="store_true", help="print JSON")
    parser.add_argument(
        "--rev",
        dest="revision",
        metavar="COMMIT",
        help="experiments made from that commit (default: from the last one, and the workspace)",
    )


def _output(*command: str) -> bytes:
    """What a command prints. Raises FakefaceError with its reason, if it fails."""
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise FakefaceError(reason_in(done.stderr.decode(errors="replace")) or f"{command[0]}: exit {done.returncode}")
    return done.stdout


def reason_in(stderr: str) -> str:
    """Why a program failed, in one line: what it says from its first word of an error on, else its last line."""
    lines = [" ".join(line.split()) for line in stderr.splitlines()]
    lines = [line for line in lines if line and not line.startswith(IRRELEVANT_LINES)]
    starts = [number for number, line in enumerate(lines) if ERROR_MARK.match(line)]
    if "Traceback (most recent call last):" in lines or not starts:
        return lines[-1] if lines else ""
    return " ".join(ERROR_MARK.sub("", line) for line in lines[starts[0] :])
