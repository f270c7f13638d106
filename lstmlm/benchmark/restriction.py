"""Less than this machine has: the environments in which it computes as a lesser one would."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory

ISAS: Mapping[str, Mapping[str, str]] = {
    "avx2": {
        "LSTMLM_MARCH": "x86-64-v3",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    },
    "sse4": {
        "LSTMLM_MARCH": "x86-64-v2",
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
    },
}
"""By the name of an instruction set, what keeps our compiler, ATen, MKL and oneDNN within it, as each documents."""


@contextmanager
def restricted(isa: str | None, *, no_compiler: bool) -> Iterator[dict[str, str]]:
    """Give the variables of a process that has no more than the instruction set `isa`, or no compiler."""
    with TemporaryDirectory() as empty:
        # Kernels that were compiled before would be found in the usual cache.
        without = {"CXX": "none", "LSTMLM_CACHE": empty} if no_compiler else {}
        yield {**(ISAS[isa] if isa else {}), **without}
