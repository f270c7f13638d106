"""What a text looks like before anything is learnt from it; no model, no tokenizer of its own.

- `word_counts`: words and how often they occur, in bounded memory.
- `repetition`: lines and paragraphs that occur again.
- `characters_and_lines`: all that is looked for in one reading: odd characters, marks, lines, and the two above.
- `layout`: whether lines are wrapped, marked up, or in columns.
- `health`: what of that is wrong, and what to do: the findings of `lstmlm data check`.
- `statistics`: sizes and vocabulary: the table of `lstmlm data stats`.

The command line takes the last two, `advice` takes `layout`.
"""
