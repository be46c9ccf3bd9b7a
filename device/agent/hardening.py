"""What the agent's process does to itself before it holds a key: nothing of its memory goes to a disk.

systemd sets the same from outside (`LimitCORE=0`, no swap in the image); this holds where it does not.
"""

import ctypes
import os
import resource
from dataclasses import dataclass
from pathlib import Path

from device.errors import Code, KitError, Remedy

_PR_SET_DUMPABLE = 4  # prctl(2)
_CURRENT, _FUTURE, _ONFAULT = 1, 2, 4  # mlockall(2): pages are locked once they are used
_CAP_IPC_LOCK = 14  # capabilities(7)


@dataclass(frozen=True)
class Hardened:
    """`locked`: nothing of this process can be swapped out; not every kernel lets us."""

    locked: bool


def harden() -> Hardened:
    """No core dumps, no debugger of the same user, and no swap where that is permitted.

    KitError bad-config when the kernel refuses what every Linux grants."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"prctl: {os.strerror(ctypes.get_errno())}")
    # Under a finite limit and without the capability, a lock on the future would make memory run out later.
    permitted = _may_lock() and libc.mlockall(_CURRENT | _FUTURE | _ONFAULT) == 0
    return Hardened(locked=permitted)


def _may_lock() -> bool:
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        return True
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_IPC_LOCK & 1)
    return False
