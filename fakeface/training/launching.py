"""Processes that train together: torch's own elastic launcher starts them, and each joins the others."""

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.distributed import DistBackendError, destroy_process_group, init_process_group
from torch.distributed.elastic.multiprocessing.errors import get_error_handler

from fakeface.core.errors import FakefaceError, ParamsError
from fakeface.params import TrainParams
from fakeface.training.ranks import ALONE, Ranks

RUN_ID = "fakeface"
"""By which a process knows that `launch` started it, and not the user's own torchrun."""
LEFT_ALONE = 3
"""The exit status of a process that ends because another one has."""
TIMEOUT = timedelta(minutes=10)
"""So long may a process wait for the others; the first one also writes checkpoints and logs."""
PR_SET_PDEATHSIG = 1
"""Of Linux's prctl.h."""
RESUMES = "`dvc repro` goes on after the last finished epoch"


def processes_to_start(params: TrainParams) -> int:
    """How many processes should train here; 1, this one, also where a launcher has started it already.

    Raises:
        ParamsError: there are fewer GPUs than that.
    """
    if "RANK" in os.environ:
        return 1
    gpus = torch.cuda.device_count() if params.device != "cpu" else 0
    count = max(1, gpus) if params.processes == "auto" else params.processes
    if gpus and count > gpus:
        raise ParamsError(f"train.processes: {count}: one per GPU at most, and {gpus} are visible here")
    return count


def launch(arguments: Sequence[str], count: int) -> None:
    """Run Python with these arguments in so many processes of this machine, of which the first one prints.

    Raises:
        FakefaceError: one of them failed or was killed; the others are ended.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable()  # in this process, which only waits from now on: what torch would say is said below, in a line
    with TemporaryDirectory(prefix="fakeface-train-") as errors:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id=RUN_ID,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(errors, local_ranks_filter={0}),
        )
        try:
            elastic_launch(config, sys.executable)(*arguments)
        except ChildFailedError as error:
            failures = error.failures
        except SignalException as error:
            sys.exit(128 + error.sigval)
        else:
            return
    if 0 in failures and failures[0].exitcode in (1, 2):
        sys.exit(failures[0].exitcode)  # the first process has printed why
    consequences = (LEFT_ALONE, -signal.SIGTERM)
    cause = min(failures.values(), key=lambda failure: (failure.exitcode in consequences, failure.timestamp))
    what = f"killed by {cause.signal_name()}" if cause.exitcode < 0 else _told_by(cause.message)
    raise FakefaceError(f"process {cause.local_rank + 1} of {count} that train together: {what}; {RESUMES}")


def _told_by(message: Any) -> str:
    """The error of a process, in one line, from the file that it left."""
    return " ".join(str(message["message"] if isinstance(message, dict) else message).split())[:300]


@contextmanager
def joined() -> Iterator[Ranks]:
    """The processes that a launcher has started this one with; alone where none has."""
    if "RANK" not in os.environ:
        yield ALONE
        return
    is_ours = os.environ.get("TORCHELASTIC_RUN_ID") == RUN_ID
    if is_ours and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # it does not outlive its launcher
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    ranks = Ranks(*(int(os.environ[name]) for name in names))
    if torch.cuda.is_available():
        torch.cuda.set_device(ranks.local_rank % torch.cuda.device_count())
    init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=TIMEOUT)
    try:
        yield ranks
    except Exception as error:
        is_alone = isinstance(error, DistBackendError) or (isinstance(error, RuntimeError) and "gloo" in str(error))
        if is_alone and is_ours:
            sys.exit(LEFT_ALONE)  # the launcher tells what the other one died of
        get_error_handler().record_exception(error)
        if is_alone:
            raise FakefaceError(f"process {ranks.rank + 1} of {ranks.count}: another one is gone; {RESUMES}") from None
        raise
    finally:
        destroy_process_group()
