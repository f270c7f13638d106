"""Surprisal of words against distributions computed one token at a time."""

import math
from collections.abc import Sequence
from itertools import chain, pairwise

import numpy as np
import pytest
import torch

from lstmlm import scoring
from lstmlm.config.data import ByteTokenizerOptions, CharTokenizerOptions, WordTokenizerOptions
from lstmlm.config.model import LSTMOptions, ModelOptions, RNNOptions
from lstmlm.corpus.reading.white_space import words_of
from lstmlm.corpus.tokenizers import Tokenizer, train_tokenizer
from lstmlm.evaluation.normalization import as_penn_treebank
from lstmlm.evaluation.reading import AS_LINES
from lstmlm.evaluation.surprisal import surprisal
from lstmlm.evaluation.surprisal.stimuli import Sentence
from lstmlm.evaluation.surprisal.surprisal import Figures, MeasuredWord, last_words, measure_words
from lstmlm.generation import next_word
from lstmlm.generation.next_word import find_next_words
from lstmlm.generation.options import SamplingOptions
from lstmlm.generation.sampler import generate
from lstmlm.models.language_model import LanguageModel, build_language_model
from lstmlm.scoring import next_log_probabilities, score

LINES = ["the cat sat by a café", "", "a 🐈 sat , the cat slept", "the end ."]
"""Twenty tokens as words, `<eos>` among them."""

TEXT = "".join(f"{line}\n" for line in LINES)

OPTIONS = {
    "word": WordTokenizerOptions(),
    "punctuation": WordTokenizerOptions(split="punctuation"),
    "char": CharTokenizerOptions(),
    "byte": ByteTokenizerOptions(),
}
every_tokenizer = pytest.mark.parametrize("tokenizer", OPTIONS, indirect=True)
every_backbone = pytest.mark.parametrize("backbone", ["rnn", "lstm"])


@pytest.fixture
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return train_tokenizer(OPTIONS[getattr(request, "param", "char")], [TEXT])


def model(tokenizer: Tokenizer, backbone: str = "lstm", dtype: torch.dtype = torch.float64) -> LanguageModel:
    options = {"lstm": LSTMOptions, "rnn": RNNOptions}[backbone](n_layers=2, hidden_size=12)
    built = build_language_model(ModelOptions(backbone=options, embedding_size=12), tokenizer.vocab_size, seed=1)
    with torch.no_grad():
        # Large weights make a model with opinions, whose predictions depend on its state.
        built.embedding.weight.mul_(20)
        built.output_layer.bias.copy_(torch.linspace(-1, 1, tokenizer.vocab_size))
    return built.to(dtype)


def sentences(*lines: str, item: int = 1) -> list[Sentence]:
    return [
        Sentence(item, number, line.split(), [{}] * (len(line.split()) + 1)) for number, line in enumerate(lines, 1)
    ]


def figures(words: Sequence[MeasuredWord]) -> list[Figures]:
    found = [word.figures for word in words if word.figures is not None]
    assert len(found) == len(words)
    return found


def nats(words: Sequence[MeasuredWord]) -> list[float]:
    return [of_word.nats for of_word in figures(words)]


def distributions(asked: LanguageModel, ids: Sequence[int]) -> np.ndarray:
    """Log-probabilities of what follows each of `ids`, read one by one from the zero state."""
    state, found = asked.initial_state(1), []
    for token in ids:
        log_probabilities, state = next_log_probabilities(asked, torch.tensor([[token]]), state)
        found.append(log_probabilities[0].double().numpy())
    return np.stack(found)


def following(asked: LanguageModel, ids: Sequence[int]) -> np.ndarray:
    """Log-probabilities of what follows `ids`, read at once."""
    log_probabilities, _ = next_log_probabilities(asked, torch.tensor(ids)[:, None], asked.initial_state(1))
    return log_probabilities[0].double().numpy()


