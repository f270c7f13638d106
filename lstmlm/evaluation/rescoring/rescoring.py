"""Rescoring: what a language model says of n-best lists, and which hypotheses that makes the best.

Every hypothesis is read as a line of its own, with its end: from the zero state, or with carried state as what follows
the hypotheses that were chosen for the utterances before, without an end where the model knows none between lines.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
import torch
from jaxtyping import Float

from lstmlm.corpus.encoded_text import MANY_UNKNOWN
from lstmlm.corpus.reading.white_space import words_of
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.errors import ConfigError, DataError
from lstmlm.evaluation.reading import AS_LINES, Reading
from lstmlm.evaluation.report import Report, Row, Value, most_frequent
from lstmlm.evaluation.rescoring.combination import Combination, count_errors, error_rates, find_combination
from lstmlm.evaluation.rescoring.error_rate import Metric, units_of
from lstmlm.evaluation.rescoring.formats import Hypothesis, ScoredHypothesis
from lstmlm.models.language_model import LanguageModel
from lstmlm.scoring import next_log_probabilities, score_tree

FEW_COMMON = 0.1
"""So small a share of the reference in the lists says that the two are written in different ways."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rescorer:
    """A language model that is asked about hypotheses."""

    model: LanguageModel
    tokenizer: Tokenizer
    combination: Combination
    metric: Metric
    """Says what lengths are counted in."""
    reading: Reading = AS_LINES

    def rescore(self, lists: Sequence[Sequence[Hypothesis]]) -> list[list[ScoredHypothesis]]:
        """Score every hypothesis as a text of its own."""
        texts = [self._encode(hypothesis) for hypothesis in chain.from_iterable(lists)]
        scores = zip(texts, score_tree(self.model, texts, self.tokenizer.start_id), strict=True)
        return [[self._scored(hypothesis, *next(scores)) for hypothesis in hypotheses] for hypotheses in lists]

    def rescore_in_context(self, lists: Sequence[Sequence[Hypothesis]]) -> list[list[ScoredHypothesis]]:
        """Score the utterances of a talk in their order, each in the state after what was chosen before."""
        before, state, join, scored_lists = self.tokenizer.start_id, self.model.initial_state(1), "", []
        for hypotheses in lists:
            texts = [self._encode_within(hypothesis, join) for hypothesis in hypotheses]
            scored = list(map(self._scored, hypotheses, texts, score_tree(self.model, texts, before, state)))
            scored_lists.append(scored)
            if chosen := texts[np.argmax([candidate.total for candidate in scored])]:
                # Its last token, most often the end of its line, is left: reading it begins the next one.
                read = torch.tensor([before, *chosen[:-1]])[:, None]
                _, state = next_log_probabilities(self.model, read, state)
                before, join = chosen[-1], " "
        return scored_lists

    def _encode_within(self, hypothesis: Hypothesis, join: str) -> list[int]:
        """Encode an utterance of a talk: it ends as a line does within the texts that the model has learnt."""
        if self.reading.eos in ("line", "line_and_document"):
            return self._encode(hypothesis)
        line = self.line_of(hypothesis)
        return self.tokenizer.encode_open(line and join + line, is_line_begun=join != "")

    def _encode(self, hypothesis: Hypothesis) -> list[int]:
        return list(map(int, self.tokenizer.encode(self.line_of(hypothesis) + self.reading.line_end)))

    def line_of(self, hypothesis: Hypothesis) -> str:
        """Return the text that is scored, without its end."""
        return self.reading.join.join(words_of(hypothesis.text))

    def _scored(
        self, hypothesis: Hypothesis, tokens: list[int], nats: Float[np.ndarray, " tokens"]
    ) -> ScoredHypothesis:
        lm_nats, length = float(nats.sum()), len(units_of(hypothesis.text, self.metric))
        scored = ScoredHypothesis(
            hypothesis,
            lm_nats=lm_nats,
            n_tokens=len(tokens),
            n_unk=sum(token == self.tokenizer.unk_id for token in tokens)
            + len(self.tokenizer.dropped(hypothesis.text)),
            length=length,
            total=0.0,
            lm_score=0.0,
        )
        return _weighed(scored, self.combination)


@dataclass(frozen=True)
class RescoringOptions:
    """How lists are rescored."""

    combination: Combination | None = field(default_factory=Combination)
    """None: the one that leaves the fewest errors in the first half of the utterances that have a reference."""
    metric: Metric = "wer"
    """What errors and lengths are counted in."""
    carry_state: bool = False
    """Whether an utterance is read as what follows those before."""


@dataclass(frozen=True)
class Rescoring:
    """Rescored lists and what there is to tell of them."""

    lists: Sequence[Sequence[ScoredHypothesis]]
    report: Report
    """Its rows are the error rates, or without references the hypotheses."""


