"""The sampler on a model whose distribution is known, and on a real one."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lstmlm.config.data import CharTokenizerOptions
from lstmlm.config.model import LSTMOptions, ModelOptions
from lstmlm.config.output import SoftmaxOptions
from lstmlm.corpus.tokenizers import Tokenizer, train_tokenizer
from lstmlm.errors import ConfigError
from lstmlm.generation.sampler import Sampled, SamplingOptions, choose, generate
from lstmlm.models.backbone import BackboneState
from lstmlm.models.cells.lstm import LSTMState
from lstmlm.models.language_model import LanguageModel, build_language_model
from lstmlm.models.output_layers.softmax import SoftmaxLayer
from lstmlm.randomness import Randomness
from lstmlm.scoring import next_log_probabilities

TOKENS = ["<unk>", "\n", "a", "b", "c"]
AFTER_B = {"<unk>": 0.50, "\n": 0.20, "a": 0.05, "b": 0.00, "c": 0.25}
AFTER_OTHERS = {"<unk>": 0.40, "\n": 0.05, "a": 0.30, "b": 0.15, "c": 0.10}

ONE_TOKEN = SamplingOptions(max_tokens=1)
GREEDY = SamplingOptions(max_tokens=8, temperature=0.0)


class BigramModel(LanguageModel):
    """Predicts from the last token alone, by the two tables above, and remembers every window that it reads."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        nn.Module.__init__(self)
        names = [tokenizer.token(i) for i in range(tokenizer.vocab_size)]
        followers = [AFTER_B if name == "b" else AFTER_OTHERS for name in names]
        probabilities = torch.tensor([[after[name] for after in followers] for name in names])
        logits = nn.Parameter(probabilities.clamp(min=1e-30).log())
        self.output_layer = SoftmaxLayer(SoftmaxOptions(), len(names), logits, tie_weights=True)
        self.windows: list[list[list[int]]] = []

    def initial_state(self, batch_size: int) -> BackboneState:
        return (LSTMState(torch.zeros(batch_size, 1), torch.zeros(batch_size, 1)),)

    def forward(
        self, inputs: Tensor, state: BackboneState, randomness: Randomness | None = None
    ) -> tuple[Tensor, BackboneState]:
        assert randomness is None
        self.windows.append(inputs.tolist())
        return nn.functional.one_hot(inputs, len(TOKENS)).float(), state


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    tokenizer = train_tokenizer(CharTokenizerOptions(), ["abc\n"])
    assert {tokenizer.token(i) for i in range(tokenizer.vocab_size)} == set(TOKENS)
    return tokenizer


@pytest.fixture
def bigram_model(tokenizer: Tokenizer) -> BigramModel:
    return BigramModel(tokenizer)


