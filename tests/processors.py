"""Environments in which this machine seems to have an older processor: they switch off what libraries choose by processor."""

from pathlib import Path

import pytest

PROCESSORS = {
    "numpy": {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"},
    "opencv": {"OPENCV_CPU_DISABLE": "AVX512-SKX,AVX2,FP16,AVX,SSE4.2,SSE4.1"},
    "faiss": {"FAISS_SIMD_LEVEL": "NONE"},
    "libm": {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA"},
    "blas": {"OPENBLAS_CORETYPE": "Prescott"},
    "libjpeg": {"JSIMD_FORCENONE": "1"},
}
"""For each library the environment that takes its wider instructions away."""

OLDEST = {name: value for environment in PROCESSORS.values() for name, value in environment.items()}


def has_wide_instructions() -> bool:
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and {"avx2", "fma"} <= set(cpuinfo.read_text().split())


needs_wide_instructions = pytest.mark.skipif(not has_wide_instructions(), reason="there are none to take away")
