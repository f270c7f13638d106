"""The lowest version that pyproject.toml admits of every dependency, as constraints for pip.

`python tests/lowest.py` writes all of them; a name after it, such as `torch`, is left out.
"""

import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def floors() -> dict[str, str]:
    """Return what is installed with lstmlm, extras included, and its lowest version; without one it is not here."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    requirements = sum(project["optional-dependencies"].values(), project["dependencies"])
    admitted = (re.match(r"([\w.-]+)>=([\d.]+)", requirement) for requirement in requirements)
    return {match[1]: match[2] for match in admitted if match}


if __name__ == "__main__":
    kept = (item for item in floors().items() if item[0] not in sys.argv[1:])
    sys.stdout.writelines(f"{name}=={version}\n" for name, version in kept)
