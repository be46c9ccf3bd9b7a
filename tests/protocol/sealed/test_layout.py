"""A packet laid out before it is sealed: filled in, checked by its reader's rules, and used once."""

import os
from dataclasses import dataclass

import pytest
from cryptography.exceptions import AlreadyFinalized

from protocol.sealed import age
from protocol.sealed.manifest import GROUPS
from protocol.sealed.packet import BadPacket, Fault, Keys, Layout, contents_of, open_packet
from tests.protocol.certificates import NOW
from tests.protocol.sealed.application import PARTS, build_world
from tests.protocol.sealed.test_writing import Memory

WORLD = build_world()
CREATED, UNTIL = "2026-11-23T09:31:02Z", "2027-02-20"


@dataclass
class Lying:
    """A part whose bytes lie elsewhere, and come later."""

    name: str
    type: str
    data: memoryview
    sha256: str


def laid(content=PARTS, keys=None, by="sha256", **changes):
    core = WORLD.core(content, **({"contents": contents_of(content)} | changes))
    return Layout(content, core, WORLD.recipients, WORLD.kit_signer, WORLD.officer_signer, keys, by)


def opened(sink):
    return open_packet(bytes(sink.data), WORLD.identities[1:], WORLD.roots, WORLD.roots, NOW)


@pytest.mark.parametrize("by", ["sha256", "sha512"])
@pytest.mark.parametrize("size", [0, 5, age.CHUNK - 700, 3 * age.CHUNK + 5])
def test_what_comes_after_it_was_laid_out_is_in_the_packet(size, by):
    memory = memoryview(bytearray(size + 20))
    captures = [
        Lying("photo.jpg", "image/jpeg", memory[:size], "a" * 64),
        Lying("signature.png", "image/png", memory[size:], "b" * 64),
    ]
    laying, sink = laid((PARTS[0], *captures), Keys("age1pq", WORLD.recipients, GROUPS), by), Memory()
    memory[:] = os.urandom(len(memory))
    written = laying.write(sink, CREATED, UNTIL)
    with pytest.raises(BadPacket, match="not the one described"):
        opened(sink)  # the digests were not of these bytes: all else was right
    assert written.size == len(sink.data) == laying.size


def test_the_moment_is_the_one_at_which_it_is_written():
    sink = Memory()
    laying = laid()
    written = laying.write(sink, CREATED, UNTIL)
    written.complete()
    found = opened(sink)
    described = found.outer.manifest
    assert (described.created_utc, described.legal.retention_until) == (CREATED, UNTIL)
    assert found.parts == PARTS
    assert found.outer.manifest_sha256 == written.manifest_sha256
    assert written.packet == (described.packet_id, described.visit_id, described.seq, described.prev)
    assert described.packet_id in repr(written)
    with pytest.raises(AlreadyFinalized):
        laying.write(Memory(), CREATED, UNTIL)


@pytest.mark.parametrize(
    ("created", "until"),
    [
        ("2026-13-23T09:31:02Z", UNTIL),
        ("2026-11-23 09:31:02Z", UNTIL),
        (CREATED, "2027-2-020"),
    ],
)
def test_what_is_filled_in_is_held_against_the_readers_rules(created, until):
    sink = Memory()
    written = laid().write(sink, created, until)
    with pytest.raises(BadPacket) as refused:
        written.complete()
    assert refused.value.code == Fault.MANIFEST_MALFORMED
    assert "finish" not in sink.calls


@pytest.mark.parametrize("place", range(9))
def test_what_was_not_filled_in_must_be_as_it_was_let_through(place):
    laying, sink = laid(), Memory()
    front = laying._front
    ends = [0, *(each.stop for each in front.places), len(front.text) - 1]
    front.text[ends[place % len(ends)]] ^= 1
    written = laying.write(sink, CREATED, UNTIL)
    with pytest.raises(BadPacket) as refused:
        written.complete()
    assert refused.value.code == Fault.MANIFEST_MALFORMED
    assert "finish" not in sink.calls


@pytest.mark.parametrize(("place", "value"), [(2, b"G" * 64), (-2, b"=" * 86), (-1, b"A" * 85 + b"\n")])
def test_digests_and_signatures_are_held_against_their_rules(place, value):
    laying = laid()
    first = bytearray(laying._front.text)
    for at, filled in ((0, CREATED.encode()), (1, UNTIL.encode())):
        first[laying._front.places[at]] = filled
    laying._check(bytes(first))
    first[laying._front.places[place]] = value
    with pytest.raises(BadPacket):
        laying._check(bytes(first))


def test_a_moment_that_is_spelled_longer_is_not_taken():
    laying = laid()
    assert laying.takes(CREATED)
    assert not laying.takes("2026-11-23T09:31:02.250Z")
    for moment in (("2026-11-23T09:31:02.250Z", UNTIL), (CREATED, "27-02-20")):
        with pytest.raises(ValueError, match="longer or shorter"):
            laying.write(Memory(), *moment)


def test_it_knows_who_signs_it():
    kit, officer = WORLD.kit_signer, WORLD.officer_signer
    laying = Layout(PARTS, WORLD.core(), WORLD.recipients, kit, officer)
    assert laying.is_signed_by(kit, officer)
    assert not laying.is_signed_by(WORLD.kit_signer, officer)
    assert not laying.is_signed_by(kit, WORLD.officer_signer)


def test_what_its_reader_would_refuse_is_not_laid_out():
    with pytest.raises(BadPacket) as refused:
        laid(visit_id="no id")
    assert refused.value.code == Fault.MANIFEST_MALFORMED
    for changes in ({"suite": "cms-p256-gcm"}, {"contents": contents_of(PARTS[:1])}, {"recipients": ()}):
        with pytest.raises(ValueError):
            laid(**changes)
