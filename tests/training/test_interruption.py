"""Signals take effect between steps, and at once a second time."""

import signal

import pytest

from lstmlm.errors import Interrupted
from lstmlm.training.interruption import Interruption


def test_raises_at_once_outside_a_held_part() -> None:
    with Interruption().active(), pytest.raises(Interrupted) as stop:
        signal.raise_signal(signal.SIGTERM)
    assert stop.value.signal_number == signal.SIGTERM


def test_waits_for_the_end_of_a_held_part() -> None:
    done = []

    def work(interruption: Interruption) -> None:
        with interruption.held():
            signal.raise_signal(signal.SIGINT)
            done.append("the step")
        done.append("what follows")

    with Interruption().active() as interruption, pytest.raises(Interrupted):
        work(interruption)
    assert done == ["the step"]


@pytest.mark.parametrize("before", [[], [signal.SIGTERM]])
def test_a_second_interrupt_does_not_wait(before: list[signal.Signals]) -> None:
    done = []

    def work(interruption: Interruption) -> None:
        with interruption.held():
            for number in [*before, signal.SIGINT, signal.SIGINT]:
                signal.raise_signal(number)
            done.append("the step")

    with Interruption().active() as interruption, pytest.raises(KeyboardInterrupt) as stop:
        work(interruption)
    assert done == []
    assert not isinstance(stop.value, Interrupted)


def test_a_later_signal_does_not_cut_short_what_follows_the_first() -> None:
    done = []
    with Interruption().active() as interruption:
        with pytest.raises(Interrupted) as stop:
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        with interruption.held():
            signal.raise_signal(signal.SIGTERM)
        done.append("the save")
    assert stop.value.signal_number == signal.SIGHUP
    assert done == ["the save"]


def test_a_second_interrupt_stops_at_once_wherever_it_comes() -> None:
    with Interruption().active():
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt) as stop:
            signal.raise_signal(signal.SIGINT)
    assert not isinstance(stop.value, Interrupted)


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption().active():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_handler_that_is_not_of_python_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a program that has Python within it: Python does not tell it, and could not put it back."""
    getsignal, taken = signal.getsignal, []
    monkeypatch.setattr(signal, "getsignal", lambda number: None if number == signal.SIGUSR1 else getsignal(number))
    monkeypatch.setattr(signal, "signal", lambda number, handler: taken.append(number))
    with Interruption().active():
        assert signal.SIGINT in taken
        assert signal.SIGUSR1 not in taken


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interruption().active():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_processes_stop_at_the_end_of_the_same_part() -> None:
    """A signal takes effect where all have agreed on it, also where another process has got it, and only once."""
    of_others, done = iter([None, signal.SIGTERM]), []
    interruption = Interruption(agree=lambda own: own or next(of_others))
    with interruption.active():
        with interruption.held():
            done.append("the first step")
        with pytest.raises(Interrupted) as stop, interruption.held():
            done.append("the second step")
        signal.raise_signal(signal.SIGINT)
        with interruption.held():
            done.append("the save")
    assert stop.value.signal_number == signal.SIGTERM
    assert done == ["the first step", "the second step", "the save"]


def test_processes_wait_with_a_signal_until_they_agree() -> None:
    interruption = Interruption(agree=lambda own: own)
    with interruption.active():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted), interruption.held():
            pass
