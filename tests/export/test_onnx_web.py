"""onnxruntime-web in a browser gives the run's next words: served on loopback, so that nothing else is asked."""

import json
import shutil
import subprocess
import threading
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WEB = Path(__file__).parents[2] / "node_modules" / "onnxruntime-web" / "dist"

pytestmark = [
    pytest.mark.peer,
    pytest.mark.loopback,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
    pytest.mark.skipif(not WEB.is_dir(), reason="needs onnxruntime-web: npm install --no-save onnxruntime-web"),
]

PAGE = """\
<!doctype html><title>test</title><script type="module">
const answer = {};
try {
  const ort = await import("/ort.wasm.min.mjs");
  ort.env.wasm.numThreads = 1;
  const { start_id, ids, n_layers, state_size, files } = await (await fetch("/question.json")).json();
  for (const file of files) {
    const session = await ort.InferenceSession.create(`/out/${file}`);
    const zeros = () => new ort.Tensor("float32", new Float32Array(n_layers * state_size), [n_layers, 1, state_size]);
    let state = Object.fromEntries(session.inputNames.slice(1).map(name => [name, zeros()]));
    answer[file] = [];
    for (const id of [start_id, ...ids]) {
      const given = await session.run({ ids: new ort.Tensor("int64", [BigInt(id)], [1, 1]), ...state });
      state = Object.fromEntries(Object.keys(state).map(name => [name, given[`next_${name}`]]));
      answer[file].push([...given.log_probabilities.data]);
    }
  }
} catch (error) { answer.error = String(error); }
answer.asked = performance.getEntriesByType("resource").map(entry => new URL(entry.name).host);
await fetch("/answer", { method: "POST", body: JSON.stringify(answer) });
</script>
"""


@pytest.fixture
def ask_browser(tmp_path: Path) -> Any:
    """Return a function that opens the page in a folder, and returns what it answers."""
    answers: list[Any] = []
    is_there = threading.Event()

    class Handler(SimpleHTTPRequestHandler):
        extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}  # noqa: RUF012

        def do_POST(self) -> None:
            answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()
            is_there.set()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def ask() -> Any:
        assert CHROMIUM is not None
        flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
        flags.append("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
        url = f"http://127.0.0.1:{server.server_port}/page.html"
        with subprocess.Popen([CHROMIUM, *flags, url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            try:
                assert is_there.wait(300), "the page does not answer"
            finally:
                browser.terminate()
        return answers[0], f"127.0.0.1:{server.server_port}"

    yield ask
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["lstm", "gru", "mogrifier"])
def test_a_browser_gives_the_same_next_words(
    make_run: Callable[..., Any], tmp_path: Path, ask_browser: Any, name: str
) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx: pip install 'lstmlm[onnx]'")
    from lstmlm.export.onnx import export_onnx

    trained = make_run({"backbone": {"name": name, "n_layers": 2, "hidden_size": 16}, "embedding_size": 16})
    export_onnx(trained.run, trained.model, trained.tokenizer, tmp_path / "out")
    facts = json.loads((tmp_path / "out" / "model.json").read_text(encoding="utf-8"))
    ids = trained.tokenizer.encode_prompt("the farmer waits by the old river\na cat , he says")
    question = {"ids": ids, "files": ["step.onnx", "window.onnx"]}
    question |= {key: facts[key] for key in ("start_id", "n_layers", "state_size")}
    (tmp_path / "question.json").write_text(json.dumps(question), encoding="utf-8")
    (tmp_path / "page.html").write_text(PAGE, encoding="utf-8")
    for file in ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"):
        shutil.copy(WEB / file, tmp_path)
    answer, host = ask_browser()
    assert "error" not in answer, answer
    assert set(answer["asked"]) == {host}
    with torch.inference_mode():
        read = torch.tensor([[trained.tokenizer.start_id, *ids]]).T
        features, _ = trained.model(read, trained.model.initial_state(1))
        expected = trained.model.output_layer.log_probabilities(features)[:, 0].numpy()
    for file in question["files"]:
        found = np.array(answer[file])
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert np.array_equal(found.argsort()[:, -3:], expected.argsort()[:, -3:])
