"""What is wrong with a corpus, what is not, and what to do: every finding a line."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from unicodedata import lookup
from unicodedata import name as name_of

from lstmlm.config.data import DataOptions, TokenizerOptions, WordTokenizerOptions
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.inspection.characters_and_lines import (
    WORDS_OF_A_LONG_LINE,
    Observation,
    count_dropped,
    line_of_digest,
    observe,
)
from lstmlm.corpus.inspection.layout import describe, is_indented, wrapped_width
from lstmlm.corpus.reading.compression import split_suffixes
from lstmlm.corpus.reading.documents import holds_records
from lstmlm.corpus.reading.recognition import replacement
from lstmlm.corpus.reading.splits import Text
from lstmlm.corpus.store.token_store import TokenStore
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.errors import DataError, counted

LONGEST_LINE_CHARS = 100_000
BLANK_SHARE = 0.5
NOTABLE_SHARE = 0.05
"""Of repetitions and unknown words: texts that are well known have some."""
COMMON_SHARE = 0.5
"""Of lines of any length: short ones recur."""
NEW_TYPES_PER_THOUSAND_WORDS = 10
SHOWN_CHARS = 60
FEWEST_MARKS = 10

_TROUBLES = {
    "\ufffd": "times U+FFFD, where something was not decoded: convert the original again",
    "windows-1252": (
        "characters from U+0080 to U+009F, as of windows-1252 read as Latin-1: convert the original again, from "
        "windows-1252"
    ),
    "mojibake": 'times UTF-8 read as Latin-1 or Latin-2, such as "Ã©" or "Ă©": convert the original again',
}
_GAPS = "\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029"
"""What nobody sees but between words, so that a blank has to take its place."""

_ALIASES = {
    lookup(alias): alias
    for alias in (
        *("NULL", "ALERT", "BACKSPACE", "LINE TABULATION", "FORM FEED", "SUBSTITUTE", "ESCAPE", "DELETE", "NEXT LINE"),
        "BYTE ORDER MARK",
        *(f"INFORMATION SEPARATOR {number}" for number in ("FOUR", "THREE", "TWO", "ONE")),
    )
}

_OF_SENTENCES = "Lines end with <eos> already: remove it."
_OF_DOCUMENTS = "The end of a document is that of a file or a record: make JSON lines, and set data.eos."
_MARKERS = {
    "<unk>": "",
    "<eos>": "",
    "<s>": _OF_SENTENCES,
    "</s>": _OF_SENTENCES,
    "<|endoftext|>": _OF_DOCUMENTS,
    "[SEP]": _OF_DOCUMENTS,
    "<pad>": "It fills what needs no filling here: remove it.",
}
"""Words that stand for something else in many texts, and what to do about each; the first two are tokens of ours."""

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


def check_texts(
    texts: Mapping[str, Text], options: DataOptions, splits: Mapping[str, Text] | None = None
) -> Iterator[Finding]:
    """Read every text and say what is found in each, and then between the splits.

    A text that cannot be read is a finding like others, and does not keep the rest from being checked.

    Args:
        texts: What is looked at, by split or by other names.
        options: How it is read and cut into tokens.
        splits: What is trained on and held out: parts of a text, or the texts themselves.
    """
    seen: dict[str, Observation] = {}
    for name, text in texts.items():
        try:
            seen[name] = observe(text)
        except DataError as error:
            for problem in str(error).split("\n"):
                yield Finding(text.name, "reading", "error", problem.removeprefix(f"{text.name}: "))
            continue
        yield from _of_text(seen[name], text, options)
        yield from _of_files(text, options.encoding)
    yield from _copies(seen.values(), "error" if splits else "warning")
    if splits and seen and splits is not texts:
        seen = {name: observe(text) for name, text in splits.items()}
    if splits and "train" in seen:
        yield from _of_training_text(seen["train"], options)
        for split in ("valid", "test"):
            if split in seen:
                yield from _overlap(seen["train"], seen[split])


def check_tokens(
    train: EncodedText, held_out: Iterable[EncodedText], tokenizer: Tokenizer, options: TokenizerOptions
) -> Iterator[Finding]:
    """Say what has become of a corpus in tokens."""
    found = f"{counted(train.n_tokens, 'token')}, {counted(tokenizer.vocab_size, 'type')} in the vocabulary."
    yield _finding(train.name, "length", found)
    for text in held_out if tokenizer.unk_id is not None else ():
        share = text.n_oov / text.n_tokens
        found = f"{share:.1%} of its tokens are <unk>: not in the vocabulary of {train.name}{_limits(options)}."
        advice = "Take parts of words: the tokenizer bpe." if share > NOTABLE_SHARE else ""
        yield _finding(text.name, "unknown tokens", found, advice)


def _limits(options: TokenizerOptions) -> str:
    """What keeps words of the training split out of the vocabulary, in brackets; "" for nothing."""
    given = options.model_dump(include={"max_vocab", "min_count"}, exclude_defaults=True)
    return f" ({', '.join(f'{key}: {value}' for key, value in given.items())})" if given else ""


def check_store(path: Path) -> Finding:
    """Read a token store and say whether all of it is as it was written."""
    try:
        TokenStore.open(path).verify()
    except DataError as error:
        return Finding(str(path), "checksums", "error", str(error).removeprefix(f"{path}: "))
    return Finding(str(path), "checksums", "ok", "all tokens are as they were written.")


def _of_text(seen: Observation, text: Text, options: DataOptions) -> Iterator[Finding]:
    yield _encoding(seen, text, options.encoding)
    yield _lines(seen, text, options)
    yield _repeated_lines(seen, text)
    if len(seen.paragraphs) > 1:
        yield _repeated_paragraphs(seen)
    for found in describe(seen.head):
        yield Finding(seen.name, "layout", "warning", found)
    marked = {word: count for word, count in seen.words.counts.items() if "<" in word or "[" in word}
    for marker, advice in _MARKERS.items():
        count = sum(count for word, count in marked.items() if marker in word)
        if count and (advice or options.tokenizer.name == "word"):
            role = "is no word but a mark" if advice else "is that token, not a word"
            yield _finding(seen.name, "markers", f"{count:,} times {marker}, which {role}.", advice)


def _finding(name: str, check: str, found: str, advice: str = "") -> Finding:
    """A warning where there is advice."""
    return Finding(name, check, "warning" if advice else "ok", f"{found} {advice}".rstrip())


def _encoding(seen: Observation, text: Text, encoding: str) -> Finding:
    counts = Counter(seen.characters)
    n_not_composed = counts.pop("not_composed", 0)
    controls = [character for character in counts if "\x80" <= character <= "\x9f"]
    if controls != ["\x85"][: len(controls)]:
        n_controls = sum(map(counts.pop, controls))
        counts["windows-1252"] = 0 if counts["mojibake"] else n_controls
    troubles = [f"{n:,} {what}" for kind, what in _TROUBLES.items() if (n := counts.pop(kind, 0))]
    unseen = [f"{n:,} {_name(character)}" for character, n in counts.most_common()]
    remedies = []
    if n_not_composed:
        troubles.append(f"{counted(n_not_composed, 'line')} not in composed form")
        remedies.append("compose letters with their marks")
    if unseen:
        troubles.append(", ".join(unseen))
        remedies.append("remove what means nothing")
    message = "; ".join(troubles or ["no odd characters"])
    if remedies:
        program = _cleaning("".join(sorted(counts)), to_compose=n_not_composed > 0)
        message += f": {_with_command(' and '.join(remedies), text, encoding, 'clean', *program)}"
    else:
        message += "."
    return Finding(seen.name, "encoding", "warning" if troubles else "ok", message)


def _name(character: str) -> str:
    return f"U+{ord(character):04X} {_ALIASES.get(character) or name_of(character, '')}".rstrip()


def _cleaning(characters: str, *, to_compose: bool) -> Sequence[str]:
    """The arguments of perl that remove characters, and compose letters with their marks."""
    gaps, others = (
        "".join(f"\\x{{{ord(character):X}}}" for character in characters if (character in _GAPS) is is_gap)
        for is_gap in (True, False)
    )
    steps = [r"s/\x1B\[[0-9;]*[A-Za-z]//g"] if "\x1b" in characters else []  # all of a colour of terminals
    steps += [f"s/[{gaps}]+/ /g"] if gaps else []
    steps += [f"s/[{others}]//g"] if others else []
    steps += ["$_ = NFC($_)"] if to_compose else []
    return ["-CSD", *(["-MUnicode::Normalize"] if to_compose else []), "-pe", "; ".join(steps)]


def _with_command(advice: str, text: Text, encoding: str, purpose: str, *arguments: str) -> str:
    """Advice, with the command of perl that puts another text, in UTF-8, in a file's place; records have none."""
    if any(holds_records(file, encoding) for file in text.files):
        return f"{advice}."
    file = text.files[0] if len(text.files) == 1 else Path("FILE.txt")
    suffix = f".{purpose}{split_suffixes(file)[0] or '.txt'}"
    return f"{advice}: {replacement(str(file), ['perl', *arguments], suffix, encoding)}"


