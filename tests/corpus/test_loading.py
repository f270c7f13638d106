"""Corpora by path and by name: splits, counts, and what is said when something is missing."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lstmlm.config.data import (
    ByteTokenizerOptions,
    CharTokenizerOptions,
    DataOptions,
    FileTokenizerOptions,
    TokenizerOptions,
    WordTokenizerOptions,
)
from lstmlm.corpus import loading
from lstmlm.corpus.loading import encode_file, load_corpus, load_halves, load_split
from lstmlm.corpus.reading import documents, text_files
from lstmlm.corpus.reading.text_files import Version, read_blocks
from lstmlm.corpus.tokenizers import TOKENIZERS, Tokenizer, train_tokenizer
from lstmlm.errors import ConfigError, DataError

BYTES = train_tokenizer(ByteTokenizerOptions(), [])


def folder(path: Path, **splits: str) -> DataOptions:
    for split, text in splits.items():
        (path / f"{split}.txt").write_bytes(text.encode())
    return DataOptions(corpus=str(path))


def single_file(path: Path, text: str, holdout: float = 0.25) -> DataOptions:
    file = path / "input.txt"
    file.write_bytes(text.encode())
    return DataOptions(corpus=str(file), holdout=holdout, tokenizer=ByteTokenizerOptions())


class TestFolder:
    def test_splits_and_their_counts(self, tmp_path: Path) -> None:
        options = folder(
            tmp_path, train="\ufeffthe cat sat\r\nthe dog\r\n", valid="the bird, süß\n\n", test="<unk> cat"
        )
        corpus = load_corpus(options)
        assert corpus.name == str(tmp_path)
        assert [corpus.tokenizer.token(i) for i in range(corpus.tokenizer.vocab_size)] == [
            *("<unk>", "<eos>", "the", "cat", "dog", "sat")
        ]

        train = corpus.train
        assert (train.name, train.split) == (f"{tmp_path}/train.txt", "train")
        assert train.tokens.tolist() == [2, 3, 5, 1, 2, 4, 1]
        assert train.tokens.dtype == np.int32
        assert (train.n_tokens, train.n_words, train.n_chars, train.n_bytes, train.n_unk) == (7, 5, 20, 20, 0)
        assert train.sha256 == hashlib.sha256(b"the cat sat\nthe dog\n").hexdigest()

        assert corpus.valid is not None
        assert corpus.valid.tokens.tolist() == [2, 0, 0, 1, 1]
        valid = corpus.valid
        assert (valid.n_words, valid.n_chars, valid.n_bytes, valid.n_unk, valid.n_oov) == (3, 15, 17, 2, 2)
        assert (valid.line_chars.tolist(), valid.line_bytes.tolist()) == ([14, 1], [16, 1])

        assert corpus.test is not None
        assert corpus.test.tokens.tolist() == [0, 3, 1]
        assert (corpus.test.n_unk, corpus.test.n_oov, corpus.test.n_lines) == (1, 0, 1)

    def test_the_vocabulary_is_that_of_the_training_split(self, tmp_path: Path) -> None:
        corpus = load_corpus(folder(tmp_path, train="a\n", valid="b\n", test="c\n"))
        assert corpus.tokenizer.vocab_size == 3

    def test_only_the_training_split_is_needed(self, tmp_path: Path) -> None:
        corpus = load_corpus(folder(tmp_path, train="a\n"))
        assert corpus.valid is None
        assert corpus.test is None

    def test_a_tokenizer_that_there_is_already_is_kept(self, tmp_path: Path) -> None:
        tokenizer = train_tokenizer(WordTokenizerOptions(), ["a b c\n"])
        corpus = load_corpus(folder(tmp_path, train="c d\n"), tokenizer)
        assert corpus.tokenizer is tokenizer
        assert corpus.train.tokens.tolist() == [4, 0, 1]

    def test_provenance_has_digests_and_no_path(self, tmp_path: Path) -> None:
        corpus = load_corpus(folder(tmp_path, train="a\n", valid="b\n"))
        counts = {"n_words": 1, "n_lines": 1, "n_chars": 2, "n_bytes": 2}
        assert corpus.provenance == {
            "train": {"sha256": hashlib.sha256(b"a\n").hexdigest(), "n_tokens": 2, "n_unk": 0, **counts},
            "valid": {"sha256": hashlib.sha256(b"b\n").hexdigest(), "n_tokens": 2, "n_unk": 1, **counts},
        }

    def test_blocks_join_up(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        text = "one two\n\nthree\nfour five six\n" * 20 + "no newline"
        whole = encode_file_of(tmp_path, text)
        monkeypatch.setattr(documents, "read_blocks", read_small_blocks)
        in_blocks = encode_file_of(tmp_path, text)
        np.testing.assert_array_equal(in_blocks.tokens, whole.tokens)
        assert (in_blocks.n_words, in_blocks.line_chars.tolist(), in_blocks.line_bytes.tolist(), in_blocks.sha256) == (
            *(whole.n_words, whole.line_chars.tolist(), whole.line_bytes.tolist(), whole.sha256),
        )

    def test_without_train(self, tmp_path: Path) -> None:
        with pytest.raises(DataError) as caught:
            load_corpus(folder(tmp_path, valid="a\n"))
        assert str(caught.value) == (
            f"{tmp_path}: has no train split. A corpus folder needs one, such as train.txt; "
            "valid and test are optional."
        )

    @pytest.mark.parametrize("split", ["train", "valid", "test"])
    def test_a_split_that_is_empty(self, split: str, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=rf"{split}.txt: is empty\."):
            load_corpus(folder(tmp_path, **{"train": "a\n", "valid": "a\n", "test": "a\n", split: ""}))


class TestSingleFile:
    def test_the_last_lines_are_held_out(self, tmp_path: Path) -> None:
        options = single_file(tmp_path, "".join(f"line {i}\n" for i in range(8)))
        corpus = load_corpus(options)
        assert corpus.valid is not None
        assert corpus.test is not None
        texts = [corpus.tokenizer.decode(text.tokens) for text in (corpus.train, corpus.valid, corpus.test)]
        assert texts == ["line 0\nline 1\nline 2\nline 3\n", "line 4\nline 5\n", "line 6\nline 7\n"]
        assert [text.name for text in (corpus.train, corpus.valid, corpus.test)] == [
            f"{tmp_path}/input.txt (train)",
            f"{tmp_path}/input.txt (valid)",
            f"{tmp_path}/input.txt (test)",
        ]

    def test_a_line_belongs_to_the_split_in_which_it_begins(self, tmp_path: Path) -> None:
        # 20 characters: valid begins at 10, within "456789abc", so with the line after it; test at 15, which is "f".
        options = single_file(tmp_path, "012\n456789abc\ne\ngh\n\n")
        texts = {split: BYTES.decode(load_split(options, split, BYTES).tokens) for split in ("train", "valid", "test")}
        assert texts == {"train": "012\n456789abc\n", "valid": "e\n", "test": "gh\n\n"}

    @given(lengths=st.lists(st.integers(0, 9), min_size=12, max_size=40), block_bytes=st.integers(1, 30))
    @example(lengths=[0] * 11 + [4], block_bytes=1)
    def test_the_splits_together_are_the_file_whatever_the_blocks(
        self, lengths: list[int], block_bytes: int, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        text = "".join("é" * n + "\n" for n in lengths)
        options = single_file(tmp_path_factory.mktemp("file"), text)
        by_line = reference_split(text, options.holdout)
        # Where whole lines leave a part empty, single characters are parted: this text has no blanks.
        expected = by_line if all(by_line.values()) else reference_split(text, options.holdout, by_line=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(documents, "read_blocks", lambda path, **given: read_small_blocks(path, block_bytes, **given))
            assert {s: BYTES.decode(load_split(options, s, BYTES).tokens) for s in expected} == expected

    def test_too_few_lines(self, tmp_path: Path) -> None:
        options = single_file(tmp_path, "one\nline\nand more of\nthem", holdout=0.05)
        options = options.model_copy(update={"tokenizer": WordTokenizerOptions()})
        with pytest.raises(DataError) as caught:
            load_corpus(options)
        assert str(caught.value) == (
            f"{tmp_path}/input.txt: too few lines to hold out 0.05 of it twice, as valid and test split. "
            "Set data.holdout=0.35"
        )

    def test_an_empty_file(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"input.txt: is empty\."):
            load_corpus(single_file(tmp_path, ""))


class TestSplit:
    def test_test_where_there_is_one_else_valid(self, tmp_path: Path) -> None:
        options = folder(tmp_path, valid="valid\n")
        assert load_split(options, None, BYTES).split == "valid"
        folder(tmp_path, test="test\n")
        assert load_split(options, None, BYTES).split == "test"
        assert load_split(options, "valid", BYTES).split == "valid"

    def test_it_does_not_need_the_training_text(self, tmp_path: Path) -> None:
        assert load_split(folder(tmp_path, valid="a\n"), "valid", BYTES).tokens.tolist() == [97, 10]

    @pytest.mark.parametrize(("split", "missing"), [("test", "test"), (None, "test or valid")])
    def test_a_split_that_there_is_not(self, split: str | None, missing: str, tmp_path: Path) -> None:
        with pytest.raises(DataError) as caught:
            load_split(folder(tmp_path, train="a\n"), split, BYTES)
        assert str(caught.value) == (f"{tmp_path}: has no {missing} split. Add one.")

    def test_a_split_of_another_name(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError) as caught:
            load_split(folder(tmp_path, train="a\n"), "tset", BYTES)
        assert str(caught.value) == "--split: unknown split 'tset'. Choose one of: train, valid, test."
        with pytest.raises(ConfigError, match=r"^--tune: unknown split 'tset'\."):
            load_split(folder(tmp_path, train="a\n"), "tset", BYTES, flag="--tune")


class TestHalves:
    def test_a_line_belongs_to_the_half_in_which_it_begins(self, tmp_path: Path) -> None:
        # 12 characters: the second half begins at 6, within "defghi".
        options = folder(tmp_path, valid="abc\ndefghi\nj")
        first, second = load_halves(options, "valid", BYTES)
        assert [BYTES.decode(half.tokens) for half in (first, second)] == ["abc\ndefghi\n", "j"]
        assert [half.name for half in (first, second)] == [
            f"{tmp_path}/valid.txt (first half)",
            f"{tmp_path}/valid.txt (second half)",
        ]
        assert (first.split, first.n_words, second.n_chars) == ("valid", 2, 1)

    def test_together_they_are_the_split(self, tmp_path: Path) -> None:
        options = folder(tmp_path, valid="".join(f"{i}\n" for i in range(50)))
        both = np.concatenate([half.tokens for half in load_halves(options, "valid", BYTES)])
        np.testing.assert_array_equal(both, load_split(options, "valid", BYTES).tokens)

    def test_a_single_line(self, tmp_path: Path) -> None:
        with pytest.raises(DataError) as caught:
            load_halves(folder(tmp_path, valid="all in one line\n"), "valid", BYTES)
        problem = "no line begins in its second half. Measure or tune on another split or text."
        assert str(caught.value) == f"{tmp_path}/valid.txt: {problem}"


class TestNames:
    def test_an_unknown_corpus(self) -> None:
        with pytest.raises(ConfigError) as caught:
            load_corpus(DataOptions(corpus="python-doc"))
        assert str(caught.value) == (
            "data.corpus: unknown corpus 'python-doc'. Did you mean 'python-docs'? Choose one of: python-docs, "
            "tinyshakespeare, ptb, wikitext-2, wikitext-103, text8, enwik8. A path has a slash: ./python-doc"
        )

    def test_a_path_to_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(DataError) as caught:
            load_corpus(DataOptions(corpus=f"{tmp_path}/none"))
        assert str(caught.value) == (
            f"{tmp_path}/none: no such file or folder. Paths start at the working directory; "
            "lstmlm data list shows the corpora that have a name."
        )

    @pytest.mark.parametrize(
        ("path", "how"),
        [
            ("data/wikitext-2", "lstmlm data get wikitext-2 fetches it; train with --set data.corpus=wikitext-2 then."),
            (
                "data/tinyshakespeare/input.txt",
                "lstmlm data get tinyshakespeare fetches it; train with --set data.corpus=tinyshakespeare then.",
            ),
            (
                "data/ptb",
                "The Linguistic Data Consortium licenses it, so that it is never fetched. "
                "Put your own copy into data/ptb, below the working directory: train.txt, valid.txt, test.txt.",
            ),
        ],
    )
    def test_where_a_shipped_configuration_finds_no_text(
        self, path: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(DataError) as caught:
            load_corpus(DataOptions(corpus=path))
        assert str(caught.value) == f"{path}: no such file or folder. {how}"

    @pytest.mark.parametrize("corpus", ["data/ptb/*.txt", "data/ptb/all.txt"])
    def test_what_is_there_is_read_whatever_its_folder_is_called(
        self, corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "data" / "ptb").mkdir(parents=True)
        (tmp_path / "data" / "ptb" / "all.txt").write_text("a b\n" * 2000, "utf-8")
        assert load_corpus(DataOptions(corpus=corpus)).train.n_tokens > 0


class TestFile:
    def test_a_text_of_its_own(self, tmp_path: Path) -> None:
        text = encode_file_of(tmp_path, "a b\n")
        assert text.split is None
        assert text.name == f"{tmp_path}/text.txt"
        assert (text.n_tokens, text.n_words, text.n_chars) == (3, 2, 4)

    @pytest.mark.parametrize("options", [options() for options in TOKENIZERS if options is not FileTokenizerOptions])
    @pytest.mark.parametrize("end", ["\n", ""])
    def test_lines_end_alike_for_every_tokenizer(self, options: TokenizerOptions, end: str, tmp_path: Path) -> None:
        lines = ["a b", "", "é\x0c c\u2028d", "e"]
        tokenizer = train_tokenizer(options, ["\n".join(lines)])
        text = encode_file_of(tmp_path, "\n".join(lines) + end, tokenizer)
        in_lines = text.split_lines(text.tokens, tokenizer.start_id)
        np.testing.assert_array_equal(np.concatenate(in_lines), text.tokens)
        assert len(in_lines) == text.n_lines == len(lines)
        assert [tokenizer.decode(line).split() for line in in_lines] == [line.split() for line in lines]

    def test_a_folder_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="is a folder, not a text file"):
            encode_file(tmp_path, DataOptions(corpus="./any"), BYTES)


def encode_file_of(path: Path, text: str, tokenizer: Tokenizer | None = None) -> loading.EncodedText:
    file = path / "text.txt"
    file.write_bytes(text.encode())
    return encode_file(file, DataOptions(corpus="./any"), tokenizer or train_tokenizer(WordTokenizerOptions(), [text]))


def read_small_blocks(
    path: Path, block_bytes: int = 16, version: Version | None = None, encoding: str = "utf-8"
) -> Iterator[str]:
    return read_blocks(path, block_bytes, version, encoding)


def reference_split(text: str, holdout: float, *, by_line: bool = True) -> dict[str, str]:
    """The rule, line by line, or character by character."""
    first_valid, first_test = round(len(text) * (1 - 2 * holdout)), round(len(text) * (1 - holdout))
    splits = {"train": "", "valid": "", "test": ""}
    position = 0
    for line in text.splitlines(keepends=True) if by_line else text:
        name = "train" if position < first_valid else "valid" if position < first_test else "test"
        splits[name] += line
        position += len(line)
    return splits


def test_characters_of_a_corpus(tmp_path: Path) -> None:
    folder(tmp_path, train="abé\n", valid="abc\n")
    corpus = load_corpus(DataOptions(corpus=str(tmp_path), tokenizer=CharTokenizerOptions()))
    assert corpus.train.n_tokens == corpus.train.n_chars == 4
    assert corpus.train.n_bytes == 5
    assert corpus.valid is not None
    assert (corpus.valid.n_unk, corpus.valid.n_oov) == (1, 1)


PROJECT = Path(__file__).parents[2]


def test_the_tiny_text_of_the_project() -> None:
    corpus = load_corpus(
        DataOptions(corpus=str(PROJECT / "data" / "tiny"), tokenizer=WordTokenizerOptions(split="punctuation"))
    )
    assert corpus.valid is not None
    assert corpus.test is not None
    assert corpus.train.n_words > 2500
    assert min(corpus.valid.n_words, corpus.test.n_words) > 300
    assert max(corpus.valid.n_unk, corpus.test.n_unk) <= 5


@pytest.mark.parametrize("options", [options() for options in TOKENIZERS if options is not FileTokenizerOptions])
@pytest.mark.parametrize("end", ["\n", ""])
def test_a_line_longer_than_a_block_is_one_line(
    options: TokenizerOptions, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "short\n" + "fünf wörter in einer zeile " * 9 + f"ende\nnoch eine und noch eine{end}"
    tokenizer = train_tokenizer(options, [text])
    whole = encode_file_of(tmp_path, text, tokenizer)
    monkeypatch.setattr(documents, "read_blocks", read_small_blocks)
    in_blocks = encode_file_of(tmp_path, text, tokenizer)
    np.testing.assert_array_equal(in_blocks.tokens, whole.tokens)
    assert (in_blocks.n_words, in_blocks.n_lines, in_blocks.n_bytes) == (1 + 46 + 5, 3, len(text.encode()))
    np.testing.assert_array_equal(in_blocks.line_chars, whole.line_chars)
    np.testing.assert_array_equal(in_blocks.line_bytes, whole.line_bytes)


def test_lines_of_stimuli_may_be_longer_than_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("a long line of words\nb\n\nc", "utf-8")
    monkeypatch.setattr(text_files, "read_blocks", read_small_blocks)
    assert [line.text for line in text_files.read_lines(path)] == ["a long line of words", "b", "", "c"]
