"""`lstmlm bench`: our kernels beside torch's, on the user's own machine, each checked before it is timed.

`sections` lists what is measured, in order: functions that return a `section` of rows. They are given a `plan`, which
shapes and how many rounds, and a `machine`; they compare with `torch_model`, believe nothing that `correctness` has not
compared, and measure by `timing` and `memory`. The command line takes `sections`, `section`, `plan` and `machine`, and
`restriction`, for what a lesser machine would get.
"""
