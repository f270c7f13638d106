"""Which runs are meant: by directory, by pattern, or all below `runs/`."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lstmlm.checkpoint.folders import folders_below
from lstmlm.checkpoint.run_directory import METRICS, RunDirectory
from lstmlm.errors import ConfigError, MissingRunError, nearest

ROOT = Path("runs")


def all_runs(root: Path = ROOT) -> list[Path]:
    """Return every run below `root`, at any depth, also behind links, in the order of their names."""
    return sorted(filter(RunDirectory.exists, folders_below(root)))


def newest_run() -> Path:
    """Return the run below `runs/` that recorded something last.

    Raises:
        CheckpointError: There is none.
    """
    runs = [path for path in all_runs() if (path / METRICS).exists()]
    if not runs:
        raise MissingRunError(f"{ROOT}: holds no run. Train one: lstmlm train --config quickstart")
    return max(runs, key=lambda path: (path / METRICS).stat().st_mtime_ns)


def find_runs(patterns: Sequence[str]) -> list[Path]:
    """Return the runs that are named: directories, names below runs/, patterns such as `ptb-*` of either.

    Raises:
        ConfigError: A name is empty.
        CheckpointError: Nothing matches one of them; the message names what is nearly like it.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        if not pattern:
            raise ConfigError("'': is no run. Give its name or directory.")
        matching = [path for path in (Path(pattern), ROOT / pattern) if RunDirectory.exists(path)][:1]
        matching = matching or _matching(pattern)
        if not matching:
            wrong = "holds no run" if Path(pattern).exists() else "no such run"
            raise MissingRunError(f"{pattern}: {wrong}.{_suggestion(pattern)}")
        found.update(dict.fromkeys(matching))
    return list(found)


def _matching(pattern: str) -> list[Path]:
    """Return the runs that a pattern matches; those below a folder that is named as it is, too."""
    if Path(pattern).is_dir():
        return all_runs(Path(pattern))
    roots = [Path(pattern).anchor or "."] if Path(pattern).is_absolute() else [".", str(ROOT)]
    for root in roots:
        relative = pattern.removeprefix(Path(pattern).anchor)
        with suppress(ValueError):  # no pattern, such as one with ** within a name
            if matching := [path for path in sorted(Path(root).glob(relative)) if RunDirectory.exists(path)]:
                return matching
    return []


def _suggestion(pattern: str) -> str:
    runs = [str(path) for path in all_runs()]
    close = nearest(pattern, [*runs, *(Path(run).name for run in runs)], cutoff=0.5)
    if close is not None:
        return f" Did you mean {close}?"
    return " See which there are: lstmlm runs" if runs else " Train one: lstmlm train --config quickstart"
