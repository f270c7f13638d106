"""The run directory and the checkpoints in it: open formats, verified before they are believed.

- `run_directory`: what is where in a run, and who may write to it. Others begin here.
- `checkpoints`: which there are, and which is the best or the latest that is whole.
- `storage`: one checkpoint, written as a folder that appears at once, and read after its manifest has been compared.
- `tensor_file`: safetensors; tensors are read and written here alone.
- `metrics_file`: metrics.jsonl, the record of a run, one object a line.
- `environment`: the versions and the machine that a run was made with.
- `folders`: the folders below one, in which runs are looked for.
- `shared_run`: the same directory for several processes, of which one writes.
"""
