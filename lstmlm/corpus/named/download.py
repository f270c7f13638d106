"""One file from the web: fetched from the first address that has it, and believed only if every byte is as known."""

import hashlib
import logging
from collections.abc import Callable
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
    """Fetch a file, follow redirections, and check its size and digest.

    Args:
        download: What to fetch.
        into: An empty file, which holds the download afterwards.
        progress: Is told how many bytes have come.

    Raises:
        DataError: no address has the file; says why the last one does not.
    """
    *others, last = download.addresses
    for address in others:
        try:
            _fetch_from(address, download, into, progress)
        except DataError as error:
            logger.warning("%s Trying the next address.", error)
        else:
            return
    _fetch_from(last, download, into, progress)


def _fetch_from(address: str, download: Download, into: BufferedIOBase, progress: Callable[[int], None]) -> None:
    into.seek(0)
    into.truncate()
    digest = hashlib.sha256()
    n_bytes = 0
    with _opened(address) as response:
        # One block more than is wanted is enough to see that the file is longer.
        while n_bytes <= download.n_bytes and (block := _read(address, response)):
            into.write(block)
            digest.update(block)
            n_bytes += len(block)
            progress(n_bytes)
    if n_bytes < download.n_bytes:
        raise DataError(f"{address}: ended after {n_bytes:,} of {download.n_bytes:,} bytes. Try again.")
    if digest.hexdigest() != download.sha256:
        raise DataError(
            f"{address}: is not the file that is known by this name (SHA-256 {digest.hexdigest()}, expected "
            f"{download.sha256}). Nothing was kept; try again, or from another network."
        )


def _opened(address: str) -> BufferedIOBase:
    # wikitext.smerity.com refuses the name that urllib gives itself.
    request = Request(address, headers={"User-Agent": f"lstmlm/{version('lstmlm')}"})
    try:
        response: BufferedIOBase = urlopen(request, timeout=SECONDS_WITHOUT_AN_ANSWER)
    except HTTPError as error:
        with error:
            raise DataError(f"{address}: the server answers {error.code} {error.reason}. Try again later.") from None
    except (OSError, HTTPException) as error:
        raise _unreachable(address, error) from None
    return response


def _read(address: str, response: BufferedIOBase) -> bytes:
    try:
        return response.read(BLOCK_BYTES)
    except (OSError, HTTPException) as error:
        raise _unreachable(address, error) from None


def _unreachable(address: str, error: OSError | HTTPException) -> DataError:
    cause = error.reason if isinstance(error, URLError) else error
    reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else cause
    return DataError(f"{address}: cannot be reached ({reason}). Check the connection and try again.")
