"""The README.md of a directory: what each file reads and gives, how to ask it, and what 8 bits cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.export.onnx.graphs import Network

CARD = """\
# {name}

A recurrent language model ({cell}, {layers}, {vocab_size:,} tokens), trained by lstmlm {lstmlm_version}, as ONNX files
of opset {opset}: each one is complete by itself.

{usage}

## Files

| file | bytes | perplexity | change |
|---|---|---|---|
{files}

{measured}
{of_8_bits}{notable}
`model.json` says all of this for programs. Surprisals are in nats; {start!r} (id {start_id}) ends a line and is what a
text begins after, read in a state of zeros.
"""

OF_8_BITS = """\
Files named int8 keep matrices in 8 bits, a scale a row, and compute in float32 once they are loaded, as fast: a quarter
of the network's size; n-grams stay as they are.
"""

RUNTIME = """\
| file | reads | gives |
|---|---|---|
| `step.onnx` | `ids` (1, 1){state_one} | `log_probabilities` (1, 1, {vocab_size}){next_one} |
| `window.onnx` | `ids` (batch, time){state_any} | `log_probabilities` (batch, time, {vocab_size}){next_any} |
| `scorer.onnx` | `ids` (batch, time), `lengths` (batch) | `nats` (batch, time): of each token, 0 beyond lengths |

`ids` and `lengths` are int64, all else is float32. `log_probabilities` are of the token that follows each one. `scorer`
puts the token before a text by itself; it keeps batch x time x {vocab_size} numbers in memory, `window` what one piece
takes: a long text is read piece by piece, with the state that the piece before gave. `step` is `window` with all shapes
fixed, for runtimes that need that. `tokenizer.json` makes ids of texts, {start!r} first, as `window` is to read them.
"""

SHERPA = """\
| file | reads | gives |
|---|---|---|
| `with-state.onnx` | `x` (N, L), `h0`, `c0` ({n_layers}, N, {width}) | `log_softmax` (N, {vocab_size}) of what follows, `next_h0`, `next_c0` |
| `no-state.onnx` | `x` (N, L), `x_lens` (N) | `nll` (N): nats of each sentence, its end included |

Names and metadata are those of icefall's `rnn_lm/export-onnx.py`. sherpa-onnx takes `with-state.onnx` as `--lm` of
streaming recognisers, with `--lm-shallow-fusion=true`, `no-state.onnx` as `--lm` of the others, both with
`--decoding-method=modified_beam_search` and `--lm-scale`. Ids must be the recogniser's: `tokens.txt` is to be its own.
"""  # noqa: E501

USAGES = {"onnxruntime": RUNTIME, "sherpa": SHERPA}


def card(
    name: str,
    network: Network,
    tokenizer: Tokenizer,
    facts: Mapping[str, Any],
    notable: Sequence[str],
) -> str:
    """The content of README.md of a directory of that name, from that of its model.json and what is to be warned of."""
    n_layers, width = network.state_shape
    sizes, names = network.options.backbone.hidden_sizes, network.state_names
    mixed = " and n-grams, which remember in one layer more" if network.ngrams else ""
    values = {
        **facts,
        "name": name,
        "width": width,
        "layers": f"{len(sizes)} layers of up to {max(sizes)} units{mixed}",
        "start": tokenizer.token(network.start_id),
        "state_one": "".join(f", `{state}` ({n_layers}, 1, {width})" for state in names),
        "state_any": "".join(f", `{state}` ({n_layers}, batch, {width})" for state in names),
        "next_one": "".join(f", `next_{state}`" for state in names),
        "next_any": "".join(f", `next_{state}`" for state in names),
        "files": "\n".join(f"| `{file}` | {of['n_bytes']:,} | {_cells(of)} |" for file, of in facts["files"].items()),
        "of_8_bits": OF_8_BITS if any("int8" in file for file in facts["files"]) else "",
        "notable": "".join(f"{warning}\n" for warning in notable),
    }
    values["measured"] = "Perplexities were not measured, which needs a text.\n"
    if (on := facts["measured_on"]) is not None:
        values["measured"] = f"Perplexities are of the first {on['n_tokens']:,} tokens of {on['text']}.\n"
    return CARD.format(**{**values, "usage": USAGES[facts["purpose"]].format(**values)})


def _cells(of_file: Mapping[str, Any]) -> str:
    if of_file["perplexity"] is None:
        return " | "
    change = of_file["change"]
    return f"{of_file['perplexity']:,.2f} | {'' if change is None else f'{change:+.2%}'}"
