"""Plain sentences in the spelling of a corpus, and what follows it already left as it is."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from lstmlm.errors import ConfigError
from lstmlm.evaluation.normalization import NORMALIZATIONS, find_normalization


@pytest.mark.parametrize(
    ("plain", "ptb", "wikitext"),
    [
        ("Who did she see?", "who did she see", "Who did she see ?"),
        ("It hadn't rained.", "it had n't rained", "It hadn 't rained ."),
        ("I can't, won't.", "i ca n't wo n't", "I can 't , won 't ."),
        ("Ann’s dogs' toys", "ann 's dogs ' toys", "Ann 's dogs ' toys"),
        ("We've said I'm there", "we 've said i 'm there", "We 've said I 'm there"),
        ("an ex-wife", "an ex-wife", "an ex @-@ wife"),
        ("1,000 and 3.5 in 1980s", "N and N in 1980s", "1 @,@ 000 and 3 @.@ 5 in 1980s"),
        ("Dr. O'Hara of the U.S. left.", "dr. o'hara of the u.s. left", "Dr. O 'Hara of the U.S. left ."),
        ('"Go" (now)...', "go now", '" Go " ( now ) ...'),
        ("“Go” ‘now’", "go now", "\" Go \" ' now '"),
        ("at A&B for $5", "at a&b for $ N", "at A & B for $ 5"),
        ("rose 12% to $3", "rose N N to $ N", "rose 12 % to $ 3"),
        ("I cannot scan knots.", "i can not scan knots", "I cannot scan knots ."),
        ("Messrs. Li of Calif.", "messrs. li of calif.", "Messrs. Li of Calif."),
        ("8 1/2% and 9.5", "N N N and N", "8 1 / 2 % and 9 @.@ 5"),
        (", the <unk> .", "the <unk>", ", the <unk> ."),
    ],
)
def test_a_sentence_as_the_corpus_writes_it(plain: str, ptb: str, wikitext: str) -> None:
    assert NORMALIZATIONS["ptb"](plain) == ptb
    assert NORMALIZATIONS["wikitext"](plain) == wikitext
    assert NORMALIZATIONS["lowercase"](plain) == plain.lower()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ptb", "mr. <unk> did n't sell N of the u.s. firms ' third-quarter shares at $ N at s&p 's in oct. N"),
        ("wikitext", "The 19 @-@ year @-@ old didn 't sell 2 @,@ 000 of Dr. <unk> 's = = books ... ."),
        ("lowercase", "the <unk> ."),
    ],
)
def test_what_follows_the_convention_stays(name: str, text: str) -> None:
    assert NORMALIZATIONS[name](text) == text


@pytest.mark.parametrize(("name", "split"), [("ptb", "ptb/valid.txt"), ("wikitext", "wikitext-2/valid.txt")])
def test_the_corpus_itself_stays_almost_whole(name: str, split: str, corpus_path: Callable[[str], Path]) -> None:
    """Rare abbreviations lose their period, and the like."""
    counts = Counter(corpus_path(split).read_text(encoding="utf-8").split())
    n_changed = sum(n for word, n in counts.items() if NORMALIZATIONS[name](word) != word)
    assert n_changed < {"ptb": 0.001, "wikitext": 0.003}[name] * counts.total()


def test_an_unknown_convention() -> None:
    with pytest.raises(ConfigError) as caught:
        find_normalization("wikitxt")
    assert str(caught.value) == (
        "--normalize: unknown convention 'wikitxt'. Did you mean 'wikitext'? Choose one of: lowercase, ptb, wikitext."
    )
    assert find_normalization(None)("Don't.") == "Don't."
