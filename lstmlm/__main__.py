"""`lstmlm` and `python -m lstmlm`: the command line, or one line about what it lacks.

This file and the package's own are written so that an old Python can read them, and say that it is one.
"""

import os
import sys

OLDEST_PYTHON = (3, 11)
LACKS_SOMETHING = 6

SPINS = "1000"
"""How often a thread that waits for another one looks for it before it sleeps: some microseconds."""


def main() -> None:
    """Run the command line; the exit statuses are those of design.md, section 13."""
    if sys.version_info < OLDEST_PYTHON:
        needed, found = (".".join(map(str, version[:3])) for version in (OLDEST_PYTHON, sys.version_info))
        print(
            f"{sys.executable}: is Python {found}, lstmlm needs {needed} or newer. "
            f"Make an environment with one, and install lstmlm there: python{needed} -m venv NAME",
            file=sys.stderr,
        )
        sys.exit(LACKS_SOMETHING)
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        # A locale without UTF-8, as batch systems have it: prompts, options and names of files come as UTF-8 even so.
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], dict(os.environ, PYTHONUTF8="1"))
    let_waiting_threads_sleep()
    try:
        from lstmlm.cli import main as command_line

        command_line()
    except Exception as error:
        from lstmlm.requirements import explanation

        line = explanation(error)
        if line is None:
            raise
        print(line, file=sys.stderr)
        sys.exit(LACKS_SOMETHING)


def let_waiting_threads_sleep() -> None:
    """Have threads of GNU's OpenMP, which torch brings, sleep while they wait, unless the user has chosen.

    They would spin for milliseconds, also on the processor that the thread they wait for needs where another program
    keeps the other one busy. The library reads this once, as it is loaded with torch.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
        os.environ["GOMP_SPINCOUNT"] = SPINS


if __name__ == "__main__":
    main()