@pytest.fixture(scope="module")
def real_model() -> LanguageModel:
    options = ModelOptions(backbone=LSTMOptions(n_layers=2, hidden_size=8), embedding_size=8)
    model = build_language_model(options, len(TOKENS), seed=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(10)  # far from uniform, so that a wrong prompt or state shows
    return model


def texts(
    model: LanguageModel,
    tokenizer: Tokenizer,
    options: SamplingOptions,
    prompt: str = "",
    seeds: Sequence[int] = (1,),
) -> list[list[int]]:
    steps = [step.ids for step in generate(model, tokenizer, prompt, options, seeds)]
    columns: list[list[int]] = torch.stack(steps, dim=1).tolist()
    return columns


def first_ids(model: LanguageModel, tokenizer: Tokenizer, options: SamplingOptions, prompt: str = "") -> list[int]:
    [step] = generate(model, tokenizer, prompt, options, range(10_000))
    ids: list[int] = step.ids.tolist()
    return ids


def assert_drawn_from(ids: list[int], probabilities: dict[str, float], tokenizer: Tokenizer) -> None:
    for token in range(tokenizer.vocab_size):
        probability = probabilities[tokenizer.token(token)]
        # Five standard deviations of a binomial count; the seeds are fixed, so the outcome is too.
        tolerance = 5 * math.sqrt(len(ids) * probability * (1 - probability))
        assert abs(ids.count(token) - len(ids) * probability) <= tolerance


def test_draws_from_the_distribution_of_the_model(bigram_model: BigramModel, tokenizer: Tokenizer) -> None:
    everything = SamplingOptions(max_tokens=1, allow_unk=True)
    assert_drawn_from(first_ids(bigram_model, tokenizer, everything, "b"), AFTER_B, tokenizer)
    assert_drawn_from(first_ids(bigram_model, tokenizer, everything, "a"), AFTER_OTHERS, tokenizer)


@pytest.mark.parametrize(
    ("uniform", "expected"), [(0.0, 1), (0.2499, 1), (0.25, 3), (0.7499, 3), (0.75, 4), (1 - 2**-53, 4)]
)
def test_a_number_chooses_by_cumulative_probability(uniform: float, expected: int) -> None:
    log_probabilities = torch.tensor([[0.0, 0.25, 0.0, 0.5, 0.25, 0.0]], dtype=torch.float64).log()
    assert int(choose(log_probabilities, torch.tensor([[uniform]], dtype=torch.float64))) == expected


def test_a_sum_that_rounding_leaves_below_1_still_chooses_a_possible_token() -> None:
    log_probabilities = torch.tensor([[0.1] * 7 + [0.0]], dtype=torch.float64).log()
    assert int(choose(log_probabilities, torch.tensor([[1 - 2**-53]], dtype=torch.float64))) == 6


def test_the_positions_of_a_sample_are_drawn_independently(bigram_model: BigramModel, tokenizer: Tokenizer) -> None:
    uniform = SamplingOptions(max_tokens=2, temperature=math.inf)
    pairs = texts(bigram_model, tokenizer, uniform, "a", seeds=range(10_000))
    repeated = sum(first == second for first, second in pairs)
    assert abs(repeated - 2500) <= 5 * math.sqrt(10_000 * 0.25 * 0.75)


def test_unk_is_left_out_unless_asked_for(bigram_model: BigramModel, tokenizer: Tokenizer) -> None:
    without_unk = {name: probability / 0.5 for name, probability in AFTER_B.items()} | {"<unk>": 0.0}
    assert_drawn_from(first_ids(bigram_model, tokenizer, ONE_TOKEN, "b"), without_unk, tokenizer)
    assert tokenizer.unk_id in first_ids(bigram_model, tokenizer, SamplingOptions(max_tokens=1, allow_unk=True), "b")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # After `b` without `<unk>`: c 0.5, newline 0.4, a 0.1.
        (SamplingOptions(max_tokens=1, temperature=0.5), {"c": 0.25 / 0.42, "\n": 0.16 / 0.42, "a": 0.01 / 0.42}),
        (SamplingOptions(max_tokens=1, top_k=2), {"c": 0.5 / 0.9, "\n": 0.4 / 0.9}),
        (SamplingOptions(max_tokens=1, top_p=0.5), {"c": 1.0}),
        (SamplingOptions(max_tokens=1, top_p=0.6), {"c": 0.5 / 0.9, "\n": 0.4 / 0.9}),
        # Of the two that top-k leaves, c holds 0.5 / 0.9 = 0.56.
        (SamplingOptions(max_tokens=1, top_k=2, top_p=0.55), {"c": 1.0}),
    ],
)
def test_options_shape_the_distribution(
    options: SamplingOptions, expected: dict[str, float], bigram_model: BigramModel, tokenizer: Tokenizer
) -> None:
    ids = first_ids(bigram_model, tokenizer, options, "b")
    assert_drawn_from(ids, dict.fromkeys(TOKENS, 0.0) | expected, tokenizer)


def test_one_step_at_a_time_for_all_samples(bigram_model: BigramModel, tokenizer: Tokenizer) -> None:
    steps = list(generate(bigram_model, tokenizer, "", SamplingOptions(max_tokens=7), seeds=[1, 2, 3]))
    assert [step.ids.shape for step in steps] == [(3,)] * 7


def test_no_tokens_where_none_are_wanted(bigram_model: BigramModel, tokenizer: Tokenizer) -> None:
    assert list(generate(bigram_model, tokenizer, "a", SamplingOptions(max_tokens=0), seeds=[1])) == []


def test_an_empty_prompt_starts_a_text(bigram_model: BigramModel, tokenizer: Tokenizer) -> None:
    texts(bigram_model, tokenizer, ONE_TOKEN, prompt="", seeds=[1, 2])
    assert bigram_model.windows == [[[tokenizer.start_id]]]


