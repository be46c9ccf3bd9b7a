"""The roots that count on this kit: those it was given, and those that its certificates have brought since.

A root that comes with a renewed certificate was vouched for by one that was held (protocol.roots): it is the
same authority, a generation on. What was given stays: what was signed under it may be old.
"""

from collections.abc import Sequence

from cryptography import x509

from device.spool.credentials import Credentials
from protocol import roots


def with_learnt(given: Sequence[x509.Certificate], held: Credentials) -> tuple[x509.Certificate, ...]:
    """`given` and the roots beside the signing certificate in use; else just `given`."""
    try:
        learnt = roots.read(held.present().authorities.read_bytes())
    except (OSError, roots.BadRoots):
        learnt = []
    return tuple(dict.fromkeys((*given, *learnt)))


def for_officers(
    pinned: Sequence[x509.Certificate], given: Sequence[x509.Certificate], held: Credentials
) -> tuple[x509.Certificate, ...]:
    """`pinned` for officers, and what was learnt since, where that is the authority of the kit's own
    certificates (`given`); officers of another authority stay with what was pinned."""
    if pinned and set(given) <= set(pinned):
        return with_learnt(pinned, held)
    return tuple(pinned)
