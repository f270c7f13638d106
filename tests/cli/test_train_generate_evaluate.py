"""From a YAML file to text and figures, by the command line alone."""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lstmlm.evaluation.perplexity import perplexity

Cli = Callable[..., Any]

REPORT_KEYS = (
    "run text split n_tokens n_words n_chars n_bytes n_unk nats perplexity perplexity_per_word bits_per_token "
    "bits_per_word bits_per_char bits_per_byte precision seconds n_oov unsaid n_tokens_without_unk nats_without_unk "
    "perplexity_without_unk perplexity_low perplexity_high resampled n_resampled "
    "context counted normalization text_sha256 tokenizer_sha256 fingerprint"
).split()


def test_the_three_commands_need_no_further_options(trained: Path, lstmlm: Cli) -> None:
    assert (trained / "runs" / "tiny" / "best").read_text("utf-8") == "6\n"
    generated = lstmlm("generate", "The farmer")
    assert generated.exit_code == 0
    assert generated.stdout.startswith("The farmer")
    assert "runs/tiny, seed " in generated.stderr
    evaluated = lstmlm("eval", "perplexity")
    assert evaluated.exit_code == 0
    assert "perplexity" in evaluated.stdout
    assert "test.txt" in evaluated.stderr


@pytest.mark.parametrize(
    "tokenizer", ["{name: char}", "{name: byte}", "{name: word, split: punctuation}", "{name: bpe, vocab_size: 300}"]
)
def test_every_tokenizer_trains_generates_and_evaluates(tokenizer: str, here: Path, lstmlm: Cli) -> None:
    assert lstmlm("train", "--config", "tiny.yaml", "--set", f"data.tokenizer={tokenizer}").exit_code == 0
    generated = lstmlm("generate", "The farmer", "--seed", "1", "--max-tokens", "12")
    assert generated.stdout.startswith("The farmer")
    assert generated.stdout.endswith("\n")
    assert lstmlm("eval", "perplexity", "--json").exit_code == 0


def test_another_backbone_by_name_alone(here: Path, lstmlm: Cli) -> None:
    arguments = ["train", "--config", "tiny.yaml", "--run-dir", "runs/rnn", "--set", "model.backbone.name=rnn"]
    assert lstmlm(*arguments).exit_code == 0
    assert lstmlm("generate", "The", "--run", "runs/rnn").exit_code == 0


@pytest.mark.parametrize(
    "output",
    [
        "{name: softmax, projection: true}",
        "{name: adaptive}",
        "{name: adaptive, cutoffs: [50, 100]}",
        "{name: mixture, n_experts: 2, latent_dropout: 0.2}",
    ],
)
def test_every_output_layer_trains_generates_and_evaluates(output: str, here: Path, lstmlm: Cli) -> None:
    assert lstmlm("train", "--config", "tiny.yaml", "--set", f"model.output={output}").exit_code == 0
    generated = lstmlm("generate", "The farmer", "--seed", "1", "--max-tokens", "12")
    assert generated.stdout.startswith("The farmer")
    assert lstmlm("eval", "perplexity", "--json").exit_code == 0


def test_results_go_to_stdout_and_everything_else_to_stderr(trained: Path, lstmlm: Cli) -> None:
    generated = lstmlm("generate", "The farmer", "--seed", "1", "--max-tokens", "3")
    assert generated.stdout.count("\n") >= 1
    assert "seed" not in generated.stdout
    report = json.loads(lstmlm("eval", "perplexity", "--json").stdout)
    assert list(report) == REPORT_KEYS


def test_the_split_is_named_and_can_be_chosen(trained: Path, lstmlm: Cli) -> None:
    for options, split in (([], "test"), (["--split", "valid"], "valid"), (["--split", "train"], "train")):
        report = json.loads(lstmlm("eval", "perplexity", "--json", *options).stdout)
        assert (report["split"], Path(report["text"]).name) == (split, f"{split}.txt")


