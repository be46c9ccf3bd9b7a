"""Which of the two digests of a sealed file (docs/protocol.md 3) this processor works out sooner.

With instructions for SHA-256 (Raspberry Pi 5, PC) that one, by three or four times; without (Raspberry Pi 4),
SHA-512, whose words are twice as wide. Either says as much; so it is tried, once.
"""

import hashlib
import time
from functools import cache

from protocol.sealed.manifest import Hash

_SAMPLE = bytes(256 * 1024)
_TRIES = 3  # the least of them counts: what else the kit does makes a try slower, never faster


@cache
def quicker() -> Hash:
    took: dict[Hash, int] = {"sha256": _took("sha256"), "sha512": _took("sha512")}
    return min(took, key=took.__getitem__)


def _took(name: Hash) -> int:
    """Nanoseconds for the sample."""
    tries = []
    for _ in range(_TRIES):
        began = time.perf_counter_ns()
        hashlib.new(name, _SAMPLE)
        tries.append(time.perf_counter_ns() - began)
    return min(tries)
