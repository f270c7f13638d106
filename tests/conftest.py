"""What holds for every test: no network, one thread, results that repeat.

Nothing here imports lstmlm at module level: pytest would load it before the hook that checks shapes is in place.
"""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def test_data() -> Callable[[str], Path]:
    """Return the path of a corpus such as "ptb", or skip the test where the user has not put it there.

    Corpora are looked for in the folder that LSTMLM_TEST_DATA names, by default in `data/`.
    """
    folder = Path(os.environ.get("LSTMLM_TEST_DATA") or PROJECT / "data")

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f"needs {path}, see data/README.md; LSTMLM_TEST_DATA names another folder")
        return path

    return find


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("network"):
        return
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: Any) -> None:
        if self.family != getattr(socket, "AF_UNIX", None):
            raise RuntimeError(f"a test tried to connect to {address!r}: only tests marked `network` may")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(autouse=True)
def _repeatable_torch() -> None:
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of a GPU where there is none."""
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not on_gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
