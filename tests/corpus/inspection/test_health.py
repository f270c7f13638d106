"""What `data check` finds: one trouble at a time, in texts that have nothing else."""

import gzip
import json
import random
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from machine import needs_iconv, needs_ordinary_user, needs_perl

from lstmlm.config.data import CharTokenizerOptions, DataOptions, WordTokenizerOptions
from lstmlm.corpus.inspection import health
from lstmlm.corpus.inspection.health import Finding, check_texts
from lstmlm.corpus.loading import open_corpus, open_texts

SUBJECTS = "farmer baker doctor miller teacher sailor".split()
VERBS = "sees hears calls follows greets".split()
NUMBERS = "one two three four five six seven eight nine".split()
PLACES = "market river harbour village mountain".split()


def sentences(seed: int, n: int = 400) -> str:
    draw = random.Random(seed).choice
    return "".join(
        f"the {draw(SUBJECTS)} {draw(VERBS)} the {draw(SUBJECTS)} and the {draw(SUBJECTS)} at the {draw(PLACES)} , "
        f"{draw(NUMBERS)} {draw(NUMBERS)} times , near the {draw(PLACES)} .\n"
        for _ in range(n)
    )


HEALTHY = sentences(1)


@pytest.fixture
def corpus(tmp_path: Path) -> Callable[..., str]:
    def write(**splits: str | bytes) -> str:
        for split, text in splits.items():
            (tmp_path / f"{split}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(tmp_path)

    return write


def found(corpus: str, **options: Any) -> list[Finding]:
    read = DataOptions(corpus=corpus, **options)
    texts, splits = open_corpus(read)
    return list(check_texts(texts, read, splits))


def only(findings: list[Finding]) -> Finding:
    (finding,) = [finding for finding in findings if finding.level != "ok"]
    return finding


def test_a_healthy_corpus(corpus: Callable[..., str]) -> None:
    folder = corpus(train=HEALTHY, valid=sentences(2, 40), test=sentences(3, 40))
    findings = found(folder)
    assert {finding.level for finding in findings} == {"ok"}
    assert [(Path(finding.text).stem, finding.check) for finding in findings] == [
        *(("train", "encoding"), ("train", "lines"), ("train", "repeated lines")),
        *(("valid", "encoding"), ("valid", "lines"), ("valid", "repeated lines")),
        *(("test", "encoding"), ("test", "lines"), ("test", "repeated lines")),
        *(("train", "tokenisation"), ("train", "vocabulary")),
        *(("valid", "overlap"), ("test", "overlap")),
    ]
    messages = {(Path(finding.text).stem, finding.check): finding.message for finding in findings}
    assert messages["train", "encoding"] == "no odd characters."
    assert messages["train", "tokenisation"] == (
        "100% of the commas stand alone: the text is tokenised, which split: whitespace suits."
    )
    assert messages["valid", "overlap"] == (
        f"0.0% of its lines, 0.0% of those of 8 words or more, occur in {folder}/train.txt."
    )


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ("a \ufffd .\n", "1 times U+FFFD, where something was not decoded: convert the original again."),
        (
            "cafÃ© donâ€™t cafĂ©\n",
            '3 times UTF-8 read as Latin-1 or Latin-2, such as "Ã©" or "Ă©": convert the original again.',
        ),
        (
            "caf\x92 \x93a\x94 é\x85\n",
            (
                "4 characters from U+0080 to U+009F, as of windows-1252 read as Latin-1: convert the original again, "
                "from windows-1252."
            ),
        ),
    ],
)
def test_characters_that_should_make_one_look_twice(addition: str, message: str, corpus: Callable[..., str]) -> None:
    finding = only(found(corpus(train=HEALTHY + addition)))
    assert (finding.check, finding.level, finding.message) == ("encoding", "warning", message)


@needs_perl
def test_letters_apart_from_their_marks_are_named_with_what_composes_them(
    corpus: Callable[..., str], tmp_path: Path
) -> None:
    finding = only(found(corpus(train=HEALTHY + "caf\u200be\u0301\n" * 2)))
    said, _, command = finding.message.rpartition(": ")
    remedy = "compose letters with their marks and remove what means nothing"
    assert finding.check == "encoding"
    assert said == f"2 lines not in composed form; 2 U+200B ZERO WIDTH SPACE: {remedy}"
    subprocess.run(command, shell=True, check=True)
    assert (tmp_path / "train.txt").read_text("utf-8").endswith("caf\u00e9\ncaf\u00e9\n")


