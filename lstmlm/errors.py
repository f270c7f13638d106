"""The errors a user can cause, each with the exit status of the command line, and the commands that messages advise.

A message reads `where: what is wrong, with the value. What to do.` and is shown without a traceback; any other
exception is a bug and shows one.
"""

import codecs
import difflib
import errno
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import ClassVar

RESTORE = "Restore it from a copy."
"""What to do about a file that is missing or damaged."""

REMEDIES = {
    errno.ENOSPC: "Free some space there.",
    errno.EDQUOT: "Free some space there.",
    errno.EACCES: "Allow it, or choose another directory.",
    errno.EPERM: "Allow it, or choose another directory.",
    errno.EROFS: "Choose another directory.",
    errno.ENOTDIR: "Choose another directory.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.ENOLCK: "Choose a directory on another file system.",
    errno.ENOSYS: "Choose a directory on another file system.",
    errno.EOPNOTSUPP: "Choose a directory on another file system.",
}
"""What to do where the operating system refuses something, by the number of its error."""


class LstmlmError(Exception):
    """Something the user can mend.

    `exit_status` is the status the command line ends with, `code` the word by which `lstmlm explain` has more of it.
    """

    exit_status: ClassVar[int] = 1
    code: ClassVar[str] = "bug"


class ConfigError(LstmlmError):
    """A wrong option, configuration value or combination of them."""

    exit_status = 2
    code = "configuration"


class OutputPathError(ConfigError):
    """A place for a result that is taken, that the command reads, or that cannot be written."""

    code = "output-path"


class DivergenceError(ConfigError):
    """A loss or gradient that is not finite: the configuration has to change."""

    code = "diverged"
    reason: ClassVar[str] = "divergence"
    """What the end of such a training is recorded with."""


class DataError(LstmlmError):
    """A text or table that is not what the command reads."""

    exit_status = 3
    code = "data"


class MissingTextError(DataError):
    """A text that is not where it was looked for."""

    code = "text-missing"


class EncodingError(DataError):
    """A text whose bytes are not characters in the encoding that it is read in."""

    code = "text-encoding"


class ShortTextError(DataError):
    """A text that is empty, or too short for what is asked."""

    code = "text-too-short"


class ChangedTextError(DataError):
    """A split that is not the text that the run was started on."""

    code = "text-changed"


class CheckpointError(LstmlmError):
    """A file of a run that is missing, damaged or cannot be used."""

    exit_status = 4
    code = "run-damaged"


class MissingRunError(CheckpointError):
    """A run that is not there, or has nothing to load yet."""

    code = "run-missing"


class RunExistsError(CheckpointError):
    """A place for a new run that is taken."""

    code = "run-exists"


class RunInUseError(CheckpointError):
    """A run or store on which another process works."""

    code = "run-in-use"


class RunMismatchError(CheckpointError):
    """A run or checkpoint of another configuration, tokenizer or model than is asked for."""

    code = "run-mismatch"


class AuditError(CheckpointError):
    """A run that is not what its configuration and corpus give."""

    code = "run-altered"


class StorageError(CheckpointError):
    """A disk or folder that does not take what is to be written, or does not give what is to be read."""

    code = "storage"


class MissingExtraError(LstmlmError):
    """Something was asked for that an optional dependency does."""

    exit_status = 6
    code = "extra-missing"


class WorldError(LstmlmError):
    """The processes of a distributed command have lost each other."""

    exit_status = 7
    code = "process-lost"


class Interrupted(KeyboardInterrupt):
    """A signal that asks the program to stop, raised where nothing is left half done. Exit status: 128 + its number."""

    reason: ClassVar[str | None] = None
    """Why a training has ended for good; None where it is to go on."""

    def __init__(self, signal_number: int) -> None:
        super().__init__()
        self.signal_number = signal_number


def as_command(words: Sequence[str]) -> str:
    """Write words as the shell of this system takes them, so that a message that ends in them can be pasted."""
    if sys.platform == "win32":
        from subprocess import list2cmdline as join
    else:
        from shlex import join
    return join(words)


SHOWN_CHARS = 40
"""How much of a wrong value a message shows."""


def shown(value: object) -> str:
    """Return the beginning of a value for a message."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"


def counted(number: int, noun: str) -> str:
    """Write how many there are of something."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


SHOWN_PROBLEMS = 3
"""How many problems of many a command shows."""

# UTF-32 first: its little-endian mark begins with that of UTF-16.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""What tells how a file is written that begins so."""

_UNPACKERS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}

