"""Embedding, recurrent backbone and softmax: the language model and its parts; n-gram models.

- `cells`: the equations of one time step, one kind of cell a file.
- `kernels`: the same over whole windows, fast, and the loss without its logits.
- `dropout`: the kinds of dropout.
- `backbone`: the stack of layers, which carries the state.
- `output_layers`: from features to a distribution over the vocabulary.
- `language_model`: all of it. Others begin here.
- `ngram` and `arpa`: modified Kneser-Ney, to mix a network with or to compare it with, and the file that other programs
  read.
"""
