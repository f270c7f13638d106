"""Two processes do what one does, to the bit where sums have one order; what happens to one, happens to both."""

import json
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import PROJECT, Ended, ends_of, start
from run_facts import StopAfter, events_of, facts_of

SCENARIOS = Path(__file__).parent / "scenarios.py"
CORPUS = PROJECT / "data" / "tiny"

STOPPED_AT = 6


@pytest.fixture(scope="module")
def scenarios() -> Any:
    """The module that the processes run, for what one process does in their place."""
    sys.path.insert(0, str(SCENARIOS.parent))
    try:
        import scenarios
    finally:
        sys.path.pop(0)
    return scenarios


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def ended(here: Path, scenarios: Any) -> list[Ended]:
    """How the two processes ended, once they have gone through all scenarios."""
    with pytest.raises(scenarios.Interrupted):
        scenarios.train(scenarios.config(), here / "chain", observers=[StopAfter(STOPPED_AT)])
    return ends_of(start([str(SCENARIOS), str(here)], 2, {0: here, 1: here}))


@pytest.fixture(scope="module")
def outcomes(here: Path, ended: list[Ended]) -> list[dict[str, Any]]:
    """What each process returned and wrote, by scenario."""
    assert [end.status for end in ended] == [0, 0], ended
    return [json.loads((here / f"rank-{rank}.json").read_text("utf-8")) for rank in range(2)]


def returned(outcomes: list[dict[str, Any]], name: str) -> list[Any]:
    return [of_rank[name]["returned"] for of_rank in outcomes]


NAMES = ["tied", "untied", "a cluster without targets", "drawn windows", "across epochs"]


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_are_one_with_two_groups_of_columns(
    name: str, scenarios: Any, outcomes: Any, here: Path, tmp_path: Path
) -> None:
    assert list(scenarios.EQUAL) == NAMES
    scenarios.train(scenarios.config(**scenarios.EQUAL[name], training__accumulate=2), tmp_path)
    ours, theirs = facts_of(here / name), facts_of(tmp_path)
    for file in ("model.safetensors", "training.safetensors"):
        assert ours[file] == theirs[file]
    assert_same_events(events_of(here / name), events_of(tmp_path))


def assert_same_events(ours: list[dict[str, Any]], theirs: list[dict[str, Any]], tolerance: float = 1e-6) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys()
        for key, value in other.items():
            assert one[key] == (pytest.approx(value, rel=tolerance) if isinstance(value, float) else value), key


def test_groups_within_processes_change_rounding_alone(
    scenarios: Any, outcomes: Any, here: Path, tmp_path: Path
) -> None:
    scenarios.train(scenarios.config(training__accumulate=4), tmp_path)
    # Sums in another order, and the optimizer magnifies what differs where a gradient is small.
    assert_same_events(events_of(here / "groups"), events_of(tmp_path), 1e-4)


def test_one_then_two_then_one_process(scenarios: Any, outcomes: Any, here: Path, tmp_path: Path) -> None:
    """The batches of the whole run, its masks and losses; two processes stop together for a signal to the second."""
    (number, first), (also, second) = returned(outcomes, "the_middle_of_a_run")
    assert number == also == signal.SIGTERM
    with scenarios.recorded_windows() as after:
        scenarios.train(scenarios.config(), here / "chain", resume=True)
    with scenarios.recorded_windows() as whole:
        scenarios.train(scenarios.config(), tmp_path)
    assert whole.pop(0) == whole[0]  # on which `precision: auto` is measured
    side_by_side = [
        [[*left, *right] for left, right in zip(*halves, strict=True)] for halves in zip(first, second, strict=True)
    ]
    assert len(side_by_side) == 8
    assert [*whole[:STOPPED_AT], *side_by_side, *after] == whole
    assert_same_events(events_of(here / "chain"), events_of(tmp_path))


def test_every_token_is_scored_once(scenarios: Any, outcomes: Any) -> None:
    alone = [scenarios.measured_nats(scenarios.World(), forgets=forgets) for forgets in (True, False)]
    for nats in returned(outcomes, "scoring"):
        assert [len(of_one) for of_one in nats] == [len(scenarios.long_text())] * 2
        np.testing.assert_allclose(nats, alone, rtol=1e-6)


