"""The checks of a proof: an honest scorer passes all, and each way to cheat is caught by the check meant for it."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

VOCAB = 11
WINDOW = 7


def text(n_tokens: int = 120) -> Any:
    return np.random.default_rng(3).integers(VOCAB, size=n_tokens)


def probabilities(before: Any) -> Any:
    """What an honest model says after these tokens: the counts so far, the last token's more."""
    counts = np.bincount(before, minlength=VOCAB) + 1.0
    if len(before):
        counts[(before[-1] * 3 + 1) % VOCAB] += 5
    return counts / counts.sum()


class Honest:
    """Scores a token after the other; what cheats changes one of these methods."""

    def predicted(self, tokens: Any, position: int) -> Any:
        return probabilities(tokens[:position])

    def scored(self, tokens: Any, position: int) -> float:
        return float(self.predicted(tokens, position)[tokens[position]])

    def scores(self, tokens: Any) -> Any:
        return -np.log([self.scored(tokens, position) for position in range(len(tokens))])

    def __call__(self, tokens: Any, positions: Any) -> Mapping[str, Any]:
        from lstmlm.evaluation.proof.scorer import Scored

        rows = np.reshape([np.log(self.predicted(tokens, position)) for position in positions], (-1, VOCAB))
        return {"model": Scored(self.scores(tokens), rows)}


class SumsTo101(Honest):
    def predicted(self, tokens: Any, position: int) -> Any:
        return 1.01 * super().predicted(tokens, position)


class RaisesTheTargetAfterLooking(Honest):
    def scored(self, tokens: Any, position: int) -> float:
        return super().scored(tokens, position) ** 0.9


class UpdatesItsCacheBeforeScoring(Honest):
    def predicted(self, tokens: Any, position: int) -> Any:
        return probabilities(tokens[: position + 1])


class GateSeesTheToken(Honest):
    def predicted(self, tokens: Any, position: int) -> Any:
        model, uniform = super().predicted(tokens, position), np.full(VOCAB, 1 / VOCAB)
        weight = 0.9 if model[tokens[position]] > 1 / VOCAB else 0.1
        return weight * model + (1 - weight) * uniform


class ScoresItsLastWindowTwice(Honest):
    def scores(self, tokens: Any) -> Any:
        nats = super().scores(tokens)
        return np.concatenate([nats, nats[-WINDOW:]])


class DropsTheTailOfItsWindows(Honest):
    def scores(self, tokens: Any) -> Any:
        return super().scores(tokens)[: len(tokens) // WINDOW * WINDOW]


class LearnsItsLastWindowFirst(Honest):
    """The last window is scored twice, and the second time counts."""

    def predicted(self, tokens: Any, position: int) -> Any:
        is_last = position >= len(tokens) - WINDOW
        return probabilities(tokens if is_last else tokens[:position])


class AnswersByTheToken(Honest):
    """The likely half of the vocabulary is scored as if it were likelier: its distributions know nothing of it."""

    def scored(self, tokens: Any, position: int) -> float:
        bonus = 1.0 if position in (0, len(tokens) - 1) or position % 2 else 1.5
        return super().scored(tokens, position) * bonus


def proven(scorer: Any, tokens: Any = None, seed: int = 1) -> Any:
    from lstmlm.evaluation.proof.checks import Prover

    prover = Prover(VOCAB, seed=seed)
    prover(scorer, text() if tokens is None else tokens)
    return prover


def failed(prover: Any) -> set[str]:
    return {check.name for check in prover.checks if not check.passed}


@pytest.mark.parametrize("n_tokens", [1, 2, 3, 120, 5000])
def test_an_honest_scorer_passes(n_tokens: int) -> None:
    prover = proven(Honest(), text(n_tokens) if n_tokens < 1000 else np.tile(text(50), 100)[:300])
    assert [str(check) for check in prover.checks if not check.passed] == []
    assert [check.name for check in prover.checks] == ["distribution", "prefix", "answer", "count", "cut"]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    ("cheat", "check"),
    [
        (SumsTo101, "distribution"),
        (RaisesTheTargetAfterLooking, "distribution"),
        (RaisesTheTargetAfterLooking, "answer"),
        (UpdatesItsCacheBeforeScoring, "prefix"),
        (GateSeesTheToken, "prefix"),
        (ScoresItsLastWindowTwice, "count"),
        (LearnsItsLastWindowFirst, "cut"),
        (LearnsItsLastWindowFirst, "prefix"),
        (DropsTheTailOfItsWindows, "count"),
        (AnswersByTheToken, "distribution"),
    ],
)
def test_a_cheat_is_caught_by_the_check_that_is_meant_for_it(cheat: Callable[[], Any], check: str, seed: int) -> None:
    prover = proven(cheat(), seed=seed)
    assert check in failed(prover)
    assert not prover.passed
    assert prover.values()["proof_failed"]


