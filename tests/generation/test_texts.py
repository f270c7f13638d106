"""A sample ends before the first stop text, and nothing of one is ever let through."""

from itertools import product

import pytest

from lstmlm.generation.texts import StopBefore


def told(pieces: list[str], stops: list[str]) -> list[str]:
    end = StopBefore(stops)
    return [*(end.feed(piece) for piece in pieces), end.flush()]


@pytest.mark.parametrize(
    ("pieces", "stops", "expected"),
    [
        (["a", "b"], [], ["a", "b", ""]),
        (["a", "Q", ":", "b"], ["Q:"], ["a", "", "", "", ""]),
        (["a", "Q", "x", "b"], ["Q:"], ["a", "", "Qx", "b", ""]),
        (["a", "Q"], ["Q:"], ["a", "", "Q"]),
        (["one. two. three"], [". th", "."], ["one", ""]),
        (["a", "aab"], ["aab"], ["", "a", ""]),
    ],
)
def test_pieces(pieces: list[str], stops: list[str], expected: list[str]) -> None:
    assert told(pieces, stops) == expected


def test_all_short_texts_end_where_the_whole_text_says() -> None:
    stops = ["aba", "bb"]
    for letters in product("ab", repeat=6):
        text = "".join(letters)
        ends = [place for place in map(text.find, stops) if place >= 0]
        assert "".join(told(list(letters), stops)) == text[: min(ends, default=len(text))]
