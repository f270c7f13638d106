"""A trained model as lm-eval asks one (github.com/EleutherAI/lm-evaluation-harness); the extra `harness` installs that.

A text is read as everywhere here: its first token is predicted after the implicit `<eos>`, read in the zero state, the
state is carried to its end, and an open last line is not ended.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstmlm.api.arguments import sampling_options
from lstmlm.api.model import Model
from lstmlm.corpus.reading.decoding import normalized
from lstmlm.errors import ConfigError, DataError, MissingExtraError, did_you_mean, first_line, unknown
from lstmlm.evaluation.report import Report
from lstmlm.scoring import of_distributions, score_each
from lstmlm.workflows import TrainedModel, generate_texts

try:
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager
except ImportError as error:
    raise MissingExtraError("lm-eval: is not installed. Install it: pip install 'lstmlm[harness]'") from error

MOST_TOKENS = 256
"""That `generate_until` draws where a task does not say how many; as in lm-eval."""


TOLD_TO_EVERY_MODEL = ("batch_size", "max_batch_size", "device", "trust_remote_code")
"""By lm-eval, whether a model has use for it or not."""


class LstmlmLM(LM):
    """`--model lstmlm --model_args run=runs/quickstart` of lm-eval, which may name an exported directory too.

    Args:
        run: A run directory, an exported one, or what `lstmlm.load` has returned; by default the newest below runs/.
        options: What lm-eval says of batches, devices and trust to every model; it is chosen here.

    Raises:
        ConfigError: An option is unknown.
        CheckpointError: There is no such run, or it is damaged.
    """

    def __init__(self, run: str | Path | TrainedModel | None = None, **options: object) -> None:
        super().__init__()
        for name in options:
            if name not in TOLD_TO_EVERY_MODEL:
                raise ConfigError(f"--model_args: {unknown('argument', name, ['run'])}")
        self._trained = run if isinstance(run, TrainedModel) else Model.load(run)

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return for each context and continuation ln p(continuation | context), and whether it is the likeliest."""
        pairs = [self._pair(*request.args) for request in requests]
        measured = self._measured([context + continuation for context, continuation in pairs])
        parts = [found[len(context) :] for (context, _), found in zip(pairs, measured, strict=True)]
        return [(-float(part[:, 0].sum()), bool((part[:, 1] == 1).all())) for part in parts]

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Return ln p of each text, every token given all before it, however long the text is."""
        texts = [self._encode(*request.args) for request in requests]
        return [-float(found[:, 0].sum()) for found in self._measured(texts)]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Continue each context up to the first of its stop texts, as `lstmlm generate` does."""
        n_asked = Counter[str]()
        texts = []
        for request in requests:
            # A task that repeats a question wants other answers.
            n_asked[repr(request.args)] += 1
            context, options = request.args
            texts.append(self._continued(context, options, n_asked[repr(request.args)] - 1))
        return texts

    def _continued(self, context: str, options: dict[str, Any], seed: int) -> str:
        until = options.get("until") or []
        drawn = {name: options[name] for name in ("temperature", "top_k", "top_p") if options.get(name) is not None}
        sampling = sampling_options(
            {
                "max_tokens": options.get("max_gen_toks", MOST_TOKENS),
                "stop": [until] if isinstance(until, str) else until,
                **(drawn if options.get("do_sample") else {"temperature": 0}),
            }
        )
        pieces = generate_texts(self._trained, normalized(context), sampling, [seed])
        return "".join(sample.piece for [sample] in pieces)

    def _pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """Ids of both: cut as one text, in which white space between them belongs to the continuation."""
        whole, before = self._encode(context + continuation), self._encode(context.rstrip())
        return whole[: len(before)], whole[len(before) :]

    def _encode(self, text: str) -> list[int]:
        return self._trained.tokenizer.encode_prompt(self._trained.beginning(normalized(text)))

    def _measured(self, texts: Sequence[Sequence[int]]) -> list[Any]:
        start_id, measure = self._trained.tokenizer.start_id, of_distributions(_nats_and_rank)
        return score_each(self._trained.model, texts, start_id, measure=measure)


def _nats_and_rank(
    log_probabilities: Float[Tensor, "rows vocab"], targets: Int[Tensor, " rows"]
) -> Float[Tensor, "rows 2"]:
    """Surprisal of each token (nats), and its rank among all, from 1."""
    of_targets = log_probabilities.gather(1, targets[:, None])
    rank = 1 + (log_probabilities > of_targets).sum(1)
    return torch.stack([-of_targets[:, 0].double(), rank.double()], dim=1)


def evaluate_tasks(
    trained: TrainedModel, tasks: Sequence[str], include_path: Path | None = None, limit: int | None = None
) -> Report:
    """Ask a model the questions of lm-eval's tasks.

    Args:
        trained: The model to ask.
        tasks: Names of tasks or groups.
        include_path: A folder with more tasks, as YAML files.
        limit: How many questions of each task to ask; by default all.

    Raises:
        ConfigError: there is no such task.
        DataError: the data of a task cannot be had.
    """
    manager = TaskManager(include_path=None if include_path is None else str(include_path))
    for name in tasks:
        if name not in manager.all_tasks:
            raise ConfigError(
                f"TASK: unknown task {name!r}. {did_you_mean(name, manager.all_tasks)}"
                "Name a folder that has it by --include-path, or one of these: lm-eval ls tasks"
            )
    try:
        found = simple_evaluate(
            LstmlmLM(trained), tasks=list(tasks), task_manager=manager, limit=limit, log_samples=False
        )
    except (OSError, ValueError) as error:
        raise DataError(
            f"{', '.join(tasks)}: cannot be asked ({first_line(error)}). "
            "The data of most tasks come from huggingface.co: fetch them where there is a network, or name your own."
        ) from None
    return Report({"run": trained.name, "limit": limit}, rows=list(_rows(found["results"], found["n-samples"])))


def _rows(results: dict[str, dict[str, Any]], counts: dict[str, dict[str, int]]) -> Iterable[dict[str, Any]]:
    """A row for each metric of each task; lm-eval names them `acc,none` and `acc_stderr,none`."""
    for task, figures in results.items():
        for name, value in figures.items():
            metric, _, of_filter = name.partition(",")
            if of_filter and not metric.endswith("_stderr"):
                error = figures.get(f"{metric}_stderr,{of_filter}")
                yield {
                    "task": task,
                    "metric": metric if of_filter == "none" else f"{metric} ({of_filter})",
                    "value": value,
                    "stderr": error if isinstance(error, float) else None,
                    "n": counts.get(task, {}).get("effective"),
                }
