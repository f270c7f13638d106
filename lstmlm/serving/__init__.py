"""`lstmlm serve`: models that answer over HTTP, as OpenAI's completions do and as our own questions are asked.

`server` listens and stops, `app` knows the paths, `guard` lets requests in, `requests` checks what they say, `errors`
tells what is wrong with it. `models` are the runs that are served. `engine` is the one thread
that computes, many texts a step; `prompts` cuts a prompt into tokens with their places. `completions`, `questions` and
`sessions` answer. Others take `server`; only it needs what the extra `serve` installs.
"""
