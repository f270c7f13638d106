"""sherpa-onnx itself loads an exported file as its language model, and gets the run's numbers of it.

The recogniser is one of random weights, which hears noise: what matters is that its tokens are scored.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstmlm.scoring import score_each

pytestmark = pytest.mark.peer

sherpa_onnx = pytest.importorskip("sherpa_onnx", reason="needs sherpa-onnx: make check-peers")
onnx = pytest.importorskip("onnx", reason="needs the extra onnx: pip install 'lstmlm[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the extra onnx: pip install 'lstmlm[onnx]'")

WIDTH = 8


def save(path: Path, nodes: list[Any], inputs: Any, outputs: Any, weights: dict[str, Any], **metadata: Any) -> str:
    helper, (integers, floats) = onnx.helper, (onnx.TensorProto.INT64, onnx.TensorProto.FLOAT)
    described = [
        [helper.make_tensor_value_info(name, integers if name == "y" else floats, shape) for name, shape in values]
        for values in (inputs, outputs)
    ]
    tensors = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(
        [helper.make_node(*node[:3], **node[3]) for node in nodes], path.stem, *described, tensors
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {key: str(value) for key, value in metadata.items()})
    onnx.save(model, path)
    return str(path)


@pytest.fixture
def recogniser(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Return a function that makes a transducer for a number of tokens."""
    generator = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray:
        return generator.normal(scale=0.5, size=shape).astype(np.float32)

    def make(vocab_size: int) -> dict[str, str]:
        of_state = (1, "N", WIDTH)
        encoder = save(
            tmp_path / "encoder.onnx",
            [
                ("Slice", ["x", "start", "end", "axis", "step"], ["frames"], {}),
                ("MatMul", ["frames", "w"], ["encoder_out"], {}),
                ("Identity", ["h"], ["next_h"], {}),
                ("Identity", ["c"], ["next_c"], {}),
            ],
            [("x", ("N", 9, 80)), ("h", of_state), ("c", of_state)],
            [("encoder_out", ("N", 2, WIDTH)), ("next_h", of_state), ("next_c", of_state)],
            {"start": [0], "end": [8], "axis": [1], "step": [4], "w": weights(80, WIDTH)},
            model_type="lstm",
            num_encoder_layers=1,
            T=9,
            decode_chunk_len=4,
            rnn_hidden_size=WIDTH,
            d_model=WIDTH,
        )
        decoder = save(
            tmp_path / "decoder.onnx",
            [
                ("Gather", ["vectors", "y"], ["read"], {}),
                ("ReduceMean", ["read"], ["decoder_out"], {"axes": [1], "keepdims": 0}),
            ],
            [("y", ("N", 2))],
            [("decoder_out", ("N", WIDTH))],
            {"vectors": weights(vocab_size, WIDTH)},
            vocab_size=vocab_size,
            context_size=2,
        )
        joiner = save(
            tmp_path / "joiner.onnx",
            [
                ("Add", ["encoder_out", "decoder_out"], ["sum"], {}),
                ("Tanh", ["sum"], ["joined"], {}),
                ("MatMul", ["joined", "w"], ["logit"], {}),
            ],
            [("encoder_out", ("N", WIDTH)), ("decoder_out", ("N", WIDTH))],
            [("logit", ("N", vocab_size))],
            {"w": weights(WIDTH, vocab_size)},
        )
        return {"encoder": encoder, "decoder": decoder, "joiner": joiner}

    return make


@pytest.mark.parametrize("name", ["lstm", "gru", "mogrifier"])
@pytest.mark.parametrize("suffix", ["", ".int8"])
def test_sherpa_fuses_the_log_probabilities_of_the_run(
    make_run: Callable[..., Any], tmp_path: Path, recogniser: Any, name: str, suffix: str
) -> None:
    from lstmlm.corpus.encoded_text import EncodedText
    from lstmlm.export.onnx import export_onnx

    options = {"backbone": {"name": name, "n_layers": 2, "hidden_size": 16}, "embedding_size": 16}
    trained = make_run(options, {"name": "char"})
    tokenizer, lm = trained.tokenizer, tmp_path / "lm"
    text = EncodedText("t", None, tokenizer.encode("a cat\n"), 1, np.array([1]), np.array([1]), 0, 0, "abcd")
    export_onnx(trained.run, trained.model, tokenizer, lm, purpose="sherpa", text=text)
    recognise = sherpa_onnx.OnlineRecognizer.from_transducer(
        tokens=str(lm / "tokens.txt"),
        **recogniser(tokenizer.vocab_size),
        decoding_method="modified_beam_search",
        lm=str(lm / f"with-state{suffix}.onnx"),
        lm_scale=0.5,
    )
    stream = recognise.create_stream()
    stream.accept_waveform(16000, np.random.default_rng(1).normal(scale=0.1, size=16000).astype(np.float32))
    while recognise.is_ready(stream):
        recognise.decode_stream(stream)
    result = recognise.get_result_all(stream)
    ids = {line.rpartition(" ")[0]: int(line.rpartition(" ")[2]) for line in lines(lm / "tokens.txt")}
    heard = [ids[token] for token in result.tokens]
    assert len(heard) > 10
    (nats,) = score_each(trained.model, [heard], tokenizer.start_id)
    np.testing.assert_allclose(result.lm_probs, -nats, atol=1e-4 if suffix == "" else 0.05)


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
