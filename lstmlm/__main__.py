"""`lstmlm` and `python -m lstmlm`: the command line, or one line about what it lacks.

This file and the package's own are written so that an old Python can read them, and say that it is one.
"""

import json
import os
import sys

OLDEST_PYTHON = (3, 11)
LACKS_SOMETHING = 6

SPINS = "1000"
"""How often a thread that waits for another one looks for it before it sleeps: some microseconds."""

MOST_KEPT_BYTES = 1 << 30
"""Of memory that is freed: more than the tensors of most steps."""

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""What mallopt of the GNU C library calls a limit of memory kept, and of blocks that are always given back."""

MOST_MMAP_BYTES_OF_OLD = 1 << 25
"""The largest such block for versions before 2.35."""


def main() -> None:
    """Run the command line; the exit statuses are those of design.md, section 13."""
    if sys.version_info < OLDEST_PYTHON:
        needed, found = (".".join(map(str, version[:3])) for version in (OLDEST_PYTHON, sys.version_info))
        give_up(
            f"{sys.executable}: is Python {found}, lstmlm needs {needed} or newer. "
            f"Make an environment with one, and install lstmlm there: python{needed} -m venv NAME"
        )
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        # A locale without UTF-8, as batch systems have it: prompts, options and names of files come as UTF-8 even so.
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], dict(os.environ, PYTHONUTF8="1"))
    let_waiting_threads_sleep()
    try:
        keep_freed_memory()
        from lstmlm.cli import main as command_line

        command_line()
    except Exception as error:
        from lstmlm.requirements import explanation

        line = explanation(error)
        if line is None:
            raise
        give_up(line)


def give_up(message: str) -> None:
    """Say what the installation lacks, as the command line would: it may be what cannot be imported."""
    print(message, file=sys.stderr)
    if "--json" in sys.argv:
        print(json.dumps({"error": {"code": "installation", "message": message, "exit_status": LACKS_SOMETHING}}))
    sys.exit(LACKS_SOMETHING)


def let_waiting_threads_sleep() -> None:
    """Have threads of GNU's OpenMP, which torch brings, sleep while they wait, unless the user has chosen.

    They would spin for milliseconds, also on the processor that the thread they wait for needs where another program
    keeps the other one busy. The library reads this once, as it is loaded with torch.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
        os.environ["GOMP_SPINCOUNT"] = SPINS


def keep_freed_memory() -> None:
    """Have the GNU C library keep what is freed for what is asked for next, unless the user has chosen.

    Each step of a training asks for the same tensors again. Large ones would be given back to the system in between,
    which clears every page of a new one: an eighth of a step of ptb-cpu-10min.
    """
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ) or os.name != "posix":
        return
    import ctypes  # which a Python that was built without its library lacks

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is not None:
        mallopt(TRIM_THRESHOLD, MOST_KEPT_BYTES)
        mallopt(MMAP_THRESHOLD, MOST_KEPT_BYTES) or mallopt(MMAP_THRESHOLD, MOST_MMAP_BYTES_OF_OLD)


if __name__ == "__main__":
    main()
