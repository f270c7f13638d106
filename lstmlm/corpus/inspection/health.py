"""What is wrong with a corpus, what is not, and what to do: every finding a line."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lstmlm.config.data import DataOptions
from lstmlm.corpus.inspection.characters_and_lines import (
    WORDS_OF_A_LONG_LINE,
    Observation,
    count_dropped,
    line_of_digest,
    observe,
)
from lstmlm.corpus.reading.splits import SPLITS, Text
from lstmlm.corpus.store.token_store import TokenStore
from lstmlm.corpus.tokenizers import EOS, UNK
from lstmlm.errors import DataError

LONGEST_LINE_CHARS = 100_000
BLANK_SHARE = 0.5
NOTABLE_SHARE = 0.05
"""Of repetitions and unknown words: texts that are well known have some."""
NEW_TYPES_PER_THOUSAND_WORDS = 10
SHOWN_CHARS = 60
FEWEST_MARKS = 10

_TROUBLES = {
    "replacement": "times U+FFFD, where something was not decoded: convert the original again",
    "mojibake": 'times UTF-8 read as Latin-1 or Latin-2, such as "Ã©" or "Ă©": convert the original again',
    "nul": "NUL characters: remove them, tr -d '\\000'",
    "control": "control characters: remove them",
    "not_composed": "lines not in composed form: normalise them to NFC",
}

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for."""

    text: str
    """What messages call the text."""
    check: str
    """What was looked for, in a word."""
    level: Level
    """A warning is what one may want otherwise, an error what training will refuse or what makes figures worthless."""
    message: str
    """What was found, and what to do about it."""


def check_texts(texts: Mapping[str, Text]) -> Iterator[Finding]:
    """Read every text and say what is found in each, and then between them.

    A text that cannot be read is a finding like others, and does not keep the rest from being checked.

    Args:
        texts: By split, or by other names. What matters for training is looked for in `train`, or in a text that is
            alone, and compared with `valid` and `test`.
    """
    seen: dict[str, Observation] = {}
    read: set[tuple[Path, ...]] = set()
    for split, text in texts.items():
        try:
            seen[split] = observe(text)
            yield from _of_text(seen[split], text)
            if text.files not in read:  # or it is another part of the same files
                read.add(text.files)
                yield from _dropped(text.files)
        except DataError as error:
            yield Finding(text.name, "reading", "error", str(error).removeprefix(f"{text.name}: "))
    has_splits = texts.keys() <= set(SPLITS)
    yield from _copies(seen.values(), "error" if has_splits else "warning")
    if has_splits and "train" not in texts:
        yield Finding("train", "reading", "error", "is missing. Put a train.txt into the folder of the corpus.")
    train = next(iter(seen.values()), None) if len(texts) == 1 and not has_splits else seen.get("train")
    if train is None:
        return
    yield from _of_training_text(train)
    for split in ("valid", "test"):
        if split in seen:
            yield from _between(train, seen[split])


def check_store(path: Path) -> Finding:
    """Read a token store and say whether all of it is as it was written."""
    try:
        TokenStore.open(path).verify()
    except DataError as error:
        return Finding(str(path), "checksums", "error", str(error).removeprefix(f"{path}: "))
    return Finding(str(path), "checksums", "ok", "all tokens are as they were written.")


def _of_text(seen: Observation, text: Text) -> Iterator[Finding]:
    yield _encoding(seen)
    yield _lines(seen)
    yield _repeated_lines(seen, text)
    if len(seen.paragraphs) > 1:
        yield _repeated_paragraphs(seen)


def _finding(name: str, check: str, found: str, advice: str = "") -> Finding:
    """A warning where there is advice."""
    return Finding(name, check, "warning" if advice else "ok", f"{found} {advice}".rstrip())


def _encoding(seen: Observation) -> Finding:
    troubles = [f"{seen.characters[kind]:,} {what}" for kind, what in _TROUBLES.items() if seen.characters[kind]]
    if troubles:
        return Finding(seen.name, "encoding", "warning", "; ".join(troubles) + ".")
    return Finding(seen.name, "encoding", "ok", "UTF-8.")


def _dropped(files: Sequence[Path]) -> Iterator[Finding]:
    kinds = ("byte-order marks, dropped", "carriage returns, read as line ends")
    found = [f"{count:,} {what}" for count, what in zip(count_dropped(files), kinds, strict=True) if count]
    if found:
        name = str(files[0]) if len(files) == 1 else f"{len(files):,} files"
        yield Finding(name, "line ends", "ok", "; ".join(found) + ".")


