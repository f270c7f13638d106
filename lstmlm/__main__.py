"""`lstmlm` and `python -m lstmlm`: the command line, or one line about what it lacks.

This file and the package's own are written so that an old Python can read them, and say that it is one.
"""

import sys

OLDEST_PYTHON = (3, 11)
LACKS_SOMETHING = 6


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


if __name__ == "__main__":
    main()