def test_a_text_file_of_ones_own(trained: Path, lstmlm: Cli) -> None:
    (trained / "own.txt").write_text("The farmer sleeps.\n", "utf-8")
    report = json.loads(lstmlm("eval", "perplexity", "--json", "--text", "own.txt").stdout)
    assert (report["text"], report["split"], report["n_words"]) == ("own.txt", None, 3)


def test_the_same_seed_gives_the_same_text(trained: Path, lstmlm: Cli) -> None:
    first, second, other = (lstmlm("generate", "The", "--seed", seed).stdout for seed in ("1", "1", "2"))
    assert first == second != other


def test_samples_are_separated_by_a_blank_line_and_numbered_by_seed(trained: Path, lstmlm: Cli) -> None:
    together = lstmlm("generate", "The", "--n", "3", "--seed", "5", "--max-tokens", "4").stdout
    alone = [lstmlm("generate", "The", "--seed", seed, "--max-tokens", "4").stdout for seed in ("5", "6", "7")]
    assert together == "\n".join(alone)


def test_unknown_words_are_read_as_unk_with_a_warning(trained: Path, lstmlm: Cli) -> None:
    generated = lstmlm("generate", "The xylophone farmer")
    assert "warning: the model does not know xylophone: read as <unk>." in generated.stderr
    assert generated.stdout.startswith("The xylophone farmer")


def test_an_empty_prompt_starts_a_text(trained: Path, lstmlm: Cli) -> None:
    generated = lstmlm("generate", "", "--seed", "1", "--max-tokens", "5")
    assert generated.exit_code == 0
    assert generated.stdout.strip()


def test_a_finished_run_says_that_it_is(here: Path, lstmlm: Cli) -> None:
    arguments = ["train", "--config", "tiny.yaml", "--run-dir", "runs/my run", "--resume"]
    assert "\nruns/my run is ready. Try it: lstmlm generate \"\" --run 'runs/my run'\n" in lstmlm(*arguments).stderr
    result = lstmlm(*arguments)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        0,
        "runs/my run was finished already. Try it: lstmlm generate \"\" --run 'runs/my run'",
    )


def test_a_run_that_has_made_lost_steps_again_was_not_finished_already(here: Path, lstmlm: Cli) -> None:
    assert lstmlm("train", "--config", "tiny.yaml", "--set", "training.save_every=2").exit_code == 0
    last = max(Path("runs/tiny/checkpoints").glob("0*")) / "model.safetensors"
    last.write_bytes(last.read_bytes()[:-9])
    assert "\nruns/tiny is ready. Try it: " in lstmlm("train", "--resume", "--run-dir", "runs/tiny").stderr


def test_a_name_of_a_run_is_no_new_run(here: Path, lstmlm: Cli) -> None:
    assert lstmlm("train", "--config", "tiny.yaml").exit_code == 0
    result = lstmlm("train", "--resume", "--run-dir", "tiny")
    assert (result.exit_code, result.stderr) == (4, "tiny: holds no run to continue. Did you mean runs/tiny?\n")
    result = lstmlm("train", "--config", "tiny.yaml", "--set", "training.initialize_from=tiny", "--run-dir", "new")
    assert (result.exit_code, result.stderr) == (4, "tiny: no such run. Did you mean runs/tiny?\n")


def test_after_a_divergence_another_rate_is_advised(here: Path, lstmlm: Cli) -> None:
    sets = ("--set", "optimizer={name: sgd, learning_rate: 1.0e+6, clip_norm: null}", "--set", "training.n_steps=50")
    assert lstmlm("train", "--config", "tiny.yaml", "--run-dir", "div", *sets).exit_code == 2
    result = lstmlm("generate", "a", "--run", "div")
    advice = "--set optimizer.learning_rate=100000.0 --run-dir div-slower"
    assert (result.exit_code, advice in result.stderr) == (4, True), result.stderr


