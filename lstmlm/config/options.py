"""The base class of every section and every pluggable part of a configuration, and the paths in them."""

import codecs
import os
import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Options(BaseModel):
    """A mapping of keys in a YAML file: frozen, strict about types, and refusing keys it does not know.

    The docstring under a field becomes its description in the JSON Schema.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    part: ClassVar[str] = "section"
    """What messages call this part: "cell", "tokenizer", "optimizer", "schedule"."""


def expanded(path: str) -> str:
    """Write out the home folder for `~` at the beginning of a path, and environment variables for `${NAME}` in it.

    Raises:
        ValueError: there is no such variable; the message says what to do.
    """
    for name in re.findall(r"\$\{(\w+)\}", path):
        if not os.environ.get(name):
            raise ValueError(
                f"{path!r} needs the environment variable {name}, which is not set. Set it: export {name}=FOLDER"
            )
    path = re.sub(r"\$\{(\w+)\}", lambda name: os.environ[name[1]], path)
    return os.path.expanduser(path)  # noqa: PTH111 - a path of the user's as it was typed, `./` and all


_NOT_OF_FILES = ("idna", "punycode", "utf-7", "raw-unicode-escape", "unicode-escape")


def known_encoding(name: str) -> str:
    """Return the name of an encoding as it is. Raises ValueError if it is none of texts that are stored in files."""
    try:
        is_known = "A b\n".encode(name).decode(name) == "A b\n"
    except (LookupError, UnicodeError):
        is_known = False
    if not is_known or codecs.lookup(name).name in _NOT_OF_FILES:
        raise ValueError(
            f"unknown encoding {name!r}. Python has utf-8, windows-1252, shift_jis, gb18030 and many more."
        )
    return name


PathText = Annotated[str, Field(min_length=1), AfterValidator(expanded)]
"""A path in a configuration, expanded."""
