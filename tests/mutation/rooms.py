"""The rooms that are watched, each with the tests that ought to notice a mistake in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """`sources` and `tests`: files or folders, relative to the project."""

    sources: Sequence[str]
    tests: Sequence[str]


AGENT = "tests/device/agent"
# Not those of power cuts and whole disks: they take minutes, and one that is ended leaves its disk mounted.
VAULT = (
    *("database", "log", "gate", "keysource", "lease", "parcels", "recovery", "room", "shelf", "shredding"),
    *("slots", "store", "tries", "ways_cut", "cards", "security_keys", "stored", "roster"),
)
ROOMS: Mapping[str, Room] = {
    "sealed": Room(
        ("protocol/sealed",),
        ("tests/protocol/sealed", "tests/protocol/test_deletion.py", "tests/competent/test_open.py"),
    ),
    "vault": Room(
        ("device/vault",),
        tuple(f"tests/device/vault/test_{name}.py" for name in VAULT),
    ),
    "lifecycle": Room(
        (
            "protocol/lifecycle.py",  # names only: nothing in it can be mistaken but a name
            *(f"device/agent/{name}.py" for name in ("visit", "deciding", "retention", "reckoning")),
        ),
        tuple(
            f"{AGENT}/test_{name}.py"
            for name in ("visit", "visit_possession", "any_visit", "journal", "reckoning", "time_limits")
        ),
    ),
}
