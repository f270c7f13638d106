"""Perplexity with and without `<unk>`, of a document and of lines, against sums over single steps."""

import hashlib
import json
import math
from typing import Any

import pytest
import torch

from lstmlm.config.data import ByteTokenizerOptions, CharTokenizerOptions, WordTokenizerOptions
from lstmlm.evaluation.perplexity.perplexity import evaluate_perplexity
from lstmlm.scoring import score

TEXT = "the cat sat on\n\nthe <unk> mat\nand the owl é\N{CAT FACE} sat"
VOCABULARY = "the cat sat on the mat and <unk>\n"

each_tokenizer = pytest.mark.parametrize(
    "options", [WordTokenizerOptions(), CharTokenizerOptions(), ByteTokenizerOptions()], ids=lambda o: o.name
)


def evaluated(asked: Any, **options: Any) -> dict[str, Any]:
    return dict(evaluate_perplexity(asked.model, asked.text, asked.tokenizer, asked.run, **options).values)


@each_tokenizer
def test_without_unk(options: Any, read: Any) -> None:
    asked = read(TEXT, VOCABULARY, options)
    nats = score(asked.model, asked.text.tokens, asked.tokenizer.start_id, n_columns=1)
    is_known = [asked.tokenizer.token(token_id) != "<unk>" for token_id in asked.text.tokens.tolist()]
    values = evaluated(asked)
    assert values["n_tokens"] - values["n_tokens_without_unk"] == values["n_unk"] == is_known.count(False)
    assert values["nats_without_unk"] == pytest.approx(nats[is_known].sum(), rel=1e-12)
    assert values["perplexity_without_unk"] == pytest.approx(math.exp(nats[is_known].mean()), rel=1e-12)
    assert values["perplexity"] == pytest.approx(math.exp(nats.mean()), rel=1e-12)


def test_unknown_is_what_the_text_does_not_say(read: Any) -> None:
    n_oov = {
        options.name: evaluated(read(TEXT, VOCABULARY, options))["n_oov"]
        for options in (WordTokenizerOptions(), CharTokenizerOptions(), ByteTokenizerOptions())
    }
    # owl and é🐱; w, l, é and 🐱; every byte is known.
    assert n_oov == {"word": 2, "char": 4, "byte": 0}


def test_a_text_of_unknown_words_alone(read: Any) -> None:
    values = evaluated(read("<unk>", "a\n", CharTokenizerOptions()))
    assert (values["n_tokens_without_unk"], values["n_oov"]) == (0, 5)
    assert math.isnan(values["perplexity_without_unk"])


@each_tokenizer
def test_lines_do_not_know_of_each_other(options: Any, read: Any) -> None:
    asked = read(TEXT, VOCABULARY, options)
    alone = [read(line, VOCABULARY, options).text.tokens for line in TEXT.splitlines(keepends=True)]
    nats = [score(asked.model, tokens, asked.tokenizer.start_id, n_columns=1).sum() for tokens in alone]
    of_lines, of_document = evaluated(asked, context="line"), evaluated(asked)
    assert of_lines["nats"] == pytest.approx(sum(nats), rel=1e-12)
    assert of_lines["n_tokens"] == of_document["n_tokens"] == sum(map(len, alone))
    assert of_lines["nats"] != pytest.approx(of_document["nats"], rel=1e-3)
    assert (of_lines["context"], of_document["context"]) == ("line", "document")


def test_what_would_be_drawn_again_is_said(read: Any) -> None:
    asked = read(TEXT, VOCABULARY, WordTokenizerOptions())
    found = [evaluated(asked, eos=eos)["resampled"] for eos in ("line", "line_and_document", "document")]
    assert found == ["lines", "lines", "documents"]


def test_a_text_of_one_line_is_its_document(read: Any) -> None:
    asked = read("the cat sat " * 50 + "\n", VOCABULARY, WordTokenizerOptions())
    assert evaluated(asked, context="line")["nats"] == pytest.approx(evaluated(asked)["nats"], rel=1e-12)


def test_the_fingerprint_is_the_digest_of_its_parts(read: Any) -> None:
    asked = read(TEXT, VOCABULARY, WordTokenizerOptions())
    values = evaluated(asked)
    parts = {
        "context": "document",
        "counted": "every token, <eos> included",
        "normalization": "utf8-lf-v1",
        "text_sha256": hashlib.sha256(TEXT.encode()).hexdigest(),
        "tokenizer_sha256": hashlib.sha256(asked.tokenizer.to_json().encode()).hexdigest(),
    }
    assert {name: values[name] for name in parts} == parts
    assert values["fingerprint"] == hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def test_fingerprints_are_equal_where_figures_can_be_compared(read: Any) -> None:
    words, characters = WordTokenizerOptions(), CharTokenizerOptions()

    def of(text: str, vocabulary: str = VOCABULARY, options: Any = words, seed: int = 1, **choices: Any) -> Any:
        return evaluated(read(text, vocabulary, options, seed=seed), **choices)["fingerprint"]

    assert of(TEXT) == of(TEXT, seed=2) == of("\ufeff" + TEXT.replace("\n", "\r\n"))
    different = [
        *(of(TEXT), of(TEXT + "\n"), of(TEXT, context="line"), of(TEXT, VOCABULARY + "owl\n")),
        *(of(TEXT, options=characters), of(TEXT, options=ByteTokenizerOptions())),
    ]
    assert len(set(different)) == len(different)


def test_what_was_counted(read: Any) -> None:
    counted = [
        evaluated(read(TEXT, VOCABULARY, options))["counted"]
        for options in (WordTokenizerOptions(), CharTokenizerOptions(), ByteTokenizerOptions())
    ]
    assert counted == [f"every token, {end} included" for end in ("<eos>", "newlines", "newlines")]


def test_reports_json_and_repeats(read: Any) -> None:
    asked = read(TEXT, VOCABULARY, WordTokenizerOptions())
    first, second = (
        json.loads(evaluate_perplexity(asked.model, asked.text, asked.tokenizer, asked.run).to_json()) for _ in range(2)
    )
    assert {**first, "seconds": 0} == {**second, "seconds": 0}
    assert (first["run"], first["text"], first["n_tokens"]) == ("runs/x", asked.text.name, asked.text.n_tokens)


def test_leaves_the_model_as_it_was(read: Any) -> None:
    asked = read(TEXT, VOCABULARY, WordTokenizerOptions())
    before = {name: weight.clone() for name, weight in asked.model.state_dict().items()}
    evaluated(asked)
    assert all(torch.equal(before[name], weight) for name, weight in asked.model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in asked.model.parameters())


def test_a_text_without_words_has_no_perplexity_per_word(read: Any) -> None:
    asked = read("\n\n", VOCABULARY, WordTokenizerOptions())
    report = evaluate_perplexity(asked.model, asked.text, asked.tokenizer, asked.run)
    assert json.loads(report.to_json())["perplexity_per_word"] is None


def test_by_hand(read: Any) -> None:
    asked = read("a b c\n" * 3, "a b c\n", WordTokenizerOptions())
    with torch.no_grad():
        asked.model.embedding.weight.zero_()
    values = evaluated(asked)
    # a, b, c, <unk> and <eos>, all as likely.
    assert values["perplexity"] == pytest.approx(5, rel=1e-12)
    assert values["nats"] == pytest.approx(12 * math.log(5), rel=1e-12)
    assert values["perplexity_per_word"] == pytest.approx(5 ** (12 / 9), rel=1e-12)
    assert values["bits_per_byte"] == pytest.approx(12 * math.log2(5) / 18, rel=1e-12)
