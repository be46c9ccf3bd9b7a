"""A packet after one group was shredded alone: the rest verifies and opens, of the group nothing is left."""

import io

import pytest

from protocol.sealed import age, manifest
from protocol.sealed.outer import check_payload, read_payload
from protocol.sealed.packet import BadPacket, Fault, open_packet, read_outer, without
from tests.protocol.certificates import NOW
from tests.protocol.sealed.application import PARTS, build_world

WORLD = build_world()
SEALED = WORLD.packet()


@pytest.mark.parametrize("group", ["identity", "biometric"])
def test_a_group_can_be_shredded_and_the_rest_still_verifies_and_opens(group):
    left = without(SEALED.data, [group])
    with pytest.raises(BadPacket) as refusal:
        open_packet(left, WORLD.identities, WORLD.roots, WORLD.roots, NOW)
    assert refusal.value.code == Fault.GROUP_MISSING
    with pytest.raises(BadPacket, match="group-missing"):
        check_payload(read_outer(stream := io.BytesIO(left)), stream)
    result = open_packet(left, WORLD.identities, WORLD.roots, WORLD.roots, NOW, missing_ok=True)
    assert result.parts == tuple(part for part in PARTS if manifest.group_of(part.name) != group)
    assert result.shredded == (group,)
    assert result.outer.manifest_sha256 == SEALED.manifest_sha256


def test_nothing_of_a_shredded_group_is_left_in_the_packet():
    file = read_payload(read_outer(SEALED.data), SEALED.data)["biometric"]
    left = without(SEALED.data, ["biometric"])
    assert len(left) == len(SEALED.data) - len(file)
    shares = [stanza.body for stanza in age.read_header(file).stanzas if stanza.kind == age.KIND]
    assert all(age.encode64(share).encode() in SEALED.data for share in shares)
    assert all(age.encode64(share).encode() not in left for share in shares)
    assert file[-100:] not in left
    assert without(left, ["biometric"]) == left
    assert without(left, []) == left


def test_only_a_whole_group_can_be_missing():
    left = bytearray(without(SEALED.data, ["biometric"]))
    with pytest.raises(BadPacket, match="payload-digest"):
        read_payload(read_outer(bytes(left)), bytes(left[:-4]) + (1).to_bytes(4) + b"x", missing_ok=True)
    with pytest.raises(BadPacket, match="trailing-bytes"):
        read_payload(read_outer(bytes(left)), bytes(left) + b"x", missing_ok=True)
