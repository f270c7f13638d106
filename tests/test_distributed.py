"""Who takes part, without anybody else."""

from itertools import chain

import pytest
import torch

from lstmlm.distributed import ALONE, World
from lstmlm.errors import CheckpointError, ConfigError

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "TORCHELASTIC_RESTART_COUNT")


@pytest.fixture(autouse=True)
def _no_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_without_torchrun_a_process_works_alone() -> None:
    with World.from_environment() as world:
        assert world == ALONE
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(("count", "is_restart"), [("0", False), ("2", True)])
def test_one_process_is_restarted_too(count: str, is_restart: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", count)
    monkeypatch.setenv("RANK", "3")
    with World.from_environment() as world:
        assert (world.rank, world.size, world.is_restart) == (0, 1, is_restart)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE: expected a number in the environment, got 'two'. Start with torchrun."),
        (
            {"WORLD_SIZE": "2", "RANK": "0"},
            "WORLD_SIZE: is 2 in the environment, but Error initializing torch.distributed using env:// rendezvous: "
            "environment variable MASTER_ADDR expected, but not set. Start with torchrun.",
        ),
    ],
)
def test_an_environment_that_does_not_say_who_is_who(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as error, World.from_environment():
        pass
    assert str(error.value) == message


@pytest.mark.parametrize(("n_columns", "size"), [(12, 1), (12, 3), (7, 2), (7, 3), (3, 4)])
def test_shares_are_all_columns_as_equal_as_can_be(n_columns: int, size: int) -> None:
    shares = [list(range(n_columns))[World(rank, size).share(n_columns)] for rank in range(size)]
    assert list(chain.from_iterable(shares)) == list(range(n_columns))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_alone_everything_stays_as_it_is() -> None:
    numbers = torch.arange(3.0)
    assert ALONE.sum(numbers) is numbers
    assert ALONE.joined(numbers, 3) is numbers
    assert ALONE.broadcast((1, "x")) == (1, "x")
    assert ALONE.broadcast_tensors({"x": numbers}) == {"x": numbers}
    assert (ALONE.first_of(None), ALONE.first_of(15)) == (None, 15)

    def fail() -> None:
        raise CheckpointError("a disk")

    with pytest.raises(CheckpointError, match="a disk"):
        ALONE.on_main(fail)
