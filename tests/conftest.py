"""What holds for every test: ids that are the same in every process, so that several can share the work."""

import pytest

LONGEST = 30


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Long texts and bytes are named by their argument: many hold keys that differ from run to run."""
    return argname if isinstance(val, str | bytes) and len(val) > LONGEST else None
