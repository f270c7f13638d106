"""What computes: one GPU a process, where there are any."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from run_facts import events_of

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.config.training import TrainingOptions
from lstmlm.distributed import World
from lstmlm.errors import ConfigError
from lstmlm.training.preparation.execution import find_device
from lstmlm.workflows import train


@pytest.mark.parametrize(("device", "n_gpus"), [("auto", 0), ("cpu", 0), ("cpu", 2)])
def test_the_processor(device: str, n_gpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    options = TrainingOptions.model_validate({"n_steps": 1, "device": device})
    assert find_device(options, World(local_rank=1)) == torch.device("cpu")


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_every_process_has_a_gpu_of_its_own(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    options = TrainingOptions.model_validate({"n_steps": 1, "device": device})
    assert find_device(options, World(3, 4, local_rank=1)) == torch.device("cuda", 1)
    assert chosen == [torch.device("cuda", 1)]


@pytest.mark.parametrize(
    ("n_gpus", "message"),
    [
        (0, "training.device: cuda is not there: torch sees no GPU. Choose cpu or auto."),
        (
            2,
            "training.device: 2 GPUs are too few for process 3 of this machine. Start torchrun with "
            "--nproc-per-node 2, or set training.device: cpu.",
        ),
    ],
)
def test_a_gpu_that_is_not_there(n_gpus: int, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        find_device(TrainingOptions(n_steps=1, device="cuda"), World(2, 4, local_rank=2))


@pytest.mark.gpu
def test_a_gpu_trains_on_the_same_windows(make_config: Any, tmp_path: Path) -> None:
    """Without dropout, whose masks differ between kinds of device."""
    for device in ("cpu", "cuda"):
        train(make_config(training__device=device, model__dropout={}), tmp_path / device)
    for one, other in zip(*(events_of(tmp_path / device) for device in ("cpu", "cuda")), strict=True):
        if one["event"] == "step":
            # Another order of sums, magnified by ten steps of Adam.
            assert one["nats"] == pytest.approx(other["nats"], rel=1e-3)
    run = RunDirectory.open(tmp_path / "cuda")
    assert run.last is not None
    assert {tensor.device.type for tensor in run.load_training(run.last).training.values()} == {"cpu"}


@pytest.mark.gpu
def test_a_gpu_learns_with_dropout_and_repeats_itself(make_config: Any, tmp_path: Path) -> None:
    for name in ("once", "again"):
        train(make_config(training__device="cuda", model__dropout={"input": 0.3, "weight_drop": 0.3}), tmp_path / name)
    once, again = (
        [event["nats"] for event in events_of(tmp_path / name) if event["event"] == "step"]
        for name in ("once", "again")
    )
    assert once == again
    assert once[-1] < once[0]
