"""A training in plain lines: events put into words, and shown now and then where no screen can move."""

import time
from collections.abc import Callable

from lstmlm.cli.render import SECONDS_BETWEEN_LINES, clock, say
from lstmlm.history.history import Record


class PlainLines:
    """Events in words on stderr, those of steps now and then."""

    def __init__(self) -> None:
        self._last = -SECONDS_BETWEEN_LINES

    def show(self, event: Record) -> None:
        """Show an event, if it is time."""
        if event["event"] == "step":
            if time.monotonic() - self._last < SECONDS_BETWEEN_LINES:
                return
            self._last = time.monotonic()
        if line := describe(event):
            say(line)


def describe(event: Record) -> str:
    """Put an event into words; "" for one that people need not see."""
    return _TELLERS[event["event"]](event) if event["event"] in _TELLERS else ""


def _tell_start(event: Record) -> str:
    splits = " · ".join(
        f"{split['split']} {split['n_tokens']:,} tokens ({split['unk_rate']:.1%} <unk>)" for split in event["splits"]
    )
    measured = ", ".join(f"{name} {value:.0f} ms" for name, value in event["milliseconds"].items())
    precision = f"{event['precision']} ({measured})" if measured else event["precision"]
    size = f"{event['n_parameters']:,} parameters · "
    size += precision if event["n_steps"] is None else f"{event['n_steps']:,} steps · {precision}"
    lines = [f"{event['corpus']}: {splits} · vocabulary {event['vocab_size']:,}", size]
    if any(split["split"] == "valid" for split in event["splits"]):
        lines.append("valid perplexity counts every token once, in order, with carried state")
    lines += [f"warning: {warning}" for warning in event["warnings"]]
    return "\n".join(lines)


def _tell_plan(event: Record) -> str:
    steps = f"{event['n_steps']:,} steps" if event["step"] == 0 else f"now {event['n_steps']:,} steps"
    every = event["validate_every"]
    when = "every epoch" if every is None else "at the end" if every >= event["n_steps"] else f"every {every:,} steps"
    return (
        f"budget {clock(event['budget_seconds'])}: {steps} at {event['tokens_per_second'] / 1000:.1f}k tokens/s, "
        f"validation {when}"
    )


def _tell_step(event: Record) -> str:
    # What people look for first comes first: a narrow terminal cuts the end off.
    remaining = (event["n_steps"] - event["step"]) * event["elapsed_seconds"] / max(1, event["step"])
    return (
        f"epoch {event['epoch']:.2f} · {clock(remaining)} left · perplexity {perplexity(event, 1)} · "
        f"loss {event['nats']:.2f} · rate {event['learning_rate']:.2g} · {event['tokens_per_second'] / 1000:.1f}k tok/s"
    )


def _tell_validation(event: Record) -> str:
    mark = " · best so far" if event["is_best"] else ""
    return (
        f"epoch {event['epoch']:.2f} · step {event['step']:,} · valid perplexity {perplexity(event)}"
        f" · {clock(event['elapsed_seconds'])}{mark}"
    )


def _tell_end(event: Record) -> str:
    after = f"step {event['step']:,}, {event['n_tokens']:,} tokens, {clock(event['elapsed_seconds'])}"
    return f"ended by {event['reason']} at {after}"


_TELLERS: dict[str, Callable[[Record], str]] = {
    "start": _tell_start,
    "plan": _tell_plan,
    "length": lambda event: f"now {event['n_steps']:,} steps in all, {event['n_steps_before']:,} before",
    "step": _tell_step,
    "validation": _tell_validation,
    "sample": lambda event: "  " + event["text"].strip().replace("\n", "\n  "),
    "end": _tell_end,
}


def perplexity(event: Record, n_decimals: int = 2) -> str:
    """Write the perplexity of an event; JSON has no number for one beyond a float."""
    return "beyond a float" if event["perplexity"] is None else f"{event['perplexity']:,.{n_decimals}f}"