@needs_perl
@pytest.mark.parametrize(
    ("addition", "named", "kept"),
    [
        ("a\0b\0\n", "2 U+0000 NULL", "ab"),
        ("a\x07 \x0cb\x85\n", "1 U+0007 ALERT, 1 U+000C FORM FEED, 1 U+0085 NEXT LINE", "a  b "),
        ("a \x1b[1;31mred\x1b[0m b\x1b\n", "3 U+001B ESCAPE", "a red b"),
        ("so\xadft zero\u200bspace\n", "1 U+00AD SOFT HYPHEN, 1 U+200B ZERO WIDTH SPACE", "soft zerospace"),
        ("a\ufeffb\u2060c\n", "1 U+FEFF BYTE ORDER MARK, 1 U+2060 WORD JOINER", "abc"),
        ("\u200ea\u202ab\u202c\n", (
            "1 U+200E LEFT-TO-RIGHT MARK, 1 U+202A LEFT-TO-RIGHT EMBEDDING, 1 U+202C POP DIRECTIONAL FORMATTING"
        ), "ab"),
    ],
)  # fmt: skip
def test_characters_that_nobody_sees_are_named_with_what_removes_them(
    addition: str, named: str, kept: str, corpus: Callable[..., str], tmp_path: Path
) -> None:
    finding = only(found(corpus(train=HEALTHY + addition)))
    said, _, command = finding.message.partition(": remove what means nothing: ")
    assert (finding.check, said) == ("encoding", named)
    subprocess.run(command, shell=True, check=True)
    assert (tmp_path / "train.txt").read_text("utf-8").splitlines()[-1] == kept


@pytest.mark.parametrize(
    "text", ["می\u200cبیند کتاب\u200cها", "👨\u200d👩\u200d👧 ❤\ufe0f", "a\xa0b\u202f!", "ක්\u200dර"]
)
def test_joiners_and_blanks_that_languages_need_are_no_trouble(text: str, corpus: Callable[..., str]) -> None:
    assert found(corpus(train=HEALTHY + text + "\n"))[0].message == "no odd characters."


SENTENCES = [
    "Ça va : Âge d'or, São Paulo, Где она? Ñandú, fenêtre. «IRMû, disse, e a avó foi à manhã de LISBOA.",
    "Ăștia și ăia au ORĂȘEL; ÎN ROMÂNIA LITERARĂ” se scrie: „CASĂ», ACASĂ… ORĂŞENESC. Ăştia vin.",
    "Zażółć gęślą jaźń; ŻÓŁW, ŁĄKA i ŚWIĘTO. Ślub „Ćmy” — cóż, pięć źrebiąt.",
    "Tôi yêu tiếng nước tôi; ĂN CƠM, ĐÃ ĂN… Ấy là “ĂN”; Ă, Â, Đ là chữ cái. Người đã đi.",
    "Das Fräulein sagte: Ä… ÄPFEL, ÖL und „Ä“. Größe, Übermut; Schüler.",
    "Vĺčik, stĺp a DĹŽKA; KĹB, vŕba, ľúbezný kôň. Šťastie, žena, ďaleko.",
    "Příliš žluťoučký kůň úpěl ďábelské ódy. Árvíztűrő tükörfúrógép. Şişli'de ığdır; Gökhan.",
    "Äiti, ISÄ» ja LEHMÄ… På ÅKERN och ÅSEN; GÅ! Ðað er þörf.",
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_letters_that_are_meant_are_no_mojibake(sentence: str, corpus: Callable[..., str]) -> None:
    findings = found(corpus(train=HEALTHY + sentence + "\n"))
    assert findings[0].message == "no odd characters."


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "iso-8859-2", "cp1250"])
@pytest.mark.parametrize(
    "sentence", ["Ils ont été là, à Orléans.", "Zażółć gęślą jaźń, półtora.", "Příliš žluťoučký kůň."]
)
def test_letters_that_were_read_wrongly_are(sentence: str, encoding: str, corpus: Callable[..., str]) -> None:
    wrong = sentence.encode().decode(encoding, "replace").replace("\ufffd", "")
    finding = only(found(corpus(train=HEALTHY + wrong + "\n")))
    assert 'times UTF-8 read as Latin-1 or Latin-2, such as "Ã©" or "Ă©": convert the original again' in finding.message


