"""Programs whose clock says something else (Debian's libfaketime); their monotonic clock stays."""

import os
from collections.abc import Mapping
from pathlib import Path


def clock(says: str) -> Mapping[str, str]:
    """The environment of such a program: `+2d`, or `@1970-01-02 08:00:00`."""
    return os.environ | fake(says)


def fake(says: str) -> Mapping[str, str]:
    """What it has beyond the usual."""
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    return {"LD_PRELOAD": str(library), "FAKETIME": says, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
