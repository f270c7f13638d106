"""Processes that work together, started as torchrun would start them, and what they leave behind."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parent.parent

TIMEOUT_SECONDS = 600
"""Of the slowest test on a busy machine; whoever waits for a lost process gives up long before."""


class Ended(NamedTuple):
    """How a process ended, and what it said."""

    status: int
    stdout: str
    stderr: str


def environment(**variables: object) -> dict[str, str]:
    """Return the environment of a process that finds this project, and computes on one thread."""
    paths = os.pathsep.join(map(str, (PROJECT, PROJECT / "tests")))
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **{k: str(v) for k, v in variables.items()}}


def start(
    arguments: Sequence[str], size: int, folders: Mapping[int, Path], **variables: object
) -> list[subprocess.Popen[str]]:
    """Start processes of a world of `size`, each in a folder, by rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment(**common, RANK=rank, LOCAL_RANK=rank, **variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, folder in folders.items()
    ]


def ends_of(processes: Sequence[subprocess.Popen[str]]) -> list[Ended]:
    """Wait for processes, and leave none behind."""
    try:
        said = [process.communicate(timeout=TIMEOUT_SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [Ended(process.returncode, *texts) for process, texts in zip(processes, said, strict=True)]