def test_what_reading_does_away_with_is_told_once(corpus: Callable[..., str]) -> None:
    content = b"\xef\xbb\xbf" + HEALTHY.replace("\n", "\r\n", 3).encode()
    folder = corpus(train=content, valid=sentences(2, 40))
    told = Finding(
        f"{folder}/train.txt",
        "files",
        "ok",
        "1 byte-order mark, dropped; 3 carriage returns, read as line ends.",
    )
    assert [finding for finding in found(folder) if finding.check == "files"] == [told]
    assert [finding for finding in found(f"{folder}/train.txt") if finding.check == "files"] == [told]


@pytest.mark.parametrize(("text", "encoding"), [("čaj a മലയാളം\n", "utf-16"), ("čaj\n", "utf-16-le")])
def test_no_byte_of_a_wide_character_is_a_carriage_return(text: str, encoding: str, corpus: Callable[..., str]) -> None:
    folder = corpus(train=(text * 20).encode(encoding))
    assert not [one for one in found(folder, encoding=encoding) if one.check == "files"]
    folder = corpus(train=(text * 20).replace("\n", "\r\n").encode(encoding))
    [told] = [one.message for one in found(folder, encoding=encoding) if one.check == "files"]
    assert told == "20 carriage returns, read as line ends."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty. Put text into it, a sentence or paragraph a line."),
        (
            b"a caf\xe9\n",
            "not UTF-8 (byte 0xE9 at offset 5, line 1). "
            "It may be windows-1252, which reads 'a café'. If that is right, give data.encoding or --encoding "
            "windows-1252, or, where other files are UTF-8, convert it: "
            "iconv -f windows-1252 -t utf-8 {path}.txt > {path}.utf8.txt",
        ),
    ],
)
def test_a_split_that_cannot_be_read_keeps_none_from_being_checked(
    content: bytes, message: str, corpus: Callable[..., str]
) -> None:
    folder = corpus(train=HEALTHY, valid=content, test=sentences(3, 40))
    findings = found(folder)
    message = message.format(path=f"{folder}/valid")
    assert only(findings) == Finding(f"{folder}/valid.txt", "reading", "error", message)
    assert ("test", "overlap") in [(Path(finding.text).stem, finding.check) for finding in findings]


def test_a_training_text_that_cannot_be_read(corpus: Callable[..., str]) -> None:
    folder = corpus(train=b"\xff", valid=sentences(2, 40))
    assert [finding.check for finding in found(folder)] == ["reading", "encoding", "lines", "repeated lines"]
    for text in (b"\xff", b""):
        (Path(folder) / "alone.txt").write_bytes(text)
        assert [finding.check for finding in found(f"{folder}/alone.txt")] == ["reading"]


def test_a_file_that_vanishes(corpus: Callable[..., str], tmp_path: Path) -> None:
    options = DataOptions(corpus=corpus(train=HEALTHY, valid=sentences(2, 40)))
    texts, splits = open_corpus(options)
    (tmp_path / "valid.txt").unlink()
    finding = only(list(check_texts(texts, options, splits)))
    assert finding.message == "no such file. Check the path, relative to the working directory."


def test_blank_lines(corpus: Callable[..., str]) -> None:
    text = HEALTHY.replace("\n", "\n \n\n")
    finding = only(found(corpus(train=text)))
    assert finding.message == (
        f"1,200 lines, 67% blank, {longest_of(text)}. "
        "Each blank line is an <eos> that is easy to predict: remove those that mean nothing."
    )


def longest_of(text: str) -> str:
    lines = text.split("\n")
    length = max(map(len, lines))
    return f"longest {length:,} characters (line {[len(line) for line in lines].index(length) + 1:,})"