@every_tokenizer
@every_backbone
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_rows_sum_to_the_nats_of_the_text(
    tokenizer: Tokenizer, backbone: str, dtype: torch.dtype, tolerance: float
) -> None:
    asked = model(tokenizer, backbone, dtype)
    words = list(measure_words(asked, tokenizer, sentences(*LINES)))
    tokens = tokenizer.encode(TEXT)
    of_text = score(asked, tokens, tokenizer.start_id)
    assert sum(nats(words)) == pytest.approx(of_text.sum(), rel=tolerance)
    token_nats = [value for of_word in figures(words) for value in of_word.token_nats]
    np.testing.assert_allclose(token_nats, of_text, rtol=0, atol=max(tolerance, 1e-5 * (dtype == torch.float32)))
    ends = [index for index, token in enumerate(tokens) if token == tokenizer.start_id]
    rows = iter(words)
    for line, (before, end) in zip(LINES, pairwise([-1, *ends]), strict=True):
        of_line = [next(rows) for _ in range(len(line.split()) + 1)]
        assert sum(nats(of_line)) == pytest.approx(of_text[before + 1 : end + 1].sum(), rel=tolerance)


@pytest.mark.parametrize("tokenizer", ["char", "byte"], indirect=True)
@every_backbone
def test_a_word_is_its_characters_and_its_end_given_the_end_of_the_word_before(
    tokenizer: Tokenizer, backbone: str
) -> None:
    asked = model(tokenizer, backbone)
    delimiters = tokenizer.delimiter_ids

    def probability(context: str, following: str) -> float:
        ids = [tokenizer.start_id, *tokenizer.encode_prompt(context), *tokenizer.encode_prompt(following)]
        n_context = 1 + len(tokenizer.encode_prompt(context))
        table = distributions(asked, ids)
        return math.exp(sum(table[i - 1, ids[i]] for i in range(n_context, len(ids))))

    def a_delimiter(context: str) -> float:
        ids = [tokenizer.start_id, *tokenizer.encode_prompt(context)]
        return float(np.exp(following(asked, ids)[delimiters]).sum())

    words = list(measure_words(asked, tokenizer, sentences("a café sat", "the end")))
    wanted = [
        probability("", "a") * a_delimiter("a"),
        probability("a", " café") / a_delimiter("a") * a_delimiter("a café"),
        probability("a café", " sat") / a_delimiter("a café") * a_delimiter("a café sat"),
        probability("a café sat", "\n") / a_delimiter("a café sat"),
        probability("a café sat\n", "the") * a_delimiter("a café sat\nthe"),
    ]
    np.testing.assert_allclose(nats(words)[:5], -np.log(wanted), rtol=0, atol=1e-9)


@every_tokenizer
def test_entropy_and_rank_are_those_of_the_first_token_after_the_space(tokenizer: Tokenizer) -> None:
    asked = model(tokenizer)
    ids = [tokenizer.start_id, *tokenizer.encode(LINES[0]).tolist()]
    table = distributions(asked, ids[:-1] if ids[-1] == tokenizer.start_id else ids)
    words = list(measure_words(asked, tokenizer, sentences(LINES[0])))
    has_spaces, position = bool(tokenizer.delimiter_ids), 0
    previous = None
    for index, word in enumerate(words):
        first = position + (has_spaces and 0 < index < len(words) - 1)
        log_probabilities, token = table[first], [*ids[1:], tokenizer.start_id][first]
        [found] = figures([word])
        entropy = -(np.exp(log_probabilities) * log_probabilities).sum()
        assert found.entropy_nats == pytest.approx(entropy, rel=1e-9)
        # That the last word ends is counted to it: what is left is which delimiter ends it.
        rivals = tokenizer.delimiter_ids if word.is_end and has_spaces else slice(None)
        assert found.rank == 1 + (log_probabilities[rivals] > log_probabilities[token]).sum()
        wanted = None if previous is None else pytest.approx(max(0, previous - entropy), abs=1e-9)
        assert found.entropy_reduction_nats == wanted
        position, previous = position + len(word.tokens), entropy


