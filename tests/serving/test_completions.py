"""`/v1/completions` says what `lstmlm generate` writes, in the form of OpenAI's, streamed or not."""

from itertools import chain
from typing import Any

import pytest

pytestmark = pytest.mark.loopback

NAMES = ["word", "char", "bpe"]


@pytest.mark.parametrize("prompt", ["the farmer", "the farmer ", "", "a cat ,\nthe "])
@pytest.mark.parametrize("name", NAMES)
def test_a_seed_writes_what_generate_writes(server: Any, name: str, prompt: str) -> None:
    model = server.models.find(name).model
    drawing = {"max_tokens": 12, "seed": 3, "temperature": 0.7, "top_p": 0.9, "top_k": 9, "min_p": 0.01}
    drawing |= {"typical_p": 0.95, "repetition_penalty": 1.2, "no_repeat_ngram_size": 2}
    choice = server.choice(model=name, prompt=prompt, **drawing)
    wanted = model.generate(prompt, **drawing)
    assert choice == {"index": 0, "text": wanted.removeprefix(prompt), "logprobs": None, "finish_reason": "length"}


def test_choices_have_seeds_of_their_own_and_the_order_of_their_prompts(server: Any) -> None:
    answer = server.post("/v1/completions", model="char", prompt=["a c", "the"], n=2, max_tokens=6, seed=5)
    alone = [
        server.choice(model="char", prompt=p, max_tokens=6, seed=s)["text"] for p in ("a c", "the") for s in (5, 6)
    ]
    assert [choice["text"] for choice in answer["choices"]] == alone
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert answer["usage"] == {"prompt_tokens": 6, "completion_tokens": 24, "total_tokens": 30}


def test_without_a_seed_texts_differ(server: Any) -> None:
    assert len({server.choice(model="char", max_tokens=30)["text"] for _ in range(3)}) > 1


def test_temperature_0_takes_the_likeliest(server: Any) -> None:
    choice = server.choice(prompt="the farmer", max_tokens=8, temperature=0, logprobs=3)
    for name, top in zip(choice["logprobs"]["tokens"], choice["logprobs"]["top_logprobs"], strict=True):
        assert name == next(text for text in top if "<unk>" not in text)


@pytest.mark.parametrize("start", [10, 11, 12])
@pytest.mark.parametrize("name", NAMES)
def test_a_stop_text_ends_a_choice_before_it(server: Any, name: str, start: int) -> None:
    from lstmlm.generation.options import SamplingOptions
    from lstmlm.workflows import generate_texts

    whole = server.choice(model=name, prompt="the", max_tokens=40, seed=1)["text"]
    stop = whole[start : start + 3]
    options = SamplingOptions(max_tokens=40, stop=(stop,))
    *_, [sample] = generate_texts(server.models.find(name).model, "the", options, [1])
    for streamed in (False, True):
        body = {"model": name, "prompt": "the", "max_tokens": 40, "seed": 1, "stop": ["never so", stop], "logprobs": 0}
        if streamed:
            choices = [event["choices"][0] for event in server.stream(**body)]
            own = [*chain(*(choice["logprobs"]["token_logprobs"] for choice in choices))]
            text = "".join(choice["text"] for choice in choices)
            choice = {**choices[-1], "text": text, "logprobs": {"token_logprobs": own}}
        else:
            choice = server.choice(**body)
        assert choice["text"] == whole[: whole.index(stop)]
        assert choice["finish_reason"] == "stop"
        assert choice["logprobs"]["token_logprobs"] == pytest.approx(sample.log_probabilities, abs=1e-4)