def test_a_long_line(corpus: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LONGEST_LINE_CHARS", 500)
    joined = HEALTHY.replace("\n", " ", 6)
    finding = only(found(corpus(train=joined)))
    assert finding.message == f"394 lines, 0% blank, {longest_of(joined)}. Check that line ends were not lost there."


def test_a_single_line(corpus: Callable[..., str]) -> None:
    finding = only(found(corpus(train=HEALTHY.replace("\n", " "))))
    assert finding.message.startswith("1 line, 0% blank, longest ")
    assert finding.message.endswith(
        "A single line has no end to learn: put a sentence or paragraph a line, or set data.eos=never"
    )
    unparted = only(found(corpus(train="ACGT" * 99)))
    assert unparted.message.endswith("A single line has no end to learn: put a sentence or paragraph a line.")
    assert not [one for one in found(corpus(train=HEALTHY), eos="never") if one.level != "ok"]


def test_repeated_lines(corpus: Callable[..., str]) -> None:
    notice = "this notice stands on top of every page of the book and is long\n"
    finding = only(found(corpus(train=HEALTHY + notice * 50)))
    assert finding.check == "repeated lines"
    assert finding.message == (
        "10.9% of the lines that are not blank have occurred before, 10.9% of those of 8 words or more. "
        "Most often, 50 times: 'this notice stands on top of every page of the book and is l…'. "
        "Remove them unless they belong to the text."
    )


def test_short_lines_may_be_repeated(corpus: Callable[..., str]) -> None:
    findings = found(corpus(train=HEALTHY.replace(" and ", "\nANNA :\n")))
    repeated = next(finding for finding in findings if finding.check == "repeated lines")
    assert repeated.level == "ok"


def test_repeated_paragraphs(corpus: Callable[..., str]) -> None:
    documents = [sentences(seed, 2) for seed in range(100)]
    findings = found(corpus(train="\n".join(documents + documents[:20])))
    repeated = next(finding for finding in findings if finding.check == "repeated paragraphs")
    assert (repeated.level, repeated.message) == (
        "warning",
        "16.7% of 120 paragraphs have occurred before. Remove copies of the same document.",
    )


def test_running_text(corpus: Callable[..., str]) -> None:
    finding = only(found(corpus(train=HEALTHY.replace(" ,", ","))))
    assert finding.message == (
        "0% of the commas stand alone: running text. "
        "For words set data.tokenizer.split: punctuation, else a word with a comma is another."
    )
    folder = corpus(train=HEALTHY.replace(" ,", ","))
    for tokenizer in (WordTokenizerOptions(split="punctuation"), CharTokenizerOptions()):
        assert {finding.level for finding in found(folder, tokenizer=tokenizer)} == {"ok"}


def test_spacing_of_french_and_of_dialogue_is_running_text(corpus: Callable[..., str]) -> None:
    french = "".join(f"« Il est {n} ! », dit le boulanger ; mais {n} heures : est-ce tard ?\n" for n in NUMBERS * 2)
    english = "".join(f"“It is {n},” says the baker. “Wait!” she says, and waits.\n" for n in NUMBERS * 2)
    for text in (french, english):
        (said,) = [one for one in found(corpus(train=text)) if one.check == "tokenisation"]
        assert said.message.startswith("0% of the commas stand alone: running text.")


def test_a_vocabulary_that_does_not_end(corpus: Callable[..., str]) -> None:
    text = "".join(f"the farmer sees {place} or {place + 1}\n" for place in range(0, 1000, 2))
    finding = only(found(corpus(train=text)))
    assert finding.check == "vocabulary"
    assert finding.message == (
        "1,004 types; 335.0 new ones per 1,000 words at the end. "
        "Set data.tokenizer.max_vocab, or take parts of words: name: bpe."
    )


def test_lines_of_the_training_text(corpus: Callable[..., str]) -> None:
    valid = sentences(2, 40) + "".join(HEALTHY.splitlines(keepends=True)[:10])
    finding = only(found(corpus(train=HEALTHY, valid=valid)))
    assert finding.check == "overlap"
    assert finding.message.startswith("20.0% of its lines, 20.0% of those of 8 words or more, occur in ")
    assert finding.message.endswith("train.txt. Remove them: they are remembered, not predicted.")


def test_short_lines_of_the_training_text(corpus: Callable[..., str]) -> None:
    orders = [f"turn {verb} {place}\n" for verb in VERBS for place in PLACES]
    folder = corpus(train="".join(orders) * 20, valid="".join(orders[:10]), test="".join(f"go {o}" for o in orders))
    told = [finding.message for finding in found(folder) if finding.check == "overlap"]
    assert told == [
        f"100.0% of its lines, 0.0% of those of 8 words or more, occur in {folder}/train.txt. "
        "Remove them: they are remembered, not predicted.",
        f"0.0% of its lines, 0.0% of those of 8 words or more, occur in {folder}/train.txt.",
    ]
    alone = [finding for finding in found(f"{folder}/train.txt") if finding.check == "overlap"]
    assert [(Path(one.text).name, one.level) for one in alone] == [
        ("train.txt (valid)", "warning"),
        ("train.txt (test)", "warning"),
    ]


def test_a_split_twice(corpus: Callable[..., str]) -> None:
    folder = corpus(train=HEALTHY, valid=HEALTHY, test=sentences(3, 40))
    assert only(found(folder)) == Finding(
        f"{folder}/valid.txt", "copy", "error", f"is the same text as {folder}/train.txt. Use each text once."
    )


def test_a_file_twice(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("a.txt", "b.txt")]
    for file in files:
        Path(file).write_text(HEALTHY, "utf-8")
    options = DataOptions(corpus="./")
    assert only(list(check_texts(open_texts(files, options), options))) == Finding(
        files[1], "copy", "warning", f"is the same text as {files[0]}. Use each text once."
    )


def test_a_file_that_is_alone_is_cut_as_for_training_and_several_are_not(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(HEALTHY, "utf-8")
    (tmp_path / "b.txt").write_text(sentences(2), "utf-8")
    alone = [(Path(finding.text).name, finding.check) for finding in found(str(tmp_path / "a.txt"))]
    assert alone == [
        *(("a.txt", "encoding"), ("a.txt", "lines"), ("a.txt", "repeated lines")),
        *(("a.txt (train)", "tokenisation"), ("a.txt (train)", "vocabulary")),
        *(("a.txt (valid)", "overlap"), ("a.txt (test)", "overlap")),
    ]
    options = DataOptions(corpus="./")
    texts = open_texts([str(tmp_path / "a.txt"), str(tmp_path / "b.txt")], options)
    assert [one.check for one in check_texts(texts, options)] == ["encoding", "lines", "repeated lines"] * 2


def test_all_bad_records_are_counted_and_three_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text("".join('{"text": null}\n' if n % 4 == 0 else '{"text": "a b"}\n' for n in range(40)), "utf-8")
    told = [(one.check, one.level, one.message) for one in found(str(path))]
    assert [(check, level) for check, level, _ in told] == [("reading", "error")] * 4
    assert [message.partition("records.jsonl")[2] for _, _, message in told[:3]] == [
        f":{line}: text: expected text, got null. Write some, or remove the line." for line in (1, 5, 9)
    ]
    assert told[3][2] == "and 7 more of this kind."


def test_a_corpus_with_a_name_has_the_splits_that_it_has() -> None:
    texts, splits = open_corpus(DataOptions(corpus="python-docs"))
    assert texts is splits
    assert list(splits) == ["train", "valid", "test"]


def test_all_files_of_a_folder_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.txt").write_bytes(b"" if number == 3 else b"%PDF-1.7\n" if number % 2 else b"a b c\n")
    told = [(one.check, one.message.partition(": ")) for one in found(str(tmp_path))]
    assert [check for check, _ in told] == ["reading", "reading"]
    assert [(Path(file).name, what[:9]) for _, (file, _, what) in told] == [
        ("1.txt", "is a PDF,"),
        ("5.txt", "is a PDF,"),
    ]


@needs_perl
def test_lines_that_are_wrapped_and_what_unwraps_them(corpus: Callable[..., str], tmp_path: Path) -> None:
    paragraphs = [" ".join(sentences(seed, 5).split()) for seed in range(12)]
    wrapped = "\n\n".join(textwrap.fill(paragraph, 64) for paragraph in paragraphs) + "\n"
    finding = only(found(corpus(train=wrapped)))
    said, _, command = finding.message.partition(", or make a paragraph a line: ")
    assert finding.check == "lines"
    assert said.endswith(" characters, within sentences. Set data.eos=never")
    subprocess.run(command, shell=True, check=True)
    assert (tmp_path / "train.txt").read_text("utf-8").splitlines() == paragraphs
    assert not [one for one in found(corpus(train=wrapped), eos="never") if one.check == "lines" and one.level != "ok"]
    corpus(train=wrapped.replace("\n", "\r"))
    subprocess.run(command, shell=True, check=True)
    assert (tmp_path / "train.txt").read_text("utf-8").splitlines() == paragraphs


@needs_perl
@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
@pytest.mark.parametrize("pattern", ["", "/*"])
def test_a_mended_text_takes_the_place_of_the_old_one(name: str, pattern: str, tmp_path: Path) -> None:
    content = (HEALTHY + "a\xadb\n").encode()
    before = gzip.compress(content) if name.endswith(".gz") else content
    (tmp_path / name).write_bytes(before)
    corpus = f"{tmp_path}{pattern}"
    subprocess.run(only(found(corpus)).message.partition("means nothing: ")[2], shell=True, check=True)
    texts, _ = open_corpus(DataOptions(corpus=corpus))
    assert ["".join(text.blocks()) for text in texts.values()] == [HEALTHY + "ab\n"]
    assert (tmp_path / f".before.clean.{name}").read_bytes() == before


def test_records_are_given_no_command_for_lines_of_text(tmp_path: Path) -> None:
    texts = [textwrap.fill(" ".join(sentences(seed, 9).split()) + "\u200b", 64) for seed in range(40)]
    path = tmp_path / "books.jsonl"
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), "utf-8")
    told = {finding.check: finding.message for finding in found(str(path)) if finding.level == "warning"}
    assert told["lines"].endswith(" within sentences. Set data.eos=never, or make a paragraph a line.")
    assert told["encoding"] == "40 U+200B ZERO WIDTH SPACE: remove what means nothing."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{n}\n00:00:{n:02},500 --> 00:00:{n:02},900\nThe farmer waits.\n\n", "looks like subtitles"),
        ("<p>The <b>farmer</b> waits.</p>\n", "looks like HTML or XML"),
        ("The [[farmer]] waits for {{{{lang|fr|elle}}}}.\n", "looks like wiki markup"),
        ("{n}\tfarmer\tNN\t3\n", "has 4 columns with tabs between them. Keep that of the text."),
        ('{n},"The farmer, who waits",no\n', "has 3 columns with commas between them. Keep that of the text."),
    ],
)
def test_what_is_more_than_lines_of_text(text: str, message: str, corpus: Callable[..., str]) -> None:
    folder = corpus(train="".join(text.format(n=n) for n in range(50)))
    (finding,) = [one for one in found(folder, tokenizer=CharTokenizerOptions()) if one.check == "layout"]
    assert finding.level == "warning"
    assert finding.message.startswith(message)


