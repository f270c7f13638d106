"""What the machine can do at best, measured in the same run: large matrix products and reading memory."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from torch.nn.functional import linear

from lstmlm.benchmark.plan import Effort, Plan
from lstmlm.benchmark.timing import Work, fastest, measure
from lstmlm.models.kernels import GemmPath, available_paths

N_TRIALS = 5


@dataclass(frozen=True)
class Machine:
    """The processor, its number formats and its limits; no name of the host."""

    versions: Mapping[str, str]
    cpu: str
    cpu_capability: str
    n_threads: int
    gemm_paths: tuple[GemmPath, ...]
    gemm_gflops: Mapping[str, float]
    """Peak of large matrix products (1e9 floating point operations per second) by number format."""

    read_gigabytes_per_second: float

    def to_row(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {
            **{f"{package}_version": number for package, number in self.versions.items()},
            "cpu": self.cpu,
            "cpu_capability": self.cpu_capability,
            "n_threads": self.n_threads,
            "gemm_paths": [path.value for path in self.gemm_paths],
            **{f"{precision}_gemm_gflops": value for precision, value in self.gemm_gflops.items()},
            "read_gigabytes_per_second": self.read_gigabytes_per_second,
        }

    @property
    def has_bfloat16(self) -> bool:
        """Whether the processor has instructions for bfloat16."""
        return GemmPath.BFLOAT16 in self.gemm_paths

    def routes(self, work: Mapping[GemmPath, Work]) -> dict[str, GemmPath]:
        """Return the route of each number format: which one is faster depends on the shape."""
        formats = {"float32": False, **({"bfloat16": True} if self.has_bfloat16 else {})}
        return {
            name: fastest({path: work[path] for path in self.gemm_paths if path.rounds == rounds})
            for name, rounds in formats.items()
        }


def measure_machine(plan: Plan) -> Machine:
    """Measure the limits of this machine with the present number of threads."""
    paths = available_paths(torch.device("cpu"))
    # Written to, since untouched pages are one and the same page of zeros, in the cache.
    buffer = torch.ones(plan.bandwidth_bytes // 4)
    return Machine(
        versions={package: version(package) for package in ("lstmlm", "torch")},
        cpu=_cpu_model(),
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        n_threads=torch.get_num_threads(),
        gemm_paths=paths,
        gemm_gflops=_gemm_gflops(plan.gemm_size, paths),
        read_gigabytes_per_second=4 * len(buffer) / _best_seconds(buffer.sum) / 1e9,
    )


@torch.no_grad()
def _gemm_gflops(size: int, paths: tuple[GemmPath, ...]) -> dict[str, float]:
    square = torch.rand(size, size)
    products: dict[str, list[Work]] = {"float32": [lambda: torch.mm(square, square)]}
    if GemmPath.ONEDNN in paths:
        # torch multiplies by oneDNN what is laid out for it.
        laid_out = square.to_mkldnn()
        products["float32"].append(lambda: linear(laid_out, square))
    if GemmPath.BFLOAT16 in paths:
        rounded = square.bfloat16()
        products["bfloat16"] = [lambda: torch.mm(rounded, rounded)]
    return {name: 2 * size**3 / min(map(_best_seconds, work)) / 1e9 for name, work in products.items()}


def _best_seconds(work: Work) -> float:
    return min(measure({"": work}, Effort(0, N_TRIALS, N_TRIALS))[""])


def _cpu_model() -> str:
    """Return what the processor calls itself, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
