"""What to choose for a text, by rules: each choice with its reason, and the counts that it rests on.

The rules follow docs/experiments.md: words where white space parts them, as few steps must say much; characters where
there is little text; as wide as the time allows; more dropout the more often the text is read.
"""

from dataclasses import dataclass
from typing import Any

from lstmlm.advice.survey import Survey

LITTLE_CHARS = 150_000
"""Of less text characters are learnt: most of its words occur once or twice."""

LONG_LINE_CHARS = 10_000

NGRAM_ORDER, CHARACTER_NGRAM_ORDER = 5, 6
FEW_TOKENS = 2_000_000
"""Fewer are those of which a short training does not learn what n-grams know from the start (docs/experiments.md)."""

SHORT_NGRAM_ORDER, MANY_TOKENS = 3, 20_000_000
"""Of up to so many words, which are seldom read twice, these know most of what longer ones do, in half the bytes."""

COVERED_SHARE = 0.97
WORD_VOCABULARIES = (4_000, 8_000, 16_000, 32_000)
SUBWORD_VOCABULARIES = (500, 1_000, 2_000, 4_000, 8_000)
BYTES_A_SUBWORD = 400
"""Of text, so that each part of words is met about a hundred times."""

MOST_UNKNOWN = 0.15
"""Of words in the text itself; in what is held out it is more, and a training warns of three tenths."""

MANY_CHARACTERS = 1_000
"""Different ones: of a script in which a character says about as much as a part of a word."""

LARGE_VOCABULARY = 2_000
"""From here on rare tokens share clusters."""

UPDATES_A_PASS = 25
BATCH_SIZES = (32, 20, 10, 6, 4)

WIDTHS = (650, 400, 200, 128, 64)
WIDEST_EMBEDDING_OF_CHARACTERS = 64
TOKENS_A_WEIGHT = 2
"""Tokens that are learnt from in all for each weight of the layers, at the least."""
WEIGHTS_A_TOKEN = 20
"""Parameters for each token of the text, at the most."""
LITTLE_TOKENS = 100_000
"""Fewer are for a single layer."""

MOST_PASSES = 40
"""Longer than this the network learns by heart, whatever the time."""

DROPOUTS = ((1.5, 0.0), (4.0, 0.1), (12.0, 0.2), (25.0, 0.3), (float("inf"), 0.4))
"""How often the text is read at most, and the dropout."""


@dataclass(frozen=True)
class Choice:
    """A key of a configuration, what it is set to, and why."""

    key: str
    value: Any
    reason: str = ""


def choose_tokens(seen: Survey) -> list[Choice]:
    """Choose the tokenizer and its vocabulary."""
    looked_at = "the text" if seen.looked_at == 1 else f"{seen.looked_at * seen.n_chars / 1e6:.0f} MB of the text"
    if not seen.has_words or seen.n_chars < LITTLE_CHARS:
        return _characters(seen)
    n_types = len(seen.word_counts)
    # What occurs once cannot be learnt, but teaches what an unknown word is like.
    n_learnable = int((seen.word_counts > 1).sum())
    unknown = 1 - seen.share_of(min(n_learnable, WORD_VOCABULARIES[-1]))
    if unknown > MOST_UNKNOWN and seen.n_distinct_chars >= MANY_CHARACTERS:
        return _characters(seen)
    if seen.is_indented:
        return _subwords(seen, "indented lines: parts of words lose no space, and no name is unknown")
    if seen.chars_per_line > LONG_LINE_CHARS:
        length = f"{seen.chars_per_line:,.0f}"
        return _subwords(seen, f"lines of {length} characters are held out in parts, which parts of words allow")
    if unknown > MOST_UNKNOWN:
        return _subwords(seen, f"of words {unknown:.0%} would be unknown; of parts of words nothing is")
    name = Choice("data.tokenizer.name", "word", f"spaces part words: {n_types:,} different ones in {looked_at}")
    split = Choice("data.tokenizer.split", "punctuation", 'running text: "list," is a word and a comma')
    if seen.is_tokenised:
        split = Choice("data.tokenizer.split", "whitespace", "marks are words of their own already")
    fitting = [size for size in WORD_VOCABULARIES if size < n_learnable]
    enough = [size for size in fitting if seen.share_of(size) >= COVERED_SHARE]
    # All that occur twice are few enough to be kept, unless there are more in what was not looked at.
    if enough or n_learnable > WORD_VOCABULARIES[-1] or (fitting and seen.looked_at < 1):
        size = (enough or fitting[-1:])[0]
        reason = f"{size:,} of {n_types:,} words: {seen.share_of(size):.1%} of {looked_at}"
        return [name, split, Choice("data.tokenizer.max_vocab", size, reason)]
    reason = f"{n_learnable:,} of {n_types:,} words occur more than once; the others teach what <unk> is like"
    return [name, split, Choice("data.tokenizer.min_count", 2, reason)]


def _subwords(seen: Survey, why: str) -> list[Choice]:
    fitting = [size for size in SUBWORD_VOCABULARIES if size * BYTES_A_SUBWORD <= seen.n_bytes]
    size = max(fitting, default=SUBWORD_VOCABULARIES[0])
    reason = f"{seen.n_bytes:,} bytes of text: each part of words occurs some hundred times"
    return [Choice("data.tokenizer.name", "bpe", why), Choice("data.tokenizer.vocab_size", size, reason)]


