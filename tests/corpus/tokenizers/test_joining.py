"""Generated tokens as a person would write them."""

import pytest

from lstmlm.corpus.tokenizers.joining import ByteJoiner, WordJoiner


def joined(text: str, prompt: str = "") -> str:
    """What a joiner makes of pieces between spaces; | stands for <eos>."""
    pieces = text.split()
    joiner = WordJoiner(pieces, eos_id=-1, prompt=prompt)
    return "".join(joiner.feed(-1 if piece == "|" else i) for i, piece in enumerate(pieces)) + joiner.flush()


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ("hello , world !", "hello, world!"),
        ("what ? no ; yes : wait . . .", "what? no; yes: wait..."),
        ("f ( x ) and [ y ] , { z }", "f (x) and [y], {z}"),
        ("it costs $ 5 , or us$ 6 , or 7 %", "it costs $5, or us$6, or 7%"),
        ("either / or", "either/or"),
        ("one — two", "one — two"),
        ("a | b . | | c", "a\nb.\n\nc"),
        ("| a", "\na"),
    ],
)
def test_punctuation(pieces: str, text: str) -> None:
    assert joined(pieces) == text


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ("the company 's shares do n't fall", "the company's shares don't fall"),
        (
            "I 'm sure they 're what we 've said he 'll do , and I 'd go",
            "I'm sure they're what we've said he'll do, and I'd go",
        ),
        ("DO N'T", "DON'T"),
        ("she ’s here", "she’s here"),
        ("'tis n't", "'tisn't"),
        ("a 10 @-@ year , 1 @,@ 000 and 3 @.@ 5", "a 10-year, 1,000 and 3.5"),
    ],
)
def test_pieces_of_words(pieces: str, text: str) -> None:
    assert joined(pieces) == text


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ('he said " yes , " and " no " .', 'he said "yes," and "no".'),
        ('" yes " | " no "', '"yes"\n"no"'),
        ('an " open one | " new line "', 'an "open one\n"new line"'),
        ("he said ' yes ' and left", "he said 'yes' and left"),
        ("the dogs ' tails", "the dogs' tails"),
        ("“ yes , ” she said", "“yes,” she said"),
        ("`` yes , '' she said", "``yes,'' she said"),
        ('( " a " )', '("a")'),
        ("\" she said ' no ' twice \"", "\"she said 'no' twice\""),
    ],
)
def test_quotes(pieces: str, text: str) -> None:
    assert joined(pieces) == text


@pytest.mark.parametrize(
    ("prompt", "pieces", "text"),
    [
        ("", "The cat", "The cat"),
        ("The cat", "sat .", "The cat sat."),
        ("The cat", ", too", "The cat, too"),
        ("The cat ", "sat", "The cat sat"),
        ("The cat\n", "sat", "The cat\nsat"),
        ("The cat (", "it sat )", "The cat (it sat)"),
        ('He said "', 'yes " .', 'He said "yes".'),
        ('He said "yes', '" .', 'He said "yes".'),
        ('He said "yes"', '" no "', 'He said "yes" "no"'),
        ('"An old line\nThe', '" new " one', '"An old line\nThe "new" one'),
        ("the dogs", "' tails", "the dogs' tails"),
        ("it costs $", "5", "it costs $5"),
        ("The cat", "| The", "The cat\nThe"),
    ],
)
def test_prompt_and_pieces_read_as_one_text(prompt: str, pieces: str, text: str) -> None:
    assert prompt + joined(pieces, prompt) == text


def test_characters_side_by_side() -> None:
    joiner = ByteJoiner([b"a", b" ", b"\n"])
    assert [joiner.feed(i) for i in (0, 1, 0, 2)] == ["a", " ", "a", "\n"]
    assert joiner.flush() == ""


def test_bytes_wait_for_the_rest_of_their_character() -> None:
    joiner = ByteJoiner([bytes([byte]) for byte in range(256)])
    assert [joiner.feed(byte) for byte in "a€b".encode()] == ["a", "", "", "€", "b"]
    assert joiner.flush() == ""


def test_bytes_that_make_no_character() -> None:
    joiner = ByteJoiner([bytes([byte]) for byte in range(256)])
    assert [joiner.feed(byte) for byte in (0xE2, 0x41)] == ["", "\ufffdA"]
    assert joiner.feed(0xE2) == ""
    assert joiner.flush() == "\ufffd"
