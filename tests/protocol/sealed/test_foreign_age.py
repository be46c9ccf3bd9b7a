"""Our age files against an implementation we did not write (npm age-encryption), in both directions."""

from pathlib import Path

import pytest

from protocol.sealed import age
from protocol.sealed.archive import read_archive
from protocol.sealed.outer import read_outer, read_payload
from tests.node.installed import run
from tests.protocol.sealed.application import PARTS, build_world

WORLD = build_world()
SEALED = WORLD.packet()
PAYLOAD = read_payload(read_outer(SEALED.data), SEALED.data)["biometric"]


def foreign_open(identity: str, data: bytes, folder: Path):
    file = folder / "sealed.age"
    file.write_bytes(data)
    return run("age.mjs", "open", identity, str(file))


@pytest.mark.parametrize("which", [0, 1])
def test_another_implementation_opens_what_we_sealed(which, tmp_path):
    done = foreign_open(WORLD.identities[which], PAYLOAD, tmp_path)
    assert done.returncode == 0, done.stderr
    assert read_archive(done.stdout)[1:] == [(part.name, part.data) for part in PARTS[1:]]


@pytest.mark.parametrize("place", ["stanza", "manifest", "mac", "nonce", "body", "end"])
def test_another_implementation_refuses_it_after_one_flipped_bit(place, tmp_path):
    size = age.read_header(PAYLOAD).size
    at = {
        "stanza": PAYLOAD.index(b"-> mlkem") + 200,
        "manifest": PAYLOAD.index(b"thuisloket.be/manifest") + 3,
        "mac": size - 20,
        "nonce": size + 3,
        "body": size + 100,
        "end": len(PAYLOAD) - 1,
    }[place]
    changed = bytearray(PAYLOAD)
    changed[at] ^= 1
    done = foreign_open(WORLD.identities[0], bytes(changed), tmp_path)
    assert done.returncode != 0
    assert done.stdout == b""
    with pytest.raises(age.BadAge):
        age.decrypt(bytes(changed), WORLD.identities)


def test_we_open_what_another_implementation_sealed_for_its_own_key(tmp_path):
    identity, recipient = run("age.mjs", "generate").stdout.decode().split()
    assert age.recipient_of(identity) == recipient
    plain = tmp_path / "plain"
    plain.write_bytes(bytes(range(256)) * 600)
    sealed = run("age.mjs", "seal", recipient, str(plain))
    assert sealed.returncode == 0, sealed.stderr
    assert age.decrypt(sealed.stdout, [identity]) == plain.read_bytes()
