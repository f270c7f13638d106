"""The training loop, what it remembers, and what watches it.

Before the first step: the folder `preparation` settles which run goes on, what it starts from and how it computes,
`budget` how many steps it has, and `trial` tells what it takes and whether the network learns. Then `trainer`, the
loop: each step's `gradient` comes from windows (with `regularization`, and as a CUDA `graph` where there is a GPU);
`callbacks` run between two steps; `events` tell who watches; `state` is what a resume needs; `interruption` holds
signals back meanwhile. `workflows.py` puts them together; the command line takes `events` and `interruption`.
"""
