"""Where what can be made or fetched again is kept: one directory of the user's, found by one rule."""

import os
import sys
from pathlib import Path

from lstmlm.errors import ConfigError, explained
from lstmlm.files import make_directory, read_text, write_atomically

CACHE_MODE = 0o755
"""With which the cache is made, so that no umask lets others write to it: what is compiled is run from there."""


def cache_directory() -> Path:
    """The directory of this program in the platform's cache, or the one that `$LSTMLM_CACHE` names; it may not exist.

    Raises:
        ConfigError: the user has no home directory.
    """
    if chosen := os.environ.get("LSTMLM_CACHE"):
        return Path(chosen).absolute()  # a library named without a folder is sought elsewhere
    return _platform_cache() / "lstmlm"


def kept_text(name: str, most_bytes: int) -> str | None:
    """The text that is kept under a name; None where there is none.

    Raises:
        CheckpointError: it cannot be read.
        ConfigError: the user has no home directory.
    """
    path = cache_directory() / name
    with explained(path, "read"):  # who may not look into the folder is not told that there is nothing
        is_kept = path.exists()
    return read_text(path, most_bytes) if is_kept else None


def keep_text(name: str, content: str) -> None:
    """Keep a text under a name.

    Raises:
        CheckpointError: it cannot be written.
        ConfigError: the user has no home directory.
    """
    path = cache_directory() / name
    make_directory(path.parent, CACHE_MODE)
    write_atomically(path, content.encode())


def _platform_cache() -> Path:
    # The second one is set by Windows alone.
    if base := os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA"):
        return Path(base)
    try:
        home = Path.home()
    except RuntimeError:
        raise ConfigError("cache: you have no home directory. Set LSTMLM_CACHE to a directory of yours.") from None
    return home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache"
