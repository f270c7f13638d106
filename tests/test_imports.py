"""What is imported when: configuration, messages and `--help` must come without torch, which takes seconds to load."""

import subprocess
import sys

import pytest


def loaded_modules(module: str) -> set[str]:
    """Import a module in a fresh interpreter and return everything that is loaded then."""
    program = f"import sys, {module}; print('\\n'.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


@pytest.mark.parametrize(
    "module", ["lstmlm", "lstmlm.config", "lstmlm.schema", "lstmlm.files", "lstmlm.errors", "lstmlm.cli"]
)
def test_imports_no_torch(module: str) -> None:
    modules = loaded_modules(module)
    assert module in modules
    assert "torch" not in modules


def test_a_module_that_needs_torch_would_be_noticed() -> None:
    assert "torch" in loaded_modules("lstmlm.workflows")


def test_version_is_that_of_the_installed_package() -> None:
    from importlib.metadata import version

    import lstmlm

    assert lstmlm.__version__ == version("lstmlm")


def test_an_unknown_name_is_an_attribute_error() -> None:
    import lstmlm

    with pytest.raises(AttributeError, match="module 'lstmlm' has no attribute 'trane'"):
        lstmlm.trane  # noqa: B018
