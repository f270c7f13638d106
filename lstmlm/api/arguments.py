"""Arguments that people give, checked before anything is computed with them."""

import operator
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, SupportsIndex, TypedDict, cast, get_args

from pydantic import TypeAdapter, ValidationError

from lstmlm.errors import ConfigError, DataError, did_you_mean, first_line, shown
from lstmlm.evaluation.surprisal.surprisal import FirstWord, WordContext
from lstmlm.generation.options import SamplingOptions

StrPath = str | os.PathLike[str]


class Sampling(TypedDict, total=False):
    """How to draw: the options of `SamplingOptions`, with the defaults that they have there."""

    max_tokens: int
    temperature: float
    top_k: int | None
    top_p: float | None
    min_p: float | None
    typical_p: float | None
    repetition_penalty: float | None
    no_repeat_ngram_size: int | None
    allow_unk: bool
    precision: Literal["float32", "bfloat16"]
    stop: str | Sequence[str]
    raw: bool


@contextmanager
def flags_as_arguments() -> Iterator[None]:
    """Let a ConfigError that names a flag of the command line name the argument of Python in its place."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(re.sub(r"^--[\w-]+", lambda flag: flag[0][2:].replace("-", "_"), str(error))) from None


def sampling_options(given: Mapping[str, Any]) -> SamplingOptions:
    """Return the options of a sampler. Raises ConfigError if one is wrong."""
    known = Sampling.__annotations__
    for name, value in given.items():
        if name not in known:
            raise ConfigError(f"{name}: no option. {did_you_mean(name, known)}Choose among: {', '.join(known)}.")
        # Pydantic would read "1.2" and True as numbers, and "no" as False.
        is_text, is_switch = name in ("stop", "precision"), name in ("allow_unk", "raw")
        if (isinstance(value, str) and not is_text) or (isinstance(value, bool) and not is_switch):
            raise ConfigError(f"{name}: needs {'True or False' if is_switch else 'a number'}, got {shown(value)}.")
    if isinstance(given.get("stop"), str):
        given = {**given, "stop": [given["stop"]]}
    try:
        with flags_as_arguments():
            return TypeAdapter(SamplingOptions).validate_python(given)
    except ValidationError as error:
        [problem, *_] = error.errors()
        raise ConfigError(f"{problem['loc'][0]}: {problem['msg']}, got {shown(problem['input'])}.") from None


def path_of(name: str, given: object) -> Path:
    """Return a path. Raises ConfigError if it is none."""
    if not isinstance(given, str | os.PathLike):
        raise ConfigError(f"{name}: expected a path, got {shown(given)}. Give a str or a Path.")
    return Path(given)


def require_text(name: str, given: object) -> str:
    """Return a text. Raises DataError if it is none that UTF-8 can hold."""
    if not isinstance(given, str):
        raise DataError(f"{name}: expected text, got {shown(given)}. Give a str.")
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{name}: not Unicode ({first_line(error)}). Decode it with another encoding.") from None
    return given


def require_number(name: str, given: object, least: int = 1) -> int:
    """Return a whole number of `least` or more, be it Python's or NumPy's. Raises ConfigError if it is none."""
    number = least - 1
    if not isinstance(given, bool):
        with suppress(TypeError):
            number = operator.index(cast(SupportsIndex, given))
    if number < least:
        raise ConfigError(f"{name}: needs a whole number of {least} or more, got {shown(given)}.")
    return number


def require_context(context: WordContext, first_word: FirstWord, join: str | None) -> WordContext:
    """Check what words are given, which is returned, and what joins them. Raises ConfigError if it is nothing known."""
    if context not in ("document", "sentence"):
        context = require_number('context: "document", "sentence" or a number of tokens', context)
    if first_word not in get_args(FirstWord):
        raise ConfigError(f"first_word: needs one of {', '.join(get_args(FirstWord))}, got {shown(first_word)}.")
    if not isinstance(join, str | None):
        raise ConfigError(f"join: expected text, got {shown(join)}. Give a str.")
    return context
