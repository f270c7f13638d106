"""The page that `lstmlm serve` shows, driven in a browser: what is typed, chosen, coloured, written and drawn."""

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from math import floor
from pathlib import Path
from typing import Any

import pytest

playwright_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.peer,
    pytest.mark.loopback,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]
expect: Any = playwright_api.expect

PROJECT = Path(__file__).parent.parent.parent
MODELS = ("elman", "long")
WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
TOKENIZER = {"name": "word", "split": "punctuation"}
SENTENCE = "The farmer goes to the river"


def train(name: str, backbone: str, folder: Path) -> Path:
    import lstmlm

    config = {
        "data": {"corpus": str(PROJECT / "data" / "tiny"), "tokenizer": TOKENIZER, "batch_size": 8, "bptt": 8},
        "model": {"backbone": {"name": backbone, "n_layers": 2, "hidden_size": 16}, "embedding_size": 16},
        "optimizer": {"name": "adam", "learning_rate": 0.02},
        "training": {"n_steps": 120},
    }
    lstmlm.train(config, folder / name)
    return folder / name


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve an Elman network and an LSTM."""
    folder = tmp_path_factory.mktemp("runs")
    runs = [str(train(name, cell, folder)) for name, cell in zip(MODELS, ("rnn", "lstm"), strict=True)]
    command = [sys.executable, "-m", "lstmlm", "serve", *runs, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder) as server:
        assert server.stderr is not None
        found = next(filter(None, (re.search(r"http://127\.0\.0\.1:\d+", line) for line in server.stderr)), None)
        assert found is not None, f"the server ended with status {server.wait()}"
        yield found[0]
        server.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright_api.sync_playwright() as playwright:
        # In a container Chromium cannot make the sandbox that it wants.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(address: str, browser: Any) -> Iterator[Callable[..., Any]]:
    """Return a function that opens the page; nothing may be asked of another server, or be logged as an error."""
    asked: list[str] = []
    errors: list[str] = []
    contexts = []

    def open_page(**options: Any) -> Any:
        contexts.append(browser.new_context(viewport=options.pop("viewport", WIDE), **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: message.type == "error" and errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.wait_for_selector("#gloss li")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert asked
    assert [url for url in asked if not url.startswith(f"{address}/")] == []
    assert [error for error in errors if "Failed to load resource" not in error] == []


@pytest.fixture
def page(open_page: Callable[..., Any]) -> Any:
    return open_page()


@pytest.fixture
def ask(address: str) -> Callable[..., dict[str, Any]]:
    """Return a function that asks the server itself."""

    def ask(path: str, **body: Any) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{address}/v1/{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as response:
            answer: dict[str, Any] = json.load(response)
        return answer

    return ask


def wait_for_words(page: Any) -> None:
    expect(page.locator("#rankings")).to_have_attribute("aria-busy", "false")


def write(page: Any, text: str) -> None:
    """Type a text in place of what is there, and wait for the words that may follow."""
    page.locator("#text").fill(text[:-1])
    page.locator("#text").press("End")
    page.keyboard.type(text[-1])
    wait_for_words(page)


def words_of(page: Any, model: int = 0) -> list[str]:
    texts: list[str] = page.locator(f"#words-{model} .word").all_inner_texts()
    return texts


def text_of(page: Any) -> str:
    text: str = page.locator("#text").input_value()
    return text


def chosen(page: Any) -> str | None:
    """The word that a screen reader is told of."""
    option: str | None = page.locator("#text").get_attribute("aria-activedescendant")
    selected = page.locator('[role="option"][aria-selected="true"]')
    assert (selected.get_attribute("id") if selected.count() else None) == option
    return option and str(page.locator(f"#{option} .word").inner_text())


def likeliest(ask: Callable[..., Any], text: str, model: str = MODELS[0], **options: Any) -> list[str]:
    found = ask("next", model=model, text=text, k=9, **options)["words"]
    return ["↵" if word["word"] == "<eos>" else word["word"] for word in found]


def test_it_begins_with_a_text_that_is_read(page: Any) -> None:
    assert text_of(page)
    assert len(words_of(page)) == 8
    assert page.locator("#mirror mark").count() == len(text_of(page).split())
    assert page.locator("#first").input_value() == MODELS[0]
    assert page.locator("#second").input_value() == MODELS[1]
    expect(page.locator("#notice")).to_be_hidden()


def test_words_are_ranked_while_typing(page: Any, ask: Callable[..., Any]) -> None:
    write(page, "The farmer ")
    for index, model in enumerate(MODELS):
        assert words_of(page, index) == likeliest(ask, "The farmer ", model)[:8]
    first = ask("next", model=MODELS[0], text="The farmer ")["words"][0]
    percent = page.locator("#words-0 .percent").first.inner_text()
    assert float(percent.removesuffix(" %")) == pytest.approx(100 * first["probability"], abs=0.51)
    assert page.locator("#words-0 li").first.get_attribute("aria-label") == f"{first['word']}, {percent}"


def test_a_begun_word_is_completed_by_tab(page: Any, ask: Callable[..., Any]) -> None:
    write(page, "The farmer goes to the h")
    begun = likeliest(ask, "The farmer goes to the h", complete=True)
    assert words_of(page) == begun[:8]
    assert all(word.startswith("h") for word in begun)
    assert page.locator(".ghost").inner_text() == begun[0].removeprefix("h")
    page.keyboard.press("Tab")
    text = f"The farmer goes to the {begun[0]}"
    assert text_of(page) == text
    wait_for_words(page)
    assert words_of(page) == likeliest(ask, text)[:8]
    page.keyboard.press("Control+z")
    assert text_of(page) != text


def test_a_mark_that_follows_is_taken_without_a_blank(page: Any, ask: Callable[..., Any]) -> None:
    write(page, "The farmer goes to the ri")
    page.locator("#words-0 li", has=page.get_by_text("river", exact=True)).click()
    assert text_of(page) == SENTENCE
    wait_for_words(page)
    assert words_of(page) == likeliest(ask, SENTENCE)[:8]
    page.locator("#words-0 li", has=page.get_by_text(".", exact=True)).click()
    assert text_of(page) == f"{SENTENCE}."


def test_what_is_to_be_appended_makes_the_word(ask: Callable[..., Any]) -> None:
    def appended(text: str, **options: Any) -> dict[str, str]:
        return {word["word"]: word["append"] for word in ask("next", text=text, k=50, **options)["words"]}

    after_a_word = appended(SENTENCE)
    assert after_a_word.pop("<eos>") == "\n"
    assert after_a_word["."] == "."
    words = {word: text for word, text in after_a_word.items() if word.isalpha()}
    assert words == {word: f" {word}" for word in words} != {}
    assert appended(f"{SENTENCE} ")["and"] == "and"
    assert appended("The farm", complete=True)["farmer"] == "er"


def test_arrow_keys_choose_in_both_lists(page: Any) -> None:
    write(page, "The farmer ")
    first, second = words_of(page, 0), words_of(page, 1)
    assert chosen(page) is None
    for key, word in (("ArrowDown", first[0]), ("ArrowDown", first[1]), ("ArrowRight", second[1])):
        page.keyboard.press(key)
        assert chosen(page) == word
    for key, word in (("ArrowLeft", first[1]), ("ArrowUp", first[0]), ("ArrowUp", None)):
        page.keyboard.press(key)
        assert chosen(page) == word
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert text_of(page) == f"The farmer {first[1]}"
    expect(page.locator("#text")).to_be_focused()


def test_escape_closes_the_list_and_gives_the_keys_back(page: Any) -> None:
    write(page, "The farmer ")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    assert chosen(page) is None
    expect(page.locator("#words-0")).not_to_be_visible()
    expect(page.locator(".ghost")).to_be_empty()
    page.keyboard.press("Tab")
    assert text_of(page) == "The farmer "
    expect(page.locator("#text")).not_to_be_focused()
    write(page, "The baker ")
    expect(page.locator("#words-0")).to_be_visible()


def test_the_keyboard_passes_a_text_that_nobody_writes(page: Any) -> None:
    before = text_of(page)
    page.locator("#second").focus()
    page.keyboard.press("Tab")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#text")).not_to_be_focused()
    assert text_of(page) == before


def test_colours_and_numbers_are_the_surprisal(page: Any, ask: Callable[..., Any]) -> None:
    write(page, f"{SENTENCE} ")
    expect(page.locator("#mirror mark")).to_have_count(6)
    expected = [ask("surprisal", model=model, text=f"{SENTENCE} ")["words"][:6] for model in MODELS]
    bits = [[row["surprisal_bits"] for row in rows] for rows in expected]
    levels = [[str(min(7, floor(value / 2))) for value in row] for row in bits]
    marks = page.locator("#mirror mark").all()
    assert [mark.inner_text() for mark in marks] == SENTENCE.split()
    assert [[mark.get_attribute(f"data-{which}") for mark in marks] for which in ("first", "second")] == levels
    assert len(set(levels[0])) > 1
    drawn = page.locator("#gloss .bits")
    written = [f"{value:.1f}" for word in zip(*bits, strict=True) for value in word]
    assert drawn.all_inner_texts() == written
    assert [each.get_attribute("data-first") for each in drawn.all()] == [
        level for word in zip(*levels, strict=True) for level in word
    ]
    sums = [f"{sum(row):.1f}" for row in bits]
    said = page.locator("#sum").inner_text()
    assert said.startswith(f"{MODELS[0]} needed {sums[0]} bits for these 6 words, {MODELS[1]} {sums[1]}: ")
    page.get_by_text("All numbers in a table").click()
    cells = page.locator("#table tbody tr").first.locator("th, td").all_inner_texts()
    assert cells[:2] == ["The", written[0]]
    assert cells[3] == str(expected[0][0]["rank"])
    assert page.locator("#table tfoot td").first.inner_text() == sums[0]


def test_a_word_is_coloured_when_it_is_finished(page: Any) -> None:
    write(page, "The farmer goes to the ri")
    expect(page.locator("#mirror mark")).to_have_count(5)
    page.keyboard.type("ver")
    expect(page.locator("#mirror mark")).to_have_count(6)


def test_one_model_alone(page: Any) -> None:
    page.locator("#second").select_option("")
    wait_for_words(page)
    expect(page.locator(".ranking")).to_have_count(1)
    expect(page.locator("#mirror mark").first).not_to_have_attribute("data-second", re.compile("."))
    assert re.fullmatch(
        r"elman needed [\d.]+ bits for these \d words: [\d.]+ a word\.", page.locator("#sum").inner_text()
    )


def test_it_writes_what_the_server_writes(page: Any, ask: Callable[..., Any]) -> None:
    write(page, "The farmer ")
    page.locator("#temperature").fill("0.5")
    page.locator("#top-k").fill("4")
    page.locator("#top-p").fill("0.9")
    page.locator("#seed").fill("7")
    assert page.locator('output[for="top-k"]').inner_text() == "10 words"
    page.locator("#write").click()
    expect(page.get_by_role("button", name="Write on")).to_be_visible()
    expect(page.get_by_role("button", name="Keep this text")).to_have_count(2)
    settings = {"prompt": "The farmer ", "max_tokens": 120, "temperature": 0.5, "top_k": 10, "top_p": 0.9, "seed": 7}
    for model, article in zip(MODELS, page.locator("#written article").all(), strict=True):
        text = ask("completions", model=model, **settings)["choices"][0]["text"]
        assert article.locator("p").text_content() == f"The farmer {text}"
    page.get_by_role("button", name="Keep this text").last.click()
    assert text_of(page) == f"The farmer {text}"


SLOW_COMPLETIONS = """
const ask = window.fetch;
window.fetch = (path, options) => {
  if (path !== "v1/completions" || !JSON.parse(options.body).prompt) return ask(path, options);
  const events = new ReadableStream({
    start(controller) {
      const send = () => controller.enqueue(new TextEncoder().encode('data: {"choices": [{"text": " and"}]}\\n\\n'));
      const timer = setInterval(send, 20);
      options.signal.addEventListener("abort", () => {
        clearInterval(timer);
        controller.error(new DOMException("stopped", "AbortError"));
      });
    },
  });
  return Promise.resolve(new Response(events));
};
"""


def test_writing_is_shown_as_it_comes_and_can_be_stopped(page: Any) -> None:
    page.evaluate(SLOW_COMPLETIONS)
    before = text_of(page)
    page.locator("#write").press("Enter")
    written = page.locator("#written article").first.locator("p")
    expect(written).to_contain_text(f"{before} and and")
    stop = page.get_by_role("button", name="Stop")
    expect(stop).to_be_focused()
    stop.press("Enter")
    expect(page.get_by_role("button", name="Write on")).to_be_focused()
    stopped = written.text_content()
    expect(page.locator("#notice")).to_be_hidden()
    page.get_by_role("button", name="Keep this text").first.click()
    assert text_of(page) == stopped


def test_writing_can_be_stopped_whatever_the_seed_field_holds(page: Any) -> None:
    page.evaluate(SLOW_COMPLETIONS)
    page.locator("#write").press("Enter")
    expect(page.locator("#written article").first.locator("p")).to_contain_text("and and")
    page.locator("#seed").fill("")
    page.get_by_role("button", name="Stop").press("Enter")
    expect(page.get_by_role("button", name="Write on")).to_be_visible()


def test_layers_of_both_models_may_be_chosen_one_after_the_other(page: Any, ask: Callable[..., Any]) -> None:
    write(page, f"{SENTENCE} ")
    page.locator("#gates").scroll_into_view_if_needed()
    articles = page.locator("#gates article").all()
    for article in articles:
        expect(article.locator(".strips li")).to_have_count(6)
    choose = (
        "articles => articles.forEach((article) => article.querySelector('input[name^=layer][value=\"1\"]').click())"
    )
    page.locator("#gates article").evaluate_all(choose)
    for article, model in zip(articles, MODELS, strict=True):
        article.get_by_label("State").check()
        gates = ask("gates", model=model, text=f"{SENTENCE} ", layer=1, units=True)
        means = [f"mean {sum(row) / len(row):.2f}" for row in gates["units"]["hidden"]]
        expect(article.locator(".strips .unseen")).to_have_text(means)


def test_gates_run_under_the_words(page: Any, ask: Callable[..., Any]) -> None:
    write(page, f"{SENTENCE} ")
    page.locator("#gates").scroll_into_view_if_needed()
    elman, long = page.locator("#gates article").all()
    for article in (elman, long):
        expect(article.locator(".strips li")).to_have_count(6)
        assert article.locator(".strips .word").all_inner_texts() == SENTENCE.split()
    assert "no gates" in elman.locator(".about").inner_text()
    assert "no gates" not in long.locator(".about").inner_text()
    for layer in (2, 1):
        long.get_by_label(f"Layer {layer}").check()
        gates = ask("gates", model=MODELS[1], text=f"{SENTENCE} ", layer=layer, units=True)
        for name, letter in (("Forget gate", "f"), ("Memory", "cell")):
            long.get_by_label(name).check()
            means = [f"mean {sum(row) / len(row):.2f}" for row in gates["units"][letter]]
            expect(long.locator(".strips .unseen")).to_have_text(means)
    column = "Array.from(canvas.getContext('2d').getImageData(0, 0, 1, canvas.height).data)"
    pixels = long.locator("canvas").first.evaluate(f"canvas => {column}")
    assert len(pixels) == 16 * 4
    assert len(set(pixels[3::4])) > 4, "every unit looks alike"
    long.get_by_text("Means of all units in a table").click()
    first = long.locator("tbody tr").first.locator("td").all_inner_texts()
    assert first == [f"{gates['means'][name][0]:.2f}" for name in ("i", "f", "g", "o", "hidden", "cell")]


def test_nothing_is_wider_than_a_phone(open_page: Callable[..., Any]) -> None:
    page = open_page(viewport=PHONE)
    write(page, f"{SENTENCE} unpronounceably-long-word-without-a-place-to-break-it-at-all ")
    page.get_by_text("All numbers in a table").click()
    page.locator("#write").click()
    expect(page.get_by_role("button", name="Keep this text")).to_have_count(2)
    page.locator("#gates").scroll_into_view_if_needed()
    expect(page.locator("#gates canvas").first).to_be_visible()
    wait_for_words(page)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def luminance(page: Any, selector: str, property_name: str) -> float:
    colour = page.locator(selector).evaluate(f"element => getComputedStyle(element).{property_name}")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


def test_it_is_dark_where_that_is_wanted(open_page: Callable[..., Any]) -> None:
    for scheme, is_dark in (("light", False), ("dark", True)):
        page = open_page(color_scheme=scheme)
        assert (luminance(page, "html", "backgroundColor") < 60) is is_dark
        assert (luminance(page, "#text", "color") > 200) is is_dark


def test_nothing_moves_where_that_is_not_wanted(open_page: Callable[..., Any]) -> None:
    for motion, seconds in (("no-preference", "0.18s"), ("reduce", "0s")):
        bar = open_page(reduced_motion=motion).locator(".bar").first
        assert bar.evaluate("bar => getComputedStyle(bar, '::before').transitionDuration") == seconds


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_page: Callable[..., Any], scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    page = open_page(color_scheme=scheme)

    def require_no_violation() -> None:
        found = axe.run(page)
        assert found.violations_count == 0, found.generate_report()

    page.get_by_text("All numbers in a table").click()
    page.locator("#write").click()
    expect(page.get_by_role("button", name="Keep this text")).to_have_count(2)
    page.locator("#gates").scroll_into_view_if_needed()
    page.get_by_text("Means of all units in a table").first.click()
    require_no_violation()
    write(page, "The quick farmer ")
    page.keyboard.press("ArrowDown")
    require_no_violation()
    page.keyboard.press("Escape")
    require_no_violation()


def test_what_the_server_refuses_is_said(page: Any) -> None:
    reason = "2,000 requests are being answered. Ask again in a second."
    answer = {"status": 429, "json": {"error": {"message": reason}}}
    page.route("**/v1/next", lambda route: route.fulfill(**answer))
    page.locator("#text").press("End")
    page.keyboard.type(" a")
    expect(page.get_by_role("alert")).to_have_text(reason)
    page.unroute("**/v1/next")
    page.keyboard.type(" ")
    expect(page.locator("#notice")).to_be_hidden()


def test_a_server_that_went_away_is_waited_for(page: Any) -> None:
    everything = re.compile("/v1/|/health")
    page.route(everything, lambda route: route.abort())
    page.locator("#text").press("End")
    page.keyboard.type(" a")
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer.")
    typed = text_of(page)
    page.unroute(everything)
    expect(page.locator("#notice")).to_be_hidden()
    assert text_of(page) == typed
    expect(page.locator("#words-0 li").first).to_be_visible()


def test_what_was_chosen_and_written_outlives_the_server(page: Any) -> None:
    page.locator("#first").select_option(MODELS[1])
    page.locator("#second").select_option("")
    wait_for_words(page)
    page.locator("#write").click()
    expect(page.get_by_role("button", name="Keep this text")).to_have_count(1)
    everything = re.compile("/v1/|/health")
    page.route(everything, lambda route: route.abort())
    page.locator("#text").press("End")
    page.keyboard.type(" a")
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer.")
    page.unroute(everything)
    expect(page.locator("#notice")).to_be_hidden()
    assert [page.locator(f"#{which}").input_value() for which in ("first", "second")] == [MODELS[1], ""]
    expect(page.get_by_role("button", name="Keep this text")).to_have_count(1)


def test_what_is_typed_before_the_page_has_begun_is_kept(page: Any) -> None:
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/v1/completions", hold)
    page.reload()
    page.wait_for_function("document.querySelector('#readers').hidden === false")
    page.locator("#text").press_sequentially("The ")
    page.wait_for_timeout(500)
    expect(page.locator("#notice")).to_be_hidden()
    for route in held:
        route.fulfill(status=429, json={"error": {"message": "256 requests are being answered."}})
    expect(page.locator("#words-0 li").first).to_be_visible()
    assert text_of(page) == "The "


def test_the_page_begins_without_an_opening(page: Any) -> None:
    refusal = {"status": 429, "json": {"error": {"message": "256 requests are being answered."}}}
    page.route("**/v1/completions", lambda route: route.fulfill(**refusal))
    page.reload()
    expect(page.locator("#words-0 li").first).to_be_visible()


def test_a_key_is_asked_for_and_kept(page: Any) -> None:
    def guarded(route: Any) -> None:
        if route.request.headers.get("authorization") == "Bearer open sesame":
            route.continue_()
        else:
            route.fulfill(status=401, json={"error": {"message": "Authorization: is not the key of this server."}})

    page.route("**/v1/**", guarded)
    page.reload()
    expect(page.get_by_label("This server asks for a key")).to_be_visible()
    page.locator("#text").press_sequentially("The")
    page.wait_for_timeout(500)
    for key in ("“open sesame”", "open sesame"):
        page.get_by_label("This server asks for a key").fill(key)
        page.keyboard.press("Enter")
        page.wait_for_timeout(500)
    expect(page.locator("#notice")).to_be_hidden()
    expect(page.locator("#gloss li").first).to_be_visible()


def test_nothing_but_the_page_s_own_files_may_run(address: str) -> None:
    with urllib.request.urlopen(f"{address}/") as response:
        policy = response.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
