"""From a prompt to sampled text: the sampler and the filters that shape the distribution it draws from.

`options` say how to draw, `filters` apply them to a distribution, `sampler` draws token after token, and `texts` makes
text of a prompt and its tokens; `next_word` draws nothing but lists what may come next, by its `spelling`, after what a
`growing_text` has read. `novelty` finds what a sample has in common with a corpus. Others take `texts`, `next_word`,
`novelty`, `growing_text` and `options`, which needs no torch; `serving` also `filters` and `sampler`.
"""
