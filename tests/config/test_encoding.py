"""`data.encoding`: names of encodings that texts are stored in."""

import pytest
from pydantic import ValidationError

from lstmlm.config.data import DataOptions


def test_an_encoding_by_any_of_its_names() -> None:
    assert DataOptions(corpus="./a.txt").encoding == "utf-8"
    for name in ("windows-1252", "cp1252", "Shift_JIS", "UTF-16", "gb18030"):
        assert DataOptions(corpus="./a.txt", encoding=name).encoding == name


@pytest.mark.parametrize("name", ["", "latin-x", "hex", "rot13", "idna", "punycode", "utf-7", "unicode_escape"])
def test_what_is_none(name: str) -> None:
    with pytest.raises(ValidationError, match=f"unknown encoding '{name}'\\. Python has utf-8, windows-1252"):
        DataOptions(corpus="./a.txt", encoding=name)