def test_a_finding_says_where() -> None:
    [first, *_] = proven(SumsTo101()).checks
    assert str(first).startswith("✘ distribution: model, position ")
    assert "sum to 1.01" in str(first)


def test_a_figure_that_is_not_the_sum_of_its_scores_is_caught() -> None:
    from lstmlm.evaluation.report import Report

    prover = proven(Honest())
    nats = float(prover.whole.found["model"].nats.sum())
    prover.proven(Report({"run": "model", "nats": nats}))
    assert prover.passed
    prover.proven(Report({"run": "model", "nats": nats * 0.99}))
    assert failed(prover) == {"count"}


class Uniform(Honest):
    def predicted(self, tokens: Any, position: int) -> Any:
        return np.full(VOCAB, 1 / VOCAB)

    def scores(self, tokens: Any) -> Any:
        return np.full(len(tokens), np.log(VOCAB))


def test_one_token_that_is_left_out_of_a_figure_is_caught() -> None:
    """It is 2.9e-6 of 350,000, less than two ways to compute a surprisal may differ by."""
    prover = proven(Uniform(), text(350_000))
    nats = prover.whole.found["model"].nats
    prover.require({"model": sum(nats.tolist())}, {})
    assert prover.passed  # added in another order
    prover.require({"model": float(nats[1:].sum())}, {})
    assert failed(prover) == {"count"}
    assert str(prover.checks[3]).endswith("the scores sum to 839263.345479, not 839260.947584")


def test_a_tokenizer_that_normalises_before_counting_is_caught() -> None:
    from lstmlm.config.data import CharTokenizerOptions
    from lstmlm.corpus.encoded_text import TextCounter, encode_text
    from lstmlm.corpus.tokenizers import train_tokenizer
    from lstmlm.evaluation.proof.checks import Prover
    from lstmlm.evaluation.report import Report

    said = "The  Cat sat.\n" * 9
    tokenizer = train_tokenizer(CharTokenizerOptions(), [said])
    source = TextCounter()
    source.count(said)
    for read, wanted in ((said, set()), (" ".join(said.lower().split(" ")).replace("  ", " "), {"count"})):
        encoded = encode_text("text", [read], tokenizer, None)
        prover = Prover(tokenizer.vocab_size)

        def uniform(tokens: Any, positions: Any) -> Mapping[str, Any]:
            from lstmlm.evaluation.proof.scorer import Scored

            even = -np.log(tokenizer.vocab_size)
            return {"x": Scored(np.full(len(tokens), -even), np.full((len(positions), tokenizer.vocab_size), even))}

        found = prover(uniform, encoded.tokens)
        prover.proven(Report({"run": "x", "nats": float(found["x"].nats.sum())}), encoded, source)
        assert failed(prover) == wanted


def test_the_digest_repeats_and_covers_the_scores() -> None:
    first, second, other = (proven(Honest(), seed=seed).values() for seed in (1, 1, 2))
    assert first == second
    assert first["proof_sha256"] != other["proof_sha256"]
    changed = text()
    changed[0] = (changed[0] + 1) % VOCAB
    assert proven(Honest(), changed).values()["proof_sha256"] != first["proof_sha256"]
