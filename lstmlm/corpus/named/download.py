"""One file from the web: fetched from the first address that has it, and believed only if every byte is as known."""

import hashlib
import logging
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException
from importlib.metadata import version
from io import BufferedIOBase
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from lstmlm.errors import DataError

BLOCK_BYTES = 1 << 18
SECONDS_WITHOUT_AN_ANSWER = 30.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Download:
    """A file on the web that is known to the byte."""

    addresses: tuple[str, ...]
    """The author's first, then copies."""
    n_bytes: int
    sha256: str


def fetch(download: Download, into: BufferedIOBase, progress: Callable[[int], None]) -> None:
    """Fetch a file `into` an empty one, check its size and digest, and tell `progress` how many bytes have come.

    Raises:
        DataError: no address has the file; says why the last one does not.
    """
    for address in download.addresses:
        try:
            _fetch_from(address, download, into, progress)
            return
        except DataError as error:
            if address == download.addresses[-1]:
                raise
            logger.warning("%s Trying the next address.", error)


def _fetch_from(address: str, download: Download, into: BufferedIOBase, progress: Callable[[int], None]) -> None:
    into.seek(0)
    into.truncate()
    digest = hashlib.sha256()
    n_bytes = 0
    with closing(_blocks_of(address)) as blocks:
        for block in blocks:
            into.write(block)
            digest.update(block)
            n_bytes += len(block)
            progress(n_bytes)
            if n_bytes > download.n_bytes:
                break
    if n_bytes < download.n_bytes:
        raise DataError(f"{address}: ended after {n_bytes:,} of {download.n_bytes:,} bytes. Try again.")
    if digest.hexdigest() != download.sha256:
        raise DataError(
            f"{address}: is not the file that is known by this name (SHA-256 {digest.hexdigest()}, expected "
            f"{download.sha256}). Nothing was kept; try again, or from another network."
        )


def _blocks_of(address: str) -> Generator[bytes, None, None]:
    # wikitext.smerity.com refuses the name that urllib gives itself.
    request = Request(address, headers={"User-Agent": f"lstmlm/{version('lstmlm')}"})
    try:
        with urlopen(request, timeout=SECONDS_WITHOUT_AN_ANSWER) as response:
            while block := response.read(BLOCK_BYTES):
                yield block
    except HTTPError as error:
        with error:
            raise DataError(f"{address}: the server answers {error.code} {error.reason}. Try again later.") from None
    except (OSError, HTTPException) as error:
        cause = error.reason if isinstance(error, URLError) else error
        reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else cause
        raise DataError(f"{address}: cannot be reached ({reason}). Check the connection and try again.") from None
