"""The classes by which transformers loads, runs and samples from a recurrent language model; see `network.py`."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from .network import CellState, RecurrentNetwork


class LstmlmConfig(PretrainedConfig):
    """What the network is: `network` holds the arguments of `RecurrentNetwork`."""

    model_type = "lstmlm"
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["state"]

    def __init__(self, network: dict[str, Any] | None = None, **kwargs: Any):
        # transformers also makes an empty one, to find out what differs from it.
        self.network = network or {}
        self.vocab_size = self.network.get("vocab_size", 0)
        self.hidden_size = (self.network.get("hidden_sizes") or [0])[-1]
        self.num_hidden_layers = len(self.network.get("hidden_sizes", []))
        # Where the output layer shares the embedding's matrix, it has none of its own: there is nothing to tie.
        super().__init__(**{**kwargs, "tie_word_embeddings": False})


class RecurrentState:
    """The state of every layer, which is all that is kept of the tokens that were read."""

    def __init__(self, layers: list[CellState]):
        self.layers = layers

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Let beam search go on from the texts that it has chosen."""
        self.layers = [tuple(part.index_select(0, beam_idx) for part in layer) for layer in self.layers]


@dataclass
class LstmlmOutput(ModelOutput):
    """What `forward` returns."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    state: RecurrentState | None = None


class LstmlmForCausalLM(PreTrainedModel, GenerationMixin):
    """A recurrent language model. Its logits are log-probabilities already (nats)."""

    config_class = LstmlmConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    _is_stateful = True
    accepts_loss_kwargs = False

    def __init__(self, config: LstmlmConfig):
        super().__init__(config)
        self.network = RecurrentNetwork(**config.network)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        state: RecurrentState | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        return_dict: bool | None = None,
        logits_to_keep: int = 0,
        **_: Any,
    ) -> LstmlmOutput | tuple[Any, ...]:
        """Predict the token after each position.

        Args:
            input_ids: (batch, time); those that `state` has not read.
            attention_mask: 0 at padding, on whichever side. May reach back to what was read before.
            state: What an earlier call returned.
            labels: Token ids; those at position t are predicted at t - 1. -100 is not counted.
            use_cache: False returns no state.
            return_dict: False returns a tuple.
            logits_to_keep: At how many of the last positions to predict; 0 for all.
        """
        mask = None if attention_mask is None else attention_mask[:, -input_ids.shape[1] :]
        layers = None if state is None else state.layers
        logits, layers = self.network(input_ids, layers, mask, logits_to_keep)
        loss = None
        if labels is not None:
            loss = nn.functional.nll_loss(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        output = LstmlmOutput(loss, logits, None if use_cache is False else RecurrentState(layers))
        return output.to_tuple() if return_dict is False else output

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        state: RecurrentState | None = None,
        attention_mask: Tensor | None = None,
        use_cache: bool | None = None,
        past_key_values: RecurrentState | None = None,
        logits_to_keep: int = 0,
        **_: Any,
    ) -> dict[str, Any]:
        """Choose what the next step of `generate` reads: all of the prompt, then one token a step."""
        # A caller may give the `state` after what stands before the prompt: only a step sets both.
        ids = input_ids if past_key_values is None else input_ids[:, -1:]
        return {
            "input_ids": ids,
            "attention_mask": attention_mask,
            "state": state,
            "use_cache": use_cache,
            "logits_to_keep": logits_to_keep,
        }

    def _prepare_attention_mask_for_generation(self, inputs_tensor: Tensor, *_: Any, **__: Any) -> Tensor:
        # The token that pads a batch also ends lines, so that without a mask nothing is taken for padding.
        return inputs_tensor.new_ones(inputs_tensor.shape[:2])

    def _update_model_kwargs_for_generation(self, outputs: Any, model_kwargs: Any, *rest: Any, **kwargs: Any) -> Any:
        updated = super()._update_model_kwargs_for_generation(outputs, model_kwargs, *rest, **kwargs)
        if outputs.state is not None:
            # Beam search reorders `state` in transformers 5 and `past_key_values` in 4: both are this one.
            updated.update(state=outputs.state, past_key_values=outputs.state)
        return updated

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        # What attention keeps of every token.
        return False

    def _init_weights(self, module: nn.Module) -> None:
        # Of a network that is not loaded from a file: lstmlm has better ways to begin a training.
        for weights in module.parameters(recurse=False):
            nn.init.uniform_(weights, -0.1, 0.1)

    def get_input_embeddings(self) -> nn.Module:
        """The embedding."""
        return self.network.embedding

    def get_output_embeddings(self) -> None:
        """Nothing: an output layer here may be more than one matrix, or the embedding's."""
