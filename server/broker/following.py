"""The fleet follows its authority: a release brings roots, and those that are trusted vouch for them."""

from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from protocol import roots
from server import trust
from server.broker import lists
from server.broker.problem import BrokerProblem


def learn(folder: Path, offered: bytes) -> int:
    """Take over roots into the folder, each of which is vouched for by one that is there; how many were new.

    None goes: what was signed under an old root may wait for months. Programs that run know new ones from
    their next start on. BrokerProblem roots-untrusted, and then nothing is taken over."""
    held = trust.roots(folder)
    try:
        found = roots.accept(held, roots.read(offered))
    except roots.BadRoots as problem:
        remedy = f"{folder} has none that vouches for them ({problem}): is it of your own authority?"
        raise BrokerProblem("roots-untrusted", remedy) from problem
    new = [one for one in found if one not in held]
    for one in new:
        name = f"root-{one.fingerprint(SHA256()).hex()[:16]}.pem"
        lists.replace(folder / name, one.public_bytes(Encoding.PEM))
    return len(new)
