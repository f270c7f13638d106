"""Documentation reduced to running English: every kind of markup and of text that is none, by example."""

import inspect

import pytest

from lstmlm.corpus.named.prose import is_english, paragraphs, sentences


def prose(text: str) -> list[str]:
    return [" ".join(kept) for kept in paragraphs(inspect.cleandoc(text))]


def test_the_lines_of_a_paragraph_become_one() -> None:
    assert prose(
        """
        This is the first line
        of a paragraph, and a well-
        known one.

        This is the second paragraph.
        """
    ) == ["This is the first line of a paragraph, and a well-known one.", "This is the second paragraph."]


def test_a_first_line_without_its_full_stop() -> None:
    assert prose("Return the name of the file") == ["Return the name of the file."]
    assert prose("This is all of it.\n\nThis is not the first line") == ["This is all of it."]


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("Use the :class:`~os.PathLike` of this or of another.", "Use the os.PathLike of this or of another."),
        ("See :ref:`the manual <manual>` for all of it.", "See the manual for all of it."),
        ("See `the manual <https://example.org>`_ for all of it.", "See the manual for all of it."),
        ("The ``mode`` is the `file` mode.", "The mode is the file mode."),
        ("The *mode* is **not** used here.", "The mode is not used here."),
        ("The \"mode\" is 'strict' by default.", "The mode is strict by default."),
        ("The mode is 'r' by default.", 'The mode is "r" by default.'),
        ("The “mode” isn’t ‘two words’ here.", 'The mode isn\'t "two words" here.'),
        ("The close() method of this is called.", "The close method of this is called."),
        ("This is it -- or is it not?", "This is it — or is it not?"),
        ("This is it [1]_ as the note has it.", "This is it as the note has it."),
        ("This is so, and so on…", "This is so, and so on..."),
    ],
)
def test_markup_goes_and_its_words_stay(markup: str, text: str) -> None:
    assert prose(markup) == [text]


@pytest.mark.parametrize(
    "other",
    [
        ">>> print('This is the code.')\nThis is the output of it.",
        "if __debug__:\n    raise the error",
        "with_stmt ::= This is the grammar of it.",
        "+------+------+\n| This | is the table. |",
        "name      This is the meaning of the name.\nother     This is the other one.",
        "This is the Heading.\n====================",
        ".. note:: This is the note.",
        ":param name: This is the name.",
        "foo(bar, baz) -> This is the result.",
        "this has no capital, and it is no sentence.",
        "This has no end, and it is no sentence",
        "Foo.Bar_baz, qux.quux and os.getpid are spam_eggs.",
        "The value of a[0] is the first.",
        "The value is the sum of (a and b.",
        'The value is the " of it.',
        "Three words only.",
        "Mary met Peter yesterday evening.",
        "See https://example.org for the rest of it.",
    ],
)
def test_what_is_no_prose_goes(other: str) -> None:
    assert prose(f"This is the summary.\n\n{other}\n\nThis is the end of it.") == [
        "This is the summary.",
        "This is the end of it.",
    ]


def test_a_literal_block_goes_however_it_reads() -> None:
    assert prose(
        """
        This is the text before an example::

            This is in the example.

                This is in the example, too.

        This is the text after it.
        """
    ) == ["This is the text after it."]


def test_list_items_are_paragraphs() -> None:
    assert prose(
        """
        The following is true:

        * The first item goes on
          in the second line.
        * The second item is short.
        1. The third item is the last.
           It is of two sentences.
        """
    ) == [
        "The first item goes on in the second line.",
        "The second item is short.",
        "The third item is the last. It is of two sentences.",
    ]


def test_a_definition_is_a_paragraph_without_its_term() -> None:
    assert prose("This is the start.\n\nterm\n    This is the definition of the term.") == [
        "This is the start.",
        "This is the definition of the term.",
    ]


def test_a_paragraph_keeps_its_good_sentences() -> None:
    assert prose("This is the first of them. Then x = 1. This is the last of them.") == [
        "This is the first of them. This is the last of them."
    ]


def test_sentences() -> None:
    assert list(sentences('Is it so? Yes, e.g. John. It is "so." (It is.) J. S. Bach wrote it. Wait... What?')) == [
        "Is it so?",
        "Yes, e.g. John.",
        'It is "so."',
        "(It is.)",
        "J. S. Bach wrote it.",
        "Wait... What?",
    ]


@pytest.mark.parametrize(
    ("sentence", "verdict"),
    [
        ("This is a sentence.", True),
        ("Is this a sentence?", True),
        ('"This is a sentence."', True),
        ("The file(s) of the user are read.", True),
        ("Not a Sentence", False),
        ("It calls foo(bar) in the loop.", False),
        ("This is a " + "very " * 80 + "long one.", False),
    ],
)
def test_is_english(sentence: str, verdict: bool) -> None:
    assert is_english(sentence) is verdict
