"""The CPU or GPU that a training runs on: its choice, precision, name, time and memory."""

import ctypes
import itertools
import platform
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fakeface.core.cores import available_cores
from fakeface.core.errors import ParamsError
from fakeface.params import DeviceName, Precision
from fakeface.training.depthwise import FastDepthwise
from fakeface.training.ranks import ALONE, Ranks

BYTES_PER_MIB = 2**20
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""


@dataclass(frozen=True)
class Device:
    """A torch device and the precision of the forward pass; weights and losses are always float32.

    `ranks` are the processes that train together, each with a device of its own.
    """

    torch_device: torch.device
    bf16: bool
    ranks: Ranks = ALONE

    @property
    def is_cuda(self) -> bool:
        return self.torch_device.type == "cuda"

    @property
    def precision(self) -> Precision:
        return "bf16" if self.bf16 else "float32"

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """For the forward pass alone: autograd takes the precision of the backward pass from it."""
        depthwise = FastDepthwise() if self.bf16 and not self.is_cuda else nullcontext()
        with torch.autocast(self.torch_device.type, torch.bfloat16, enabled=self.bf16), depthwise:
            yield


def select_device(device: DeviceName, precision: Precision, ranks: Ranks = ALONE) -> Device:
    """The device and precision asked for; `auto` takes a GPU if there is one, and bf16 if the machine has instructions for it.

    Raises:
        ParamsError: cuda was asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ParamsError("train.device: 'cuda': no CUDA device is visible here; should be auto or cpu")
    is_cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    has_bf16 = torch.cuda.is_bf16_supported() if is_cuda else _cpu_has_bf16()
    name = "cpu" if not is_cuda else "cuda" if ranks.count == 1 else f"cuda:{ranks.local_rank}"
    return Device(torch.device(name), precision == "bf16" or (precision == "auto" and has_bf16), ranks)


def _cpu_has_bf16() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def use_available_cores(processes: int = 1) -> None:
    """An equal part of them for each of the processes that train on this machine; fewer threads, as OMP_NUM_THREADS, stay.

    Torch counts the cores that affinity allows, but not a control group's quota.
    """
    torch.set_num_threads(min(torch.get_num_threads(), max(1, available_cores() // processes)))


def keep_freed_memory() -> None:
    """Have glibc keep memory that is freed: each step frees its activations, and the next would page them in again."""
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):  # musl has none
        mallopt(M_MMAP_THRESHOLD, 2**30)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def device_tags(device: Device) -> dict[str, str]:
    """Names and versions, as tags of an MLflow run."""
    return {
        "device": torch.cuda.get_device_name(device.torch_device) if device.is_cuda else cpu_name(),
        "device.type": device.torch_device.type,
        "device.precision": device.precision,
        "device.threads": str(torch.get_num_threads()),
        "device.processes": str(device.ranks.count),
        "version.torch": str(torch.__version__),
        "version.cuda": str(torch.version.cuda or "none"),
        "version.python": platform.python_version(),
    }


def cpu_name() -> str:
    """The processor's name if the system has it, else its architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


class Stopwatch:
    """Seconds of repeated work by part; a GPU is timed by events of its own, so nothing waits for it before `seconds`."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.marks: list[tuple[str, Any]] = [("", self._mark())]

    def lap(self, part: str) -> None:
        """Count the time since the last lap to this part."""
        self.marks.append((part, self._mark()))

    def seconds(self) -> dict[str, float]:
        if self.device.is_cuda:
            torch.cuda.synchronize(self.device.torch_device)
        totals: dict[str, float] = {}
        for (_, before), (part, after) in itertools.pairwise(self.marks):
            elapsed_s = before.elapsed_time(after) / 1000 if self.device.is_cuda else after - before
            totals[part] = totals.get(part, 0.0) + elapsed_s
        return totals

    def _mark(self) -> Any:
        if not self.device.is_cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event


def peak_memory(device: Device) -> dict[str, float]:
    """Peak memory so far in MiB: of the process, and on the GPU if it runs on one."""
    peak = {"peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / BYTES_PER_MIB}
    if device.is_cuda:
        peak["peak_device_memory_mib"] = torch.cuda.max_memory_allocated(device.torch_device) / BYTES_PER_MIB
    return peak
