"""Files to text, in bounded memory. No tokenizer is known here.

- `compression`: what a file's name says of its compression, and its content without it.
- `text_files`: bytes to blocks of text or lines: encodings, line ends, standard input, files that change meanwhile.
- `white_space`: what parts words, one definition for all.
- `json_lines`: one object a line, and what is said of a line that holds none.
- `documents`: files and records joined to one text, each with its end.
- `splits`: `Text`, which can be read again and again, and the splits of a corpus that is given by its path.

Others take `white_space`, `text_files` and `splits`, and `json_lines` where they read records of another form.
"""
