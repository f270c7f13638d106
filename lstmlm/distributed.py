"""The processes that train or evaluate together: which one this is, and the few things that they tell each other.

torchrun starts them and says by the environment who is who. What they share beside gradients is numbers and JSON over
gloo: no pickle goes over the wire. Whoever waits for a process that is gone, or waits too long, gets a `WorldError`.
"""

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from lstmlm import errors
from lstmlm.errors import ConfigError, LstmlmError, WorldError, first_line

TIMEOUT_VARIABLE = "LSTMLM_TIMEOUT_SECONDS"
TIMEOUT_SECONDS = 600
"""How long a process waits for the others unless the environment says otherwise; a lost one is noticed at once."""

LOOPBACK = {"linux": "lo", "darwin": "lo0"}


@dataclass(frozen=True)
class World:
    """The processes that work together, seen by one of them; by default it works alone, and nothing is sent.

    Every method must be called by all processes, in the same order.
    """

    rank: int = 0
    """Which process this is, from 0."""

    size: int = 1
    """How many there are."""

    local_rank: int = 0
    """Which process of its machine this is: the number of its GPU."""

    is_restart: bool = False
    """Whether torchrun has started the processes anew because one of them had failed."""

    @classmethod
    @contextmanager
    def from_environment(cls) -> Iterator[Self]:
        """Join the world that torchrun has set up in the environment; without it, work alone.

        Raises:
            ConfigError: The environment does not say who is who.
            WorldError: Not all processes have come, or one is lost before the end of the `with` block.
        """
        n_restarts, size = _number("TORCHELASTIC_RESTART_COUNT", 0), _number("WORLD_SIZE", 1)
        if size == 1:
            yield cls(is_restart=n_restarts > 0)
            return
        world = cls(_number("RANK", 0), size, _number("LOCAL_RANK", 0))
        with world._explained():
            world._join(is_one_machine=os.environ.get("LOCAL_WORLD_SIZE") == str(size), n_restarts=n_restarts)
        # Each machine counts its own restarts, but all start anew with it.
        world = replace(world, is_restart=world.first_of(n_restarts) is not None)
        try:
            yield world
        finally:
            dist.destroy_process_group()

    @contextmanager
    def one_per_machine_first(self) -> Iterator[None]:
        """Let one process of each machine go through a `with` block before the others, which find what it has left."""
        # A sum has all for a barrier; who is sent something goes on before others have it.
        if self.local_rank > 0:
            self.sum(torch.zeros(1))
        yield
        if self.local_rank == 0:
            self.sum(torch.zeros(1))

    def _join(self, *, is_one_machine: bool, n_restarts: int) -> None:
        timeout = timedelta(seconds=_number(TIMEOUT_VARIABLE, TIMEOUT_SECONDS))
        try:
            store, _, _ = next(rendezvous("env://", timeout=timeout))
        except ValueError as error:
            raise ConfigError(
                f"WORLD_SIZE: is {self.size} in the environment, but {error}. Start with torchrun."
            ) from None
        if is_one_machine:
            # torchrun keeps its store over a restart, and with it the addresses of processes that are gone
            # (https://github.com/pytorch/pytorch/issues/135712); docs/scale.md has a remedy for several machines.
            store = PrefixStore(f"start {n_restarts}", store)
            if sys.platform in LOOPBACK:
                # Nobody beyond this machine takes part, and nobody there needs to be able to.
                os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK[sys.platform])
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.size, timeout=timeout)

    @property
    def is_main(self) -> bool:
        """Whether this is the process that speaks, plans and writes."""
        return self.rank == 0

    def share(self, n_columns: int) -> slice:
        """Return which of `n_columns` columns are this process's, as equal in number as can be."""
        return slice(self.rank * n_columns // self.size, (self.rank + 1) * n_columns // self.size)

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum over all processes of a tensor of one shape, the same bits on each."""
        if self.size == 1:
            return tensor
        total = tensor.detach().clone(memory_format=torch.contiguous_format)
        with self._explained():
            dist.all_reduce(total)
        return total

    def joined(self, part: Tensor, n_columns: int) -> Tensor:
        """Return all columns, along the first axis, where each process has its share of them."""
        if self.size == 1:
            return part
        whole = part.new_zeros(n_columns, *part.shape[1:])
        whole[self.share(n_columns)] = part
        return self.sum(whole)

    def first_of(self, number: int | None) -> int | None:
        """Return the number, above 0, of the first process that has one; None where none has."""
        if self.size == 1:
            return number
        numbers = torch.zeros(self.size, dtype=torch.int64)
        numbers[self.rank] = number or 0
        return next((found for found in self.sum(numbers).tolist() if found), None)

    def broadcast(self, value: Any, source: int = 0) -> Any:
        """Return what the process `source` has, as JSON has it."""
        if self.size == 1:
            return value
        content = bytearray(json.dumps(value).encode()) if self.rank == source else bytearray()
        length = torch.tensor(len(content))
        with self._explained():
            dist.broadcast(length, source)
            sent = torch.frombuffer(content or bytearray(int(length)), dtype=torch.uint8)
            dist.broadcast(sent, source)
        return json.loads(sent.numpy().tobytes())

    def broadcast_tensors(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors that the main process has, by name; the others give none."""
        if self.size == 1:
            return dict(tensors)
        forms, received = self.broadcast({name: [str(t.dtype), t.shape] for name, t in tensors.items()}), {}
        for name, (dtype, shape) in forms.items():
            empty = torch.empty(shape, dtype=getattr(torch, dtype.removeprefix("torch.")))
            received[name] = tensors[name].contiguous() if tensors else empty
            with self._explained():
                dist.broadcast(received[name], 0)
        return received

    def on_main(self, act: Callable[[], None]) -> None:
        """Let the main process act while the others wait; they all raise what it raises.

        Raises:
            LstmlmError: Of the kind that `act` raised.
        """
        failure: LstmlmError | None = None
        if self.is_main:
            try:
                act()
            except LstmlmError as error:
                failure = error
        told = self.broadcast([type(failure).__name__, str(failure)] if failure else None)
        if failure:
            raise failure
        if told:
            kind, message = told
            raise getattr(errors, kind)(message)

    def replicate(self, module: nn.Module, *, may_skip_weights: bool) -> nn.Module:
        """Return `module` with the weights of the main process, and gradients that are summed on the way backward.

        Args:
            module: What computes a part of the loss.
            may_skip_weights: Whether some weights can be without effect in a window.
        """
        if self.size == 1:
            return module
        with self._explained(), warnings.catch_warnings():
            # Buffers are tables that all processes have alike. Newer releases of torch call the option otherwise.
            warnings.filterwarnings("ignore", "`broadcast_buffers`", FutureWarning)
            replica = DistributedDataParallel(
                module, gradient_as_bucket_view=True, find_unused_parameters=may_skip_weights, broadcast_buffers=False
            )
        # By default it would be the mean: each loss is a share of the whole one already.
        replica.register_comm_hook(None, _sum_bucket)
        return replica

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of a loss that a replica has computed."""
        with self._explained():
            loss.backward()  # type: ignore[no-untyped-call]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn an error of the connection into one for people."""
        try:
            yield
        except RuntimeError as error:
            if not isinstance(error, dist.DistError) and "gloo" not in str(error):
                raise
            raise WorldError(
                f"lost contact with the other processes ({first_line(error)}). "
                "See what the one that ended first says; continue a training with --resume."
            ) from error


ALONE = World()


def without_sum(replica: nn.Module) -> AbstractContextManager[None]:
    """Let a replica keep gradients to itself within a `with` block; the next sum has them."""
    return replica.no_sync() if isinstance(replica, DistributedDataParallel) else nullcontext()


def _sum_bucket(_: object, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:  # type: ignore[name-defined]
    future = dist.all_reduce(bucket.buffer(), async_op=True).get_future()
    return future.then(lambda done: done.value()[0])  # type: ignore[no-any-return]


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"{name}: expected a number in the environment, got {text!r}. Start with torchrun.") from None
