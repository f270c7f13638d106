"""The output layers, one a file: from features to a distribution over the vocabulary.

`output_layer` says what one is; `softmax`, `adaptive` and `mixture` are those that a configuration can name, `cutoffs`
finds where the clusters of the adaptive one begin. `ngram_mixture` mixes any of them with the `ngram_tables` of the
training text. A new one is a file and a line in `OUTPUT_LAYERS` below, from which
the model is built; others import `output_layer`, and the training what only the adaptive one has.
"""

from lstmlm.config.model import ModelOptions
from lstmlm.config.output import AdaptiveOptions, MixtureOptions, OutputLayerOptions, SoftmaxOptions
from lstmlm.models.output_layers.adaptive import AdaptiveSoftmaxLayer
from lstmlm.models.output_layers.mixture import MixtureOfSoftmaxesLayer
from lstmlm.models.output_layers.ngram_mixture import NgramMixtureLayer
from lstmlm.models.output_layers.ngram_tables import NgramTables
from lstmlm.models.output_layers.output_layer import OutputLayer, Vectors
from lstmlm.models.output_layers.softmax import SoftmaxLayer

OUTPUT_LAYERS: dict[type[OutputLayerOptions], type[OutputLayer]] = {
    SoftmaxOptions: SoftmaxLayer,
    AdaptiveOptions: AdaptiveSoftmaxLayer,
    MixtureOptions: MixtureOfSoftmaxesLayer,
}


def build_output_layer(options: ModelOptions, embedding: Vectors, ngrams: NgramTables | None = None) -> OutputLayer:
    """Build the output layer that `options` choose, over the vocabulary of the embedding's matrix, a parameter.

    With `ngrams` it is mixed with these.
    """
    hidden_size = options.backbone.hidden_sizes[-1]
    layer = OUTPUT_LAYERS[type(options.output)]
    network = layer(options.output, hidden_size, embedding, tie_weights=options.tie_weights)
    return network if ngrams is None else NgramMixtureLayer(network, ngrams, hidden_size)