def test_an_empty_name_stands_for_nothing(trained: Path, lstmlm: Cli) -> None:
    """As of a variable that is not set."""
    for arguments in (
        ("runs", "prune", "--yes", ""),
        ("runs", "list", ""),
        ("generate", "a", "--run", ""),
        ("train", "--config", "tiny.yaml", "--run-dir", ""),
        ("eval", "perplexity", "--text", ""),
        ("report", "--output", ""),
        ("report", ""),
    ):
        result = lstmlm(*arguments)
        assert (result.exit_code, "'': is no " in result.stderr) == (2, True), (arguments, result.stderr)
    assert Path("runs/tiny/best").exists()


def test_a_run_is_continued_by_its_own_configuration(here: Path, lstmlm: Cli) -> None:
    assert lstmlm("train", "--config", "tiny.yaml").exit_code == 0
    result = lstmlm("train", "--resume", "--run-dir", "runs/tiny")
    assert (result.exit_code, "runs/tiny was finished already." in result.stderr) == (0, True)
    missing = lstmlm("train", "--resume", "--run-dir", "runs/none")
    advice = "Name what it is to begin with: lstmlm train --config quickstart --run-dir runs/none --resume\n"
    assert (missing.exit_code, missing.stderr) == (4, f"runs/none: holds no run to continue. {advice}")
    for arguments in ([], ["--resume"], ["--run-dir", "runs/tiny"]):
        result = lstmlm("train", *arguments)
        advice = "Name one, such as quickstart, or a YAML file; or continue a run: --resume --run-dir RUN\n"
        assert (result.exit_code, result.stderr) == (2, f"--config: is missing. {advice}")


def test_a_split_that_is_another_text_than_in_training_is_not_measured(here: Path, lstmlm: Cli) -> None:
    lines = [f"the {noun} {verb}\n" for noun in "cat dog fox hen".split() for verb in "sat ran sang".split()] * 20
    corpus = here / "corpus.txt"
    corpus.write_text("".join(lines), "utf-8")
    assert lstmlm("train", "--config", "tiny.yaml", "--set", "data.corpus=./corpus.txt").exit_code == 0
    (here / "pairs.tsv").write_text("the cat sat\tthe sat cat\n", "utf-8")
    (here / "own.txt").write_text("the cat sat\n", "utf-8")
    other_text = " Or name a text to measure: --text FILE"
    commands = [
        (["eval", "perplexity"], "test", other_text),
        (["eval", "perplexity", "--split", "valid"], "valid", other_text),
        (["eval", "adaptation", "temperature", "--tune", "valid", "--text", "own.txt"], "valid", ""),
        (["eval", "adaptation", "ngram", "--text", "own.txt"], "train", ""),
        (["eval", "compare", "runs/tiny", "runs/tiny"], "test", other_text),
        (["eval", "ngram"], "valid", " The mixture's weights are found in it."),
        (["eval", "pairs", "pairs.tsv", "--ngram", "2"], "train", ""),
        (["inspect", "gradients", "--max-lag", "2"], "test", other_text),
    ]
    figure = lstmlm("eval", "perplexity", "--json").stdout
    corpus.write_text("".join(reversed(lines)), "utf-8")
    for command, split, advice in commands:
        result = lstmlm(*command)
        assert (result.exit_code, result.stdout) == (3, ""), command
        message = result.stderr.splitlines()[-1]
        assert message.startswith(f"./corpus.txt: the {split} split is not the text that runs/tiny was started on (SHA")
        assert message.endswith(f"Restore that text.{advice}")
    assert lstmlm("eval", "perplexity", "--text", "own.txt").exit_code == 0
    corpus.write_text("".join(lines).replace("\n", "\r\n"), newline="")
    assert json.loads(lstmlm("eval", "perplexity", "--json").stdout)["nats"] == json.loads(figure)["nats"]
    corpus.unlink()
    message = lstmlm("eval", "perplexity").stderr
    assert message.startswith("corpus.txt: no such file or folder. Paths start at the working directory; ")
    assert message.endswith(" Or name a text to measure: --text FILE\n")


