"""A corpus that is one line of 200 MB."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from torture.tally import Part, Tally
from torture.tiny_run import CONFIG, DONE, start

N_BYTES = 200_000_000
MOST_GIGABYTES = 3.0
WORDS = b"the farmer sleeps and the cat watches the moon above the old barn "
TOKENIZERS = ("word", "char", "byte", "bpe")


def read(part: Part) -> list[Tally]:
    """Train two steps on it with each kind of tokenizer, in bounded memory."""
    tally = Tally(f"trainings on one line of 200 MB in less than {MOST_GIGABYTES:g} GB")
    with TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        (corpus / "train.txt").write_bytes(WORDS * (N_BYTES // len(WORDS)))
        (corpus / "valid.txt").write_bytes(WORDS * 10)
        config = Path(folder, "long.yaml")
        for name in part.of(TOKENIZERS):
            data = {"corpus": str(corpus), "tokenizer": {"name": name}, "batch_size": 4, "bptt": 7}
            config.write_text(yaml.safe_dump({**CONFIG, "data": data, "training": {"n_steps": 2}}), "utf-8")
            arguments = ["train", "--config", str(config), "--run-dir", str(Path(folder, name))]
            log = Path(folder, "log")
            cache = {"LSTMLM_CACHE": str(Path(folder, "cache"))}
            _, status, usage = os.wait4(start(arguments, log, lambda cache=cache: os.environ.update(cache)), 0)
            gigabytes = usage.ru_maxrss / 1e6
            tally.notes.append(f"{name}: {gigabytes:.1f} GB, {usage.ru_utime:.0f} s")
            loss = None if gigabytes < MOST_GIGABYTES else f"{gigabytes:.1f} GB"
            if os.waitstatus_to_exitcode(status) != DONE:
                loss = f"ended with {os.waitstatus_to_exitcode(status)}: {log.read_text('utf-8')[-500:]}"
            tally.count(name, loss)
    return [tally]