def _lines(seen: Observation) -> Finding:
    longest = f"longest {seen.longest_chars:,} characters (line {seen.longest_line:,})"
    found = f"{seen.n_lines:,} lines, {seen.n_blank / seen.n_lines:.0%} blank, {longest}."
    advice = ""
    if seen.n_lines == 1:
        advice = "A single line has no end to learn: put a sentence or paragraph a line, or model characters or bytes."
    elif seen.longest_chars > LONGEST_LINE_CHARS:
        advice = "Check that line ends were not lost there."
    elif seen.n_blank > BLANK_SHARE * seen.n_lines:
        advice = "Each blank line is an <eos> that is easy to predict: remove those that mean nothing."
    return _finding(seen.name, "lines", found, advice)


def _repeated_lines(seen: Observation, text: Text) -> Finding:
    share, advice = seen.long_lines.share_repeated(), ""
    if share > NOTABLE_SHARE:
        digest, count = seen.long_lines.most_frequent()
        line = line_of_digest(text, digest)
        shown = line[:SHOWN_CHARS] + ("…" if len(line) > SHOWN_CHARS else "")
        advice = f"Most often, {count:,} times: {shown!r}. Remove them unless they belong to the text."
    found = (
        f"{seen.lines.share_repeated():.1%} of the lines that are not blank have occurred before, {share:.1%} of "
        f"those of {WORDS_OF_A_LONG_LINE} words or more{_sampled(seen.long_lines.share_sampled)}."
    )
    return _finding(seen.name, "repeated lines", found, advice)


def _repeated_paragraphs(seen: Observation) -> Finding:
    paragraphs = seen.paragraphs
    share = paragraphs.share_repeated()
    found = f"{share:.1%} of {len(paragraphs):,} paragraphs have occurred before{_sampled(paragraphs.share_sampled)}."
    advice = "Remove copies of the same document." if share > NOTABLE_SHARE else ""
    return _finding(seen.name, "repeated paragraphs", found, advice)


def _tokenisation(name: str, share: float) -> Finding:
    found = f"{share:.0%} of the punctuation marks stand alone"
    if share >= 0.5:
        return _finding(name, "tokenisation", f"{found}: the text is tokenised, which split: whitespace suits.")
    advice = "For words set data.tokenizer.split: punctuation, else a word with a comma is another."
    return _finding(name, "tokenisation", f"{found}: running text.", advice)


def _of_training_text(train: Observation) -> Iterator[Finding]:
    n_detached, n_marks = train.characters["detached"], train.characters["detached"] + train.characters["attached"]
    if n_marks >= FEWEST_MARKS:
        yield _tokenisation(train.name, n_detached / n_marks)
    fields = DataOptions.model_fields
    batch_size, bptt = fields["batch_size"].default, fields["bptt"].default
    n_tokens = train.words.n_words + train.n_lines
    needed = batch_size * (bptt + 1)
    if n_tokens < needed:
        yield Finding(
            train.name,
            "length",
            "error",
            f"{n_tokens:,} words and line ends, but the default batch_size {batch_size} × (bptt {bptt} + 1) needs "
            f"{needed}. Lower data.batch_size, or model characters.",
        )
    written = [f"{token} {train.words.counts[token]:,} times" for token in (UNK, EOS) if token in train.words.counts]
    if written:
        found = f"{' and '.join(written)}: models of words read them as their own tokens."
        yield _finding(
            train.name, "words that are tokens", found, "Each <eos> ends a line." if EOS in train.words.counts else ""
        )
    growth = train.words.new_types_per_thousand_words()
    if growth is not None:
        found = f"{train.words.n_types:,} types; {growth:.1f} new ones per 1,000 words at the end."
        is_open = growth > NEW_TYPES_PER_THOUSAND_WORDS
        advice = "Set data.tokenizer.max_vocab, or take parts of words: name: bpe." if is_open else ""
        yield _finding(train.name, "vocabulary", found, advice)


def _copies(seen: Iterable[Observation], level: Level) -> Iterator[Finding]:
    originals: dict[int, str] = {}
    for observation in seen:
        original = originals.setdefault(observation.whole.value(), observation.name)
        if original != observation.name:
            yield Finding(observation.name, "copy", level, f"is the same text as {original}. Use each text once.")


def _between(train: Observation, held_out: Observation) -> Iterator[Finding]:
    if held_out.whole.value() == train.whole.value():
        return
    share = held_out.long_lines.share_in(train.long_lines)
    found = f"{share:.1%} of its lines of {WORDS_OF_A_LONG_LINE} words or more occur in {train.name}."
    advice = "Remove them: they are remembered, not predicted." if share > NOTABLE_SHARE else ""
    yield _finding(held_out.name, "overlap", found, advice)
    unknown = held_out.words.share_unknown_to(train.words)
    found = f"{unknown:.1%} of its words do not occur in {train.name} and would be <unk>."
    advice = "Take parts of words: data.tokenizer.name: bpe." if unknown > NOTABLE_SHARE else ""
    yield _finding(held_out.name, "unknown words", found, advice)


def _sampled(share: float) -> str:
    return "" if share == 1 else f" (in a sample of {share:.2%} of them)"
