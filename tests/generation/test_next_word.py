"""Next words: a search that finds what counting all words finds."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import tokenizers as library
import torch
from tokenizers import decoders, models, pre_tokenizers

from lstmlm.config.data import (
    BPETokenizerOptions,
    ByteTokenizerOptions,
    CharTokenizerOptions,
    FileTokenizerOptions,
    SubwordTokenizerOptions,
    UnigramTokenizerOptions,
    WordTokenizerOptions,
)
from lstmlm.config.model import LSTMOptions, ModelOptions, RNNOptions
from lstmlm.corpus.reading.white_space import is_white
from lstmlm.corpus.tokenizers import EOS, Tokenizer, train_tokenizer
from lstmlm.errors import ConfigError
from lstmlm.generation import next_word, spelling
from lstmlm.generation.next_word import NextWords, find_next_words
from lstmlm.models.language_model import LanguageModel, build_language_model
from lstmlm.scoring import next_log_probabilities

FOREIGN = Path(__file__).parents[1] / "corpus" / "tokenizers" / "foreign"

RUNS = ["".join(f"a{' ' * n}b\n" for n in range(1, 18)) * 20]
"""A text with runs of blanks, which become tokens."""

LONGEST = 4
"""Words counted by brute force; longer ones are less probable than any that is compared."""

LONGEST_SPACE = 3
"""White space counted by brute force; that of more tokens has less than `OF_LONGER_SPACE` of the probability."""

OF_LONGER_SPACE = 2e-4


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(CharTokenizerOptions(), ["a b\tab\n"])


def model(tokenizer: Tokenizer, backbone: str = "lstm") -> LanguageModel:
    options = {"lstm": LSTMOptions, "rnn": RNNOptions}[backbone](n_layers=2, hidden_size=8)
    built = build_language_model(ModelOptions(backbone=options, embedding_size=8), tokenizer.vocab_size, seed=5)
    with torch.no_grad():
        built.embedding.weight.mul_(20)
        for token_id in tokenizer.delimiter_ids:
            built.output_layer.bias[token_id] += 3.0 if token_id == tokenizer.start_id else -2.0
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
    """What may follow a prompt whose last word is complete, or that ends with white space."""
    ids = [tokenizer.start_id, *tokenizer.encode_prompt(prompt)]
    probabilities = distribution(asked, ids)
    is_complete = prompt == "" or prompt[-1].isspace()
    given = 1.0 if is_complete else sum(probabilities[i] for i in tokenizer.delimiter_ids)
    spaces = [i for i in tokenizer.delimiter_ids if i != tokenizer.start_id]
    found: dict[str, float] = defaultdict(float)
    for n in range(LONGEST_SPACE + 1):
        for run in map(list, product(spaces, repeat=n)):
            mass = probability_of(asked, ids, run) / given
            found[EOS] += mass * distribution(asked, [*ids, *run])[tokenizer.start_id]
            if is_complete or run:
                for word, probability in count_words(asked, tokenizer, [*ids, *run], mass).items():
                    found[word] += probability
    return {**found, "": 0.0}


def best(words: dict[str, float], n: int) -> list[tuple[str, float]]:
    return sorted(words.items(), key=lambda item: -item[1])[:n]


def assert_found(found: NextWords, wanted: list[tuple[str, float]], missed: float = 0.0) -> None:
    assert [word.word for word in found.words] == [word for word, _ in wanted]
    assert [word.probability for word in found.words] == pytest.approx([p for _, p in wanted], rel=1e-9, abs=missed)


@pytest.mark.parametrize("backbone", ["rnn", "lstm"])
@pytest.mark.parametrize("prompt", ["", "ab a", "ab\n", "b a ", "b a\t", "a\nb b", "a\n "])
def test_finds_what_counting_all_words_finds(prompt: str, backbone: str, tokenizer: Tokenizer) -> None:
    asked = model(tokenizer, backbone)
    everything = words_after(asked, tokenizer, prompt)
    found = find_next_words(asked, tokenizer, prompt, 6)
    assert_found(found, best(everything, 6), OF_LONGER_SPACE + found.unexplored_probability)
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
    # Nothing is left out: what follows is a word, the end of the line, or not read.
    known = math.fsum(word.probability for word in found.words)
    assert found.unexplored_probability == pytest.approx(1 - known, abs=1e-12)
    assert sum(missed.values()) <= found.unexplored_probability


def test_says_whether_the_last_word_may_go_on(tokenizer: Tokenizer) -> None:
    asked = model(tokenizer)
    ids = [tokenizer.start_id, *tokenizer.encode_prompt("ab a")]
    wanted = probability_of_delimiter(asked, tokenizer, ids)
    assert find_next_words(asked, tokenizer, "ab a", 3).complete_probability == pytest.approx(wanted, rel=1e-9)
    for prompt in ("", "ab ", "ab\n"):
        assert find_next_words(asked, tokenizer, prompt, 3).complete_probability == 1.0


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


each_kind_of_parts = pytest.mark.parametrize(
    "parts", [BPETokenizerOptions(vocab_size=261), UnigramTokenizerOptions(vocab_size=261)], indirect=True
)


@pytest.fixture
def parts(request: pytest.FixtureRequest) -> tuple[Tokenizer, LanguageModel]:
    """A tokenizer whose tokens are parts of words, and a model to which only letters a and b and white space occur."""
    tokenizer = train_tokenizer(request.param, ["ab abb ba\n" * 20])
    asked = build_language_model(
        ModelOptions(backbone=LSTMOptions(n_layers=1, hidden_size=8), embedding_size=8), tokenizer.vocab_size, seed=3
    ).double()
    usable = usable_ids(tokenizer)
    assert any(len(tokenizer.decode([i])) > 1 for i in usable)
    with torch.no_grad():
        to_which_occur(usable, asked).output_layer.bias[tokenizer.encode_prompt("\n")] += 3.0
        asked.output_layer.bias[tokenizer.encode_prompt(" ")] -= 3.0
    return tokenizer, asked


def usable_ids(tokenizer: Tokenizer) -> list[int]:
    return [i for i in range(tokenizer.vocab_size) if set(tokenizer.decode([i])) <= set("ab \n")]


def to_which_occur(usable: list[int], asked: LanguageModel) -> LanguageModel:
    """Make a model to which only some tokens occur."""
    with torch.no_grad():
        asked.output_layer.bias.fill_(-40)
        asked.output_layer.bias[usable] = 0.0
    return asked


def probability_of(asked: LanguageModel, start: list[int], ids: Sequence[int]) -> float:
    """Of tokens one after the other."""
    return math.prod(distribution(asked, [*start, *ids[:n]])[token] for n, token in enumerate(ids))


def probability_of_delimiter(asked: LanguageModel, tokenizer: Tokenizer, ids: list[int]) -> float:
    return sum(distribution(asked, ids)[i] for i in tokenizer.delimiter_ids)


def words_of_parts(
    parts: tuple[Tokenizer, LanguageModel], before: str, space: str, longest: int, more_space: int = 0
) -> dict[str, float]:
    """Each word of letters a and b by brute force, each spelled in the one way in which the tokenizer cuts it."""
    tokenizer, asked = parts
    start = [tokenizer.start_id, *tokenizer.encode_prompt(before)]
    found = {}
    for word in ("".join(letters) for n in range(1, longest + 1) for letters in product("ab", repeat=n)):
        cut = {tuple(tokenizer.encode_prompt(" " * n + space + word)) for n in range(more_space + 1)}
        found[word] = sum(
            probability_of(asked, start, ids) * probability_of_delimiter(asked, tokenizer, [*start, *ids])
            for ids in cut
        )
    return found


def assert_no_better_word_is_missing(found: NextWords, wanted: dict[str, float], missed: float = 0.0) -> None:
    words = {word.word: word.probability for word in found.words}
    known = wanted.keys() & words.keys()
    assert {word: words[word] for word in known} == pytest.approx(
        {word: wanted[word] for word in known}, rel=1e-9, abs=missed
    )
    assert len(known) > 5
    assert all(p <= found.words[-1].probability + missed for word, p in wanted.items() if word not in words)
    assert found.largest_missed_probability <= found.words[-1].probability


@each_kind_of_parts
@pytest.mark.parametrize("prompt", ["", "ab", "ab b\n"])
def test_words_are_spelled_as_the_tokenizer_cuts_them(prompt: str, parts: tuple[Tokenizer, LanguageModel]) -> None:
    tokenizer, asked = parts
    is_first = prompt == "" or prompt.endswith("\n")
    wanted = words_of_parts(parts, prompt, "" if is_first else " ", 3, LONGEST_SPACE)
    start = [tokenizer.start_id, *tokenizer.encode_prompt(prompt)]
    given = 1.0 if is_first else probability_of_delimiter(asked, tokenizer, start)
    found = find_next_words(asked, tokenizer, prompt, 40)
    missed = OF_LONGER_SPACE + found.unexplored_probability
    assert_no_better_word_is_missing(found, {word: p / given for word, p in wanted.items()}, missed)


def test_a_tokenizer_that_puts_a_space_before_the_first_word_of_a_line() -> None:
    tokenizer = train_tokenizer(FileTokenizerOptions(path=str(FOREIGN / "bpe_bytes.model")), [])
    asked = build_language_model(
        ModelOptions(backbone=LSTMOptions(n_layers=1, hidden_size=8), embedding_size=8), tokenizer.vocab_size, seed=3
    ).double()
    with torch.no_grad():
        asked.output_layer.bias[tokenizer.delimiter_ids] += 5.0
    found = find_next_words(asked, tokenizer, "", 5)
    for word, probability in [(word.word, word.probability) for word in found.words if word.word != EOS]:
        ids = tokenizer.encode_prompt(word)
        assert ids[0] in tokenizer.delimiter_ids
        cut = {tuple(tokenizer.encode_prompt(" " * n + word)) for n in range(LONGEST_SPACE + 1)}
        wanted = sum(
            probability_of(asked, [tokenizer.start_id], ids)
            * probability_of_delimiter(asked, tokenizer, [tokenizer.start_id, *ids])
            for ids in cut
        )
        assert probability == pytest.approx(wanted, rel=1e-3)
    assert len(found.words) == 5


@each_kind_of_parts
@pytest.mark.parametrize(
    ("before", "space", "begun"), [("", "", "a"), ("", "", "ba"), ("ab", " ", "a"), ("b", " ", "ab"), ("ab\n", "", "b")]
)
def test_a_word_is_completed_from_before_its_beginning(
    before: str, space: str, begun: str, parts: tuple[Tokenizer, LanguageModel]
) -> None:
    """Its tokens need not begin with those of its beginning: abb may be one token, or ab and b."""
    tokenizer, asked = parts
    beginning = space + begun
    start = [tokenizer.start_id, *tokenizer.encode_prompt(before)]
    given = 0.0
    for ids in (ids for n in range(1, len(beginning) + 1) for ids in product(usable_ids(tokenizer), repeat=n)):
        reaches = tokenizer.decode(ids).startswith(beginning) and len(tokenizer.decode(ids[:-1])) < len(beginning)
        if reaches and tokenizer.encode_prompt(tokenizer.decode(ids)) == [*ids]:
            given += probability_of(asked, start, ids)
    words = words_of_parts(parts, before, space, 5)
    wanted = {word: p / given for word, p in words.items() if word.startswith(begun)}
    found = find_next_words(asked, tokenizer, before + beginning, 12, complete=True)
    assert all(word.word.startswith(begun) for word in found.words)
    assert_no_better_word_is_missing(found, wanted)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens have been read at a time, as it grows."""
    found: list[int] = []

    def reading(asked: LanguageModel, tokens: torch.Tensor, state: Any) -> Any:
        found.append(len(tokens))
        return next_log_probabilities(asked, tokens, state)

    monkeypatch.setattr(next_word, "next_log_probabilities", reading)
    return found


