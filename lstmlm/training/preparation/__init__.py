"""What is settled before the first step, in one pass: `prepared` in `preparation` makes one value of it. Begin there.

In the order of that pass: `agreement`, whether the processes have the same configuration and text, and whether options
and corpus suit each other; `origin`, which run goes on and what it starts from; `execution`, how it computes: what
`auto` means on this machine and corpus. `workflows.py` takes `prepared`, and what loads a trained model; nothing else
in `training` imports from here.
"""
