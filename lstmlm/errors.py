"""The errors a user can cause, each with the exit status that the command line ends with.

A message reads `where: what is wrong, with the value. What to do.` and is shown without a traceback; any other
exception is a bug and shows one.
"""

from typing import ClassVar


class LstmlmError(Exception):
    """Something the user can mend. `exit_status` is the status the command line ends with."""

    exit_status: ClassVar[int] = 1


class ConfigError(LstmlmError):
    """A wrong option, configuration value or combination of them."""

    exit_status = 2


class DivergenceError(ConfigError):
    """A loss or gradient that is not finite: the configuration has to change."""


class DataError(LstmlmError):
    """A text that is missing, empty, too short or not readable as text."""

    exit_status = 3


class CheckpointError(LstmlmError):
    """A run directory or checkpoint that is missing, in use, damaged or of another model."""

    exit_status = 4


class MissingExtraError(LstmlmError):
    """An optional dependency that is not installed."""

    exit_status = 6


class Interrupted(KeyboardInterrupt):
    """SIGINT, SIGTERM or SIGHUP, raised between two steps. The command ends with 128 + the signal's number."""

    def __init__(self, signal_number: int) -> None:
        super().__init__()
        self.signal_number = signal_number
