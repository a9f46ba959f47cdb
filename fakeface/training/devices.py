"""What a training computes on, and what it is called."""

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
from typing import Any, Literal

import torch

from fakeface.core.errors import ParamsError
from fakeface.training.depthwise import FastDepthwise

DeviceName = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bf16"]
BYTES_PER_MIB = 2**20
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""


@dataclass(frozen=True)
class Device:
    """A torch device and the precision of its forward pass; weights and losses are float32 always."""

    torch_device: torch.device
    bf16: bool

    @property
    def is_cuda(self) -> bool:
        return self.torch_device.type == "cuda"

    @property
    def precision(self) -> Precision:
        return "bf16" if self.bf16 else "float32"

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """For the forward pass; what it does decides how its backward pass is done."""
        depthwise = FastDepthwise() if self.bf16 and not self.is_cuda else nullcontext()
        with torch.autocast(self.torch_device.type, torch.bfloat16, enabled=self.bf16), depthwise:
            yield


def chosen_device(device: DeviceName, precision: Precision) -> Device:
    """The device as asked; `auto` takes a GPU where there is one, and bf16 where the machine has its instructions.

    Raises:
        ParamsError: cuda was asked for and is not there.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ParamsError("train.device: 'cuda': no CUDA device is visible here; should be auto or cpu")
    is_cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    has_bf16 = torch.cuda.is_bf16_supported() if is_cuda else _cpu_has_bf16()
    return Device(torch.device("cuda" if is_cuda else "cpu"), precision == "bf16" or (precision == "auto" and has_bf16))


def _cpu_has_bf16() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def keep_freed_memory() -> None:
    """Have glibc keep what this process frees: each step frees its activations, and the next one would page them in anew."""
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):  # musl has none
        mallopt(M_MMAP_THRESHOLD, 2**30)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def description(device: Device) -> dict[str, str]:
    """Names and versions, for a run's tags."""
    return {
        "device": torch.cuda.get_device_name(device.torch_device) if device.is_cuda else cpu_name(),
        "device.type": device.torch_device.type,
        "device.precision": device.precision,
        "device.threads": str(torch.get_num_threads()),
        "version.torch": str(torch.__version__),
        "version.cuda": str(torch.version.cuda or "none"),
        "version.python": platform.python_version(),
    }


def cpu_name() -> str:
    """The processor's name as the system tells it, else the architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


class Stopwatch:
    """Seconds of repeated work by part; on a GPU its own events tell them, so that nothing waits before `seconds`."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.marks: list[tuple[str, Any]] = [("", self._mark())]

    def lap(self, part: str) -> None:
        """What was done since the last lap is of this part."""
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
    """Most memory held so far, in MiB: of the process, and on the GPU where there is one."""
    peak = {"peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / BYTES_PER_MIB}
    if device.is_cuda:
        peak["peak_device_memory_mib"] = torch.cuda.max_memory_allocated(device.torch_device) / BYTES_PER_MIB
    return peak
