"""Every random draw of a run, from a generator that depends on nothing but the seed, the step and the place.

No generator state is ever saved: a resumed run asks for the same seed, step and site and gets the same numbers.
"""

import hashlib
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Randomness:
    """The draws of one training step (or, at step 0, of the construction of a model)."""

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
