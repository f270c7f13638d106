"""How unexpected each word was in its context.

A file of sentences is read by `stimuli`, measured by `surprisal`, word by word where the tokens are smaller, and
written as a table by `formats`, our own and those of two other programs. `questions.py` takes the first two, the
command line the last two; a new form of table is a function in `formats` and a line in its table.
"""