def _characters(seen: Survey) -> list[Choice]:
    why = f"{seen.n_chars:,} characters of text: too few to learn words from"
    if seen.n_chars >= LITTLE_CHARS:
        why = f"a script of {seen.n_distinct_chars:,} characters, and most words occur too rarely to be learnt"
    if not seen.has_words:
        chars_per_word = seen.n_chars / max(1, seen.n_white_space_words)
        why = f"no spaces part words: {chars_per_word:.0f} characters from one to the next"
    rare = f"each of {seen.n_distinct_chars:,} characters occurs more than once: others will be <unk>"
    if seen.n_single_chars:
        once = f"{seen.n_single_chars:,} of {seen.n_distinct_chars:,} characters occur once"
        rare = f"{once}: they teach what <unk> is like"
    return [Choice("data.tokenizer.name", "char", why), Choice("data.tokenizer.min_count", 2, rare)]


def choose_windows(seen: Survey, tokenizer: str, n_tokens: int) -> list[Choice]:
    """Choose the windows for a training split of so many tokens."""
    bptt = {"word": 35, "bpe": 50, "char": 100 if seen.has_words else 50}[tokenizer]
    while bptt > 25 and n_tokens < UPDATES_A_PASS * bptt * BATCH_SIZES[-1]:
        bptt //= 2
    fitting = [size for size in BATCH_SIZES if size * bptt * UPDATES_A_PASS <= n_tokens]
    size = fitting[0] if fitting else BATCH_SIZES[-1]
    n_updates = max(1, n_tokens // (size * bptt))
    return [
        Choice(
            "data.batch_size", size, f"with windows of {bptt}: {n_updates:,} updates a pass over {n_tokens:,} tokens"
        ),
        Choice("data.bptt", bptt),
    ]


def choose_model(tokenizer: str, vocab_size: int, n_tokens: int, longest_line: int, width: int) -> list[Choice]:
    """Choose layers, embedding and output layer of a given width, for a text whose longest line has so many tokens."""
    are_characters = tokenizer == "char" and vocab_size < LARGE_VOCABULARY
    n_layers = 1 if n_tokens < LITTLE_TOKENS else 2
    embedding = min(width, WIDEST_EMBEDDING_OF_CHARACTERS) if are_characters else width
    why = f"{n_tokens:,} tokens are few for a second layer" if n_layers == 1 else ""
    tied = "with few characters the softmax is small, and the layers can be wider than the embedding"
    if not are_characters:
        tied = "embedding and softmax learn better as one matrix"
    output = Choice("model.output.name", "softmax", f"{vocab_size:,} tokens: a full softmax costs little")
    if vocab_size >= LARGE_VOCABULARY:
        output = Choice(
            "model.output.name", "adaptive", f"of {vocab_size:,} tokens the rare ones share clusters: less work"
        )
    order, most_tokens = CHARACTER_NGRAM_ORDER if tokenizer == "char" else NGRAM_ORDER, FEW_TOKENS
    if n_tokens >= FEW_TOKENS and tokenizer != "char":
        order, most_tokens = SHORT_NGRAM_ORDER, MANY_TOKENS
    ngrams = []
    if n_tokens < most_tokens and longest_line > order:
        known = f"{n_tokens:,} tokens: n-grams know more of them than a short training"
        ngrams = [Choice("model.ngram_order", order, known)]
    skip = [Choice("model.backbone.skip", "layer_sum", "the softmax reads both layers: as many steps learn far more")]
    return [
        Choice("model.backbone.name", "lstm"),
        Choice("model.backbone.n_layers", n_layers, why),
        Choice("model.backbone.hidden_size", width),
        *(skip if n_layers > 1 and not are_characters else []),  # of characters it was not measured
        Choice("model.backbone.input_gate_cap", True, "memories stay within -1 and 1: short trainings learn far more"),
        Choice("model.embedding_size", embedding),
        Choice("model.tie_weights", not are_characters, tied),
        Choice("model.initial_bias", "unigram", "the first steps need not learn how often each token occurs"),
        *ngrams,
        output,
    ]


def choose_training(width: int, n_layers: int, n_tokens: int, n_steps: int, passes: float, budget: str) -> list[Choice]:
    """Choose dropout, optimizer and length, where the budget lets the text be read `passes` times."""
    is_short = passes > MOST_PASSES
    n_passes = min(passes, MOST_PASSES)
    n_steps = round(n_steps * n_passes / passes)
    dropout = next(rate for most, rate in DROPOUTS if n_passes <= most)
    often = f"the text is read {n_passes:.1f} times"
    found = [Choice("model.dropout.input", dropout, f"{often}: {_danger(dropout)}")]
    if n_layers > 1:
        found.append(Choice("model.dropout.hidden", dropout))
    found += [
        Choice("model.dropout.output", dropout),
        Choice("optimizer.name", "adam", "one learning rate that suits text of all kinds"),
        Choice(
            "optimizer.learning_rate", 0.006 if width <= 200 else 0.004, "high for Adam: the schedule takes it to zero"
        ),
        Choice("schedule.name", "warmup_cosine", "a short run gains most from a rate that ends at zero"),
        Choice("schedule.warmup_steps", max(1, min(100, n_steps // 10)), f"of about {n_steps:,} steps"),
    ]
    if is_short:
        why = (
            f"{budget} would hold {passes:,.0f} passes over {n_tokens:,} tokens: after {MOST_PASSES} it learns by heart"
        )
        return [*found, Choice("training.n_epochs", MOST_PASSES, why)]
    return [*found, Choice("training.budget", budget, f"about {n_steps:,} steps: {often} here")]


def _danger(dropout: float) -> str:
    if dropout == 0:
        return "too seldom to learn it by heart"
    return "it must not be learnt by heart" if dropout >= 0.3 else "some of it could be learnt by heart"
