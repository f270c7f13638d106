"""The reference in docs/reference/ is that of the code as it stands today."""

import pytest
from reference import FOLDER, pages


@pytest.mark.parametrize("name", ["commands.md", "configuration.md", "exit-statuses.md", "events.md"])
def test_a_page_is_of_today(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == pages()[FOLDER / name], "Run `python tests/reference.py`."
