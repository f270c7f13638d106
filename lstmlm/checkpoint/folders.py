"""Where runs are looked for: the folders below one, links followed."""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path


def folders_below(root: Path) -> Iterator[Path]:
    """Yield `root` and the folders below it that are not hidden, each once, real ones before those linked."""
    starts, seen = [root], set[str]()
    for start in starts:  # which grow by the links that are met
        for path, names, _ in os.walk(start):
            if (real := os.path.realpath(path)) in seen:
                names.clear()
                continue
            seen.add(real)
            yield Path(path)
            names[:] = [name for name in names if not name.startswith(".")]
            starts += (folder for name in sorted(names) if (folder := Path(path, name)).is_symlink())


def nearest_folder(path: Path, mark: str) -> Path | None:
    """Return the folder beside a path, or of its name below runs/, called most like it, which has a file `mark`."""
    places = ["runs" / path.parent, path.parent]
    found = {file.parent.name: file.parent for place in places for file in place.glob(f"*/{mark}")}
    near = get_close_matches(path.name, found, n=1)
    return found[near[0]] if near else None