_ICONV_NAMES = {
    "mac-roman": "macintosh",
    "iso2022-jp": "iso-2022-jp",
    "iso2022-kr": "iso-2022-kr",
    **{f"utf-{n_bits}-{order}": f"utf-{n_bits}{order}" for n_bits in (16, 32) for order in ("le", "be")},
}
"""Of encodings that Python calls otherwise."""


def conversion(name: str, command: Sequence[str], suffix: str, encoding: str = "utf-8") -> str:
    """Write the command that makes of a file, which may be compressed, another beside it, whose name ends in `suffix`.

    Args:
        name: What messages call the file.
        command: Reads the UTF-8 file that its last word names, or else standard input, and writes to standard output.
        suffix: As in `beside`.
        encoding: How the file's characters are written, unless it has a byte-order mark; any name that Python knows.
    """
    if encoding == "utf-8":
        encoding = _by_its_mark(name) or encoding
    known = codecs.lookup(encoding).name.replace("_", "-")
    is_utf8 = known in ("utf-8", "utf-8-sig")
    return _piped(name, [command] if is_utf8 else [_to_utf8(_ICONV_NAMES.get(known, known)), command], suffix)


def to_utf8(name: str, encoding: str) -> str:
    """Write the command that makes UTF-8 of a file."""
    kept = Path(name).with_suffix("") if Path(name).suffix.lower() in _UNPACKERS else Path(name)
    return _piped(name, [_to_utf8(encoding)], f".utf8{kept.suffix}")


def beside(path: Path, suffix: str) -> Path:
    """Name a file beside another, never that one: `suffix` in place of the old one, or after `.new` if that is it."""
    written = path.with_name(path.stem + suffix)
    return path.with_name(f"{path.stem}.new{suffix}") if written == path else written


def _to_utf8(encoding: str) -> Sequence[str]:
    return ["iconv", "-f", encoding, "-t", "utf-8"]


def _piped(name: str, commands: Sequence[Sequence[str]], suffix: str) -> str:
    path = Path(name)
    first, *others = commands
    if name == "standard input":
        return " | ".join(map(as_command, commands))
    if unpacker := _UNPACKERS.get(path.suffix.lower()):
        path = path.with_suffix("")
        commands = [[unpacker, "-dc", name], *commands]
    else:
        commands = [[*first, name], *others]
    return f"{' | '.join(map(as_command, commands))} > {as_command([str(beside(path, suffix))])}"


def _by_its_mark(name: str) -> str | None:
    """How a file is written, if it begins with what tells that, and can be read; a pipe cannot be read twice."""
    if not Path(name).is_file():
        return None
    with suppress(OSError), Path(name).open("rb") as file:
        beginning = file.read(4)
        return next((encoding for mark, encoding in BYTE_ORDER_MARKS if beginning.startswith(mark)), None)
    return None


def in_proportion(problems: Iterable[str]) -> list[str]:
    """Return the first problems of many, and how many there are beside them."""
    remaining = iter(problems)
    shown = [*islice(remaining, SHOWN_PROBLEMS)]
    n_more = sum(1 for _ in remaining)
    return [*shown, f"and {n_more:,} more of this kind."] if n_more else shown


def nearest(word: str, choices: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the choice that `word` resembles most, whatever its case; None where it resembles none."""
    by_lower_case = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(word[:80].lower(), by_lower_case, n=1, cutoff=cutoff)
    return by_lower_case[found[0]] if found else None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return "Did you mean 'x'? " for the choice that `word` resembles; "" where it resembles none."""
    found = nearest(word, choices)
    return f"Did you mean {found!r}? " if found else ""


def unknown(kind: str, name: str, choices: Collection[str]) -> str:
    """Say that nothing of a kind has that name, and which names there are."""
    return f"unknown {kind} {name!r}. {did_you_mean(name, choices)}Choose one of: {', '.join(choices)}."


@contextmanager
def explained(path: Path, participle: str) -> Iterator[None]:
    """Turn what the operating system refuses into a `CheckpointError`: which file, what could not be done, what to do.

    Args:
        path: What the message names.
        participle: What was to be done: "read", "written".
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and participle == "read":
            raise CheckpointError(f"{path}: is missing. {RESTORE}") from error
        raise refusal(path, participle, error) from error


def refusal(path: Path, participle: str, error: OSError) -> StorageError:
    """Say what the operating system has refused; see `explained`."""
    remedy = REMEDIES.get(error.errno or 0, "Check the path and the disk.")
    return StorageError(f"{path}: cannot be {participle} ({error.strerror or error}). {remedy}")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation has failed, which torch reports on the CPU as a plain RuntimeError."""
    return isinstance(error, MemoryError) or "can't allocate memory" in str(error) or "out of memory" in str(error)


def first_line(error: BaseException) -> str:
    """Return what an error of someone else's says, in one line of at most 200 characters."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