@every_tokenizer
def test_a_sentence_as_context_is_a_sentence_alone(tokenizer: Tokenizer) -> None:
    asked = model(tokenizer)
    together = list(measure_words(asked, tokenizer, sentences(*LINES), context="sentence"))
    apart = [word for line in LINES for word in measure_words(asked, tokenizer, sentences(line))]
    np.testing.assert_allclose(nats(together), nats(apart), rtol=0, atol=1e-9)
    starts = [word for word in together if word.index == 0]
    assert [of_word.entropy_reduction_nats for of_word in figures(starts)] == [None] * len(LINES)


@every_tokenizer
def test_items_know_nothing_of_each_other(tokenizer: Tokenizer) -> None:
    asked = model(tokenizer)
    items = [sentences(LINES[0], LINES[2], item=1), sentences(LINES[3], item=2), sentences(LINES[0], item=3)]
    together = list(measure_words(asked, tokenizer, [sentence for item in items for sentence in item]))
    apart = [word for item in items for word in measure_words(asked, tokenizer, item)]
    np.testing.assert_allclose(nats(together), nats(apart), rtol=0, atol=1e-9)
    assert [word.sentence for word in together] == [word.sentence for word in apart]


@every_tokenizer
@pytest.mark.parametrize("n_tokens", [1, 4, 1000])
def test_tokens_as_context_are_read_anew_before_each_token(tokenizer: Tokenizer, n_tokens: int) -> None:
    asked = model(tokenizer)
    words = list(measure_words(asked, tokenizer, sentences(*LINES), context=n_tokens))
    read = [tokenizer.start_id, *tokenizer.encode(TEXT).tolist()]
    wanted = [
        -following(asked, read[max(0, position - n_tokens) : position])[read[position]]
        for position in range(1, len(read))
    ]
    found = [value for of_word in figures(words) for value in of_word.token_nats]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)


@every_tokenizer
@pytest.mark.parametrize("context", ["document", 3])
def test_the_zero_state_itself_knows_only_the_bias(tokenizer: Tokenizer, context: surprisal.WordContext) -> None:
    asked = model(tokenizer)
    words = list(measure_words(asked, tokenizer, sentences(*LINES), context=context, first_word="zero-state"))
    ids = tokenizer.encode(TEXT).tolist()
    found = [value for of_word in figures(words) for value in of_word.token_nats]
    bias = asked.output_layer.bias.detach().log_softmax(dim=0)
    assert found[0] == pytest.approx(-bias[ids[0]].item(), abs=1e-9)
    n_read = len(ids) if context == "document" else 3
    assert isinstance(n_read, int)
    wanted = [-following(asked, ids[max(0, end - n_read) : end])[ids[end]] for end in range(1, len(ids))]
    np.testing.assert_allclose(found[1:], wanted, rtol=0, atol=1e-9)


def test_a_skipped_first_word_leaves_the_others_as_they_are(tokenizer: Tokenizer) -> None:
    asked = model(tokenizer)
    items = [*sentences(*LINES, item=1), *sentences(LINES[3], item=2)]
    usual = list(measure_words(asked, tokenizer, items))
    skipped = list(measure_words(asked, tokenizer, items, first_word="skip"))
    left = [index for index, word in enumerate(skipped) if word.figures is None]
    assert [(skipped[index].sentence.item, skipped[index].text) for index in left] == [(1, "the"), (2, "the")]
    assert figures(skipped[1:2])[0].entropy_reduction_nats is None
    assert skipped[2 : left[1]] == usual[2 : left[1]]


