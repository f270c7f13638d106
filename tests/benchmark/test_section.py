"""Rows hold medians, quartiles and ratios under keys with units; where we lose, they say so."""

import pytest

from lstmlm.benchmark.plan import LayerShape
from lstmlm.benchmark.section import geometric_means, refusal, row_of

SHAPE = LayerShape(hidden_size=16, batch_size=3, bptt=5)
OURS = [0.001, 0.002, 0.003]


def test_a_row_by_hand() -> None:
    row = row_of(SHAPE, "float32", OURS, {"torch_float32": [0.004, 0.004, 0.006]})
    assert {key: pytest.approx(value) if isinstance(value, float) else value for key, value in row.items()} == {
        "hidden_size": 16,
        "batch_size": 3,
        "bptt": 5,
        "precision": "float32",
        "lstmlm_milliseconds": 2,
        "lstmlm_milliseconds_lower_quartile": 1.5,
        "lstmlm_milliseconds_upper_quartile": 2.5,
        "torch_float32_milliseconds": 4,
        "torch_float32_milliseconds_lower_quartile": 4,
        "torch_float32_milliseconds_upper_quartile": 5,
        # The median of 4, 2 and 2, which is also that of the medians here.
        "times_as_fast_as_torch_float32": 2,
        "times_as_fast_as_torch_float32_lower_quartile": 2,
        "times_as_fast_as_torch_float32_upper_quartile": 3,
        "is_slower": False,
    }


def test_the_ratio_is_the_median_of_ratios_not_the_ratio_of_medians() -> None:
    row = row_of(SHAPE, "float32", [1.0, 2.0, 3.0], {"torch_float32": [9.0, 1.0, 3.0]})
    assert row["times_as_fast_as_torch_float32"] == pytest.approx(1)  # of 9, 1/2 and 1; the medians' would be 1.5


def test_rates_count_what_each_has_read() -> None:
    row = row_of(SHAPE, "float32", [2.0], {"forward": [1.0]}, {"lstmlm": 100, "forward": 80})
    assert row["lstmlm_tokens_per_second"] == 50
    assert row["forward_tokens_per_second"] == 80
    assert row["times_as_fast_as_forward"] == pytest.approx(50 / 80)
    assert row["is_slower"]


def test_slower_than_the_one_to_beat_is_a_loss_whatever_the_others_do() -> None:
    lost = row_of(SHAPE, "float32", [2.0], {"torch_float32": [1.0], "torch_bfloat16": [9.0]})
    won = row_of(SHAPE, "float32", [2.0], {"torch_float32": [3.0], "torch_bfloat16": [1.0]})
    assert lost["is_slower"]
    assert not won["is_slower"]


def test_geometric_means_by_precision_leave_out_what_is_wrong() -> None:
    rows = [
        row_of(SHAPE, "float32", [1.0], {"torch_float32": [4.0]}),
        row_of(SHAPE, "bfloat16", [1.0], {"torch_float32": [3.0]}),
        row_of(SHAPE, "float32", [4.0], {"torch_float32": [1.0]}),
        refusal(SHAPE, "bfloat16", "outputs differ"),
    ]
    assert geometric_means(rows) == {
        "float32_times_as_fast_as_torch_float32_geometric_mean": pytest.approx(1),
        "float32_n_rows": 2,
        "float32_n_slower": 1,
        "bfloat16_times_as_fast_as_torch_float32_geometric_mean": pytest.approx(3),
        "bfloat16_n_rows": 1,
        "bfloat16_n_slower": 0,
    }
    assert geometric_means([refusal(SHAPE, "float32", "outputs differ")]) == {}