def evaluate_rescoring(
    model: LanguageModel,
    tokenizer: Tokenizer,
    lists: Sequence[Sequence[Hypothesis]],
    references: Mapping[str, str],
    options: RescoringOptions,
    run: str,
    reading: Reading = AS_LINES,
) -> Rescoring:
    """Rescore lists, and where it is known what was said, count the errors before and after.

    A combination that is searched is measured on the utterances that it was not searched on. `references` tell what was
    said in each utterance; `run` is what the report calls the model, `reading` is how words make a line.

    Raises:
        ConfigError: a weight is given to the first pass, of which the lists have no score.
        DataError: a combination is to be searched, and the lists have no scores, or fewer than two utterances a
            reference.
    """
    started = time.monotonic()
    _require_scores(lists, options.combination, is_measured=bool(references))
    _warn_of_other_spelling(lists, references, options.metric)
    combination = options.combination or Combination()
    rescorer = Rescorer(model, tokenizer, combination, options.metric, reading)
    rescored = (rescorer.rescore_in_context if options.carry_state else rescorer.rescore)(lists)
    measured: dict[str, Value] = {}
    rates: list[Row] = []
    if references:
        table = count_errors(rescored, references, options.metric)
        n_tuned = 0
        if options.combination is None:
            n_tuned = len(table.errors) // 2
            if n_tuned == 0:
                raise DataError(
                    "--tune: needs 2 utterances with a reference, one to search on and one to measure, got "
                    f"{len(table.errors)}. Give --references and a --weight."
                )
            combination = find_combination(table.part(slice(n_tuned)))
            rescored = [[_weighed(scored, combination) for scored in hypotheses] for hypotheses in rescored]
            table = table.part(slice(n_tuned, None))
        rates = error_rates(table, combination)
        measured = {"metric": options.metric, "n_tuned": n_tuned, "n_measured": len(table.errors)}
    everything = list(chain.from_iterable(rescored))
    values: dict[str, Value] = {
        "run": run,
        "context": "carried" if options.carry_state else "reset",
        "n_utterances": len(rescored),
        "n_hypotheses": len(everything),
        **_count_tokens(rescorer, everything),
        "weight": combination.weight,
        "length_bonus": combination.length_bonus,
        "first_pass_weight": combination.first_pass_weight,
        **measured,
        "seconds": round(time.monotonic() - started, 3),
    }
    return Rescoring(rescored, Report(values, rates or list(_rows(rescored))))


def _require_scores(
    lists: Sequence[Sequence[Hypothesis]], combination: Combination | None, *, is_measured: bool
) -> None:
    every = list(chain.from_iterable(lists))
    if combination and combination.first_pass_weight and not any(one.first_pass_score for one in every):
        weight = f"--first-pass-weight {combination.first_pass_weight:g}"
        raise ConfigError(f"{weight}: has no effect, as no hypothesis has a first-pass score. Leave it out.")
    if any(one.acoustic_score or one.first_pass_score for one in every):
        return
    problem = "no hypothesis has a score but the network's. Those of Kaldi lists are in another file: --scores FILE"
    if combination is None:
        raise DataError(f"--tune: {problem}")
    if is_measured:
        logger.warning("%s", problem)


def _warn_of_other_spelling(
    lists: Sequence[Sequence[Hypothesis]], references: Mapping[str, str], metric: Metric
) -> None:
    heard = {unit for hypotheses in lists for one in hypotheses for unit in units_of(one.text, metric)}
    said = [unit for text in references.values() for unit in units_of(text, metric)]
    strange = [unit for unit in said if unit not in heard]
    if len(said) - len(strange) < FEW_COMMON * len(said):
        logger.warning(
            "of %s words or characters of the references %s occur in no list, such as %s: are capitals or marks "
            "written otherwise there? Write both alike.",
            f"{len(said):,}",
            f"{len(strange):,}",
            most_frequent(strange),
        )


def _count_tokens(rescorer: Rescorer, scored: Sequence[ScoredHypothesis]) -> dict[str, Value]:
    n_tokens, n_unk = sum(one.n_tokens for one in scored), sum(one.n_unk for one in scored)
    unknown = (rescorer.tokenizer.unknown_pieces(rescorer.line_of(one.hypothesis)) for one in scored if one.n_unk)
    examples, n_within_lines = most_frequent(chain.from_iterable(unknown)), max(1, n_unk, n_tokens - len(scored))
    if n_unk > MANY_UNKNOWN * n_within_lines:
        logger.warning("%.0f %% of the tokens are unknown, such as %s.", 100 * n_unk / n_within_lines, examples)
    return {"n_tokens": n_tokens, "n_unk": n_unk, "unk_examples": examples}


def _weighed(scored: ScoredHypothesis, combination: Combination) -> ScoredHypothesis:
    hypothesis, lm_nats = scored.hypothesis, scored.lm_nats
    return replace(
        scored,
        total=combination.total(hypothesis.acoustic_score, lm_nats, scored.length, hypothesis.first_pass_score),
        lm_score=combination.lm_score(lm_nats, hypothesis.first_pass_score),
    )


def _rows(lists: Sequence[Sequence[ScoredHypothesis]]) -> Iterator[Row]:
    """Yield a row for each hypothesis, in each list with its rank by the totals."""
    for scored_list in lists:
        by_total = sorted(range(len(scored_list)), key=lambda index: -scored_list[index].total)
        rank_of = {index: rank for rank, index in enumerate(by_total, 1)}
        for index, scored in enumerate(scored_list):
            yield {
                "utterance": scored.hypothesis.utterance,
                "hypothesis": scored.hypothesis.number or index + 1,
                "rank": rank_of[index],
                "total": scored.total,
                "acoustic_score": scored.hypothesis.acoustic_score,
                "lm_nats": scored.lm_nats,
                "n_tokens": scored.n_tokens,
                "n_unk": scored.n_unk,
                "length": scored.length,
                "text": scored.hypothesis.text,
            }
