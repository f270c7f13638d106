"""What `data check` finds: one trouble at a time, in texts that have nothing else."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from machine import needs_ordinary_user

from lstmlm.config.data import DataOptions
from lstmlm.corpus.inspection import health
from lstmlm.corpus.inspection.health import Finding, check_texts
from lstmlm.corpus.loading import open_texts
from lstmlm.corpus.reading.splits import splits_of

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


def found(*corpora: str) -> list[Finding]:
    return list(check_texts(open_texts(corpora)))


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
        *(("valid", "overlap"), ("valid", "unknown words"), ("test", "overlap"), ("test", "unknown words")),
    ]
    messages = {(Path(finding.text).stem, finding.check): finding.message for finding in findings}
    assert messages["train", "encoding"] == "UTF-8."
    assert messages["train", "tokenisation"] == (
        "100% of the punctuation marks stand alone: the text is tokenised, which split: whitespace suits."
    )
    assert messages["valid", "overlap"] == f"0.0% of its lines of 8 words or more occur in {folder}/train.txt."
    assert messages["valid", "unknown words"] == (
        f"0.0% of its words do not occur in {folder}/train.txt and would be <unk>."
    )


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ("a \ufffd .\n", "1 times U+FFFD, where something was not decoded: convert the original again."),
        (
            "cafÃ© donâ€™t cafĂ©\n",
            '3 times UTF-8 read as Latin-1 or Latin-2, such as "Ã©" or "Ă©": convert the original again.',
        ),
        ("a\0b\0 .\n", "2 NUL characters: remove them, tr -d '\\000'."),
        ("a\x07 \x0c é\x85 .\n", "3 control characters: remove them."),
        ("cafe\u0301\n", "1 lines not in composed form: normalise them to NFC."),
    ],
)
def test_characters_that_should_make_one_look_twice(addition: str, message: str, corpus: Callable[..., str]) -> None:
    finding = only(found(corpus(train=HEALTHY + addition)))
    assert (finding.check, finding.level, finding.message) == ("encoding", "warning", message)


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
    assert findings[0].message == "UTF-8."


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
        "line ends",
        "ok",
        "1 byte-order marks, dropped; 3 carriage returns, read as line ends.",
    )
    assert [finding for finding in found(folder) if finding.check == "line ends"] == [told]
    splits = splits_of(DataOptions(corpus=f"{folder}/train.txt", holdout=0.1))
    assert [finding for finding in check_texts(splits) if finding.check == "line ends"] == [told]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty. Put text into it, a sentence or paragraph a line."),
        (
            b"a caf\xe9\n",
            "not UTF-8 (byte 0xE9 at offset 5, line 1). "
            "It may be windows-1252, which reads 'a café'. If that is right, give data.encoding or --encoding "
            "windows-1252, or convert it: iconv -f windows-1252 -t utf-8 {path}.txt > {path}.utf8.txt",
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


def test_a_file_that_vanishes(corpus: Callable[..., str], tmp_path: Path) -> None:
    texts = open_texts([corpus(train=HEALTHY, valid=sentences(2, 40))])
    (tmp_path / "valid.txt").unlink()
    finding = only(list(check_texts(texts)))
    assert finding.message == "no such file. Check the path, relative to the working directory."


def test_a_corpus_without_a_training_text(corpus: Callable[..., str]) -> None:
    finding = only(found(corpus(valid=sentences(2, 40))))
    assert finding == Finding("train", "reading", "error", "is missing. Put a train.txt into the folder of the corpus.")


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
    assert finding.message.startswith("1 lines, 0% blank, longest ")
    assert finding.message.endswith(
        "A single line has no end to learn: put a sentence or paragraph a line, or model characters or bytes."
    )


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
        "0% of the punctuation marks stand alone: running text. "
        "For words set data.tokenizer.split: punctuation, else a word with a comma is another."
    )


def test_too_few_tokens(corpus: Callable[..., str]) -> None:
    finding = only(found(corpus(train="a b c\n" * 150)))
    assert (finding.check, finding.level) == ("length", "error")
    assert finding.message == (
        "600 words and line ends, but the default batch_size 20 × (bptt 35 + 1) needs 720. Lower data.batch_size, or "
        "model characters."
    )


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
    assert finding.message.startswith("20.0% of its lines of 8 words or more occur in ")
    assert finding.message.endswith("train.txt. Remove them: they are remembered, not predicted.")


def test_a_split_twice(corpus: Callable[..., str]) -> None:
    folder = corpus(train=HEALTHY, valid=HEALTHY, test=sentences(3, 40))
    assert only(found(folder)) == Finding(
        f"{folder}/valid.txt", "copy", "error", f"is the same text as {folder}/train.txt. Use each text once."
    )


def test_a_file_twice(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("a.txt", "b.txt")]
    for file in files:
        Path(file).write_text(HEALTHY)
    assert only(found(*files)) == Finding(
        files[1], "copy", "warning", f"is the same text as {files[0]}. Use each text once."
    )


def test_unknown_words(corpus: Callable[..., str]) -> None:
    finding = only(found(corpus(train=HEALTHY, valid=sentences(2, 40).replace("one", "une").replace("the", "le"))))
    assert finding.check == "unknown words"
    assert finding.message.endswith("train.txt and would be <unk>. Take parts of words: data.tokenizer.name: bpe.")
    assert 20 < float(finding.message.partition("% of its words do not occur in ")[0]) < 30


def test_a_file_that_is_alone_is_checked_as_a_training_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(HEALTHY)
    (tmp_path / "b.txt").write_text(sentences(2))
    alone = [finding.check for finding in found(str(tmp_path / "a.txt"))]
    assert alone == ["encoding", "lines", "repeated lines", "tokenisation", "vocabulary"]
    together = [finding.check for finding in found(str(tmp_path / "a.txt"), str(tmp_path / "b.txt"))]
    assert together == ["encoding", "lines", "repeated lines"] * 2


def test_known_corpora_have_no_trouble(corpus_path: Callable[[str], Path]) -> None:
    findings = found(str(corpus_path("wikitext-2")))
    assert {finding.level for finding in findings} == {"ok"}


@needs_ordinary_user
def test_a_file_without_permission(corpus: Callable[..., str], tmp_path: Path) -> None:
    folder = corpus(train=HEALTHY, valid=sentences(2, 40))
    (tmp_path / "valid.txt").chmod(0)
    assert only(found(folder)).message == "cannot be read (Permission denied). Check its permissions."
