"""Parts about whole commands: a repro with nothing to do, the first run, what each stage imports."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import yaml

from bench.photos import draw_small
from bench.rounds import PROJECT, Go, Goal, Measures, Options, Result, alternating, timed

DVC = (sys.executable, "-m", "dvc")
HEAVY = ("torch", "torchvision", "mlflow")
HELPERS = ("fakeface.commands.predict", "fakeface.commands.scores")
EMPTY_STAGES = 6
FIRST_RUN_S = 120


def output_of(*command: str | Path, cwd: Path = PROJECT) -> str:
    """What a command prints, errors with it; in an activated environment, outside of any DVC run. Raises RuntimeError."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))}
    kept |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}", "DVC_NO_ANALYTICS": "true"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=kept, check=False, **pipes)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}")
    return str(done.stdout)


def idle_repro(folder: Path) -> Measures:
    """Raises RuntimeError where it was not idle, but for `scan`, which looks for changed photos."""
    printed: list[str] = []
    measures = timed(lambda: printed.append(output_of(*DVC, "repro", cwd=folder)))
    if set(re.findall(r"Running stage '(\w+)'", printed[0])) - {"scan"}:
        raise RuntimeError(f"dvc repro had something to do:\n{printed[0]}")
    return measures


def dvc_noop(options: Options) -> Result:
    """`dvc repro` with nothing to do, against six empty stages and against as many as there are."""
    ours, stages = copied_project(options.scratch), list(project_stages())
    draw_small(ours / "data/sample", options.images)
    listings = ("--listing", "data/listing.csv", "--elsewhere", "data/elsewhere_listing.csv")
    output_of(sys.executable, "-m", "stages.scan", *listings, cwd=ours)
    needed = {name for stage in stages for name in (*stage["deps"], *outs(stage))}
    for name in sorted(needed, key=len, reverse=True):  # what lies in a folder before the folder
        path = ours / name
        if not path.exists() and "${" not in name:
            path = path if path.suffix else path / "part"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name, encoding="utf-8")
    output_of(*DVC, "commit", "--force", cwd=ours)
    six, as_many = (f"{count} empty stages" for count in (EMPTY_STAGES, len(stages)))
    contenders: dict[str, Go] = {
        "fakeface": partial(idle_repro, ours),
        six: partial(idle_repro, empty_pipeline(options.scratch, EMPTY_STAGES)),
        as_many: partial(idle_repro, empty_pipeline(options.scratch, len(stages))),
    }
    return Result(
        "dvc_noop",
        f"`dvc repro` with nothing to do: this project's {len(stages)} stages on placeholders of their outputs; stages that "
        "copy a line.",
        alternating("dvc_noop", contenders, options.rounds),
        [Goal("fakeface", six, at_most=1.3), Goal("fakeface", as_many)],
        {"photos": options.images},
    )


def make_run(options: Options) -> Result:
    """What `make run` does after the installation, on a fresh copy: `dvc repro` on the drawn sample."""

    def first_repro() -> Measures:
        fresh = copied_project(options.scratch)
        return timed(lambda: output_of(*DVC, "repro", cwd=fresh))

    rows = alternating("make_run", {"fakeface": first_repro}, options.rounds)
    return Result("make_run", "`dvc repro` on a fresh copy, as committed.", rows, [Goal("fakeface", at_most=FIRST_RUN_S)])


def imports(options: Options) -> Result:
    """What each stage imports, and how long it takes to start, against Python alone and against importing torch and MLflow."""
    commands = "\n".join(stage["cmd"] for stage in project_stages())
    modules = sorted(set(re.findall(r"python -m (stages\.\w+)", commands)) | set(HELPERS))
    contenders: dict[str, Go] = {module: partial(started, module) for module in modules}
    contenders |= {"Python alone": partial(started, "sys"), "torch and MLflow": partial(started, "torch, mlflow")}
    rows = alternating("imports", contenders, options.rounds)
    light = [module for module in modules if module != "stages.train"]
    return Result(
        "imports",
        f"A new process that imports one module; heavy: how many of {', '.join(HEAVY)} it imported.",
        rows,
        [Goal(name, measure="heavy", at_most=0) for name in light],
    )


def started(modules: str) -> Measures:
    code = f"import {modules}; import sys; print(len(set(sys.modules) & {set(HEAVY)}))"
    printed: list[str] = []
    return timed(lambda: printed.append(output_of(sys.executable, "-c", code))) | {"heavy": float(printed[0])}


def project_stages() -> Iterator[dict[str, Any]]:
    yield from yaml.safe_load((PROJECT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values()


def outs(stage: dict[str, Any]) -> list[str]:
    found = [*stage.get("outs", ()), *stage.get("metrics", ()), *stage.get("plots", ())]
    return [out if isinstance(out, str) else next(iter(out)) for out in found]


def copied_project(scratch: Path) -> Path:
    """What Git tracks or would track, without locks, in a repository of its own."""
    folder = Path(mkdtemp(dir=scratch))
    listed = output_of("git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    for file in listed:
        if (PROJECT / file).is_file() and not file.endswith("dvc.lock"):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / file, folder / file)
    output_of("git", "init", "--quiet", cwd=folder)
    return folder


def empty_pipeline(scratch: Path, count: int) -> Path:
    """A repository whose stages hand a line on, and have run."""
    folder = Path(mkdtemp(dir=scratch))
    stages = {
        f"stage{number}": {"cmd": f"cp {number}.txt {number + 1}.txt", "deps": [f"{number}.txt"], "outs": [f"{number + 1}.txt"]}
        for number in range(count)
    }
    (folder / "0.txt").write_text("a line\n", encoding="utf-8")
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")
    output_of("git", "init", "--quiet", cwd=folder)
    output_of(*DVC, "init", "--quiet", cwd=folder)
    output_of(*DVC, "repro", cwd=folder)
    return folder
