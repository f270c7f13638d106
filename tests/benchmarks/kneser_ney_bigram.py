"""The baseline that a language model has to beat: an interpolated Kneser-Ney bigram on the same tokens.

Kneser & Ney 1995, interpolated as in Chen & Goodman 1998, section 2.7, with the discount D = n1 / (n1 + 2 n2).
"""

import argparse
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lstmlm.corpus.datasets import load_corpus
from lstmlm.workflows import load


class KneserNeyBigram:
    """p(w | v) = max(count(v w) - D, 0) / count(v) + D * followers(v) / count(v) * p(w), p(w) by continuations.

    Args:
        tokens: Token ids of the training text.
        vocab_size: Number of types; those that never continue anything share what a uniform distribution gives them.
        start_id: What stands before the first token.
    """

    def __init__(self, tokens: Sequence[int], vocab_size: int, start_id: int) -> None:
        history = [start_id, *tokens[:-1]]
        self.pairs = Counter(zip(history, tokens, strict=True))
        self.count = Counter(history)
        self.followers = Counter(v for v, _ in self.pairs)
        continuations = Counter(w for _, w in self.pairs)
        self.discount = _discount(self.pairs.values())
        lower_discount = _discount(continuations.values())
        total = sum(continuations.values())
        uniform = lower_discount * len(continuations) / total / vocab_size
        self.lower = [max(continuations[w] - lower_discount, 0) / total + uniform for w in range(vocab_size)]

    def probability(self, v: int, w: int) -> float:
        """Return p(w | v)."""
        n = self.count[v]
        if n == 0:
            return self.lower[w]
        seen = max(self.pairs[v, w] - self.discount, 0) / n
        return seen + self.discount * self.followers[v] / n * self.lower[w]

    def perplexity(self, tokens: Sequence[int], start_id: int) -> float:
        """Return exp of the mean surprisal of `tokens`, the first after `start_id`."""
        nats = [-math.log(self.probability(v, w)) for v, w in zip([start_id, *tokens[:-1]], tokens, strict=True)]
        return math.exp(sum(nats) / len(nats))


def _discount(counts: object) -> float:
    counts_of_counts = Counter(counts)  # type: ignore[call-overload]
    n1, n2 = counts_of_counts[1], counts_of_counts[2]
    return float(n1 / (n1 + 2 * n2)) if n1 else 0.5


def main() -> None:
    """Print the baseline's perplexity on every split of a run's corpus, with the run's own tokens."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/quickstart"))
    trained = load(parser.parse_args().run)
    corpus = load_corpus(trained.run.config.data, trained.tokenizer)
    start_id = trained.tokenizer.start_id
    baseline = KneserNeyBigram(corpus.train.tokens.tolist(), trained.tokenizer.vocab_size, start_id)
    for text in (corpus.valid, corpus.test):
        if text:
            perplexity = baseline.perplexity(text.tokens.tolist(), start_id)
            print(f"{text.name}: Kneser-Ney bigram perplexity {perplexity:.2f}, <unk> {text.n_unk / text.n_tokens:.2%}")


if __name__ == "__main__":
    main()
