import os
import subprocess
import sys
from pathlib import Path

import pytest

from fakeface.core.cores import available_cores, cpu_quota
from tests.conftest import ROOT

PRINTED = "from fakeface.core.cores import available_cores; print(available_cores())"


def groups(folder: Path, own: str, **limits: str) -> tuple[Path, Path]:
    """As /proc/self/cgroup and /sys/fs/cgroup: the groups that this process is in, and a file for each limit."""
    (folder / "own").write_text(own)
    for name, value in limits.items():
        path = folder / "mounted" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    return folder / "own", folder / "mounted"


@pytest.mark.parametrize(
    ("own", "limits", "quota"),
    [
        ("0::/\n", {}, float("inf")),
        ("0::/\n", {"cpu.max": "max 100000"}, float("inf")),
        ("0::/\n", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000", "a/cpu.max": "200000 100000"}, 2),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "50000 50000"}, 1),
        ("0::/../other\n", {"cpu.max": "300000 100000"}, 3),
        ("4:cpu,cpuacct:/d\n", {"cpu,cpuacct/d/cpu.cfs_quota_us": "25000", "cpu,cpuacct/d/cpu.cfs_period_us": "50000"}, 0.5),
        ("4:cpuacct,cpu:/d\n", {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2),
        ("1:cpu:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, float("inf")),
        ("3:cpuset:/\n", {"cpuset/cpu.cfs_quota_us": "1", "cpuset/cpu.cfs_period_us": "100000"}, float("inf")),
        ("0::/\n", {"cpu.max": "nonsense"}, float("inf")),
    ],
)
def test_the_quota_is_the_least_of_all_groups_above(tmp_path: Path, own: str, limits: dict[str, str], quota: float) -> None:
    """Version 2 of control groups, and version 1, as containers see them."""
    assert cpu_quota(*groups(tmp_path, own, **limits)) == quota


def test_a_system_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "none", tmp_path / "none") == float("inf")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone")
def test_cores_that_affinity_withholds_are_not_counted() -> None:
    one = min(os.sched_getaffinity(0))
    alone = [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {{{one}}}); {PRINTED}"]
    assert subprocess.run(alone, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "1\n"
    assert 1 <= available_cores() <= len(os.sched_getaffinity(0))


CPU_GROUP = Path("/sys/fs/cgroup/cpu/fakeface-test")


@pytest.mark.skipif(not os.access(CPU_GROUP.parent / "tasks", os.W_OK), reason="needs to make a control group")
def test_a_real_group_with_a_quota_of_one_core() -> None:
    CPU_GROUP.mkdir()
    try:
        (CPU_GROUP / "cpu.cfs_quota_us").write_text("100000")
        command = ["sh", "-c", f"echo $$ > {CPU_GROUP}/tasks; exec {sys.executable} -c '{PRINTED}'"]
        assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "1\n"
    finally:
        CPU_GROUP.rmdir()