def test_reads_start_and_prompt_once_then_each_token_drawn(bigram_model: BigramModel, tokenizer: Tokenizer) -> None:
    samples = texts(bigram_model, tokenizer, SamplingOptions(max_tokens=3), prompt="ac", seeds=[1, 2])
    first, second, _ = ([list(step)] for step in zip(*samples, strict=True))
    a, c = tokenizer.encode_prompt("ac")
    assert bigram_model.windows == [[[tokenizer.start_id], [a], [c]], first, second]


def test_carries_the_state_of_a_real_model(real_model: LanguageModel, tokenizer: Tokenizer) -> None:
    steps = list(generate(real_model, tokenizer, "cab", GREEDY, seeds=[1]))
    drawn = [int(step.ids) for step in steps]
    read = [tokenizer.start_id, *tokenizer.encode_prompt("cab")]
    for position, step in enumerate(steps):
        inputs = torch.tensor([*read, *drawn[:position]])[:, None]
        expected, _ = next_log_probabilities(real_model, inputs, real_model.initial_state(1))
        # Float32: one window and single steps sum in another order.
        torch.testing.assert_close(step.log_probabilities, expected[:, drawn[position]], rtol=1e-5, atol=1e-5)


def test_the_prompt_changes_the_probabilities(real_model: LanguageModel, tokenizer: Tokenizer) -> None:
    unfiltered = SamplingOptions(max_tokens=1, allow_unk=True, top_k=1)
    chosen = {prompt: next(generate(real_model, tokenizer, prompt, unfiltered, [1])) for prompt in ("", "ab", "cb")}
    assert len({float(step.log_probabilities) for step in chosen.values()}) == 3


def test_log_probabilities_are_the_models_own(bigram_model: BigramModel, tokenizer: Tokenizer) -> None:
    options = SamplingOptions(max_tokens=1, temperature=0.1, top_k=1)
    [step] = generate(bigram_model, tokenizer, "b", options, seeds=[1])
    assert tokenizer.token(int(step.ids)) == "c"
    assert float(step.log_probabilities) == pytest.approx(math.log(AFTER_B["c"]), abs=1e-6)


def test_temperature_0_is_the_most_probable_token(real_model: LanguageModel, tokenizer: Tokenizer) -> None:
    options = SamplingOptions(max_tokens=8, temperature=0.0, allow_unk=True)
    [greedy] = texts(real_model, tokenizer, options, "ab")
    read = [tokenizer.start_id, *tokenizer.encode_prompt("ab")]
    for position, token in enumerate(greedy):
        inputs = torch.tensor([*read, *greedy[:position]])[:, None]
        log_probabilities, _ = next_log_probabilities(real_model, inputs, real_model.initial_state(1))
        assert token == int(log_probabilities.argmax())


def test_temperature_0_needs_no_seed(real_model: LanguageModel, tokenizer: Tokenizer) -> None:
    samples = texts(real_model, tokenizer, GREEDY, "ab", seeds=range(5))
    assert samples == [samples[0]] * 5


@pytest.mark.parametrize("options", [SamplingOptions(max_tokens=40), SamplingOptions(max_tokens=40, top_p=0.9)])
def test_the_same_seed_gives_the_same_text(
    options: SamplingOptions, real_model: LanguageModel, tokenizer: Tokenizer
) -> None:
    assert texts(real_model, tokenizer, options, "ab", [5]) == texts(real_model, tokenizer, options, "ab", [5])
    assert texts(real_model, tokenizer, options, "ab", [5]) != texts(real_model, tokenizer, options, "ab", [6])


def test_bfloat16_draws_from_nearly_the_same_distribution(real_model: LanguageModel, tokenizer: Tokenizer) -> None:
    options = SamplingOptions(max_tokens=8, temperature=0.0, allow_unk=True, precision="bfloat16")
    rounded = list(generate(real_model, tokenizer, "cab", options, seeds=[1]))
    [prompt_end, *_] = generate(real_model, tokenizer, "cab", replace(options, precision="float32"), seeds=[1])
    assert torch.equal(rounded[0].log_probabilities, prompt_end.log_probabilities), "the prompt is read as always"
    read = [tokenizer.start_id, *tokenizer.encode_prompt("cab")]
    distances = []
    for step in rounded:
        exact, _ = next_log_probabilities(real_model, torch.tensor(read)[:, None], real_model.initial_state(1))
        distances.append(float((step.log_probabilities - exact[0, step.ids]).abs()))
        read += step.ids.tolist()
    assert 0 < max(distances) < 0.1


