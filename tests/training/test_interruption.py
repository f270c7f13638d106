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


def test_a_second_interrupt_does_not_wait() -> None:
    done = []

    def work(interruption: Interruption) -> None:
        with interruption.held():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append("the step")

    with Interruption().active() as interruption, pytest.raises(KeyboardInterrupt) as stop:
        work(interruption)
    assert done == []
    assert not isinstance(stop.value, Interrupted)


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interruption().active():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
