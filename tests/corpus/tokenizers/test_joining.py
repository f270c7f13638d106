"""Generated tokens as a person would write them."""

import json

import pytest

from lstmlm.config.data import WordTokenizerOptions
from lstmlm.corpus.tokenizers import load_tokenizer, train_tokenizer
from lstmlm.corpus.tokenizers.joining import ByteJoiner, RawJoiner, WordJoiner
from lstmlm.corpus.tokenizers.spacing import EnglishSpacing
from lstmlm.errors import DataError


def joined(text: str, prompt: str = "") -> str:
    """What a joiner makes of pieces between spaces where nobody counted; | stands for <eos>."""
    pieces = text.split()
    joiner = WordJoiner(pieces, -1, EnglishSpacing(), prompt)
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


PUNCTUATION = WordTokenizerOptions(split="punctuation")


def rejoined(text: str, options: WordTokenizerOptions = PUNCTUATION) -> str:
    """A text that a tokenizer has learnt, token by token."""
    tokenizer = train_tokenizer(options, [text])
    joiner = tokenizer.joiner()
    return "".join(joiner.feed(int(i)) for i in tokenizer.encode(text)) + joiner.flush()


@pytest.mark.parametrize(
    "text",
    [
        "„Es regnet“, sagt die Lehrerin, „aber das Boot ist fort.“\n",
        "¿Dónde está el barco? —preguntó el panadero—. ¡Nadie!\n",
        "« C’est fini\xa0», dit l’enfant\u202f; l’homme n’est pas là\u202f!\n",
        "قال المعلم: «لا أحد هنا»، ثم سكت؛ هل ذهب؟\n",
        "बेकर ने कहा, “कोई नहीं आया।” फिर वह चला गया।\n",
        "「待っている」と言った。パン屋は（もう）いない。\n",
        "at 10:30 she paid 1,024 dollars: see https://example.org/a, b and c\n",
        'she said "yes," and "no", and he said "maybe."\n',
        "she said—then left; a -- b, f(x) and x[0] = y\n",
        "می‌بیند کتاب‌ها را. 👨‍👩‍👧 ❤️‍🔥 👍🏽 🇵🇱!\n",
    ],
)
def test_marks_stand_as_in_the_training_text(text: str) -> None:
    assert rejoined(text) == text


def test_what_is_cut_at_white_space_keeps_it() -> None:
    text = "C ( = O ) and the company 's shares , she said\n"
    assert rejoined(text, WordTokenizerOptions()) == text


def test_pairs_that_never_met_stand_as_each_does_elsewhere() -> None:
    tokenizer = train_tokenizer(PUNCTUATION, ["(one) two, (three): four\n"])
    joiner = tokenizer.joiner()
    ids = [int(tokenizer.encode(piece)[0]) for piece in ("two", "(", "one", ":", ")", "three")]
    assert "".join(map(joiner.feed, ids)) == "two (one:) three"


@pytest.mark.parametrize(("prompt", "word", "added"), [("„", "es", "es"), ("es ", "es", "es"), ("es", "es", " es")])
def test_a_prompt_goes_on_as_the_training_text_does(prompt: str, word: str, added: str) -> None:
    tokenizer = train_tokenizer(PUNCTUATION, ["„es“, sagt es es.\n"])
    assert tokenizer.joiner(prompt).feed(int(tokenizer.encode(word)[0])) == added


def test_a_tokenizer_of_version_0_1_reads_and_spaces_as_it_did() -> None:
    new = train_tokenizer(PUNCTUATION, ["می‌بیند , it's 3 .\n"]).to_json()
    content = json.loads(new)
    del content["model"]["spacing"]
    content["pre_tokenizer"]["pattern"]["Regex"] = r"<unk>|<eos>|\w+(?:['’.\-]\w+)*|[^\w\s]"
    content["model"]["vocab"] = {"<unk>": 0, "<eos>": 1, "می": 2, "\u200c": 3, "بیند": 4, ",": 5}
    old = load_tokenizer(PUNCTUATION, json.dumps(content))
    assert old.encode("می‌بیند ,").tolist() == [2, 3, 4, 5, 1]
    joiner = old.joiner()
    assert "".join(map(joiner.feed, (2, 5, 4))) == "می, بیند"


@pytest.mark.parametrize("rows", ['[["w", ",", "x", 1]]', '[["w", ",", "", "1"]]', '[["w"]]', "3"])
def test_spacing_that_nobody_has_counted(rows: str) -> None:
    content = json.loads(train_tokenizer(PUNCTUATION, ["a, b\n"]).to_json())
    content["model"]["spacing"] = json.loads(rows)
    with pytest.raises(DataError, match=r"tokenizer.json: spacing: "):
        load_tokenizer(PUNCTUATION, json.dumps(content)).joiner()


def test_tokens_as_they_are() -> None:
    joiner = RawJoiner(["cat", ",", "<eos>"].__getitem__, 2, "The")
    assert "".join(map(joiner.feed, (0, 1, 2, 0))) == " cat , <eos>\ncat"


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
