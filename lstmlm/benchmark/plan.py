"""What `lstmlm bench` measures and how long it takes over it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """How many rounds a comparison is given."""

    seconds: float
    """No new round is begun after this long."""

    min_rounds: int
    max_rounds: int


@dataclass(frozen=True)
class LayerShape:
    """One LSTM layer, as wide as its input, over one window."""

    hidden_size: int
    batch_size: int
    bptt: int


@dataclass(frozen=True)
class LossShape:
    """A softmax with its loss over the tokens of one window."""

    n_tokens: int
    hidden_size: int
    vocab_size: int


@dataclass(frozen=True)
class ModelShape:
    """A language model of two LSTM layers with tied weights, and the width of its batch."""

    hidden_size: int
    vocab_size: int
    batch_size: int


@dataclass(frozen=True)
class Plan:
    """Shapes and rounds of every section."""

    effort: Effort
    layers: tuple[LayerShape, ...]
    losses: tuple[LossShape, ...]
    training_steps: tuple[ModelShape, ...]
    bptt: int
    """Length of the windows of training steps and evaluation (tokens)."""

    busy_steps: tuple[ModelShape, ...]
    busy_effort: Effort
    """Of each turn, alone or beside another process."""

    generation: ModelShape
    n_generated_tokens: int
    """Tokens drawn in one round."""

    evaluation: ModelShape
    n_scored_tokens: int
    """Length of the text that is scored in one round."""

    evaluation_effort: Effort

    gemm_size: int
    """Rows and columns of the matrices whose product is taken as the peak of the machine."""

    bandwidth_bytes: int
    """Size of the buffer that is read to measure memory bandwidth: far beyond any cache."""


FULL = Plan(
    effort=Effort(seconds=3.0, min_rounds=5, max_rounds=41),
    layers=tuple(
        LayerShape(hidden_size, batch_size, bptt)
        for hidden_size in (128, 200, 400, 650, 1150)
        for batch_size in (20, 64)
        for bptt in (35, 70)
    ),
    losses=(LossShape(n_tokens=700, hidden_size=650, vocab_size=33_278),),
    training_steps=(
        ModelShape(hidden_size=650, vocab_size=10_000, batch_size=20),
        ModelShape(hidden_size=650, vocab_size=10_000, batch_size=64),
        ModelShape(hidden_size=200, vocab_size=10_000, batch_size=20),
        ModelShape(hidden_size=650, vocab_size=33_278, batch_size=20),
    ),
    bptt=35,
    busy_steps=(
        ModelShape(hidden_size=200, vocab_size=10_000, batch_size=20),
        ModelShape(hidden_size=650, vocab_size=10_000, batch_size=20),
    ),
    busy_effort=Effort(seconds=6.0, min_rounds=5, max_rounds=100),
    generation=ModelShape(hidden_size=650, vocab_size=33_278, batch_size=1),
    n_generated_tokens=50,
    evaluation=ModelShape(hidden_size=650, vocab_size=10_000, batch_size=20),
    n_scored_tokens=73_760,
    evaluation_effort=Effort(seconds=30.0, min_rounds=3, max_rounds=7),
    gemm_size=2048,
    bandwidth_bytes=1 << 29,
)

QUICK = Plan(
    effort=Effort(seconds=0.5, min_rounds=3, max_rounds=15),
    layers=(LayerShape(200, 20, 35), LayerShape(650, 20, 35)),
    losses=(LossShape(n_tokens=700, hidden_size=650, vocab_size=10_000),),
    training_steps=(ModelShape(hidden_size=650, vocab_size=10_000, batch_size=20),),
    bptt=35,
    busy_steps=(ModelShape(hidden_size=200, vocab_size=10_000, batch_size=20),),
    busy_effort=Effort(seconds=1.5, min_rounds=3, max_rounds=50),
    generation=ModelShape(hidden_size=650, vocab_size=33_278, batch_size=1),
    n_generated_tokens=20,
    evaluation=ModelShape(hidden_size=200, vocab_size=10_000, batch_size=20),
    n_scored_tokens=20_000,
    evaluation_effort=Effort(seconds=0.5, min_rounds=2, max_rounds=3),
    gemm_size=1536,
    bandwidth_bytes=1 << 28,
)

PLANS = {"full": FULL, "quick": QUICK}
