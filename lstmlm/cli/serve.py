"""`lstmlm serve`: models that answer over HTTP."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.options import require_extra, run_path
from lstmlm.cli.render import say, warn
from lstmlm.errors import Interrupted


def serve(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN…",
            parser=run_path,
            help="Run directories, or names below runs/.",
            show_default="the newest under runs/",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Likewise; 0 is any that is free.")] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option("--api-key", envvar="LSTMLM_API_KEY", help="What requests need to have.", show_default="nothing"),
    ] = None,
) -> None:
    """Serve models over HTTP: OpenAI's completions, next words, surprisal, gates, and a page that shows them.

    Nobody but this machine is let in unless --host says so. Ctrl-C ends it.

    Examples:

    lstmlm serve

    lstmlm serve runs/ptb-rnn runs/ptb-lstm-small --port 9000

    LSTMLM_API_KEY=secret lstmlm serve --host 0.0.0.0
    """
    require_extra("serve", "starlette", "uvicorn")
    from lstmlm.serving.engine import ENGINE
    from lstmlm.serving.server import LOOPBACK, serve

    if host not in LOOPBACK and api_key is None:
        warn([f"whoever reaches {host} may ask: --api-key KEY or LSTMLM_API_KEY lets in those that know it."])
    try:
        serve(runs or [], host=host, port=port, api_key=api_key, tell=_tell)
    except Interrupted as stop:
        if any(thread.name == ENGINE for thread in threading.enumerate()):
            # It would bring the interpreter down that ends while it computes.
            os._exit(128 + stop.signal_number)
        raise


def _tell(address: str, models: Sequence[str]) -> None:
    say(f"{', '.join(models)}: {address} (Ctrl-C ends it)")
