"""What a run was made with: versions, threads and the digests of its data. No host, user or path."""

import platform
from collections.abc import Mapping
from importlib.metadata import version

import torch

RECORDED_PACKAGES = ("lstmlm", "torch", "numpy", "tokenizers", "safetensors")


def describe_environment(data: Mapping[str, object], milliseconds: Mapping[str, float]) -> dict[str, object]:
    """Return the content of environment.json.

    Args:
        data: Where the corpus came from, with its digests.
        milliseconds: What was measured to choose the route of matrix products.
    """
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in RECORDED_PACKAGES},
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "n_threads": torch.get_num_threads(),
        "matmul_milliseconds": dict(milliseconds),
        "data": dict(data),
    }
