"""Lines and paragraphs that occur again, found by 64-bit digests in bounded memory."""

from array import array
from hashlib import blake2b

import numpy as np
from jaxtyping import UInt64

MOST_DIGESTS = 8_000_000
"""64 MB each; above it, half of them are given up."""

_DIGESTS = 1 << 64


class DigestSample:
    """The digests of lines, or of every line whose digest is small enough once they are too many.

    A line is in the sample wherever it occurs, so that shares are estimated without bias and texts can be compared.
    """

    def __init__(self, most_digests: int = MOST_DIGESTS) -> None:
        self._most_digests = most_digests
        self._digests = array("Q")
        self._limit = _DIGESTS

    @property
    def share_sampled(self) -> float:
        """The share of all possible lines that are in the sample: 1 unless they are too many."""
        return self._limit / _DIGESTS

    def __len__(self) -> int:
        return len(self._digests)

    def add(self, digest: int) -> None:
        """Take in a line."""
        if digest >= self._limit:
            return
        self._digests.append(digest)
        if len(self._digests) > self._most_digests:
            self._limit //= 2
            self._digests = array("Q", self._below(self._limit).tobytes())

    def share_repeated(self) -> float:
        """The share of the lines that have occurred before."""
        return (len(self) - len(np.unique(self._below(self._limit)))) / max(1, len(self))

    def most_frequent(self) -> tuple[int, int]:
        """The digest that occurs most often, and how often. Raises ValueError if there are none."""
        digests, counts = np.unique(self._below(self._limit), return_counts=True)
        place = int(np.argmax(counts))
        return int(digests[place]), int(counts[place])

    def share_in(self, other: "DigestSample") -> float:
        """The share of the lines that another text has too."""
        limit = min(self._limit, other._limit)
        mine = self._below(limit)
        return float(np.isin(mine, other._below(limit), kind="sort").mean()) if len(mine) else 0.0

    def _below(self, limit: int) -> UInt64[np.ndarray, " lines"]:
        digests = np.frombuffer(self._digests, dtype=np.uint64)
        return digests if limit == _DIGESTS else digests[digests < np.uint64(limit)]


class TextDigest:
    """The digest of a text that comes in pieces."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=8)

    def read(self, piece: str) -> None:
        """Read on."""
        self._hash.update(piece.encode())

    def value(self) -> int:
        """The digest of what has been read."""
        return int.from_bytes(self._hash.digest(), "little")