def test_marks_that_other_tools_leave_in_a_text(corpus: Callable[..., str]) -> None:
    text = "".join(f"<s> the <unk> {word} </s>\n" for word in SUBJECTS * 5)
    told = {one.message.partition(",")[0]: one.level for one in found(corpus(train=text)) if one.check == "markers"}
    assert told == {"30 times <unk>": "ok", "30 times <s>": "warning", "30 times </s>": "warning"}
    attached = found(corpus(train="The end.<|endoftext|>A beginning.\n" * 20))
    assert [one.message.partition(",")[0] for one in attached if one.check == "markers"] == ["20 times <|endoftext|>"]
    by_characters = found(corpus(train=text.replace("s>", "b>")), tokenizer=CharTokenizerOptions())
    assert "markers" not in {one.check for one in by_characters}


def test_indentation_is_lost_to_words_alone(corpus: Callable[..., str]) -> None:
    folder = corpus(train="".join(f"def f{n}(a, b):\n    return a\n" for n in range(60)))
    lost = [one for one in found(folder) if "indented" in one.message]
    assert [one.level for one in lost] == ["warning"]
    assert not [one for one in found(folder, tokenizer=CharTokenizerOptions()) if "indented" in one.message]


def test_known_corpora_have_no_trouble(corpus_path: Callable[[str], Path]) -> None:
    finding = only(found(str(corpus_path("wikitext-2"))))
    assert finding.message.startswith("36 U+FEFF BYTE ORDER MARK: ")  # they are there


