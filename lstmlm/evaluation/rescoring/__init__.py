"""Which of the hypotheses of a recogniser is the best, now that a language model has read them.

N-best lists are read by `nbest` in one of `formats`, SRILM's, Kaldi's or JSON lines, and what was said by `references`;
`rescoring` has the model score them; `combination` adds up the scores and finds the weights that leave the fewest
errors, which `error_rate` counts. A new format of lists is two functions in `formats`, to read and to write, and a line
in its table.
"""
