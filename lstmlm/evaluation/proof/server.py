"""A completions server as a scorer: any that echoes a prompt of token ids with its log-probabilities.

Asked is `POST /v1/completions` with `echo` and `logprobs`. Its interface gives the likeliest tokens alone, so that the
distribution at a position is asked for by having every token of the vocabulary come there, as many to a request as fit.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException, InvalidURL
from typing import Any

import numpy as np
from jaxtyping import Float

from lstmlm.errors import ConfigError, DataError, first_line, shown
from lstmlm.evaluation.proof.scorer import Positions, Scored, Tokens

PROMPTS_PER_REQUEST = 64

START_ID = 0
"""Read before the first token of every text."""

SECONDS = 120.0
"""How long an answer may take."""


@dataclass(frozen=True)
class Server:
    """A model behind `/v1/completions`; the first token of a text is read, and not scored."""

    url: str
    """Without `/v1`."""
    vocab_size: int
    model: str | None = None
    """What the server calls it; its first one where not given."""
    known: dict[tuple[int, ...], Float[np.ndarray, " vocab"]] = field(default_factory=dict)
    """The distributions after what was asked about so far: each takes as many prompts as there are tokens."""

    def __call__(self, tokens: Tokens, positions: Positions) -> Mapping[str, Scored]:
        """Score every token; see `Scorer`. Raises DataError if the server does not answer, or not as it should."""
        [nats] = self._nats([tokens.tolist()])
        rows = [self._log_probabilities(tokens[:position].tolist()) for position in positions]
        return {self.model or self.url: Scored(nats, np.reshape(rows, (-1, self.vocab_size)))}

    def _log_probabilities(self, before: Sequence[int]) -> Float[np.ndarray, " vocab"]:
        if tuple(before) in self.known:
            return self.known[tuple(before)]
        texts = [[*before, token] for token in range(self.vocab_size)]
        found = [
            nats
            for first in range(0, self.vocab_size, PROMPTS_PER_REQUEST)
            for nats in self._nats(texts[first : first + PROMPTS_PER_REQUEST])
        ]
        # An answer that is too short says nothing of its last token.
        last = [nats[-1] if len(nats) == len(before) + 1 else np.nan for nats in found]
        self.known[tuple(before)] = -np.array(last)
        return self.known[tuple(before)]

    def _nats(self, texts: Sequence[Sequence[int]]) -> list[Float[np.ndarray, " tokens"]]:
        prompts = [[START_ID, *map(int, text)] for text in texts]
        wanted: dict[str, Any] = {"prompt": prompts, "max_tokens": 1, "echo": True, "logprobs": 1, "temperature": 0}
        answer = request(f"{self.url}/v1/completions", wanted | ({"model": self.model} if self.model else {}))
        try:
            choices = sorted(answer["choices"], key=lambda choice: int(choice["index"]))
            found = [choice["logprobs"]["token_logprobs"][1 : len(prompts[0])] for choice in choices]
            nats = [-np.array(of_text, dtype=np.float64) for of_text in found]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{self.url}: answers without log-probabilities ({shown(answer)}).") from error
        if len(nats) != len(prompts):
            raise DataError(
                f"{self.url}: answers {len(nats)} of {len(prompts)} prompts. Ask a server that answers all."
            )
        return nats


def request(url: str, body: Mapping[str, Any] | None = None) -> Any:
    """Return what a server answers as JSON, to a GET or with a body to a POST.

    Raises:
        ConfigError: `url` is none.
        DataError: the server does not answer, or not with JSON.
    """
    data = None if body is None else json.dumps(body).encode()
    try:
        asked = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=SECONDS) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        raise DataError(f"{url}: refuses ({error.code}: {shown(error.read().decode(errors='replace'))}).") from error
    except (ValueError, InvalidURL) as error:
        raise ConfigError(f"{url}: is no address ({first_line(error)}). Write http://HOST:PORT") from error
    except (OSError, HTTPException) as error:
        raise DataError(f"{url}: does not answer, or stopped ({first_line(error)}). Start the server again.") from error
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{url}: answers with what is no JSON ({first_line(error)}). Name a completions server."
        ) from error


def vocab_size_of(url: str, model: str | None) -> int | None:
    """Return how many tokens a server says that its model has, where it says so, as `lstmlm serve` does."""
    models = request(f"{url}/v1/models")
    try:
        size = next(entry["vocab_size"] for entry in models["data"] if model in (None, entry.get("id")))
    except (AttributeError, KeyError, StopIteration, TypeError):
        return None
    return size if isinstance(size, int) and size > 1 else None
