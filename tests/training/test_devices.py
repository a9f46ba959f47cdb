import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fakeface.core.errors import ParamsError
from fakeface.params import DeviceName, Precision
from fakeface.training import devices
from fakeface.training.devices import Device, cpu_name, device_tags, peak_memory, select_device
from tests.conftest import ROOT

CPU = torch.device("cpu")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine without a GPU and without bf16 instructions, whatever this one has."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    return monkeypatch


@pytest.mark.parametrize("capability", ["avx512_bf16", "amx_bf16"])
@pytest.mark.parametrize(
    ("precision", "where_it_is", "where_it_is_not"),
    [("auto", True, False), ("float32", False, False), ("bf16", True, True)],
)
def test_auto_takes_bf16_where_the_cpu_has_it(
    machine: pytest.MonkeyPatch, capability: str, precision: Precision, where_it_is: bool, where_it_is_not: bool
) -> None:
    assert select_device("auto", precision) == Device(CPU, where_it_is_not)
    machine.setattr(torch.cpu, "get_capabilities", lambda: {capability: True})
    assert select_device("auto", precision) == Device(CPU, where_it_is)


@pytest.mark.parametrize("bf16", [True, False])
@pytest.mark.parametrize(("asked", "taken"), [("auto", "cuda"), ("cuda", "cuda"), ("cpu", "cpu")])
def test_auto_takes_the_gpu_where_there_is_one(machine: pytest.MonkeyPatch, asked: DeviceName, taken: str, bf16: bool) -> None:
    machine.setattr(torch.cuda, "is_available", lambda: True)
    machine.setattr(torch.cuda, "is_bf16_supported", lambda: bf16)
    assert select_device(asked, "auto") == Device(torch.device(taken), bf16 and taken == "cuda")


def test_a_gpu_that_is_not_there_is_named(machine: pytest.MonkeyPatch) -> None:
    with pytest.raises(ParamsError, match=r"^train\.device: 'cuda': no CUDA device is visible here"):
        select_device("cuda", "auto")


@pytest.mark.parametrize(("bf16", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_only_the_forward_pass_is_bf16(bf16: bool, dtype: torch.dtype) -> None:
    layer = torch.nn.Linear(4, 2)
    with Device(CPU, bf16).autocast():
        assert layer(torch.ones(3, 4)).dtype == dtype
    assert layer.weight.dtype == torch.float32


def test_tags_name_what_computed() -> None:
    tags = device_tags(Device(CPU, bf16=True))
    assert (tags["device"], tags["device.type"], tags["device.precision"]) == (cpu_name(), "cpu", "bf16")
    assert tags["version.torch"] == torch.__version__
    assert all(isinstance(value, str) and value for value in tags.values())


def test_cpu_name_is_the_systems(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    monkeypatch.setattr(devices, "Path", lambda _: cpuinfo)
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Acme 9000: fast\n\nprocessor\t: 1\nmodel name\t: Acme 9000: fast\n")
    assert cpu_name() == "Acme 9000: fast"
    cpuinfo.write_text("processor\t: 0\nBogoMIPS\t: 50\n")
    assert cpu_name()
    cpuinfo.unlink()
    assert cpu_name()


def test_peak_memory_is_in_mib() -> None:
    """A process that has imported torch holds more than 100 MiB, and less than a terabyte."""
    (name, mib) = next(iter(peak_memory(Device(CPU, bf16=False)).items()))
    assert name == "peak_memory_mib"
    assert 100 < mib < 2**20


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_described() -> None:
    device = select_device("cuda", "auto")
    assert device_tags(device)["device"] == torch.cuda.get_device_name()
    held = torch.zeros(2**20, device=device.torch_device)
    assert peak_memory(device)["peak_device_memory_mib"] >= held.nbytes / 2**20


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator alone")
def test_freed_memory_is_not_paged_in_again() -> None:
    """64 MiB are 16384 pages of 4 KiB; without the call a freed block goes back to the system."""
    code = """
import resource, numpy as np
from fakeface.training.devices import keep_freed_memory
{call}
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**23)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""
    kept, given_back = (
        int(subprocess.run([sys.executable, "-c", code.format(call=call)], capture_output=True, check=True, cwd=ROOT).stdout)
        for call in ("keep_freed_memory()", "")
    )
    assert kept * 10 < given_back
