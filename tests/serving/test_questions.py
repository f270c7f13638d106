"""The questions of `lstmlm next`, `eval surprisal` and `inspect gates`, tokens and sessions, over HTTP."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_run import make_run
from served import TOKENIZERS, model_options

from lstmlm.serving.models import ServedModels

pytestmark = pytest.mark.loopback

NAMES = ["word", "char", "bpe"]


def test_models_say_what_they_are(server: Any) -> None:
    described = server.get("/v1/models")["data"]
    assert [(one["id"], one["backbone"], one["tokenizer"]) for one in described] == [
        *(("word", "lstm", "word"), ("char", "gru", "char"), ("bpe", "rnn", "bpe"))
    ]
    assert described[0]["hidden_sizes"] == [16, 16] and described[0]["step"] == 7
    assert described[1] == server.get("/v1/models/char")


@pytest.mark.parametrize(
    ("text", "complete", "begun"), [("the farmer", False, ""), ("the fa", True, "fa"), ("", False, "")]
)
@pytest.mark.parametrize("name", NAMES)
def test_next_words(server: Any, name: str, text: str, complete: bool, begun: str) -> None:
    found = server.post("/v1/next", model=name, text=text, k=3, complete=complete)
    wanted = server.models.find(name).model.next_words(text, 3, complete=complete)
    for word in found["words"]:
        with_it = text + word.pop("append")
        assert with_it == f"{text}\n" if word["word"] == "<eos>" else with_it.split()[-1] == word["word"]
    assert found == {"model": name, "begun": begun, **asdict(wanted)}
    assert all(word["word"].startswith(begun) for word in found["words"])


@pytest.mark.parametrize("options", [{}, {"context": "sentence"}, {"context": 2}, {"first_word": "zero-state"}])
@pytest.mark.parametrize("name", NAMES)
def test_surprisal(server: Any, name: str, options: dict[str, Any]) -> None:
    text = "the farmer waits\na cat"
    found = server.post("/v1/surprisal", model=name, text=text, **options)
    assert found == {"model": name, "words": server.models.find(name).model.surprisal(text, **options)}


def test_a_context_that_would_keep_all_others_waiting_is_refused(server: Any) -> None:
    answer = server.post_any("/v1/surprisal", {"model": "char", "text": "a" * 30_000, "context": 1000})
    error = answer.json["error"]
    assert answer.status == 413
    assert (error["code"], error["param"]) == ("too_large", "context")


def test_unknown_words_are_told_of(server: Any) -> None:
    warnings = ["the model does not know zyzzyva: read as <unk>."]
    for path in ("/v1/next", "/v1/surprisal", "/v1/gates", "/v1/sessions"):
        assert server.post(path, text="the zyzzyva")["warnings"] == warnings


@pytest.mark.parametrize(
    ("path", "field", "options"),
    [
        ("/v1/next", "text", {}),
        ("/v1/surprisal", "text", {}),
        ("/v1/gates", "text", {}),
        ("/tokenize", "prompt", {}),
        ("/v1/completions", "prompt", {"echo": True, "logprobs": 1, "max_tokens": 0}),
    ],
)
def test_texts_are_read_as_a_file_is(server: Any, path: str, field: str, options: dict[str, Any]) -> None:
    def ask(text: str) -> Any:
        answer = server.post(path, **{"model": "char", field: text, **options})
        return [answer.get("choices") or answer, answer.get("warnings")]

    assert ask("\ufeffa cat\r\nthe ca") == ask("a cat\nthe ca")


def test_a_line_end_may_be_fed_in_two_pieces(server: Any) -> None:
    wanted = server.post("/v1/next", model="char", text="a cat\nthe ca")["words"]
    session = server.post("/v1/sessions", model="char", text="\ufeffa cat\r")
    path = f"/v1/sessions/{session['id']}"
    assert server.post(f"{path}/feed", text="\nthe ca") == {**session, "n_chars": 12}
    assert [word["word"] for word in server.post(f"{path}/next")["words"]] == [word["word"] for word in wanted]
    state = server.models.find("char").model.state("\ufeffa cat\r")
    copied = state.copy()
    copied.feed("\nthe ca")
    assert [word.word for word in copied.next_words()] == [word["word"] for word in wanted]


def test_a_session_keeps_so_much_of_a_line_that_never_ends(models: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from lstmlm.serving import sessions

    monkeypatch.setattr(sessions, "LINE_CHARS", 4)
    session = sessions.Session("a", models.find("char"), "the")
    for text in (" farmer", " waits", "      "):
        session.feed(text)
        assert len(session.line) <= max(4, len(session.text.unread))
    assert session.line == session.text.unread == "      "
    session.feed("a")
    assert (session.line, session.n_chars) == ("   a", 23)


def test_a_text_that_nobody_waits_for_any_more_is_not_begun(models: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client has left while the question stood in line."""
    from lstmlm.serving.completions import Completion
    from lstmlm.serving.engine import Engine
    from lstmlm.serving.requests import Limits, SessionGenerateRequest
    from lstmlm.serving.sessions import Session

    begun: list[object] = []
    engine = Engine(Limits())
    monkeypatch.setattr(engine, "begin", lambda *arguments: begun.append(arguments))

    async def leave_and_begin() -> None:
        served, request = models.find("char"), SessionGenerateRequest()
        completion = Completion(served, request, 0, 1.0, {})
        completion.cancel()
        Session("a", served, "the").begin(engine, completion, request)

    asyncio.run(leave_and_begin())
    assert begun == []