def _of_files(text: Text, encoding: str) -> Iterator[Finding]:
    n_marks, n_returns = count_dropped(text.files, encoding)
    found = [counted(len(text.files), "file") + " read"] if len(text.files) > 1 else []
    found += [f"{counted(n_marks, 'byte-order mark')}, dropped"] if n_marks else []
    found += [f"{counted(n_returns, 'carriage return')}, read as line ends"] if n_returns else []
    if found:
        yield Finding(text.name, "files", "ok", "; ".join(found) + ".")


def _lines(seen: Observation, text: Text, options: DataOptions) -> Finding:
    longest = f", longest {counted(seen.longest_chars, 'character')} (line {seen.longest_line:,})"
    found = f"{counted(seen.n_lines, 'line')}, {seen.n_blank / seen.n_lines:.0%} blank"
    found += f"{longest if seen.longest_chars else ''}."
    advice = ""
    if options.eos == "never":
        pass
    elif seen.n_lines == 1:
        advice = "A single line has no end to learn: put a sentence or paragraph a line"
        # Where no blank parts it, it cannot be cut so either.
        advice += ", or set data.eos=never" if len(seen.words.counts) > 1 else "."
    elif seen.longest_chars > LONGEST_LINE_CHARS:
        advice = "Check that line ends were not lost there."
    elif seen.n_blank > BLANK_SHARE * seen.n_lines:
        advice = "Each blank line is an <eos> that is easy to predict: remove those that mean nothing."
    elif width := wrapped_width(seen.head):
        advice = _with_command(
            f"They are wrapped at {width} characters, within sentences. Set data.eos=never, or make a paragraph a line",
            text,
            options.encoding,
            "lines",
            *("-0777", "-pe", r"s/\r\n?/\n/g; s/(?<=\S)\n(?=\S)/ /g; s/\n\n+/\n/g"),
        )
    elif options.tokenizer.name == "word" and is_indented(seen.head):
        advice = "Words lose how lines are indented; char, byte and bpe keep it."
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