def test_config_show_is_a_configuration(here: Path, lstmlm: Cli) -> None:
    shown = lstmlm("config", "show", "tiny.yaml", "--set", "seed=7")
    (here / "complete.yaml").write_text(shown.stdout, "utf-8")
    assert "seed: 7" in shown.stdout
    assert lstmlm("config", "check", "complete.yaml").stdout == "complete.yaml: ok\n"
    assert lstmlm("config", "show", "complete.yaml").stdout == shown.stdout


def test_control_codes_of_a_text_do_not_reach_the_terminal() -> None:
    from lstmlm.cli.render import printable

    assert printable("a\x1b[31mb\tc\n\x07[bold]") == "a\\x1b[31mb\tc\n\\x07[bold]"


def test_the_size_of_what_is_trained_is_told(here: Path, lstmlm: Cli) -> None:
    said = lstmlm("train", "--config", "tiny.yaml", "--set", "data.tokenizer.min_count=2").stderr
    assert "/tiny: train " in said
    assert "% <unk>) · vocabulary " in said
    assert " parameters · 6 steps" in said
    assert "warning" not in said


@pytest.mark.parametrize(
    ("tokenizer", "remedy"),
    [
        ("{name: word}", "Set min_count: 2."),
        ("{name: char, min_count: 2}", "Take the tokenizer byte or bpe, to which nothing is unknown."),
    ],
)
def test_unknown_words_that_training_never_shows_are_warned_of(
    tokenizer: str, remedy: str, here: Path, lstmlm: Cli
) -> None:
    (here / "corpus").mkdir()
    (here / "corpus" / "train.txt").write_text("a b c d\n" * 100, "utf-8")
    (here / "corpus" / "valid.txt").write_text("a b c e\n" * 10, "utf-8")
    chosen = ["--set", f"data.tokenizer={tokenizer}"]
    said = lstmlm("train", "--config", "tiny.yaml", "--set", "data.corpus=./corpus", *chosen).stderr
    assert "warning: data.tokenizer: <unk> never occurs in the training split" in said
    assert f"to expect unknown words. {remedy}" in said


def test_what_is_unknown_or_ends_lines_is_warned_of(here: Path, lstmlm: Cli) -> None:
    (here / "corpus").mkdir()
    (here / "corpus" / "train.txt").write_text("a b c d <eos> a b d e\n" * 100 + "b\n", "utf-8")
    said = lstmlm(
        *("train", "--config", "tiny.yaml", "--set", "data.corpus=./corpus"),
        *("--set", "data.tokenizer={name: word, min_count: 101}"),
    ).stderr
    # c and e are seen 100 times each, a and d 200 times, b 201 times; there are 1,002 tokens.
    assert (
        "is unknown" not in said
        and "the training split has the word <eos> 100 times, and each ends a line. Write it otherwise" in said
    )
    said = lstmlm(
        *("train", "--config", "tiny.yaml", "--set", "data.corpus=./corpus", "--run-dir", "runs/few"),
        *("--set", "data.tokenizer={name: word, min_count: 201}"),
    ).stderr
    assert (
        "is unknown (in the training split most often 'a', 'd', 'c', 'e'), so that figures say little. "
        "Take a tokenizer that knows it: bpe or byte."
        in said
        and "warning: data.tokenizer: 60% of " in said
    )


