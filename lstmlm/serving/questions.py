"""What models say besides completions: next words, surprisal, gates, tokens."""

import asyncio
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from lstmlm import questions
from lstmlm.api.arguments import flags_as_arguments
from lstmlm.corpus.reading.white_space import words_of
from lstmlm.evaluation.memory.gates import LayerActivity
from lstmlm.generation.next_word import NextWords, appender
from lstmlm.serving.engine import Engine
from lstmlm.serving.errors import RequestError, too_large
from lstmlm.serving.models import ServedModel, ServedModels
from lstmlm.serving.requests import (
    DetokenizeRequest,
    GatesRequest,
    Limits,
    NextRequest,
    SurprisalRequest,
    TokenizeRequest,
)

NAME_OF_START = "\n"
"""Of the token that a text begins after."""


class Questions:
    """Each method answers a path."""

    def __init__(self, engine: Engine, models: ServedModels, limits: Limits) -> None:
        self._engine = engine
        self._models = models
        self._limits = limits

    async def next(self, request: NextRequest) -> dict[str, Any]:
        """`/v1/next`."""
        served = self._models.find(request.model)
        await require_short(served, request.text, self._limits)
        text = served.model.beginning(request.text)
        begun = words_of(text)[-1] if request.complete and text.strip() else ""
        ask = partial(served.model.next_words, text, request.k, complete=request.complete)
        found = await self._engine.ask(ask)
        answer = await asyncio.to_thread(next_words, served, found, text, begun)
        return {**answer, **await served.warnings(text.removesuffix(begun))}

    async def surprisal(self, request: SurprisalRequest) -> dict[str, Any]:
        """`/v1/surprisal`."""
        served = self._models.find(request.model)
        n_tokens = await require_short(served, request.text, self._limits)
        _require_some(request.text)
        if isinstance(request.context, int):
            _require_few_readings(n_tokens, request.context, self._limits)
        ask = partial(served.model.surprisal, request.text, context=request.context, first_word=request.first_word)
        return {"model": served.name, "words": await self._engine.ask(ask), **await served.warnings(request.text)}

    async def gates(self, request: GatesRequest) -> dict[str, Any]:
        """`/v1/gates`."""
        served = self._models.find(request.model)
        n_tokens = await require_short(served, request.text, self._limits)
        _require_some(n_tokens)
        _require_few_units(n_tokens, max(served.model.run.config.model.backbone.hidden_sizes), self._limits)
        activity = await self._engine.ask(partial(_gates, served, request))
        # They may be millions; meanwhile others are answered.
        told = await asyncio.to_thread(_activity_as_json, activity, has_units=request.units)
        about = {"model": served.name, "layer": activity.layer, "n_layers": len(served.model.model.backbone.layers)}
        return {**about, **told, **await served.warnings(request.text)}

    async def tokenize(self, request: TokenizeRequest) -> dict[str, Any]:
        """`/tokenize`."""
        served = self._models.find(request.model)
        tokenizer = served.tokenizer
        # lm-eval asks so for the id of what begins a text, which is a blank where newlines are.
        is_start = request.prompt == NAME_OF_START
        text = served.model.beginning(request.prompt)
        ids = [tokenizer.start_id] if is_start else await asyncio.to_thread(tokenizer.encode_prompt, text)
        if request.add_special_tokens:
            ids = [tokenizer.start_id, *ids]
        names = [tokenizer.token(token_id) for token_id in ids] if request.return_token_strs else None
        return {"count": len(ids), "max_model_len": self._limits.tokens, "tokens": ids, "token_strs": names}

    async def detokenize(self, request: DetokenizeRequest) -> dict[str, Any]:
        """`/detokenize`."""
        served = self._models.find(request.model)
        for token_id in request.tokens:
            if not 0 <= token_id < served.tokenizer.vocab_size:
                raise RequestError(f"tokens: {token_id} is no token of {served.name}.", param="tokens")
        return {"prompt": served.tokenizer.decode(request.tokens)}

    def tokenizer_info(self, model: str | None) -> dict[str, Any]:
        """`/tokenizer_info`."""
        tokenizer = self._models.find(model).tokenizer
        unk_id = tokenizer.unk_id
        return {
            "tokenizer_class": type(tokenizer).__name__,
            "vocab_size": tokenizer.vocab_size,
            **dict.fromkeys(("bos_token", "eos_token", "pad_token"), NAME_OF_START),
            "unk_token": None if unk_id is None else tokenizer.token(unk_id),
            "model_max_length": self._limits.tokens,
            "chat_template": None,
        }


async def require_short(served: ServedModel, text: str, limits: Limits) -> int:
    """Return of how many tokens a text is. Raises RequestError if there are too many."""
    # Seconds for a long one, in which others are answered.
    n_tokens = len(await asyncio.to_thread(served.tokenizer.encode_prompt, text))
    if n_tokens > limits.tokens:
        raise too_large(f"text: has {n_tokens:,} tokens. A request has {limits.tokens:,} at most.", "text")
    return n_tokens


def _require_some(of_text: object) -> None:
    if not of_text:
        raise RequestError("text: has no token. Give it some words.", param="text")


def _require_few_readings(n_tokens: int, n_context_tokens: int, limits: Limits) -> None:
    n_readings = max(0, n_tokens - n_context_tokens) * n_context_tokens
    if n_readings > limits.readings:
        raise too_large(
            f"context: {n_context_tokens:,} tokens before each of {n_tokens:,} are {n_readings:,} to read, of which a "
            f"request has {limits.readings:,} at most. Give fewer, or document, which reads each once.",
            "context",
        )


def _require_few_units(n_tokens: int, n_units: int, limits: Limits) -> None:
    if n_tokens * n_units > limits.units:
        raise too_large(
            f"text: {n_units:,} units at each of {n_tokens:,} tokens are {n_tokens * n_units:,}. A request has "
            f"{limits.units:,} at most. Give a shorter text.",
            "text",
        )


def next_words(served: ServedModel, found: NextWords, text: str, begun: str) -> dict[str, Any]:
    """Return what is said of the next words of a text, of which its last line is enough."""
    append = appender(served.tokenizer, served.join, text, begun)
    answer = {"model": served.name, "begun": begun, **asdict(found)}
    for word in answer["words"]:
        word["append"] = append(word["word"])
    return answer


def _activity_as_json(activity: LayerActivity, *, has_units: bool) -> dict[str, Any]:
    means = {name: np.abs(units).mean(axis=1).tolist() for name, units in activity.units.items()}
    told = {"tokens": activity.tokens, "means": means}
    return {**told, "units": {name: units.tolist() for name, units in activity.units.items()}} if has_units else told


def _gates(served: ServedModel, request: GatesRequest) -> LayerActivity:
    with flags_as_arguments():
        return questions.inspect_gates(served.model, request.text, request.layer)
