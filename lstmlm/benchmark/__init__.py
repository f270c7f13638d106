"""`lstmlm bench`: our kernels beside torch's, on the user's own machine, each checked before it is timed."""