def test_options_without_effect_are_warned_of(here: Path, lstmlm: Cli) -> None:
    for command in (["config", "check", "tiny.yaml"], ["train", "--config", "tiny.yaml"]):
        said = lstmlm(*command, "--set", "model.dropout.hidden=0.5").stderr
        assert "warning: model.dropout.hidden: has no effect on a single layer. Use dropout.output." in said
    adaptive_bytes = ["--set", "data.tokenizer={name: byte}", "--set", "model.output={name: adaptive}"]
    said = lstmlm("config", "check", "tiny.yaml", *adaptive_bytes).stderr
    assert "warning: model.output.name: adaptive saves work where ids go by frequency, and bytes do not." in said


ONE = ("--temperature", "0", "--max-tokens", "6")


@pytest.mark.parametrize("text", ["- I do not know", "-5 degrees", "-- no --"])
def test_a_text_may_begin_with_a_dash(text: str, trained: Path, lstmlm: Cli) -> None:
    for arguments in (
        [text, *ONE],
        [*ONE, text],
        ["-n", "1", text, "--stop", "- x", *ONE],
        [*ONE, "--", text],
        ["--", text, *ONE],
    ):
        result = lstmlm("generate", *arguments)
        assert (result.exit_code, result.stdout.startswith(text)) == (0, True), arguments
    for command in (["next", text, "--top", "3"], ["inspect", "gates", text, "--layer", "1"]):
        assert lstmlm(*command).exit_code == 0, command
    assert lstmlm("data", "tokenizer", "show", "runs/tiny", text).exit_code == 0
    assert lstmlm("generate", "--sed", "1").exit_code == 2


def test_a_blank_at_the_end_of_a_prompt_is_not_doubled(here: Path, add_run: Callable[..., None], lstmlm: Cli) -> None:
    for tokenizer in ("{name: bpe, vocab_size: 400}", "{name: unigram, vocab_size: 400}"):
        add_run(f"runs/{tokenizer}", f"data.tokenizer={tokenizer}")
        told = json.loads(lstmlm("generate", "The farmer ", "--run", f"runs/{tokenizer}", *ONE, "--json").stdout)
        assert "".join(told["tokens"]) == f" {told['text']}"


def test_a_file_that_is_named_in_place_of_its_text(trained: Path, lstmlm: Cli) -> None:
    (trained / "my prompt.txt").write_text("The farmer", "utf-8")
    result = lstmlm("generate", "my prompt.txt", *ONE)
    hint = "my prompt.txt is the prompt. To continue what that file holds: lstmlm generate - < 'my prompt.txt'\n"
    assert (result.exit_code, result.stderr.startswith(hint)) == (0, True)
    assert lstmlm("generate", "a" * 5000, *ONE).exit_code == 0
    assert "does not know " + "a" * 59 + "…: read as <unk>." in lstmlm("generate", "a" * 5000, *ONE).stderr


def test_a_sample_ends_before_a_stop_text(trained: Path, lstmlm: Cli) -> None:
    whole = lstmlm("generate", "The farmer", *ONE).stdout.removesuffix("\n")
    *_, last = whole.split()
    assert lstmlm("generate", "The farmer", *ONE, "--stop", "zzz").stdout == whole + "\n"
    stopped = lstmlm("generate", "The farmer", *ONE, "--stop", "zzz", "--stop", last).stdout
    assert stopped == "The farmer" + whole[len("The farmer") :].partition(last)[0] + "\n"


def test_the_prompt_is_shown_after_what_is_said_of_the_kernels(
    trained: Path, lstmlm: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr(sys.modules["lstmlm.cli.generate"]._Output, "_write", lambda _, text: written.append(text))
    assert lstmlm("generate", "The farmer", *ONE).exit_code == 0
    assert written[0].startswith("The farmer")
    assert written[0] != "The farmer"


def test_the_interval_of_a_perplexity_begins_at_1(trained: Path, lstmlm: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perplexity, "ratio_interval", lambda *_: (-0.1, 0.2))
    report = json.loads(lstmlm("eval", "perplexity", "--json").stdout)
    assert (report["perplexity_low"], report["perplexity_high"]) == (1.0, pytest.approx(math.exp(0.2)))
