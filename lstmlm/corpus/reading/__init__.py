"""Files to text, in bounded memory. No tokenizer is known here.

- `compression`: what a file's name says of its compression, and its content without it.
- `text_files`: files, pipes and standard input as blocks of text, lines or a whole; files that change meanwhile.
- `decoding`: bytes to text: encodings that are given or declared, line ends, and a guess at others for the message.
- `recognition`: what a file is, by content and name; what is no text, and how a text is made of it.
- `tables`: rows and cells, quotes, and columns that are known by their names.
- `json_lines`: one object a line, and what is said of a line that holds none.
- `documents`: files and records joined to one text, each with its end.
- `white_space`: what parts words, the same everywhere.
- `splits`: `Text`, which can be read again and again, and the splits of a corpus that is given by its path.
"""