def test_an_evaluation_is_shared_out(scenarios: Any, outcomes: Any, here: Path) -> None:
    nats, n_tokens = scenarios.evaluation(scenarios.World(), here)
    for of_rank, n_read in returned(outcomes, "evaluation"):
        assert of_rank == pytest.approx(nats, rel=1e-6)
        assert 0 < n_read < 0.75 * n_tokens


def test_a_full_disk_stops_all_or_none(outcomes: Any, here: Path) -> None:
    stopped = ["CheckpointError", "somewhere: cannot be written."]
    assert returned(outcomes, "a_full_disk") == [[[], stopped]] * 2
    assert facts_of(here / "warn")["last"] == 8


def test_a_loss_that_is_no_number_stops_all(outcomes: Any) -> None:
    one, other = returned(outcomes, "not_a_number")
    assert one == other
    kind, message = one
    assert kind == "DivergenceError"
    assert message.startswith("step 3: loss is nan (learning rate 0.01, ")


def test_processes_that_differ_stop_before_the_first_step(outcomes: Any, here: Path) -> None:
    one, other = returned(outcomes, "differences")
    assert one == other
    rate, columns, text = one
    assert rate == [
        "ConfigError",
        "optimizer.learning_rate: is 0.02 on rank 1, 0.01 on rank 0. Give all processes the same configuration, "
        "versions and devices.",
    ]
    assert columns == [
        "ConfigError",
        "data.batch_size: 6 columns cannot be shared equally by 2 processes in 2 groups each (training.accumulate). "
        "Make it a multiple of 4, or start another number of processes.",
    ]
    kind, message = text
    assert kind == "ConfigError"
    assert message.startswith("SHA-256 of train: is '")
    assert message.endswith("' on rank 0. Give all processes the same text.")
    assert not (here / "refused").exists()


def test_one_clock_plans_for_all(outcomes: Any, here: Path) -> None:
    n_events, none = returned(outcomes, "unequal_clocks")
    assert n_events > 0
    assert none == 0
    plans = [event for event in events_of(here / "budget") if event["event"] == "plan"]
    assert len(plans) > 1
    assert facts_of(here / "budget")["last"] == plans[-1]["n_steps"]


def test_a_restart_resumes(outcomes: Any, here: Path) -> None:
    assert facts_of(here / "again")["last"] == 20


def test_only_the_first_process_writes_and_speaks(ended: list[Ended], outcomes: Any) -> None:
    writing = {name for name, outcome in outcomes[1].items() if outcome["wrote"]}
    assert writing == {"differences"}  # its own corpus
    assert ended[1] == (0, "", "")
    assert all(outcomes[0][name]["wrote"] for name in ("same_numbers", "restart"))


def train_command(folder: Path) -> list[str]:
    (folder / "tiny.yaml").write_text(
        "data: {corpus: corpus/, batch_size: 4, bptt: 7}\ntraining: {n_steps: 5}\n", "utf-8"
    )
    return ["-m", "lstmlm", "train", "--config", str(folder / "tiny.yaml")]


def assert_lost(end: Ended) -> None:
    assert end.status == 7
    assert end.stderr.startswith("lost contact with the other processes (")
    assert end.stderr.endswith("). See what the one that ended first says; continue a training with --resume.\n")


def test_a_process_that_fails_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.copytree(CORPUS, tmp_path / "corpus")
    command = train_command(tmp_path)
    first, second = ends_of(start(command, 2, {0: tmp_path, 1: tmp_path / "elsewhere"}))
    assert second.status == 3
    assert second.stderr == (
        "rank 1: corpus: no such file or folder. Paths start at the working directory; lstmlm data list shows the "
        "corpora that have a name.\n"
    )
    assert_lost(first)


def test_a_process_that_never_comes(tmp_path: Path) -> None:
    (end,) = ends_of(start(train_command(tmp_path), 2, {0: tmp_path}, LSTMLM_TIMEOUT_SECONDS=2))
    assert_lost(end)
