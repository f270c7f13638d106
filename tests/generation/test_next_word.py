"""Next words: a search that finds what counting all words finds."""

import math
from dataclasses import asdict
from itertools import product

import pytest
import torch

from lstmlm.config.data import (
    BPETokenizerOptions,
    ByteTokenizerOptions,
    CharTokenizerOptions,
    TokenizerOptions,
    UnigramTokenizerOptions,
    WordTokenizerOptions,
)
from lstmlm.config.model import LSTMOptions, ModelOptions, RNNOptions
from lstmlm.corpus.tokenizers import EOS, Tokenizer, train_tokenizer
from lstmlm.errors import ConfigError
from lstmlm.generation import next_word
from lstmlm.generation.next_word import NextWords, find_next_words
from lstmlm.models.language_model import LanguageModel, build_language_model
from lstmlm.scoring import next_log_probabilities

LONGEST = 7
"""Words counted by brute force; longer ones are less probable than any that is compared."""


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(CharTokenizerOptions(), ["a b\tab\n"])


def model(tokenizer: Tokenizer, backbone: str = "lstm") -> LanguageModel:
    options = {"lstm": LSTMOptions, "rnn": RNNOptions}[backbone](n_layers=2, hidden_size=8)
    built = build_language_model(ModelOptions(backbone=options, embedding_size=8), tokenizer.vocab_size, seed=5)
    with torch.no_grad():
        built.embedding.weight.mul_(20)
        built.output_layer.bias[tokenizer.delimiter_ids] += 1.0
    return built.double()


def distributions(asked: LanguageModel, texts: list[list[int]]) -> list[list[float]]:
    """What follows texts of one length."""
    log_probabilities, _ = next_log_probabilities(asked, torch.tensor(texts).T, asked.initial_state(len(texts)))
    probabilities: list[list[float]] = log_probabilities.exp().tolist()
    return probabilities


def distribution(asked: LanguageModel, ids: list[int]) -> list[float]:
    return distributions(asked, [ids])[0]


def count_words(asked: LanguageModel, tokenizer: Tokenizer, ids: list[int], probability: float) -> dict[str, float]:
    """The probability of every word of up to `LONGEST` tokens after `ids`, the empty one among them."""
    found: dict[str, float] = {}
    level: list[tuple[list[int], float]] = [([], probability)]
    letters = [i for i in range(tokenizer.vocab_size) if i not in tokenizer.delimiter_ids]
    for _ in range(LONGEST + 1):
        following = distributions(asked, [[*ids, *word] for word, _ in level])
        longer = []
        for (word, mass), probabilities in zip(level, following, strict=True):
            found[tokenizer.decode(word)] = mass * sum(probabilities[i] for i in tokenizer.delimiter_ids)
            longer += [([*word, letter], mass * probabilities[letter]) for letter in letters]
        level = longer
    return found


def words_after(asked: LanguageModel, tokenizer: Tokenizer, prompt: str) -> dict[str, float]:
    """What may follow a prompt whose last word is complete, or that begins a line."""
    ids = [tokenizer.start_id, *tokenizer.encode_prompt(prompt)]
    probabilities = distribution(asked, ids)
    if prompt == "" or prompt.endswith("\n"):
        words = count_words(asked, tokenizer, ids, 1.0)
        return words | {"": 0.0, EOS: probabilities[tokenizer.start_id]}
    [space] = tokenizer.encode_prompt(" ")
    a_delimiter = sum(probabilities[i] for i in tokenizer.delimiter_ids)
    words = count_words(asked, tokenizer, [*ids, space], probabilities[space] / a_delimiter)
    return words | {"": 0.0, EOS: probabilities[tokenizer.start_id] / a_delimiter}


def best(words: dict[str, float], n: int) -> list[tuple[str, float]]:
    return sorted(words.items(), key=lambda item: -item[1])[:n]


def assert_found(found: NextWords, wanted: list[tuple[str, float]]) -> None:
    assert [word.word for word in found.words] == [word for word, _ in wanted]
    assert [word.probability for word in found.words] == pytest.approx([p for _, p in wanted], rel=1e-9)


