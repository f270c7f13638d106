"""Optimizers, learning-rate schedules and averages of weights.

`optimizers`, `schedules` and `averaging` each have a table from options to what they stand for, and a function that
builds it. The training takes all three; they know neither model nor text.
"""