@pytest.mark.parametrize(
    "options",
    [
        SamplingOptions(max_tokens=40),
        SamplingOptions(max_tokens=40, top_k=3),
        SamplingOptions(max_tokens=40, precision="bfloat16"),
    ],
)
def test_eight_samples_at_once_equal_eight_single_ones(
    options: SamplingOptions, real_model: LanguageModel, tokenizer: Tokenizer
) -> None:
    seeds = [7, 3, 3, 0, 2**40, 1, 99, 8]
    together = texts(real_model, tokenizer, options, "ab", seeds)
    assert together == [texts(real_model, tokenizer, options, "ab", [seed])[0] for seed in seeds]
    assert len({tuple(text) for text in together}) == 7


def test_a_longer_sample_begins_like_a_shorter_one(real_model: LanguageModel, tokenizer: Tokenizer) -> None:
    [short] = texts(real_model, tokenizer, SamplingOptions(max_tokens=5), seeds=[4])
    [long] = texts(real_model, tokenizer, SamplingOptions(max_tokens=20), seeds=[4])
    assert long[:5] == short


def test_global_random_numbers_are_neither_used_nor_changed(real_model: LanguageModel, tokenizer: Tokenizer) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    once = texts(real_model, tokenizer, SamplingOptions(max_tokens=20))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert texts(real_model, tokenizer, SamplingOptions(max_tokens=20)) == once


def test_the_caller_stays_outside_inference_mode(real_model: LanguageModel, tokenizer: Tokenizer) -> None:
    steps: list[Sampled] = []
    for step in generate(real_model, tokenizer, "ab", SamplingOptions(max_tokens=2), seeds=[1]):
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()
        steps.append(step)
    assert all(step.ids.is_inference() for step in steps)


def test_repeated_tokens_are_those_of_prompt_and_sample(bigram_model: BigramModel, tokenizer: Tokenizer) -> None:
    # Greedy after "c": "a" is the likeliest, then "a" again, unless no two tokens may come twice.
    greedy = SamplingOptions(max_tokens=6, temperature=0.0)
    names = [tokenizer.token(token_id) for token_id in texts(bigram_model, tokenizer, greedy, "ca")[0]]
    assert names == ["a"] * 6
    unrepeated = replace(greedy, no_repeat_ngram_size=2)
    names = [tokenizer.token(token_id) for token_id in texts(bigram_model, tokenizer, unrepeated, "ca")[0]]
    assert names == ["a", "b", "c", "b", "\n", "a"]


def test_a_top_k_beyond_the_vocabulary_keeps_everything(real_model: LanguageModel, tokenizer: Tokenizer) -> None:
    everything, beyond = SamplingOptions(max_tokens=20), SamplingOptions(max_tokens=20, top_k=1000)
    assert texts(real_model, tokenizer, beyond) == texts(real_model, tokenizer, everything)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "--temperature: needs a number of 0 or more, got -1."),
        ({"temperature": math.nan}, "--temperature: needs a number of 0 or more, got nan."),
        ({"top_k": 0}, "--top-k: needs a whole number of 1 or more, got 0."),
        ({"top_p": 0.0}, "--top-p: needs a number above 0 and at most 1, got 0."),
        ({"top_p": 1.5}, "--top-p: needs a number above 0 and at most 1, got 1.5."),
        ({"top_p": math.nan}, "--top-p: needs a number above 0 and at most 1, got nan."),
        ({"min_p": 1.01}, "--min-p: needs a number from 0 to 1, got 1.01."),
        ({"min_p": math.nan}, "--min-p: needs a number from 0 to 1, got nan."),
        ({"typical_p": 0.0}, "--typical-p: needs a number above 0 and at most 1, got 0."),
        ({"repetition_penalty": 0.0}, "--repetition-penalty: needs a number above 0, got 0."),
        ({"repetition_penalty": math.inf}, "--repetition-penalty: needs a number above 0, got inf."),
        ({"no_repeat_ngram_size": 0}, "--no-repeat-ngram-size: needs a whole number of 1 or more, got 0."),
        ({"stop": (".", "")}, "--stop: needs a text, got ''."),
        ({"max_tokens": -1}, "--max-tokens: needs a whole number of 0 or more, got -1."),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        SamplingOptions(**options)
    assert str(error.value) == message