def test_what_is_fed_may_begin_within_a_word(server: Any) -> None:
    session = server.post("/v1/sessions", text="the far")
    assert session["warnings"] == ["the model does not know far: read as <unk>."]
    path = f"/v1/sessions/{session['id']}"
    assert "warnings" not in server.post(f"{path}/feed", text="mer ")
    of_characters = server.post("/v1/sessions", model="char", text="naï")
    assert of_characters["warnings"] == ["the model does not know ï: read as <unk>."]
    for piece in ("ve", " is"):
        assert "warnings" not in server.post(f"/v1/sessions/{of_characters['id']}/feed", text=piece)
    assert server.post(f"{path}/feed", text="zyz")["warnings"] == ["the model does not know zyz: read as <unk>."]
    assert server.post(f"{path}/feed", text="zy")["warnings"] == ["the model does not know zyzzy: read as <unk>."]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["the cat\n2 ", "the cat\n "])
def test_a_session_writes_what_a_prompt_is_continued_with(server: Any, name: str, text: str) -> None:
    """Whatever stands in its last line."""
    session = server.post("/v1/sessions", model=name, text=text)
    for seed in range(3):
        [choice] = server.post(f"/v1/sessions/{session['id']}/generate", max_tokens=6, seed=seed)["choices"]
        assert choice["text"] == server.choice(model=name, prompt=text, max_tokens=6, seed=seed)["text"]


def test_blanks_at_the_end_of_a_text_take_no_time(server: Any) -> None:
    """In proportion to their square it would be hours, in which nobody else is answered."""
    text = "the farmer" + " " * 1_000_000
    found = server.post("/v1/next", model="word", text=text, k=1)
    assert (
        found["words"][0]["word"] == server.post("/v1/next", model="word", text="the farmer ", k=1)["words"][0]["word"]
    )


@pytest.mark.parametrize(("path", "text"), [("/v1/gates", " "), ("/v1/surprisal", ""), ("/v1/surprisal", "\ufeff")])
def test_a_text_without_tokens_says_nothing(server: Any, path: str, text: str) -> None:
    error = server.post_any(path, {"model": "word", "text": text}).json["error"]
    assert (error["message"], error["param"]) == ("text: has no token. Give it some words.", "text")


@pytest.mark.parametrize("context", ["page", 0, 1.5, True, []])
def test_a_context_is_one_of_three(server: Any, context: object) -> None:
    error = server.post_any("/v1/surprisal", {"text": "a", "context": context}).json["error"]
    wanted = 'context: needs "document", "sentence" or a number of tokens above 0, got '
    assert error["message"].startswith(wanted)
    assert (error["param"], error["code"]) == ("context", "invalid_value")


@pytest.mark.parametrize("units", [False, True])
def test_gates_are_told_of_short_texts(models: Any, serving: Any, units: bool) -> None:
    with serving(models, units=16 * 5) as server:
        assert ("units" in server.post("/v1/gates", model="char", text="the c", units=units)) == units
        answer = server.post_any("/v1/gates", {"model": "char", "text": "the ca", "units": units})
    error = answer.json["error"]
    assert (answer.status, error["code"], error["param"]) == (413, "too_large", "text")
    assert error["message"].startswith("text: 16 units at each of 6 tokens are 96. A request has 80 at most.")