@pytest.mark.parametrize("backbone", ["rnn", "lstm"])
@pytest.mark.parametrize("prompt", ["", "ab a", "ab\n", "b a ", "a\nb b"])
def test_finds_what_counting_all_words_finds(prompt: str, backbone: str, tokenizer: Tokenizer) -> None:
    asked = model(tokenizer, backbone)
    everything = words_after(asked, tokenizer, prompt.rstrip(" "))
    found = find_next_words(asked, tokenizer, prompt, 6)
    assert_found(found, best(everything, 6))
    assert found.words[-1].probability >= found.largest_missed_probability
    assert found.n_prefixes < 200


@pytest.mark.parametrize("prompt", ["a", "ab ba", "b\na"])
def test_completes_what_is_begun(prompt: str, tokenizer: Tokenizer) -> None:
    asked = model(tokenizer)
    begun = prompt.rsplit(maxsplit=1)[-1]
    ids = [tokenizer.start_id, *tokenizer.encode_prompt(prompt)]
    everything = {begun + rest: p for rest, p in count_words(asked, tokenizer, ids, 1.0).items()}
    assert_found(find_next_words(asked, tokenizer, prompt, 5, complete=True), best(everything, 5))


@pytest.mark.parametrize("most", [2, 3, 20])
def test_says_how_much_it_may_miss(most: int, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = model(tokenizer)
    monkeypatch.setattr(next_word, "MAX_PREFIXES", most)
    monkeypatch.setattr(next_word, "PREFIXES_AT_ONCE", 1)
    everything = words_after(asked, tokenizer, "ab a")
    found = find_next_words(asked, tokenizer, "ab a", 1000)
    assert found.n_prefixes == most
    missed = {word: p for word, p in everything.items() if word not in {word.word for word in found.words}}
    assert max(missed.values()) <= found.largest_missed_probability
    ids = [tokenizer.start_id, *tokenizer.encode_prompt("ab a")]
    probabilities, [space] = distribution(asked, ids), tokenizer.encode_prompt(" ")
    delimiters = tokenizer.delimiter_ids
    after_space = distribution(asked, [*ids, space])
    # All words, and the end of the line: what is left are other white space and two spaces in a row.
    of_words = probabilities[space] * (1 - sum(after_space[i] for i in delimiters)) + probabilities[tokenizer.start_id]
    total = of_words / sum(probabilities[i] for i in delimiters)
    known = sum(word.probability for word in found.words)
    assert found.unexplored_probability == pytest.approx(total - known, abs=1e-12)
    assert sum(missed.values()) <= found.unexplored_probability


def test_reading_side_by_side_changes_nothing(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = model(tokenizer)
    together = find_next_words(asked, tokenizer, "ab a", 8)
    monkeypatch.setattr(next_word, "PREFIXES_AT_ONCE", 1)
    alone = find_next_words(asked, tokenizer, "ab a", 8)
    assert_found(together, [(word.word, word.probability) for word in alone.words])
    assert alone.n_prefixes <= together.n_prefixes


def test_bytes_make_words() -> None:
    tokenizer = train_tokenizer(ByteTokenizerOptions(), [])
    asked = build_language_model(
        ModelOptions(backbone=LSTMOptions(n_layers=1, hidden_size=4), embedding_size=4), 256, seed=1
    )
    with torch.no_grad():
        asked.output_layer.bias.fill_(-30)
        asked.output_layer.bias[list("é \n".encode())] = torch.tensor([0.0, -0.5, 2.0, 1.0])
    found = find_next_words(asked, tokenizer, "a", 20)
    assert EOS in {word.word for word in found.words}
    assert "é" in {word.word for word in found.words}


@pytest.mark.parametrize("options", [BPETokenizerOptions(vocab_size=259), UnigramTokenizerOptions(vocab_size=259)])
@pytest.mark.parametrize("prompt", ["", "ab", "ab b\n"])
def test_words_are_spelled_as_the_tokenizer_cuts_them(
    options: TokenizerOptions, prompt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all words of up to three letters a and b, those are found that brute force finds; each has one spelling."""
    tokenizer = train_tokenizer(options, ["ab abb ba\n" * 20])
    asked = build_language_model(
        ModelOptions(backbone=LSTMOptions(n_layers=1, hidden_size=8), embedding_size=8), tokenizer.vocab_size, seed=3
    ).double()
    usable = [i for i in range(tokenizer.vocab_size) if set(tokenizer.decode([i])) <= set("ab \n")]
    assert any(len(tokenizer.decode([i])) > 1 for i in usable)
    with torch.no_grad():
        asked.output_layer.bias.fill_(-40)
        asked.output_layer.bias[usable] = 0.0
        asked.output_layer.bias[tokenizer.delimiter_ids] += 1.0
    start = [tokenizer.start_id, *tokenizer.encode_prompt(prompt)]
    is_first = prompt == "" or prompt.endswith("\n")
    wanted = {}
    for letters in (letters for n in (1, 2, 3) for letters in product("ab", repeat=n)):
        word, read, log_probability = "".join(letters), list(start), 0.0
        for token in tokenizer.encode_prompt(word if is_first else f" {word}"):
            log_probability += math.log(distribution(asked, read)[token])
            read.append(token)
        ended = math.log(sum(distribution(asked, read)[i] for i in tokenizer.delimiter_ids))
        given = 0.0 if is_first else math.log(sum(distribution(asked, start)[i] for i in tokenizer.delimiter_ids))
        wanted[word] = math.exp(log_probability + ended - given)
    found = find_next_words(asked, tokenizer, prompt, 40)
    words = {word.word: word.probability for word in found.words}
    assert {word: words[word] for word in wanted if word in words} == pytest.approx(
        {word: p for word, p in wanted.items() if word in words}, rel=1e-9
    )
    assert len(words.keys() & wanted.keys()) > 8
    assert all(p <= found.words[-1].probability for word, p in wanted.items() if word not in words)
    assert found.largest_missed_probability <= found.words[-1].probability


def test_a_vocabulary_without_a_space_has_no_second_word_on_a_line() -> None:
    tokenizer = train_tokenizer(CharTokenizerOptions(), ["ab\n"])
    found = find_next_words(model(tokenizer), tokenizer, "ab", 3)
    assert [asdict(word) for word in found.words] == [{"word": EOS, "probability": pytest.approx(1)}]
    assert (found.unexplored_probability, found.largest_missed_probability) == (0, 0)


WORDS = ["ab abc, b\n"]


@pytest.mark.parametrize("prompt", ["", "ab b ", "ab\n"])
def test_a_word_tokenizer_is_asked_once(prompt: str) -> None:
    tokenizer = train_tokenizer(WordTokenizerOptions(split="punctuation"), WORDS)
    asked = model(tokenizer)
    probabilities = distribution(asked, [tokenizer.start_id, *tokenizer.encode_prompt(prompt)])
    everything = {tokenizer.token(i): p for i, p in enumerate(probabilities)}
    found = find_next_words(asked, tokenizer, prompt, 100)
    assert_found(found, best(everything, 100))
    assert (found.n_prefixes, found.unexplored_probability, found.largest_missed_probability) == (1, 0, 0)


@pytest.mark.parametrize(("prompt", "context"), [("b ab a", "b ab "), ("a", ""), ("b (a", "b (")])
def test_a_word_tokenizer_completes_within_its_vocabulary(prompt: str, context: str) -> None:
    tokenizer = train_tokenizer(WordTokenizerOptions(split="punctuation"), WORDS)
    asked = model(tokenizer)
    probabilities = distribution(asked, [tokenizer.start_id, *tokenizer.encode_prompt(context)])
    [ab, abc] = [probabilities[tokenizer.encode_prompt(word)[0]] for word in ("ab", "abc")]
    mark = "(" if "(" in prompt else ""
    wanted = {f"{mark}ab": ab / (ab + abc), f"{mark}abc": abc / (ab + abc)}
    assert_found(find_next_words(asked, tokenizer, prompt, 10, complete=True), best(wanted, 10))


def test_no_word_may_begin_so() -> None:
    tokenizer = train_tokenizer(WordTokenizerOptions(), WORDS)
    for prompt in ("b x", "<"):
        assert find_next_words(model(tokenizer), tokenizer, prompt, 10, complete=True).words == []


@pytest.mark.parametrize("prompt", ["", "ab ", "ab\n"])
def test_there_must_be_a_word_to_complete(prompt: str, tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigError) as error:
        find_next_words(model(tokenizer), tokenizer, prompt, 1, complete=True)
    assert str(error.value) == (f"--complete: needs a word that is begun, got {prompt!r}. Begin one, or leave it out.")


def test_probabilities_are_shares() -> None:
    tokenizer = train_tokenizer(WordTokenizerOptions(), WORDS)
    found = find_next_words(model(tokenizer), tokenizer, "b", 100)
    assert math.fsum(word.probability for word in found.words) == pytest.approx(1)
