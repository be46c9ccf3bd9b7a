"""Passwords of local accounts: Argon2id (RFC 9106) in PHC strings, at most two computed at once.

Parameters are the first choice of the OWASP password storage cheat sheet; the limit keeps a flood of sign-ins
from taking 46 MiB a thread.
"""

import os
import threading

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

SHORTEST = 15  # ASVS 5.0, 6.2: a password that is the only factor
LONGEST = 128
_MEMORY_KIB, _PASSES, _LANES = 47_104, 1, 1
_at_once = threading.BoundedSemaphore(2)


class BadPassword(ValueError):
    """Too short, too long, or made of one repeated character."""


def seal(password: str) -> str:
    """The PHC string to store. BadPassword when it is no password to accept."""
    if not SHORTEST <= len(password) <= LONGEST or len(set(password)) < 5:
        raise BadPassword(f"a password has {SHORTEST} to {LONGEST} characters, at least five different ones")
    kdf = Argon2id(salt=os.urandom(16), length=32, iterations=_PASSES, lanes=_LANES, memory_cost=_MEMORY_KIB)
    with _at_once:
        return kdf.derive_phc_encoded(password.encode())


def fits(password: str, stored: str) -> bool:
    """Whether `password` is the one behind the PHC string `stored`."""
    if len(password) > LONGEST:
        return False
    try:
        with _at_once:
            Argon2id.verify_phc_encoded(password.encode(), stored)
    except InvalidKey:
        return False
    return True
