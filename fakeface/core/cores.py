"""How many cores this process may use: the machine's, less what affinity (taskset) and control groups (containers) withhold."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

OWN_GROUPS = Path("/proc/self/cgroup")
MOUNTED_GROUPS = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """1 at least; a quota of one and a half cores counts as two."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(OWN_GROUPS, MOUNTED_GROUPS)
    return allowed if math.isinf(quota) else max(1, min(allowed, math.ceil(quota)))


def cpu_quota(own_groups: Path, mounted: Path) -> float:
    """The least number of cores that a control group of this process, or one above it, grants; infinity without a limit."""
    quotas = [math.inf]
    for folder in _cpu_groups(own_groups, mounted):
        with suppress(OSError, ValueError):  # version 2: "max 100000" or "150000 100000"
            quota, period = (folder / "cpu.max").read_text().split()
            quotas.append(int(quota) / int(period))
        with suppress(OSError, ValueError):  # version 1: -1 without a limit
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            quotas += [int(quota) / int(period)] if int(quota) > 0 else []
    return min(quotas)


def _cpu_groups(own_groups: Path, mounted: Path) -> Iterator[Path]:
    """The folders in which the limits of this process's groups, and of those above them, may stand."""
    lines = own_groups.read_text().splitlines() if own_groups.exists() else []
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if not controllers:  # version 2
            roots = [mounted, mounted / "unified"]
        else:
            roots = [mounted / controllers, mounted / "cpu"] if "cpu" in controllers.split(",") else []
        for root in roots:
            group = root / path.lstrip("/")
            yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(root))