@needs_ordinary_user
def test_a_file_without_permission(corpus: Callable[..., str], tmp_path: Path) -> None:
    folder = corpus(train=HEALTHY, valid=sentences(2, 40))
    (tmp_path / "valid.txt").chmod(0)
    assert only(found(folder)).message == "cannot be read (Permission denied). Check its permissions."


@needs_iconv
@needs_perl
def test_an_encoding_is_the_one_that_was_read_and_commands_read_it_too(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text(sentences(1) + "a\xadb\n", "utf-16")
    options = DataOptions(corpus=str(path), encoding="utf-16")
    [told] = [one for one in check_texts(open_texts([str(path)], options), options) if one.check == "encoding"]
    command = told.message.partition("means nothing: ")[2]
    subprocess.run(command, shell=True, check=True)
    assert (tmp_path / "texts.clean.txt").read_text("utf-8") == sentences(1) + "ab\n"
    path.write_text(sentences(1), "utf-16")
    told = next(iter(check_texts(open_texts([str(path)], options), options)))
    assert (told.check, told.message) == ("encoding", "no odd characters.")


def test_no_encoding_is_named_that_is_not_the_one_that_was_read(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text(sentences(1), "utf-16")
    told = next(iter(check_texts(open_texts([str(path)], DataOptions(corpus=str(path))), DataOptions(corpus="a/b"))))
    assert (told.check, told.level, told.message) == ("encoding", "ok", "no odd characters.")
