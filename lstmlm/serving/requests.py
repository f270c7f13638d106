"""What requests may say, each body as a checked class, and how much there may be of it.

What is wrong with a body is told by the name of its field.
"""

from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from lstmlm.corpus.reading.decoding import normalized
from lstmlm.errors import did_you_mean, shown
from lstmlm.evaluation.surprisal.surprisal import FirstWord, WordContext
from lstmlm.generation.options import SamplingOptions
from lstmlm.serving.errors import RequestError

Prompt = str | list[int]
"""A text, or the ids of its tokens."""

Text = Annotated[str, AfterValidator(normalized)]
"""A text, read as a file is."""


@dataclass(frozen=True)
class Limits:
    """The most of everything, so that no request takes what the others need."""

    body_bytes: int = 1 << 20
    """Of a request's body."""

    tokens: int = 65_536
    """That a request may have read and written in all; what tokenizer_info calls the longest text."""

    units: int = 1 << 20
    """Of a layer, of which a request may ask what they do: tokens times units."""

    readings: int = 1 << 22
    """Of tokens where each is given a number of those before it, which are read anew."""

    texts: int = 128
    """That a request may have written: prompts times choices."""

    requests: int = 256
    """Answered or waiting at a time."""

    columns: int = 64
    """Texts that are written side by side; more wait until one of them ends."""

    sessions: int = 256

    session_seconds: float = 3600.0
    """After so long without a request a session is forgotten."""

    read_seconds: float = 10.0
    """For a client to send its request, or to take what it is sent."""

    answer_seconds: float = 300.0
    """For an answer, with the time that it has to wait for its turn."""

    stop_seconds: float = 10.0
    """For answers under way once the server is asked to stop."""


class Body(BaseModel):
    """What every request has. A null is as if the field were not there."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        return {name: value for name, value in given.items() if value is not None} if isinstance(given, dict) else given


class OfModel(Body):
    """What every request has that no session has chosen a model for."""

    model: str | None = None


def _prompts(given: object) -> list[Prompt]:
    """Return the prompts of a request, however they are given."""
    if isinstance(given, str):
        return [normalized(given)]
    if isinstance(given, list) and given:
        if _are_ids(given):
            return [given]
        if all(isinstance(item, str) or _are_ids(item) for item in given):
            return [normalized(item) if isinstance(item, str) else item for item in given]
    raise ValueError("needs a text, the ids of its tokens, or a list of either")


def _are_ids(given: object) -> bool:
    return isinstance(given, list) and all(type(item) is int for item in given)


def _stops(given: object) -> object:
    return [given] if isinstance(given, str) else given


def _context(given: object) -> object:
    if given in ("document", "sentence") or (type(given) is int and given > 0):
        return given
    raise ValueError('needs "document", "sentence" or a number of tokens above 0')


class StreamOptions(Body):
    """What else is streamed."""

    include_usage: bool = False


class Sampling(Body):
    """How a text is written."""

    max_tokens: int = Field(16, ge=0, le=2**31)
    temperature: float = Field(1.0, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int | None = Field(None, ge=1)
    min_p: float | None = Field(None, ge=0, le=1)
    typical_p: float | None = Field(None, gt=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0)
    no_repeat_ngram_size: int | None = Field(None, ge=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: Annotated[list[Annotated[str, Field(min_length=1, max_length=1000)]], BeforeValidator(_stops)] = Field(
        [], max_length=16
    )
    logprobs: int | None = Field(None, ge=0, le=20)
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()

    @property
    def options(self) -> SamplingOptions:
        """The same for the sampler."""
        known = SamplingOptions.__dataclass_fields__.keys() & Sampling.model_fields.keys()
        given = {name: getattr(self, name) for name in known}
        return SamplingOptions(**{**given, "top_p": None if self.top_p == 1 else self.top_p, "stop": tuple(self.stop)})


class CompletionRequest(Sampling, OfModel):
    """`POST /v1/completions`."""

    prompt: Annotated[list[Prompt], BeforeValidator(_prompts)] = [""]
    n: int = Field(1, ge=1, le=2**31)
    echo: bool = False
    user: str | None = None
    best_of: int | None = None
    suffix: str | None = None
    logit_bias: dict[str, float] = {}
    frequency_penalty: float = 0
    presence_penalty: float = 0

    @model_validator(mode="after")
    def _ask_for_what_there_is(self) -> "CompletionRequest":
        for name, is_harmless in (
            ("best_of", self.best_of in (None, self.n)),
            ("suffix", not self.suffix),
            ("logit_bias", not self.logit_bias),
            ("frequency_penalty", self.frequency_penalty == 0),
            ("presence_penalty", self.presence_penalty == 0),
        ):
            if not is_harmless:
                raise RequestError(f"{name}: is not supported. Leave it out.", code="unsupported_value", param=name)
        return self


class NextRequest(OfModel):
    """`POST /v1/next`."""

    text: Text = ""
    k: int = Field(10, ge=1, le=1000)
    complete: bool = False


class SurprisalRequest(OfModel):
    """`POST /v1/surprisal`."""

    text: Text
    context: Annotated[WordContext, BeforeValidator(_context)] = "document"
    first_word: FirstWord = "after-eos"


class GatesRequest(OfModel):
    """`POST /v1/gates`."""

    text: Text
    layer: int | None = None
    units: bool = False


class TokenizeRequest(OfModel):
    """`POST /tokenize`."""

    prompt: Text
    add_special_tokens: bool = True
    return_token_strs: bool = False


class DetokenizeRequest(OfModel):
    """`POST /detokenize`."""

    tokens: list[int]


class SessionRequest(OfModel):
    """`POST /v1/sessions`."""

    text: str = ""


class FeedRequest(Body):
    """`POST /v1/sessions/{id}/feed`."""

    text: str


class SessionNextRequest(Body):
    """`POST /v1/sessions/{id}/next`."""

    k: int = Field(10, ge=1, le=1000)


class SessionGenerateRequest(Sampling):
    """`POST /v1/sessions/{id}/generate`."""


AnyBody = TypeVar("AnyBody", bound=BaseModel)


def parsed(kind: type[AnyBody], content: bytes) -> AnyBody:
    """Read a body. Raises RequestError if it is not what that kind of request has."""
    try:
        return kind.model_validate_json(content or b"{}")
    except ValidationError as error:
        raise _problem_of(kind, error) from None


def _problem_of(kind: type[BaseModel], error: ValidationError) -> RequestError:
    """Say what is wrong with a body: the first thing of all."""
    [problem, *_] = error.errors(include_url=False)
    if problem["type"] == "json_invalid":
        return RequestError(f"body: is no JSON ({problem['ctx']['error']}). Send one object.", code="invalid_json")
    if not problem["loc"]:
        return RequestError(
            f"body: {problem['msg']}, got {shown(problem['input'])}. Send one object.", code="invalid_json"
        )
    name = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        *within, own = problem["loc"]
        of: Any = kind
        for field in within:
            of = of.model_fields[field].annotation
        return RequestError(
            f"{name[:80]}: no field of {within[-1] if within else 'this request'}. "
            f"{did_you_mean(str(own), of.model_fields)}It has: {', '.join(of.model_fields)}.",
            code="unknown_field",
            param=name[:80],
        )
    if problem["type"] == "missing":
        return RequestError(f"{name}: is missing. Give it.", param=name)
    message = problem["msg"].removeprefix("Value error, ")
    return RequestError(f"{name}: {message}, got {shown(problem['input'])}.", param=str(problem["loc"][0]))
