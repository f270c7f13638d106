"""Every random draw of a run, from a generator that depends on nothing but the seed, the step and the place.

No generator state is ever saved: a resumed run asks for the same seed, step and site and gets the same numbers.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

N_LEVELS = 2**16
"""A yes or no takes 16 random bits: probabilities are multiples of 1 / 65536."""

DRAWS_PER_BLOCK = 2**15
"""Bits are drawn and compared in blocks that stay in the cache. A multiple of 4, the draws in a word of the source."""


def realised(probability: float) -> float:
    """Return the probability that `Randomness.bernoulli` draws with: the nearest of 1/65536, ..., 65535/65536."""
    return min(max(round(probability * N_LEVELS), 1), N_LEVELS - 1) / N_LEVELS


@dataclass(frozen=True)
class Randomness:
    """The draws of one training step, or of one epoch where the site is of epochs (or, at 0, of a new model)."""

    seed: int
    step: int = 0

    part: int = 0
    """Which part of the batch's columns is computed, from 0."""

    n_parts: int = 1
    """How many equal parts the columns are computed in. Parts draw for the whole batch and take their share of it, so
    that their number changes nothing."""

    def seed_of(self, site: str) -> int:
        """Return the seed (63 bits) for one place in the program, named by `site`."""
        digest = hashlib.sha256(f"{self.seed}/{self.step}/{site}".encode()).digest()
        return int.from_bytes(digest[:8], "little") >> 1

    def generator(self, site: str) -> torch.Generator:
        """Return a fresh generator for one place in the program, such as "dropout.input"."""
        return torch.Generator().manual_seed(self.seed_of(site))

    def bernoulli(self, shape: tuple[int, ...], probability: float, site: str, like: Tensor) -> Float[Tensor, "..."]:
        """Draw ones with `realised(probability)`, else zeros, in the number format and on the device of `like`.

        A GPU draws for itself: to wait for the processor would take longer than the step. So what is drawn differs
        between kinds of device, though not how often.
        """
        threshold = round(realised(probability) * N_LEVELS)
        draw = _draw_on_gpu if like.device.type == "cuda" else _draw
        return draw(shape, threshold, self.seed_of(site), like)


def _draw(shape: tuple[int, ...], threshold: int, seed: int, like: Tensor) -> Float[Tensor, "..."]:
    """Draw where the numbers of `N_LEVELS` that lie below `threshold` fall.

    The bits come from numpy's SFC64, whose stream is the same in every version and on every machine; torch's
    `bernoulli_` is serial and takes several times as long (docs/experiments.md).
    """
    source = np.random.SFC64(seed)
    drawn = torch.empty(shape, dtype=like.dtype)
    for block in torch.split(drawn.view(-1), DRAWS_PER_BLOCK):
        words = source.random_raw(-(-len(block) // 4)).view(np.int16)[: len(block)]
        torch.lt(torch.from_numpy(words), threshold - N_LEVELS // 2, out=block)
    return drawn.to(like.device)


def _draw_on_gpu(shape: tuple[int, ...], threshold: int, seed: int, like: Tensor) -> Float[Tensor, "..."]:
    """Do the same by the device's own generator: nothing is copied to it or waited for."""
    generator = torch.Generator(like.device).manual_seed(seed)
    levels = torch.randint(N_LEVELS, shape, generator=generator, dtype=torch.int32, device=like.device)
    return levels.lt(threshold).to(like.dtype)
