"""Corpora given by a path: files, folders and patterns, their splits, and what ends lines and documents."""

import bz2
import gzip
import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from lstmlm.config.data import (
    BPETokenizerOptions,
    ByteTokenizerOptions,
    CharTokenizerOptions,
    DataOptions,
    EosPlace,
    TokenizerOptions,
    UnigramTokenizerOptions,
    WordTokenizerOptions,
)
from lstmlm.corpus.reading.splits import Text, halves_of, named_splits, splits_of, text_of, text_of_files
from lstmlm.errors import ConfigError, DataError

STORIES = ["once\nupon a\n", "time or two\n", "was\na\ncat x\n", "and\na dog y\n"]
"""All of one length, so that a quarter is one of them."""


def content(text: Text) -> str:
    return "".join(text.blocks())


def contents(options: DataOptions) -> dict[str, str]:
    return {split: content(text) for split, text in splits_of(options).items()}


def whole(options: DataOptions) -> str:
    return "".join(contents(options).values())


def put(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        compress: Any = {".gz": gzip.compress, ".bz2": bz2.compress}.get(Path(name).suffix, bytes)
        (folder / name).write_bytes(compress(text.encode()))
    return folder


def json_lines(*texts: str, field: str = "text") -> str:
    return "".join(json.dumps({field: text}) + "\n" for text in texts)


def options_of(corpus: Path | str, **given: Any) -> DataOptions:
    return DataOptions(corpus=str(corpus), holdout=0.25, **given)


class TestSplits:
    def test_of_any_kind(self, tmp_path: Path) -> None:
        put(tmp_path, {"train.jsonl.gz": json_lines("a\nb", "c"), "valid.txt.bz2": "d\n", "test.json": json_lines("e")})
        put(tmp_path, {"other.txt": "not read"})
        assert contents(options_of(tmp_path)) == {"train": "a\nb\nc\n", "valid": "d\n", "test": "e\n"}
        names = {split: text.name for split, text in splits_of(options_of(tmp_path)).items()}
        assert names["train"] == f"{tmp_path}/train.jsonl.gz"

    @pytest.mark.parametrize("other", ["dev.txt", "Valid.txt", "validation.jsonl.gz", "valid"])
    def test_texts_beside_them_are_named(self, other: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        put(tmp_path, {"train.txt": "a\n", other if "." in other else f"{other}/a.txt": "b\n", "test.txt": "c\n"})
        put(tmp_path, {".hidden.txt": "no", "table.csv": "no", "below/.a.txt": "no", "runs/run/log.txt": "no"})
        with caplog.at_level("WARNING", "lstmlm"):
            assert [contents(options_of(tmp_path)) for _ in range(2)] == [{"train": "a\n", "test": "c\n"}] * 2
        assert caplog.messages == [
            f"{tmp_path}: splits are called train.txt, valid.txt and test.txt. Not read: {other}"
        ]

    @pytest.mark.parametrize(
        ("corpus", "names", "likely"),
        [
            ("", ["Train.txt", "Valid.txt", "Test.txt"], "Test.txt, Train.txt, Valid.txt"),
            ("", ["train/a.txt", "valid/a.txt", "more/test.txt"], "train, valid"),
            ("/*.txt", ["train.txt", "dev.txt", "test.txt"], "dev.txt, test.txt, train.txt"),
            ("", ["ptb.train.txt", "ptb.test.txt"], "ptb.test.txt, ptb.train.txt"),
            ("/*", ["my_train.txt", "my_Dev.txt"], "my_Dev.txt, my_train.txt"),
            (
                "/*",
                [f"c4-{split}.0000{n}-of-00002.txt" for split in ("train", "dev") for n in (0, 1)],
                "c4-dev.00000-of-00002.txt, c4-train.00000-of-00002.txt",
            ),
            ("", ["how-to-train-a-dog.txt", "the-test-of-time.txt", "training-days.txt", "b.txt"], None),
            ("/*/train.txt", ["a/train.txt", "b/train.txt"], None),
            ("", ["b/train.txt", "c.txt"], None),
        ],
    )
    def test_what_may_be_splits_and_becomes_one_text_is_told(
        self, corpus: str, names: list[str], likely: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        put(tmp_path, dict.fromkeys(names, "".join(STORIES)))
        with caplog.at_level("WARNING", "lstmlm"):
            splits_of(options_of(f"{tmp_path}{corpus}"))
        told = f"{tmp_path}{corpus}: is read as one text, of which {likely} may be splits. To have them as such, name"
        assert caplog.messages == ([f"{told} a folder with train.txt, valid.txt and test.txt."] if likely else [])

    def test_two_files_for_one_split(self, tmp_path: Path) -> None:
        put(tmp_path, {"train.txt": "a\n", "train.jsonl.gz": json_lines("a")})
        with pytest.raises(DataError) as caught:
            splits_of(options_of(tmp_path))
        assert str(caught.value) == (
            f"{tmp_path}: has train.txt and train.jsonl.gz, but a split is one file. Move the others elsewhere."
        )

    def test_a_file_that_changes_after_it_was_found(self, tmp_path: Path) -> None:
        text = splits_of(options_of(put(tmp_path, {"train.txt": "a\n"})))["train"]
        put(tmp_path, {"train.txt": "another\n"})
        with pytest.raises(DataError, match=r"train.txt: changed while it was read\."):
            content(text)
        (tmp_path / "train.txt").unlink()
        with pytest.raises(DataError, match=r"train.txt: no such file\."):
            content(text)


class TestCollections:
    def test_a_file_is_read_once_wherever_links_lead(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        put(tmp_path, {"a.txt": "".join(STORIES), "b/c.txt": "c\n"})
        (tmp_path / "loop").symlink_to(".")
        (tmp_path / "b" / "again.txt").symlink_to("c.txt")
        assert whole(options_of(f"{tmp_path}/**/**/a.txt")) == "".join(STORIES)
        caplog.clear()
        with caplog.at_level("WARNING", "lstmlm"):
            for corpus in ("", "/**/*.txt"):
                assert whole(options_of(f"{tmp_path}{corpus}")) == "".join([*STORIES, "c\n"])
        of_folder, of_pattern = caplog.messages
        assert of_folder == f"{tmp_path}: links lead to files that are read anyway, 1 in 3 paths. Each is read once."
        assert of_pattern.startswith(f"{tmp_path}/**/*.txt: links lead to files that are read anyway, ")

    def test_token_stores_and_runs_in_a_folder_are_no_texts(self, tmp_path: Path) -> None:
        put(tmp_path, {"a.txt": "".join(STORIES), "store/index.json": "{", "store/tokenizer.json": "{"})
        put(tmp_path, {"begun/store.lock": "", "begun/x.json": "{", "run/format": "1", "run/metrics.jsonl": "{"})
        assert whole(options_of(tmp_path)) == "".join(STORIES)

    def test_the_texts_of_a_folder_by_name(self, tmp_path: Path) -> None:
        put(
            tmp_path, {"b/2.txt": STORIES[2], "b/1.txt.gz": STORIES[1], "a.txt": STORIES[0], "c.JSONL": json_lines("x")}
        )
        put(tmp_path, {"README.md": "no", ".git/x.txt": "no", ".hidden.txt": "no", "b/empty.txt": "", "b/x.log": "no"})
        assert whole(options_of(tmp_path)) == "".join([*STORIES[:3], "x\n"])
        assert splits_of(options_of(tmp_path))["train"].name == f"{tmp_path} (train)"

    def test_a_pattern_takes_any_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        put(tmp_path, {"books/2.log": "c\nd\n", "books/1.log": "a\nb\n", "books/3/4.log": "e\nf\n", "books/.x": "no"})
        monkeypatch.chdir(tmp_path)
        assert whole(options_of("books/*")) == "a\nb\nc\nd\n"
        assert whole(options_of("books/**/*.log")) == "a\nb\nc\nd\ne\nf\n"
        assert whole(options_of(f"{tmp_path}/books/[12].log")) == "a\nb\nc\nd\n"

    def test_a_file_whose_name_looks_like_a_pattern(self, tmp_path: Path) -> None:
        put(tmp_path, {"[a].txt": "".join(STORIES), "a.txt": "no"})
        assert whole(options_of(tmp_path / "[a].txt")) == "".join(STORIES)

    def test_a_last_line_that_is_open_is_ended_where_another_document_follows(self, tmp_path: Path) -> None:
        put(tmp_path, {"1.txt": "a\nb\nc\nd", "2.txt": "e\nf"})
        assert whole(options_of(tmp_path)) == "a\nb\nc\nd\ne\nf\n"
        assert whole(options_of(tmp_path / "1.txt")) == "a\nb\nc\nd"

    @pytest.mark.parametrize("corpus", ["texts", "texts/*.txt"])
    def test_without_texts(self, corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(put(tmp_path, {"texts/a.pdf": "no", "texts/empty.txt/x": ""}))
        with pytest.raises(DataError) as caught:
            splits_of(options_of(f"./{corpus}"))
        assert (
            str(caught.value)
            == {
                "texts": (
                    "texts: holds neither train.txt nor other text "
                    "(.txt, .jsonl, .ndjson, .jsonlines, .json, compressed or not). "
                    "Name a file, another folder, or a pattern: 'texts/*'."
                ),
                "texts/*.txt": (
                    "./texts/*.txt: matches no file. Paths start at the working directory; ** stands for folders."
                ),
            }[corpus]
        )

    def test_a_link_to_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").symlink_to(tmp_path / "gone.txt")
        with pytest.raises(DataError, match=r"/a.txt: no such file\."):
            splits_of(options_of(tmp_path))

    def test_a_pipe_among_files(self, tmp_path: Path) -> None:
        put(tmp_path, {"1.txt": "a\n"})
        os.mkfifo(tmp_path / "2.log")
        with pytest.raises(DataError, match=r"2.log: is a pipe, but a corpus is read more than once\."):
            splits_of(options_of(f"{tmp_path}/*"))

    def test_a_folder_that_cannot_be_listed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        put(tmp_path, {"b/2.txt": "a\n"})
        scandir = os.scandir

        def refusing(path: str) -> Any:
            if str(path).endswith("/b"):
                raise PermissionError(13, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refusing)
        with pytest.raises(DataError) as caught:
            splits_of(options_of(tmp_path))
        assert str(caught.value) == f"{tmp_path}/b: cannot be read (Permission denied). Check its permissions."


class TestEos:
    @pytest.mark.parametrize(
        ("eos", "text"),
        [
            ("line", "once\nupon a\ntime or two\nwas\na\ncat x\nand\na dog y\n"),
            ("line_and_document", "once\nupon a\n\ntime or two\n\nwas\na\ncat x\n\nand\na dog y\n\n"),
            ("document", "once upon a\ntime or two\nwas a cat x\nand a dog y\n"),
            ("never", "once upon a time or two was a cat x and a dog y "),
        ],
    )
    def test_of_documents(self, eos: EosPlace, text: str, tmp_path: Path) -> None:
        put(tmp_path, {f"files/{number}.txt": story for number, story in enumerate(STORIES)})
        put(tmp_path, {"records.jsonl": json_lines(*STORIES)})
        assert whole(options_of(tmp_path / "files", eos=eos)) == text
        assert whole(options_of(tmp_path / "records.jsonl", eos=eos)) == text

    def test_splits_are_cut_where_something_ends(self, tmp_path: Path) -> None:
        path = put(tmp_path, {"a.jsonl": json_lines(*STORIES)}) / "a.jsonl"
        assert contents(options_of(path, eos="document")) == {
            "train": "once upon a\ntime or two\n",
            "valid": "was a cat x\n",
            "test": "and a dog y\n",
        }
        # 48 characters: valid begins at 19, with the document after it, test at 34 with the next.
        assert contents(DataOptions(corpus=str(path), eos="never", holdout=0.3)) == {
            "train": "once upon a time or two ",
            "valid": "was a cat x ",
            "test": "and a dog y ",
        }

    def test_documents_are_cut_only_where_they_are_longer_than_what_is_held_out(self, tmp_path: Path) -> None:
        stories = ["a\nb\nc\nd\n", "e\nf\ng\nh\n", "i\nj\nk\nl\n", "m\nn\no\np\n"]
        path = put(tmp_path, {"a.jsonl": json_lines(*stories)}) / "a.jsonl"
        for eos in ("line", "line_and_document"):
            split = contents(DataOptions(corpus=str(path), eos=eos, holdout=0.3))
            assert [[letter for letter in split[name] if letter.isalpha()] for name in ("train", "valid", "test")] == [
                [*"abcdefgh"],
                [*"ijkl"],
                [*"mnop"],
            ]
        assert contents(DataOptions(corpus=str(path), holdout=0.1)) == {
            "train": "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\n",
            "valid": "n\no\n",
            "test": "p\n",
        }

    def test_halves_keep_documents_whole(self, tmp_path: Path) -> None:
        put(tmp_path, {"1.txt": "a\nb\n", "2.txt": "c\nd\n" * 4, "3.txt": "e\nf\n" * 2, "4.txt": "g\nh\n" * 2})
        options = DataOptions(corpus=str(tmp_path), holdout=0.4)
        valid = splits_of(options)["valid"]
        assert content(valid) == "e\nf\ne\nf\n"
        both = halves_of(text_of_files([tmp_path / "3.txt", tmp_path / "4.txt"], options), options)
        assert [content(half) for half in both] == ["e\nf\ne\nf\n", "g\nh\ng\nh\n"]

    def test_no_part_is_next_to_nothing_where_documents_end(self, tmp_path: Path) -> None:
        novels = {f"{number:02}.txt": "a line\n" * 100 for number in range(19)}
        put(tmp_path, novels | {"zz-licence.txt": "free\n"})
        parts = contents(DataOptions(corpus=str(tmp_path)))
        # 13,305 characters: valid would begin at 11,974, test at 12,640: the novels that begin nearest do.
        assert [len(part) for part in parts.values()] == [11_900, 700, 705]
        put(tmp_path, {"letters.jsonl": f'{{"text": "{"a" * 99}"}}\n' * 20 + '{"text": "Bye."}\n'})
        parts = contents(DataOptions(corpus=str(tmp_path / "letters.jsonl"), eos="document"))
        assert [len(part) for part in parts.values()] == [1_800, 100, 105]
        # Where there is no document to begin with, lines are.
        halves = halves_of(
            text_of_files([tmp_path / name for name in ("00.txt", "zz-licence.txt")], options_of("./")),
            options_of("./"),
        )
        assert [len(content(half)) for half in halves] == [357, 348]

    def test_a_single_line_can_be_cut_between_words(self, tmp_path: Path) -> None:
        path = put(tmp_path, {"text8": "one two three four five six"}) / "text8"
        parts = {"train": "one two three ", "valid": "four five ", "test": "six"}
        assert contents(options_of(path, eos="never")) == parts
        assert contents(options_of(path, tokenizer=BPETokenizerOptions())) == parts

    @pytest.mark.parametrize("eos", ["line", "never"])
    @pytest.mark.parametrize(
        "tokenizer", [CharTokenizerOptions(), ByteTokenizerOptions(), BPETokenizerOptions(), UnigramTokenizerOptions()]
    )
    def test_a_text_without_blanks_can_be_cut_anywhere(
        self, tokenizer: TokenizerOptions, eos: EosPlace, tmp_path: Path
    ) -> None:
        path = put(tmp_path, {"genome": "ACGTTGCA" * 5}) / "genome"
        parts = contents(options_of(path, eos=eos, tokenizer=tokenizer))
        assert parts == {"train": "ACGTTGCA" * 2 + "ACGT", "valid": "TGCAACGTTG", "test": "CAACGTTGCA"}

    def test_words_that_cannot_be_cut(self, tmp_path: Path) -> None:
        put(tmp_path, {"line": "one two three four five six", "word": "indivisible", "lines": "a b c d e f g\n" * 6})
        for name, holdout, advice in (
            ("line", 0.25, "lines to hold out 0.25 of it twice, as valid and test split. Set data.eos=never"),
            ("lines", 0.05, "lines to hold out 0.05 of it twice, as valid and test split. Set data.holdout=0.2"),
            (
                "word",
                0.25,
                "lines to hold out 0.25 of it twice, as valid and test split. Take data.tokenizer.name: char, "
                "a longer text, or a folder with train.txt, valid.txt and test.txt.",
            ),
        ):
            with pytest.raises(DataError) as caught:
                splits_of(DataOptions(corpus=str(tmp_path / name), holdout=holdout))
            assert str(caught.value) == f"{tmp_path / name}: too few {advice}"
        assert splits_of(DataOptions(corpus=str(tmp_path / "line"), holdout=0.25, eos="never"))
        assert splits_of(DataOptions(corpus=str(tmp_path / "lines"), holdout=0.2))
        with pytest.raises(DataError, match="too few words to hold out"):
            splits_of(options_of(tmp_path / "word", eos="never"))

    @pytest.mark.parametrize(
        ("eos", "digests"),
        [
            ("line", ["08176699c44d", "a1f410736e8e", "79e0c73e259b"]),
            ("never", ["b2879c6f4396", "f8601a540138", "37049ab67b61"]),
        ],
    )
    def test_an_ordinary_text_is_cut_as_in_version_0_1(self, eos: EosPlace, digests: list[str], tmp_path: Path) -> None:
        text = "".join(f"line {i} has {'word ' * (i * 7 % 13)}and an end.\n" + "\n" * (i % 3 == 0) for i in range(500))
        path = put(tmp_path, {"text.txt": text}) / "text.txt"
        for tokenizer in (WordTokenizerOptions(), CharTokenizerOptions()):
            parts = contents(DataOptions(corpus=str(path), eos=eos, tokenizer=tokenizer))
            assert [sha256(part.encode()).hexdigest()[:12] for part in parts.values()] == digests

    @pytest.mark.parametrize(
        ("eos", "text"),
        [
            ("line", "a\nb"),
            ("line_and_document", "a\nb\n\n"),
            ("document", "a b\n"),
            ("never", "a b"),
        ],
    )
    def test_a_text_of_its_own_is_a_document(self, eos: EosPlace, text: str, tmp_path: Path) -> None:
        path = put(tmp_path, {"text.txt": "a\nb"}) / "text.txt"
        assert content(text_of(path, DataOptions(corpus="./any", eos=eos))) == text

    def test_records_of_their_own(self, tmp_path: Path) -> None:
        path = put(tmp_path, {"text.jsonl": json_lines("a\nb", "c", field="body")}) / "text.jsonl"
        assert content(text_of(path, DataOptions(corpus="./any", field="body", eos="document"))) == "a b\nc\n"

    def test_halves_part_at_a_line_end_or_between_words(self) -> None:
        text = Text("text", lambda: iter(["one two\nth", "ree four five\nsix\n"]))
        halves = halves_of(text, options_of("./any"))
        assert [content(half) for half in halves] == ["one two\nthree four five\n", "six\n"]
        words = Text("text", lambda: iter(["one two th", "ree four five six"]))
        halves = halves_of(words, options_of("./any", eos="never"))
        assert [content(half) for half in halves] == ["one two three ", "four five six"]


class TestOptionsWithoutEffect:
    @pytest.mark.parametrize("eos", ["line_and_document", "document"])
    @pytest.mark.parametrize("corpus", ["texts/a.txt", "texts/?.txt", "texts"])
    def test_ends_of_documents(
        self, corpus: str, eos: EosPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(put(tmp_path, {"texts/a.txt": "a\nb\n"}))
        with pytest.raises(ConfigError) as caught:
            splits_of(options_of(f"./{corpus}", eos=eos))
        assert str(caught.value) == (
            f"data.eos: {eos!r} has no effect, as ./{corpus} is no collection of documents. "
            "Name a .jsonl file, a pattern or a folder of files, or set data.eos: line."
        )

    def test_a_folder_with_splits_of_single_texts(self, tmp_path: Path) -> None:
        put(tmp_path, {"train.txt": "a\n", "valid.txt": "b\n"})
        with pytest.raises(ConfigError, match="is no collection of documents"):
            splits_of(options_of(tmp_path, eos="document"))

    def test_a_field_without_records(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError) as caught:
            splits_of(options_of(put(tmp_path, {"train.txt": "a\n"}), field="body"))
        assert str(caught.value) == (
            f"data.field: 'body' has no effect, as {tmp_path} has no JSON lines. Leave it out."
        )

    def test_a_corpus_with_a_name_has_no_documents(self) -> None:
        texts = {"train": Text("named (train)", lambda: iter(["a\n", "b\n"]))}
        assert content(named_splits(texts, options_of("named"))["train"]) == "a\nb\n"
        assert content(named_splits(texts, options_of("named", eos="never"))["train"]) == "a b "
        with pytest.raises(ConfigError, match="as named is no collection of documents"):
            named_splits(texts, options_of("named", eos="document"))
