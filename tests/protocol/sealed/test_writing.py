"""A packet written piece by piece, with keys wrapped before there was anything to seal."""

from dataclasses import dataclass, field

import msgspec
import pytest

from protocol.sealed import age, packet
from protocol.sealed.manifest import GROUPS
from protocol.sealed.packet import BadPacket, Fault, Keys, Part, contents_of, open_packet, without
from tests.protocol.certificates import NOW
from tests.protocol.sealed.application import PARTS, build_world

WORLD = build_world()


@dataclass
class Memory:
    """A sink that notes in which order it was asked for what."""

    calls: list[str] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)
    settled: list[tuple[int, bytes]] = field(default_factory=list)

    def space(self, size: int) -> memoryview:
        self.calls.append(f"space {size}")
        self.data = bytearray(b"?" * size)
        return memoryview(self.data)

    def ready(self, start: int, end: int) -> None:
        self.calls.append(f"ready {start} {end}")
        assert start < end <= len(self.data)
        self.settled.append((start, bytes(self.data[start:end])))

    def begin(self, front: bytes) -> None:
        self.calls.append("begin")
        self.data[: len(front)] = front

    def finish(self) -> None:
        self.calls.append("finish")


def write(sink, content=PARTS, keys=None, recipients=WORLD.recipients, by="sha256", **changes):
    core = WORLD.core(content, **({"contents": contents_of(content)} | changes))
    signers = WORLD.kit_signer, WORLD.officer_signer
    written = packet.write(sink, content, core, recipients, *signers, keys, by)
    assert "finish" not in sink.calls, "it does not count yet"
    written.complete()
    return written


@pytest.mark.parametrize("by", ["sha256", "sha512"])
@pytest.mark.parametrize("size", [0, 1, age.CHUNK - 1, age.CHUNK, age.CHUNK + 1, 5 * age.CHUNK])
def test_what_is_written_in_its_place_is_the_packet_whichever_digest_it_has(size, by):
    sink, content = Memory(), (Part("photo.jpg", "image/jpeg", b"p" * size), *PARTS[2:])
    written = write(sink, content, by=by)
    data = bytes(sink.data)
    assert [sink.calls[0], sink.calls[-1]] == [f"space {written.size}", "finish"]
    offset = packet.read_outer(data).payload_offset
    assert [at for at, _ in sink.settled] == sorted(at for at, _ in sink.settled)
    assert sink.settled[0][0] == offset, "all behind the front is told"
    assert data[offset:] == b"".join(told for _, told in sink.settled), "and has not changed since"
    payload = msgspec.to_builtins(packet.read_outer(data).manifest.payload)
    assert {name for one in payload for name in one} == {"group", "size", by}
    opened = open_packet(data, WORLD.identities[:1], WORLD.roots, WORLD.roots, NOW)
    assert opened.parts == content
    assert opened.outer.manifest_sha256 == written.manifest_sha256


def test_a_manifest_that_its_reader_would_refuse_is_not_finished():
    sink = Memory()
    with pytest.raises(BadPacket) as refused:
        write(sink, packet_id="no id")
    assert refused.value.code == Fault.MANIFEST_MALFORMED
    assert "finish" not in sink.calls
    with pytest.raises(ValueError, match="other parts"):
        write(sink, PARTS, contents=contents_of(PARTS[:1]))


def test_a_key_made_ahead_opens_like_any_other_and_serves_one_file():
    keys = Keys("age1pq", WORLD.recipients, GROUPS)
    ahead = keys.take("identity", WORLD.recipients)
    assert keys.take("identity", WORLD.recipients).file_key != ahead.file_key
    first, second = Memory(), Memory()
    write(first, keys=keys)
    write(second, keys=keys)
    stanzas = []
    for sink in (first, second):
        data = bytes(sink.data)
        for identity in WORLD.identities:
            assert open_packet(data, [identity], WORLD.roots, WORLD.roots, NOW).parts == PARTS
        left = without(data, ["identity"])
        assert open_packet(left, WORLD.identities, WORLD.roots, WORLD.roots, NOW, missing_ok=True)
        outer = packet.read_outer(data)
        for file in packet.read_payload(outer, data).values():
            stanzas += [one.arguments for one in age.read_header(file).stanzas if one.kind == age.KIND]
    assert len(set(stanzas)) == len(stanzas) == 8, "two packets of two groups for two recipients"


def test_a_key_made_for_others_is_refused():
    keys = Keys("age1pq", WORLD.recipients[:1], GROUPS)
    assert not keys.fit("age1pq", WORLD.recipients)
    assert not keys.fit("cms-p256-gcm", WORLD.recipients[:1])
    assert keys.fit("age1pq", list(WORLD.recipients[:1]))
    with pytest.raises(ValueError, match="others"):
        write(Memory(), keys=keys)


def test_keys_that_print_do_not_print_themselves():
    wrapped = age.wrap([WORLD.recipients[0].age1pq])
    assert wrapped.file_key.hex() not in repr(wrapped)
    assert repr(wrapped) == "Wrapped()"