@pytest.mark.parametrize(
    "options", [{}, {"logprobs": 2}, {"echo": True, "logprobs": 1, "n": 2}, {"echo": True, "n": 3}]
)
@pytest.mark.parametrize("name", NAMES)
def test_a_stream_joined_is_the_answer(server: Any, name: str, options: dict[str, Any]) -> None:
    body = {"model": name, "prompt": "the 東 c", "max_tokens": 20, "seed": 2, **options}
    whole = server.post("/v1/completions", **body)
    events = server.stream(**body, stream_options={"include_usage": True})
    assert events[-1]["choices"] == [] and events[-1]["usage"] == whole["usage"]
    assert len({event["id"] for event in events}) == 1
    joined: list[Any] = [{"index": i, "text": "", "logprobs": None} for i in range(options.get("n", 1))]
    for event in events[:-1]:
        assert event["object"] == "text_completion" and event["usage"] is None
        [piece] = event["choices"]
        choice = joined[piece["index"]]
        choice["text"] += piece["text"]
        choice["finish_reason"] = piece["finish_reason"]
        if piece["logprobs"] is not None:
            before = choice["logprobs"] or {key: [] for key in piece["logprobs"]}
            choice["logprobs"] = {key: before[key] + piece["logprobs"][key] for key in before}
    assert joined == whole["choices"]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("prompt", ["the farmer, zyzzyva  waits", "don't\n\nask 東京 !", "a\tcat", "the ", "é東", ""])
@pytest.mark.parametrize("name", NAMES)
def test_log_probabilities_are_of_the_text_token_by_token(server: Any, name: str, prompt: str, seed: int) -> None:
    choice = server.choice(model=name, prompt=prompt, echo=True, max_tokens=5, seed=seed, logprobs=2)
    logprobs, text = choice["logprobs"], choice["text"]
    assert text.startswith(prompt)
    assert len({len(values) for values in logprobs.values()}) == 1
    for offset, token, own, top in zip(
        *(logprobs[key] for key in ("text_offset", "tokens", "token_logprobs", "top_logprobs")), strict=True
    ):
        assert token.startswith("bytes:") or text[offset : offset + len(token)] == token
        assert top[token] == own
        assert 2 <= len(top) <= 3 and list(top.values()) == sorted(top.values(), reverse=True)
    if not any(token.startswith("bytes:") for token in logprobs["tokens"]):
        assert "".join(logprobs["tokens"]) == text


def test_offsets_go_on_from_the_prompt(server: Any) -> None:
    choice = server.choice(prompt="the farmer", max_tokens=4, seed=1, logprobs=0)
    offsets, names = choice["logprobs"]["text_offset"], choice["logprobs"]["tokens"]
    assert offsets == [10 + len("".join(names[:number])) for number in range(4)]
    assert choice["logprobs"]["top_logprobs"] is None


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_a_prompt_too(server: Any, name: str) -> None:
    ids = server.post("/tokenize", model=name, prompt="the farmer", add_special_tokens=False)["tokens"]
    begun = server.post("/tokenize", model=name, prompt="the farmer")["tokens"]
    body = {"model": name, "max_tokens": 5, "seed": 4, "echo": True, "logprobs": 1}
    of_text, of_ids, of_begun = (server.choice(prompt=prompt, **body) for prompt in ("the farmer", ids, begun))
    assert of_text == of_ids
    assert of_begun["text"] == of_text["text"]
    assert of_begun["logprobs"]["token_logprobs"] == [None, *of_text["logprobs"]["token_logprobs"]]
    both = server.post("/v1/completions", **body, prompt=[ids, begun])["choices"]
    assert [choice["text"] for choice in both] == [of_text["text"]] * 2


def test_the_token_before_a_text_is_streamed_too(server: Any) -> None:
    body = {"model": "char", "prompt": server.post("/tokenize", model="char", prompt="")["tokens"], "seed": 1}
    body |= {"max_tokens": 4, "echo": True, "logprobs": 1}
    first, *others = [event["choices"][0]["logprobs"]["token_logprobs"] for event in server.stream(**body)]
    assert first == [None]
    assert [None, *chain(*others)] == server.choice(**body)["logprobs"]["token_logprobs"]


