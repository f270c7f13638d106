"""The embedded corpus: what is read of a library, how it is cut into splits, and what this Python gives."""

import re
import sys
from pathlib import Path

import pytest

from lstmlm.config.data import DataOptions, WordTokenizerOptions
from lstmlm.corpus.loading import Corpus, load_corpus
from lstmlm.corpus.named import python_docs as named
from lstmlm.corpus.named.prose import sentences
from lstmlm.corpus.named.python_docs import python_docs, read_python_docs
from lstmlm.errors import DataError

QUOTES = '"""'


def library(folder: Path, modules: dict[str, str]) -> Path:
    """A standard library of these modules, by path, with these sources."""
    for name, source in modules.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return folder


def lines(folder: Path) -> list[str]:
    texts = read_python_docs(folder)
    return [line for split in ("train", "valid", "test") for line in texts[split].splitlines()]


def test_docstrings_in_the_order_of_the_source_and_nothing_is_run(tmp_path: Path) -> None:
    source = f"""
{QUOTES}This is the module.{QUOTES}
raise SystemExit("a module was imported")
class A:
    {QUOTES}This is the class.{QUOTES}
    text = {QUOTES}This is not a docstring.{QUOTES}
    async def f(self):
        {QUOTES}This is the method.{QUOTES}
def g():
    {QUOTES}This is the function.{QUOTES}
"""
    assert lines(library(tmp_path, {"abc.py": source})) == [
        "This is the module.",
        "This is the class.",
        "This is the method.",
        "This is the function.",
    ]


@pytest.mark.parametrize(
    "source",
    [
        "topics = {'b': 'This is '\n 'the second topic.\\n', 'a': 'This is the first topic.\\n'}",
        "#\ntopics = {\n 'b': r'''This is the second topic.\n''',\n 'a': r'''This is the first topic.\n''',\n}",
        "topics: dict[str, str] = {'b': 'This is the second topic.', 'a': 'This is the first topic.'}",
    ],
)
def test_topics_however_their_strings_are_written(source: str, tmp_path: Path) -> None:
    assert lines(library(tmp_path, {"pydoc_data/topics.py": source})) == [
        "This is the first topic.",
        "This is the second topic.",
    ]


def test_only_the_standard_library_is_read(tmp_path: Path) -> None:
    source = '"This is the text of {}."'
    modules = ["abc.py", "json/decoder.py", "site-packages/abc.py", "json/tests/test_a.py", "idlelib/run.py", "mine.py"]
    folder = library(tmp_path, {name: source.format(name.replace("/", " of ").removesuffix(".py")) for name in modules})
    assert lines(folder) == ["This is the text of abc.", "This is the text of json of decoder."]


def test_a_source_that_cannot_be_parsed_is_passed_over(tmp_path: Path) -> None:
    folder = library(tmp_path, {"abc.py": "def (", "json/__init__.py": r'"This is \d an old escape."', "re/a.py": "\0"})
    (folder / "ast.py").write_bytes(b'"This is caf\xe9 in no encoding."')
    library(folder, {"bisect.py": '"This is the text."\nx = "\\d"'})
    assert lines(folder) == ["This is the text."]


def test_a_sentence_is_kept_once(tmp_path: Path) -> None:
    modules = {
        "abc.py": '"This is the first. This is the same in both."',
        "ast.py": '"This is the same in both. This is the second."',
        "bisect.py": '"This is the same in both."',
    }
    assert lines(library(tmp_path, modules)) == ["This is the first. This is the same in both.", "This is the second."]


def test_no_library(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_python_docs(tmp_path)
    assert str(caught.value) == (
        "python-docs: this Python comes without the sources of its standard library. "
        "Use another Python, or set data.corpus to a text of your own."
    )


class TestTheCache:
    @pytest.fixture
    def n_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
        """The libraries that were read, each of one module, as by processes of their own."""
        monkeypatch.setenv("LSTMLM_CACHE", str(tmp_path / "cache"))
        read: list[Path] = []

        def noted(_: Path) -> dict[str, str]:
            read.append(tmp_path)
            return read_python_docs(library(tmp_path / "library", {"abc.py": '"This is the module."'}))

        monkeypatch.setattr(named, "read_python_docs", noted)
        return read

    @staticmethod
    def again() -> dict[str, str]:
        """As by a process of its own."""
        python_docs.cache_clear()
        try:
            return python_docs()
        finally:
            python_docs.cache_clear()

    def test_it_is_read_once(self, n_read: list[Path]) -> None:
        assert self.again() == self.again() == {"train": "This is the module.\n", "valid": "", "test": ""}
        assert len(n_read) == 1

    @pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"0" * 64 + b"\n{}", None])
    def test_what_is_damaged_is_read_again(self, content: bytes | None, n_read: list[Path], tmp_path: Path) -> None:
        texts = self.again()
        (file,) = (tmp_path / "cache" / "python-docs").iterdir()
        file.write_bytes(file.read_bytes().replace(b"This", b"That") if content is None else content)
        assert self.again() == texts
        assert self.again() == texts
        assert len(n_read) == 2

    def test_without_a_cache_it_is_read_each_time(self, n_read: list[Path], tmp_path: Path) -> None:
        (tmp_path / "cache").write_bytes(b"")
        assert self.again() == self.again()
        assert len(n_read) == 2


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    tokenizer = WordTokenizerOptions(split="punctuation", max_vocab=8000)
    return load_corpus(DataOptions(corpus="python-docs", tokenizer=tokenizer))


class TestThisPython:
    def test_it_is_large_enough_and_nine_tenths_of_it_is_for_training(self, corpus: Corpus) -> None:
        assert corpus.valid is not None
        assert corpus.test is not None
        n_words = [text.n_words for text in (corpus.train, corpus.valid, corpus.test)]
        assert sum(n_words) > 150_000
        assert [n / sum(n_words) for n in n_words] == pytest.approx([0.9, 0.05, 0.05], abs=0.005)

    def test_few_words_are_unknown(self, corpus: Corpus) -> None:
        assert corpus.valid is not None
        assert corpus.test is not None
        assert corpus.tokenizer.vocab_size == 8000
        for text in (corpus.train, corpus.valid, corpus.test):
            assert text.n_unk / len(text.tokens) < 0.05

    def test_the_splits_share_no_sentence(self) -> None:
        seen = {
            split: {sentence for line in text.splitlines() for sentence in sentences(line)}
            for split, text in python_docs().items()
        }
        for held_out in ("valid", "test"):
            # Sentences are found anew in what is left of a paragraph, so a handful may be cut differently.
            assert len(seen[held_out] & seen["train"]) <= 0.005 * len(seen[held_out])

    def test_every_line_reads_as_english(self) -> None:
        for text in python_docs().values():
            for line in text.splitlines():
                assert re.match(r"[\"'(]*[A-Z]", line), line
                assert re.search(r"[.!?][\"')]*$", line), line
                assert not re.search(r">>>|::|``|\s{2}|[=<>{}\[\]\\`]", line), line

    def test_what_it_comes_from_is_recorded(self, corpus: Corpus) -> None:
        assert corpus.provenance["python"] == ".".join(map(str, sys.version_info[:3]))
        assert corpus.provenance["train"]["sha256"] == corpus.train.sha256
