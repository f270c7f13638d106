"""Next-word language models with recurrent networks. Importing the package alone loads no torch."""

__version__: str


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("lstmlm")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
