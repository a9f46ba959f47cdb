"""Part: what it costs to have the photos' stages work on Dask's workers, and a training done by several processes."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import psutil

from bench.child import measured
from bench.machines import Machines, machines
from bench.photos import Workspace, draw_small, new_workspace, write_params
from bench.rounds import PROJECT, Go, Goal, Measures, Options, Result, Rows, alternating, timed
from bench.verdicts import OFFLINE_RECIPE, with_models
from fakeface.core.cores import available_cores
from fakeface.core.files import read_json, write_rows
from fakeface.core.listing import FileRecord
from fakeface.core.parallel import MIN_TASK_ITEMS, SCHEDULER, TASK_S
from fakeface.detector import RUN_FILE
from fakeface.params import IndexParams, load_params
from stages import index, infer, pack

OVERHEAD = 1.1
"""Times the threads' CPU that workers on the same cores may take, with the scheduler and the process that gives out."""
GROWTH = 1.2
"""By this factor may the memory of the process that gives out the work grow with the number of photos."""
EPOCHS = 2


def cluster(options: Options) -> Result:
    """index, pack and infer on workers against threads on the same cores; memory; empty tasks; training by two processes."""
    work, _ = with_models(options, OFFLINE_RECIPE)
    rows: Rows = {}
    goals = []
    cores = sorted(os.sched_getaffinity(0))
    for count in dict.fromkeys((1, len(cores))):
        with confined_to(cores[:count]), machines(Path(mkdtemp(dir=options.scratch)), workers=count) as running:
            contenders: dict[str, Go] = {}
            for stage, action in _actions(work).items():
                on_threads, on_workers = f"{stage}, threads on {count}", f"{stage}, workers on {count}"
                contenders[on_threads] = partial(_photos, options.images, None, action)
                contenders[on_workers] = partial(_photos, options.images, running, action)
                goals.append(Goal(on_workers, on_threads, "cpu_s", at_most=OVERHEAD))
            rows |= alternating("cluster", contenders, options.rounds)
            if count == len(cores):
                small, *_, large = options.sizes
                by_size = _sizes(options, str(running.scheduler_file))
                rows |= alternating("cluster", by_size, 1)
                goals.append(Goal(_of_photos(large), _of_photos(small), "peak_mib", at_most=GROWTH))
    rows |= alternating("cluster", _trainings(options), 1 if options.rounds == 1 else 2)
    return Result(
        "cluster",
        f"Photos of 600 px, {options.images} of them, in tasks of {MIN_TASK_ITEMS} or some {TASK_S} s; scheduler, workers of "
        "one thread each and the process that gives out the work share the cores. The numbers of photos are of one small photo "
        "again and again.",
        rows,
        goals,
        {"photos": options.images, "cores": len(cores)},
    )


@contextmanager
def confined_to(cores: list[int]) -> Iterator[None]:
    """What this process starts within the block, threads too, runs on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _actions(work: Workspace) -> dict[str, Callable[[], None]]:
    paths, root = work.paths, work.root
    again = index.Paths(root / "listing.csv", root / "i.csv", root / "rejected.csv", root / "i.json")
    nothing = root / "elsewhere_listing.csv"
    write_rows(nothing, FileRecord, [])
    outs = (root / name for name in ("p.csv", "w.csv", "e.csv", "elsewhere.csv", "elsewhere.json"))
    scored = infer.Paths(paths.split, nothing, root, *outs)
    return {
        "index": partial(index.run, again, work.photos, load_params(paths.params, "index", IndexParams)),
        "pack": partial(pack.run, pack.Paths(paths.split, work.faces, root / "again"), work.photos, work.pack_params),
        "infer": partial(infer.run, scored, work.photos, None),
    }


def _photos(count: int, running: Machines | None, action: Callable[[], None]) -> Measures:
    """`cpu_s` is that of all processes: what else the machine does changes it less than the time that passes."""
    processes = [psutil.Process(of.pid) for of in ([running.scheduler, *running.workers] if running else [])]
    processes.append(psutil.Process())
    os.environ[SCHEDULER] = str(running.scheduler_file) if running else ""
    before = _cpu_s(processes)
    with redirect_stdout(sys.stderr):
        measures = timed(action)
    del os.environ[SCHEDULER]
    return measures | {"cpu_s": _cpu_s(processes) - before, "photos_per_s": count / measures["s"]}


def _cpu_s(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _of_photos(count: int) -> str:
    return f"{count:,} photos given out"


def _sizes(options: Options, scheduler: str) -> dict[str, Go]:
    """The fewest and the most photos, by a process of its own, and tasks that do nothing."""
    draw_small(options.scratch / "small", 1)
    photo = options.scratch / "small/real/000000.jpg"
    small, *_, large = options.sizes

    def given_out(count: int) -> Measures:
        return measured("bench.pixels", "give_out", photo, count, **{SCHEDULER: scheduler})

    def empty() -> Measures:
        seconds = measured("bench.pixels", "give_out_nothing", small, **{SCHEDULER: scheduler})["s"]
        return {"tasks_per_s": small / seconds}

    return {_of_photos(count): partial(given_out, count) for count in (small, large)} | {"tasks that do nothing": empty}


def _trainings(options: Options) -> dict[str, Go]:
    """One process on all cores, and as many processes as cores, of one thread each."""
    epochs = {"epochs": EPOCHS, "patience": EPOCHS, "device": "cpu"}
    work = new_workspace(options, options.recipe or PROJECT / "recipes/quick.yaml", {"train": epochs}, valid_share=0.2)

    def trained(processes: int, threads: int) -> Measures:
        params = work.root / f"{processes}.yaml"
        write_params(params, work.paths.params, {"train": {"processes": processes}})
        paths = work.paths
        packed = ("--packed", paths.packed, "--split", paths.split)
        counts = ("--stats", paths.stats, "--index-counts", paths.index_counts)
        outputs = ("--model", paths.model, "--metrics", paths.metrics, "--history", paths.history, "--params", params)
        measured("stages.train", "main", "ce", *packed, *counts, *outputs, OMP_NUM_THREADS=str(threads))
        return {"images_per_s": read_json(paths.model / RUN_FILE)["epochs"][-1]["images_per_second"]}

    count = max(2, available_cores())
    return {
        f"training, 1 process of {count} threads": partial(trained, 1, count),
        f"training, {count} processes of 1 thread": partial(trained, count, 1),
    }