def test_unknown_words_have_the_figures_of_unk() -> None:
    tokenizer = train_tokenizer(WordTokenizerOptions(), [TEXT])
    asked = model(tokenizer)
    known, unknown, unk, end = measure_words(asked, tokenizer, sentences("the dog <unk>"))
    assert [word.is_unknown for word in (known, unknown, unk, end)] == [False, True, True, False]
    assert (unknown.text, unknown.tokens, end.text, end.tokens) == ("dog", ["<unk>"], "<eos>", ["<eos>"])
    [_, same, *_] = measure_words(asked, tokenizer, sentences("the <unk>"))
    assert unknown.figures == same.figures


def test_a_region_of_several_words_is_one_row() -> None:
    for options in OPTIONS.values():
        tokenizer = train_tokenizer(options, [TEXT])
        asked = model(tokenizer)
        region = Sentence(1, 1, ["the", "cat  sat", "by"], [{}] * 4)
        joined = nats(list(measure_words(asked, tokenizer, [region])))
        apart = nats(list(measure_words(asked, tokenizer, sentences("the cat sat by"))))
        np.testing.assert_allclose(joined, [apart[0], apart[1] + apart[2], *apart[3:]], rtol=0, atol=1e-9)


def test_unknown_is_what_was_read_not_what_the_file_has(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = train_tokenizer(OPTIONS["char"], [TEXT])
    monkeypatch.setattr(tokenizer, "dropped", lambda text: [letter for letter in text if letter.isupper()])
    asked, given = model(tokenizer), sentences("The cat")
    for reading, unknown in ((AS_LINES, True), (AS_LINES._replace(spell=str.lower), False)):
        words = list(measure_words(asked, tokenizer, given, reading=reading))
        assert words[0].is_unknown == unknown


def test_tokens_are_shown_with_their_spaces() -> None:
    shown = {}
    for name, options in OPTIONS.items():
        tokenizer = train_tokenizer(options, [TEXT])
        words = list(measure_words(model(tokenizer), tokenizer, sentences("the é,")))
        shown[name] = [list(word.tokens) for word in words]
    assert shown == {
        "word": [["the"], ["<unk>"], ["<eos>"]],
        "punctuation": [["the"], ["<unk>", ","], ["<eos>"]],
        "char": [["t", "h", "e"], ["␣", "é", ","], ["<eos>"]],
        "byte": [["t", "h", "e"], ["0x20", "0xC3", "0xA9", ","], ["<eos>"]],
    }


@every_tokenizer
def test_blocks_of_rows_change_nothing(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = model(tokenizer)
    whole = nats(list(measure_words(asked, tokenizer, sentences(*LINES))))
    monkeypatch.setattr(scoring, "DISTRIBUTIONS_BYTES", 5 * tokenizer.vocab_size * 8)
    np.testing.assert_allclose(
        nats(list(measure_words(asked, tokenizer, sentences(*LINES)))), whole, rtol=0, atol=1e-12
    )


def test_a_long_line_costs_no_more_beside_short_ones(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = model(tokenizer, dtype=torch.float32)
    n_rows = []
    measure = surprisal._measure_rows

    def counted(delimiter_ids: torch.Tensor, *arguments: torch.Tensor) -> torch.Tensor:
        n_rows.append(len(arguments[0]))
        return measure(delimiter_ids, *arguments)

    monkeypatch.setattr(surprisal, "_measure_rows", counted)
    items = [*sentences("cat " * 500, item=0), *(sentences("the cat", item=item)[0] for item in range(1, 40))]
    words = list(measure_words(asked, tokenizer, items))
    assert len(words) == 501 + 39 * 3
    assert sum(n_rows) < 2 * 500 * len(" cat") + 39 * 64


@every_tokenizer
@every_backbone
def test_agrees_with_next_and_with_what_is_generated(
    tokenizer: Tokenizer, backbone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An untrained model has no words that stand out, so that a search does not end by itself.
    monkeypatch.setattr(next_word, "MAX_PREFIXES", 100)
    asked = model(tokenizer, backbone, torch.float32)
    prompt = f"{LINES[0]}\nthe cat"
    found = find_next_words(asked, tokenizer, prompt, 5)
    for word in found.words:
        if "\ufffd" in word.word:
            continue  # bytes that are no text
        line = "the cat" if word.word == "<eos>" else f"the cat {word.word}"
        rows = list(measure_words(asked, tokenizer, sentences(LINES[0], line)))
        row = rows[-1] if word.word == "<eos>" else rows[-2]
        assert row.text == word.word
        after_one_blank = math.exp(-nats([row])[0])
        if tokenizer.delimiter_ids:  # other white space adds something, a third at most in this model
            assert after_one_blank * (1 - 1e-5) <= word.probability <= after_one_blank * 1.5
        else:
            assert word.probability == pytest.approx(after_one_blank, rel=1e-5)

    steps = list(generate(asked, tokenizer, prompt, SamplingOptions(max_tokens=20, allow_unk=True), [1]))
    drawn = [int(step.ids) for step in steps]
    of_text = score(asked, np.array([*tokenizer.encode_prompt(prompt), *drawn]), tokenizer.start_id)
    np.testing.assert_allclose([-float(step.log_probabilities) for step in steps], of_text[-20:], rtol=0, atol=1e-5)


def test_words_in_another_spelling() -> None:
    """`had n't` is two tokens, and of a comma nothing is left in the Penn Treebank: no figures, and none for it."""
    tokenizer = train_tokenizer(WordTokenizerOptions(), ["the cat had n't slept\n"])
    asked = model(tokenizer)
    given = [Sentence(1, 1, [",", "The", "cat", ",", "hadn't", "slept", "."], [{}] * 8)]
    plain = [Sentence(1, 1, ["the", "cat", "had", "n't", "slept"], [{}] * 6)]
    words = list(measure_words(asked, tokenizer, given, reading=AS_LINES._replace(spell=as_penn_treebank)))
    the, cat, had, not_, slept, end = nats(list(measure_words(asked, tokenizer, plain)))
    assert [word.text for word in words] == [",", "The", "cat", ",", "hadn't", "slept", ".", "<eos>"]
    assert [word.figures and word.figures.nats for word in words] == [
        None, *(pytest.approx(value) for value in (the, cat)), None,
        *(pytest.approx(value) for value in (had + not_, slept)), None, pytest.approx(end),
    ]  # fmt: skip
    assert not any(word.is_unknown for word in words)
    line = [Sentence(1, 1, words_of(text := "The  cat\n"), [{}] * 3, text)]
    in_lower_case = measure_words(asked, tokenizer, line, reading=AS_LINES._replace(spell=str.lower))
    assert nats(list(in_lower_case))[:2] == pytest.approx([the, cat])


@every_tokenizer
def test_the_likeliest_word_is_what_would_be_written(tokenizer: Tokenizer) -> None:
    asked = model(tokenizer)
    [first, *_] = find_next_words(asked, tokenizer, "the cat", 1).words
    for word in (first.word, "by", "slept"):
        *_, last, _end = measure_words(asked, tokenizer, sentences(f"the cat {word}"))
        *context, of_word = tokenizer.encode_pieces(["the", " cat", f" {word}"])
        before = 1 + sum(map(len, context))
        ids = [tokenizer.start_id, *chain(*context), *of_word]
        likeliest = distributions(asked, ids).argmax(axis=1)
        # That the word before has ended is given.
        start = before + tokenizer.decode(ids[before : before + 1]).isspace()
        assert last.figures is not None
        assert last.figures.is_likeliest == all(likeliest[start - 1 : len(ids) - 1] == ids[start:])


def test_the_last_words_of_contexts() -> None:
    tokenizer = train_tokenizer(WordTokenizerOptions(), [TEXT])
    words = list(
        measure_words(model(tokenizer), tokenizer, [*sentences("the cat", "a 🐈"), *sentences("the end", item=2)])
    )
    assert [word.text for word in last_words(words, "document")] == ["🐈", "end"]
    assert [word.text for word in last_words(words, "sentence")] == ["cat", "🐈", "end"]
