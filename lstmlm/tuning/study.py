"""Trials of a search space, each a run of its own, in a study on the disk that several processes share.

Who works on a trial holds its lock, which the system takes back from a process that dies. A trial without a holder that
is not finished is taken over by whoever comes next, and its run goes on from its last checkpoint.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from lstmlm import files, workflows
from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.errors import ConfigError, DivergenceError, Interrupted, LstmlmError, ShortTextError, is_out_of_memory
from lstmlm.history.summary import read_run
from lstmlm.training.events import Event, StartEvent, ValidationEvent, require_validation
from lstmlm.tuning.space import Range, Space
from lstmlm.yaml.schema import dump_yaml

JOURNAL = "study.journal"
BEST = "best.yaml"
SPACE = "space"
PROBLEM = "problem"

UNPRUNED_TRIALS = 4
"""So many are trained to their end before others are compared with them."""


class Pruned(Interrupted):
    """A trial that has fallen behind: its run stops as at a signal, with a checkpoint."""

    reason = "falling behind other trials"


class Study:
    """A study in a folder.

    Args:
        space: What is searched.
        root: Where journal and runs are; made where it is missing.

    Raises:
        ConfigError: The folder has a study of another space.
    """

    def __init__(self, space: Space, root: Path) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        files.make_directory(root)
        self.space, self.root = space, root
        journal = str(root / JOURNAL)
        self._lock = FileLock(root / "study.lock")
        with self._lock:
            lock: Any = FileLock(f"{journal}.lock")  # Optuna's own would outlive a killed process
            with lock:
                _cut_torn_line(root / JOURNAL)
            storage = JournalStorage(JournalFileBackend(journal, lock_obj=lock))
            # A folder may be renamed, and have another name on another machine.
            names = optuna.get_all_study_names(storage)
            self._study = optuna.create_study(
                storage=storage,
                study_name=names[0] if names else root.name,
                load_if_exists=True,
                pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED_TRIALS, n_warmup_steps=0),
            )
            known = self._study.user_attrs.get(SPACE)
            if known is None:
                self._study.set_user_attr(SPACE, space.identity)
            elif known != space.identity:
                raise ConfigError(
                    f"{root}: holds the study of another space: its base, search or seed differ. "
                    "Choose another --run-dir, or give that space again."
                )

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials so far, in their order."""
        return self._study.get_trials(deepcopy=False)

    @property
    def best(self) -> FrozenTrial | None:
        """The finished trial with the lowest validation perplexity, the first of equals."""
        complete = [trial for trial in self.trials if trial.state == TrialState.COMPLETE]
        return min(complete, key=lambda trial: trial.value or 0.0, default=None)

    @staticmethod
    def problem_of(trial: FrozenTrial) -> str | None:
        """Return why a trial has diverged or failed."""
        return trial.user_attrs.get(PROBLEM)

    def state_of(self, trial: FrozenTrial) -> str:
        """Return what has become of a trial: complete, pruned, diverged, fail, or running."""
        diverged = trial.state == TrialState.PRUNED and self.problem_of(trial) is not None
        return "diverged" if diverged else trial.state.name.lower()

    def run_of(self, number: int) -> Path:
        """Return where the run of a trial is."""
        return self.root / f"trial-{number:04d}"

    def work(self, watch: Callable[[Path], "Any"]) -> None:
        """Make trials until there are enough, or the time is over.

        Args:
            watch: Makes of a run's place a context that gives what is told of its events.

        Raises:
            Interrupted: A signal came; the trial goes on when the command is given again.
        """
        started = time.monotonic()
        while self.space.time_seconds is None or time.monotonic() - started < self.space.time_seconds:
            with self._next() as trial:
                if trial is None:
                    return
                self._try(trial, watch)

    @contextmanager
    def _next(self) -> Iterator[Trial | None]:
        """Take over a trial that has lost its process, or begin another; None where there are enough."""
        with self._lock:
            trial, claim = self._orphan() or self._new()
        try:
            yield trial
        finally:
            if claim is not None:
                claim.release()

    def _orphan(self) -> tuple[Trial, FileLock] | None:
        for frozen in self.trials:
            if frozen.state == TrialState.RUNNING:
                claim = self._claim(frozen.number)
                try:
                    claim.acquire(blocking=False)
                except Timeout:
                    continue
                return Trial(self._study, frozen._trial_id), claim
        return None

    def _new(self) -> tuple[Trial | None, FileLock | None]:
        n_trials = len(self.trials)
        if n_trials >= self.space.trials:
            return None, None
        # A seed for each trial, so that processes that share a study do not draw the same.
        seed = (self.space.seed * 100_003 + n_trials) % 2**32
        self._study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        trial = self._study.ask()
        claim = self._claim(trial.number)
        claim.acquire()
        _values(trial, self.space)
        return trial, claim

    def _claim(self, number: int) -> FileLock:
        return FileLock(self.root / f"trial-{number:04d}.lock")

    def _try(self, trial: Trial, watch: Callable[[Path], "Any"]) -> None:
        where = self.run_of(trial.number)
        reported, n_steps = {*self.trials[trial.number].intermediate_values}, 0  # not known yet

        def prune(event: Event) -> None:
            nonlocal n_steps
            # That of a budget is told by its plans alone.
            n_steps = getattr(event, "n_steps", None) or n_steps
            if isinstance(event, ValidationEvent) and event.step not in reported:
                trial.report(event.perplexity, event.step)
                reported.add(event.step)
            # At the start, too: a trial may have been killed between its report and what follows from it.
            is_due = isinstance(event, ValidationEvent | StartEvent) and reported
            # One that has come to its planned end is complete, however bad.
            if is_due and max(reported) < n_steps and trial.should_prune():
                raise Pruned(0)

        try:
            config = self.space.config_of(_values(trial, self.space))
            with watch(where) as observe:
                workflows.train(config, where, resume=True, observers=[observe, require_validation, prune])
        except Pruned:
            self._study.tell(trial, state=TrialState.PRUNED)
        except DivergenceError as error:
            # As one that has fallen behind: the search learns from those, and nothing from one that failed.
            trial.set_user_attr(PROBLEM, str(error))
            self._study.tell(trial, state=TrialState.PRUNED)
        except (ConfigError, ShortTextError, MemoryError, RuntimeError) as error:
            if not isinstance(error, LstmlmError) and not is_out_of_memory(error):
                raise
            trial.set_user_attr(PROBLEM, str(error) if isinstance(error, LstmlmError) else "out of memory.")
            self._study.tell(trial, state=TrialState.FAIL)
            if all(of.state == TrialState.FAIL for of in self.trials):
                raise
        else:
            self._study.tell(trial, read_run(where).summary.perplexity)
        self._write_best()

    def _write_best(self) -> None:
        with self._lock:
            best = self.best
            if best is not None:
                config = RunDirectory.open(self.run_of(best.number)).config
                content = "".join(f"# {line}\n" for line in self._rests_on(best)) + dump_yaml(config)
                files.write_atomically(self.root / BEST, content.encode())

    def _rests_on(self, best: FrozenTrial) -> list[str]:
        counts = {state: sum(trial.state == state for trial in self.trials) for state in TrialState}
        return [
            f"Study {self.root}, seed {self.space.seed}: trial {best.number} has validation perplexity "
            f"{best.value:.2f}.",
            f"Trials: {counts[TrialState.COMPLETE]} complete, {counts[TrialState.PRUNED]} pruned, "
            f"{counts[TrialState.FAIL]} failed. Searched: {', '.join(self.space.search)}.",
            "The lowest of several figures on the text it was chosen by is flattering: measure it on the test split.",
        ]


def _values(trial: Trial, space: Space) -> dict[str, Any]:
    """Draw the values of a trial; of one that has them already, return them."""
    return {key: _value(trial, key, of) for key, of in space.search.items()}


def _value(trial: Trial, key: str, of: Range) -> Any:
    if of.kind == "choice":
        # The journal knows lists no more as what they were, so that they are written as text.
        choices = [json.dumps(choice) if isinstance(choice, tuple | list) else choice for choice in of.choices]
        return of.choices[choices.index(trial.suggest_categorical(key, choices))]
    if of.kind == "int":
        return trial.suggest_int(key, int(of.low), int(of.high), log=of.log)
    return trial.suggest_float(key, of.low, of.high, log=of.log)


def _cut_torn_line(journal: Path) -> None:
    """Drop what a loss of power left of a last line, before another one is written behind it."""
    content = journal.read_bytes() if journal.exists() else b""
    if not content.endswith(b"\n"):
        files.write_atomically(journal, content[: content.rfind(b"\n") + 1])