def _tokenisation(train: Observation, split: str) -> Iterator[Finding]:
    # The comma alone: before other marks French has a blank in running text.
    n_detached = train.words.counts[","]
    n_attached = sum(n for word, n in train.words.counts.items() if word.rstrip("\"'”’»").endswith(",") and word != ",")
    n_commas = n_detached + n_attached
    if n_commas < FEWEST_MARKS:
        return
    found, advice = f"{n_detached / n_commas:.0%} of the commas stand alone", ""
    if n_detached >= n_attached:
        found += ": the text is tokenised, which split: whitespace suits."
    else:
        found += ": running text."
        if split == "whitespace":
            advice = "For words set data.tokenizer.split: punctuation, else a word with a comma is another."
    yield _finding(train.name, "tokenisation", found, advice)


def _of_training_text(train: Observation, options: DataOptions) -> Iterator[Finding]:
    if not isinstance(options.tokenizer, WordTokenizerOptions):
        return
    yield from _tokenisation(train, options.tokenizer.split)
    growth = train.words.new_types_per_thousand_words()
    if growth is not None and options.tokenizer.split == "whitespace":
        found = f"{train.words.n_types:,} types; {growth:.1f} new ones per 1,000 words at the end."
        is_open = growth > NEW_TYPES_PER_THOUSAND_WORDS and options.tokenizer.max_vocab is None
        advice = "Set data.tokenizer.max_vocab, or take parts of words: name: bpe." if is_open else ""
        yield _finding(train.name, "vocabulary", found, advice)


def _copies(seen: Iterable[Observation], level: Level) -> Iterator[Finding]:
    originals: dict[int, str] = {}
    for observation in seen:
        original = originals.setdefault(observation.whole.value(), observation.name)
        if original != observation.name:
            yield Finding(observation.name, "copy", level, f"is the same text as {original}. Use each text once.")


def _overlap(train: Observation, held_out: Observation) -> Iterator[Finding]:
    if held_out.whole.value() == train.whole.value():
        return
    share_long, share = held_out.long_lines.share_in(train.long_lines), held_out.lines.share_in(train.lines)
    found = (
        f"{share:.1%} of its lines, {share_long:.1%} of those of {WORDS_OF_A_LONG_LINE} words or more, occur in "
        f"{train.name}."
    )
    is_notable = share_long > NOTABLE_SHARE or share > COMMON_SHARE
    advice = "Remove them: they are remembered, not predicted." if is_notable else ""
    yield _finding(held_out.name, "overlap", found, advice)


def _sampled(share: float) -> str:
    return "" if share == 1 else f" (in a sample of {share:.2%} of them)"
