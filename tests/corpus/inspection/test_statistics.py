"""The size of a text, against counting it as a whole."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmlm.corpus.inspection.statistics import measure
from lstmlm.corpus.reading.splits import Text
from lstmlm.corpus.reading.text_files import line_pieces


def in_blocks(text: str, block_chars: int) -> Text:
    """A text in blocks that need not end with a line."""

    def blocks() -> Iterator[str]:
        for start in range(0, len(text), block_chars):
            yield text[start : start + block_chars]

    return Text("text", blocks)


@given(text=st.text(alphabet="ab \n", min_size=1, max_size=40), block_chars=st.integers(1, 50))
def test_lines_are_those_of_the_text_whatever_the_blocks(text: str, block_chars: int) -> None:
    lines = [""]
    for piece, is_end in line_pieces(in_blocks(text, block_chars).blocks()):
        lines[-1] += piece
        if is_end:
            lines.append("")
    assert lines == [*text.removesuffix("\n").split("\n"), ""]


def test_sizes() -> None:
    sizes = measure(in_blocks("the süß cat\n\nthe cat\nend", 4)).sizes()
    assert {name: value for name, value in sizes.items() if "line_words" not in name and name != "n_words"} == {
        "n_lines": 4,
        "n_types": sizes["n_types"],
        "n_chars": 24,
        "n_bytes": 26,
        "n_tokens": sizes["n_words"] + 4,
    }
    whole = measure(in_blocks("the süß cat\n\nthe cat\nend", 100)).sizes()
    assert whole == {
        "n_lines": 4,
        "n_words": 6,
        "n_types": 4,
        "n_chars": 24,
        "n_bytes": 26,
        "n_tokens": 10,
        "line_words_median": 1,
        "line_words_99_percent": 3,
        "line_words_longest": 3,
    }


def test_lengths_of_lines() -> None:
    lines = "".join("word " * (n % 100) + "\n" for n in range(1000))
    sizes = measure(in_blocks(lines, 10**6)).sizes()
    assert [sizes[f"line_words_{which}"] for which in ("median", "99_percent", "longest")] == [49, 98, 99]


def test_vocabulary() -> None:
    statistics = measure(in_blocks("a b a\nc a d\n", 100))
    assert statistics.vocabulary() == {
        "type_token_ratio": pytest.approx(4 / 6),
        "n_singletons": 3,
        "n_pruned_types": 0,
        "heaps_exponent": None,
        "zipf_exponent": None,
        "share_of_10000_types": 1,
        "share_of_30000_types": 1,
    }
    assert [(row["word"], row["count"]) for row in statistics.most_frequent()] == [
        *(("a", 3), ("b", 1), ("c", 1), ("d", 1)),
    ]


def test_a_text_of_blank_lines() -> None:
    statistics = measure(in_blocks("\n\n", 100))
    assert (statistics.sizes()["n_tokens"], statistics.sizes()["line_words_longest"]) == (2, 0)
    assert statistics.vocabulary()["type_token_ratio"] == 0