def test_a_blank_that_ids_end_with_is_read(server: Any) -> None:
    body = {"model": "bpe", "add_special_tokens": False}
    ids, blank = (server.post("/tokenize", prompt=text, **body)["tokens"] for text in ("a cat", " "))
    for seed in range(3):
        choice = server.choice(model="bpe", prompt=ids + blank, max_tokens=6, seed=seed, echo=True, logprobs=0)
        logprobs = choice["logprobs"]
        for offset, token in zip(logprobs["text_offset"], logprobs["tokens"], strict=True):
            assert token.startswith("bytes:") or choice["text"][offset : offset + len(token)] == token
        assert logprobs["text_offset"][len(ids) + 1] == 6


def test_a_prompt_without_tokens_has_none_to_echo(server: Any) -> None:
    for prompt in ("", "  "):
        choice = server.choice(model="word", prompt=prompt, echo=True, max_tokens=0, logprobs=1)
        assert (choice["text"], choice["logprobs"]["tokens"]) == (prompt, [])


def test_lm_eval_finds_what_it_sums(server: Any) -> None:
    """It asks for one token more than it wants and leaves that out; a greedy continuation has the best value itself."""
    ids = [server.post("/tokenize", model="char", prompt=text)["tokens"] for text in ("the cat", "a dog waits")]
    body = {"prompt": ids, "temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234, "echo": True}
    for choice, prompt in zip(server.post("/v1/completions", model="char", **body)["choices"], ids, strict=True):
        own, top = (choice["logprobs"][key][1:-1] for key in ("token_logprobs", "top_logprobs"))
        assert len(own) == len(prompt) - 1
        assert all(value <= max(best.values()) for value, best in zip(own, top, strict=True))


def test_nothing_written_is_an_answer_too(server: Any) -> None:
    choice = server.choice(prompt="the farmer", max_tokens=0, echo=True, logprobs=0)
    assert (choice["text"], choice["finish_reason"]) == ("the farmer", "length")
    assert len(choice["logprobs"]["token_logprobs"]) == 2
    assert server.stream(prompt="the", max_tokens=0)[0]["choices"][0]["finish_reason"] == "length"


def test_unknown_words_are_told_of(server: Any) -> None:
    answer = server.post("/v1/completions", prompt="the zyzzyva", max_tokens=1)
    assert answer["warnings"] == ["the model does not know zyzzyva: read as <unk>."]


def test_what_says_nothing_may_be_said(server: Any) -> None:
    harmless = {"user": "me", "best_of": 1, "suffix": "", "logit_bias": {}, "frequency_penalty": 0, "top_k": None}
    assert server.choice(prompt="the", max_tokens=1, **harmless)["finish_reason"] == "length"


def test_openai_s_client(server: Any) -> None:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        assert [model.id for model in client.models.list()] == NAMES
        assert client.models.retrieve("char").backbone == "gru"
        body = {"model": "bpe", "prompt": "the farmer", "max_tokens": 9, "seed": 1}
        whole = client.completions.create(**body)
        assert whole.usage.total_tokens == whole.usage.prompt_tokens + 9
        with client.completions.create(**body, stream=True, stream_options={"include_usage": True}) as stream:
            *pieces, last = stream
        assert "".join(piece.choices[0].text for piece in pieces) == whole.choices[0].text
        assert last.usage == whole.usage
        echoed = client.completions.create(**body, echo=True, logprobs=2)
        assert echoed.choices[0].text == "the farmer" + whole.choices[0].text
        assert len(echoed.choices[0].logprobs.token_logprobs) == echoed.usage.total_tokens
        with pytest.raises(openai.NotFoundError, match="'gpt' is not served"):
            client.completions.create(model="gpt", prompt="")
        with pytest.raises(openai.BadRequestError) as refused:
            client.completions.create(model="bpe", prompt="", top_p=3)
        assert refused.value.param == "top_p"
