"""The README.md of a directory: what the model is, on what it was trained, how well it did, what its code does."""

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.models.language_model import LanguageModel

CARD = """\
---
library_name: transformers
pipeline_tag: text-generation
tags: [lstmlm, {cell}]
---

# {name}

A recurrent language model, trained by lstmlm {version}: {layers} ({cell}), {n_parameters:,} parameters{ngrams},
a vocabulary of {vocab_size:,} tokens ({tokenizer}).

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{name}", trust_remote_code=True)
model = AutoModelForCausalLM.from_pretrained("{name}", trust_remote_code=True)
ids = tokenizer("The", return_tensors="pt")
print(tokenizer.decode(model.generate(**ids, max_new_tokens=50)[0]))
```

`tokenizer` puts the token that ends a line, {start!r}, before a text, as the model was trained; without it
(`add_special_tokens=False`) a model reads a text that it does not know the beginning of. It is `bos`, `eos` and `pad`
at once, so that a vocabulary needs no more tokens; `skip_special_tokens=True` drops line ends, and `generate` goes on
after them unless `eos_token_id` is given. Logits are log-probabilities (nats).

## The two Python files

`network.py` is the network in plain PyTorch, equation by equation. `modeling_lstmlm.py` holds the classes by which
transformers loads and samples from it. Both are of lstmlm, under the Apache License 2.0. They read the weights and
nothing else: no other file, no network, no environment. `trust_remote_code=True` runs them; where lstmlm is installed,
`import lstmlm.huggingface` takes its own copies in their place, and nothing has to be trusted. `lstmlm.load("{name}")`
and every command's `--run {name}` need neither file, nor transformers.

## Data

| split | tokens | bytes | SHA-256 of the text |
|---|---|---|---|
{splits}

## Measured

{measured}
"""


def model_card(name: str, run: RunDirectory, model: LanguageModel, tokenizer: Tokenizer) -> str:
    """The content of README.md of a directory of that name."""
    backbone, environment = run.config.model.backbone, run.environment
    data = environment.get("data")
    splits = [
        f"| {split} | {facts.get('n_tokens', 0):,} | {facts.get('n_bytes', 0):,} | {facts.get('sha256')} |"
        for split, facts in (data.items() if isinstance(data, dict) else ())
        if isinstance(facts, dict)
    ]
    found = [event for event in run.metrics.read("validation") if event.get("step") == run.best]
    measured = [f"Perplexity per token on the validation split, after {run.best:,} steps: {event['perplexity']:.2f}."
                for event in found[-1:]]  # fmt: skip
    ngrams = ""
    if model.ngrams is not None:
        ngrams = f", mixed with {sum(model.ngrams.sizes):,} n-grams of up to {model.ngrams.order} tokens"
    return CARD.format(
        name=name,
        version=environment.get("packages", {}).get("lstmlm", "?"),
        cell=backbone.name,
        layers=f"layers of {', '.join(map(str, backbone.hidden_sizes))} units",
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        ngrams=ngrams,
        vocab_size=tokenizer.vocab_size,
        tokenizer=run.config.data.tokenizer.name,
        start=tokenizer.token(tokenizer.start_id),
        splits="\n".join(splits) or "| not recorded | | | |",
        measured="\n".join(measured) or "No figure of a validation split is recorded.",
    )
