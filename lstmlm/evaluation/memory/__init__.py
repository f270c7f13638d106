"""What a recurrent model remembers: `lstmlm inspect gates` and `inspect gradients`.

`gates` shows token by token what a layer's gates decide and what its memories hold; `gradients` shows how far back a
prediction reaches. Both return values, which the command line draws.
"""