def test_gates(server: Any) -> None:
    from lstmlm import questions

    for layer in (1, 2):
        found = server.post("/v1/gates", model="char", text="the c", layer=layer, units=True)
        wanted = questions.inspect_gates(server.models.find("char").model, "the c", layer)
        assert (found["layer"], found["n_layers"], found["tokens"]) == (layer, 2, list("the c"))
        assert list(found["means"]) == ["r", "z", "n", "hidden"] == list(found["units"])
        for gate, units in wanted.units.items():
            np.testing.assert_array_equal(found["units"][gate], units)
            np.testing.assert_array_equal(found["means"][gate], np.abs(units).mean(axis=1))
    assert server.post("/v1/gates", model="char", text="the c").keys() == {
        "model",
        "layer",
        "n_layers",
        "tokens",
        "means",
    }


@pytest.mark.parametrize("name", NAMES)
def test_tokens_there_and_back(server: Any, name: str) -> None:
    body = {"model": name, "prompt": "the farmer waits", "return_token_strs": True}
    plain, begun = (server.post("/tokenize", **body, add_special_tokens=special) for special in (False, True))
    assert begun["tokens"][1:] == plain["tokens"] and begun["count"] == plain["count"] + 1 == len(begun["token_strs"])
    assert server.post("/detokenize", model=name, tokens=plain["tokens"]) == {"prompt": "the farmer waits"}
    info = server.get(f"/tokenizer_info?model={name}")
    assert info["eos_token"] == "\n" and info["model_max_length"] == plain["max_model_len"]
    of_end = server.post("/tokenize", model=name, prompt=info["eos_token"], add_special_tokens=False)
    assert of_end["tokens"] == begun["tokens"][:1]


@pytest.mark.parametrize("eos", ["never", "document"])
def test_what_begins_a_text_has_its_id_also_where_newlines_are_blanks(
    serving: Callable[..., Any], tmp_path: Path, eos: str
) -> None:
    trained = make_run(tmp_path / "run", model_options("lstm"), dict(TOKENIZERS["char"]), eos)
    with serving(ServedModels.load([tmp_path / "run"])) as server:
        of_start = server.post("/tokenize", prompt=server.get("/tokenizer_info")["bos_token"], add_special_tokens=False)
        assert of_start["tokens"] == [trained.tokenizer.start_id]
        between = server.post("/tokenize", prompt="a\nb", return_token_strs=True, add_special_tokens=False)
        assert between["token_strs"] == ["a", " ", "b"]


@pytest.mark.parametrize("name", NAMES)
def test_a_session_goes_on_from_what_it_was_fed(server: Any, name: str) -> None:
    session = server.post("/v1/sessions", model=name, text="a cat\nthe")
    path = f"/v1/sessions/{session['id']}"
    assert server.post(f"{path}/feed", text=" farmer ") == {**session, "n_chars": 17}
    assert server.get(path)["n_chars"] == 17
    text = "a cat\nthe farmer "
    found, wanted = server.post(f"{path}/next", k=4), server.post("/v1/next", model=name, text=text, k=4)
    assert found.keys() == wanted.keys()
    for key in ("word", "append"):
        assert [word[key] for word in found["words"]] == [word[key] for word in wanted["words"]]
    for options in ({"seed": 4}, {"temperature": 0, "logprobs": 1}):
        [choice] = server.post(f"{path}/generate", max_tokens=12, **options)["choices"]
        same = server.choice(model=name, prompt=text, max_tokens=12, **options)
        assert choice["text"] == same["text"]
        if "logprobs" in options:
            assert choice["logprobs"]["text_offset"] == same["logprobs"]["text_offset"]
    assert server.send("DELETE", path).json == {"id": session["id"], "object": "session", "deleted": True}
    assert server.send("GET", path).json["error"]["code"] == "session_not_found"


def test_there_are_only_so_many_sessions(models: Any, serving: Any) -> None:
    with serving(models, sessions=2) as server:
        kept = [server.post("/v1/sessions", text="the") for _ in range(2)]
        refused = server.post_any("/v1/sessions", {"text": "the"})
        assert (refused.status, refused.json["error"]["code"]) == (429, "too_many_sessions")
        server.send("DELETE", f"/v1/sessions/{kept[0]['id']}")
        server.post("/v1/sessions", text="the")


def test_a_session_that_nobody_uses_is_forgotten(models: Any, serving: Any) -> None:
    with serving(models, session_seconds=0.0) as server:
        session = server.post("/v1/sessions", text="the")
        assert server.send("GET", f"/v1/sessions/{session['id']}").status == 404
        assert server.get("/health")["n_sessions"] == 0
