"""Lines that occur again: exactly while they are few, and as an unbiased sample when they are many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmlm.corpus.inspection.repetition import DigestSample, TextDigest


def digest(text: str) -> int:
    taken = TextDigest()
    taken.read(text)
    return taken.value()


def sample(lines: list[str], most_digests: int = 10**6) -> DigestSample:
    taken = DigestSample(most_digests)
    for line in lines:
        taken.add(digest(line))
    return taken


def test_a_digest_does_not_depend_on_the_pieces() -> None:
    taken = TextDigest()
    taken.read("one ")
    taken.read("süß line")
    assert taken.value() == digest("one süß line")
    assert taken.value() != digest("one süß line ")


@given(lines=st.lists(st.sampled_from("abcdef"), max_size=30), others=st.lists(st.sampled_from("abcdef"), max_size=30))
def test_shares_are_those_of_counting(lines: list[str], others: list[str]) -> None:
    mine, theirs = sample(lines), sample(others)
    assert mine.share_repeated() == pytest.approx((len(lines) - len(set(lines))) / max(1, len(lines)))
    assert mine.share_in(theirs) == pytest.approx(sum(line in others for line in lines) / max(1, len(lines)))
    if lines:
        frequent, count = mine.most_frequent()
        assert count == max(map(lines.count, lines))
        assert frequent in {digest(line) for line in lines if lines.count(line) == count}


def test_of_too_many_lines_a_sample_is_kept() -> None:
    lines = [f"line {i % 6000}" for i in range(9000)]
    taken = sample(lines, most_digests=2000)
    assert len(taken) <= 2000
    assert taken.share_sampled == pytest.approx(1 / 8)
    assert taken.share_repeated() == pytest.approx(1 / 3, abs=0.03)
    others = sample([f"line {i}" for i in range(3000)])
    assert taken.share_in(others) == pytest.approx(2 / 3, abs=0.05)
    assert others.share_in(taken) == 1