@pytest.mark.parametrize("n", [12, 200])
@pytest.mark.parametrize("options", [BPETokenizerOptions(vocab_size=264), UnigramTokenizerOptions(vocab_size=264)])
def test_a_run_of_blanks_is_read_in_few_steps(
    options: SubwordTokenizerOptions, n: int, windows: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(next_word, "MAX_PREFIXES", 0)
    tokenizer = train_tokenizer(options, RUNS)
    assert len({i for i in range(tokenizer.vocab_size) if set(tokenizer.decode([i])) == {" "}}) > 5
    find_next_words(model(tokenizer), tokenizer, "ab" + " " * n, 1)
    assert len(windows) < 50


@pytest.mark.parametrize("before", ["ab", "ab\n"])
def test_blanks_at_the_end_are_cut_as_the_tokenizer_cuts_them(before: str) -> None:
    tokenizer = train_tokenizer(BPETokenizerOptions(vocab_size=264), RUNS)
    asked = to_which_occur(usable_ids(tokenizer), model(tokenizer))
    with torch.no_grad():  # that there are more blanks than were typed is unlikely
        asked.output_layer.bias[[i for i in usable_ids(tokenizer) if is_white(tokenizer.decode([i]))]] -= 8.0
        asked.output_layer.bias[tokenizer.start_id] += 8.0
    start = [tokenizer.start_id, *tokenizer.encode_prompt(before)]
    prompt = before + " " * 13
    cuts = {word: tokenizer.encode_prompt(" " * 13 + word) for word in ("b", "ba")}
    assert [len(tokenizer.decode(ids[:1])) for ids in cuts.values()] == [12, 12]
    wanted = {
        word: probability_of(asked, start, ids) * probability_of_delimiter(asked, tokenizer, [*start, *ids])
        for word, ids in cuts.items()
    }
    found = {word.word: word.probability for word in find_next_words(asked, tokenizer, prompt, 4).words}
    assert found["b"] / found["ba"] == pytest.approx(wanted["b"] / wanted["ba"], rel=0.01)


@pytest.mark.parametrize("letters", ["ab", "é東"])
@pytest.mark.parametrize("options", [CharTokenizerOptions(), BPETokenizerOptions(vocab_size=262)])
def test_a_long_word_is_read_but_for_its_end_at_once(
    options: CharTokenizerOptions | BPETokenizerOptions,
    letters: str,
    windows: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokenizer = train_tokenizer(options, [f"{letters} {letters}{letters} {letters[0]}\n" * 20])
    letter_ids = {token_id for letter in letters for token_id in tokenizer.encode_prompt(letter)}
    asked = to_which_occur(sorted({*letter_ids, tokenizer.start_id}), model(tokenizer))
    prompt = f"{letters[0]} {letters * 100}"
    found = find_next_words(asked, tokenizer, prompt, 4, complete=True)
    assert len(windows) < 120 and max(windows) > 50
    windows.clear()
    monkeypatch.setattr(spelling, "UNSETTLED_BYTES", 10**6)
    wanted = find_next_words(asked, tokenizer, prompt, 4, complete=True)
    assert max(windows) < 10
    assert_found(found, [(word.word, word.probability) for word in wanted.words])
    assert found.words[0].word.startswith(letters * 100)


def test_what_repeats_is_cut_as_from_its_beginning() -> None:
    """A blank before a mark takes it along, so that the pairs of the others depend on how many there are."""
    tokenizer = train_tokenizer(BPETokenizerOptions(vocab_size=261), ["a = b\n" * 50 + "==\n" * 20])
    asked = build_language_model(
        ModelOptions(backbone=LSTMOptions(n_layers=1, hidden_size=4), embedding_size=4), tokenizer.vocab_size, seed=1
    )
    found = find_next_words(asked, tokenizer, f"x {'=' * 130}", 3, complete=True)
    assert found.words[0].word.startswith("=" * 130)


def test_a_character_of_several_tokens_is_completed() -> None:
    tokenizer = train_tokenizer(BPETokenizerOptions(vocab_size=257), [])
    asked = build_language_model(
        ModelOptions(backbone=LSTMOptions(n_layers=1, hidden_size=4), embedding_size=4), tokenizer.vocab_size, seed=1
    )
    with torch.no_grad():
        asked.output_layer.bias[tokenizer.delimiter_ids] += 9.0
    found = find_next_words(asked, tokenizer, "a ☃", 1, complete=True)
    assert [word.word for word in found.words] == ["☃"]


def test_a_character_that_is_unknown_begins_no_word(tokenizer: Tokenizer) -> None:
    found = find_next_words(model(tokenizer), tokenizer, "ab ☃", 3, complete=True)
    assert (found.words, found.unexplored_probability, found.largest_missed_probability) == ([], 0.0, 0.0)


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


def test_a_space_that_is_a_token_by_itself_stands_before_words(tmp_path: Path) -> None:
    """Of `▁` and `▁b`, the first begins the words that have no token with the space in it."""
    pieces = [("<unk>", 0.0), ("</s>", 0.0), ("▁", -3.0), ("▁b", -2.0), ("a", -2.0), ("b", -2.0), ("c", -2.0)]
    engine = library.Tokenizer(models.Unigram(pieces, 0))
    engine.pre_tokenizer = pre_tokenizers.Metaspace()
    engine.decoder = decoders.Metaspace()
    engine.save(str(tmp_path / "space.json"))
    tokenizer = train_tokenizer(FileTokenizerOptions(path=str(tmp_path / "space.json")), [])
    asked = model(tokenizer)
    found = {word.word for word in find_next_words(asked, tokenizer, "b", 12).words}
    assert {"a", "b", "c"} <= found
    completed = find_next_words(asked, tokenizer, "b a", 3, complete=True).words
    assert len(completed) == 3
    assert all(word.word.startswith("a") for word in completed)


def test_a_file_of_whole_words_completes_them(tmp_path: Path) -> None:
    engine = library.Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1, "the": 2, "fast": 3, "farmer": 4}, "<unk>"))
    engine.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    engine.save(str(tmp_path / "words.json"))
    tokenizer = train_tokenizer(FileTokenizerOptions(path=str(tmp_path / "words.json")), [])
    found = find_next_words(model(tokenizer), tokenizer, "the fa", 5, complete=True)
    assert {word.word for word in found.words} == {"fast", "farmer"}
