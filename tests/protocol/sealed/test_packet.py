import hashlib
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from protocol import canonical, signed
from protocol.identity import Role, serial_of, subject
from protocol.sealed import age, manifest
from protocol.sealed.archive import write_archive
from protocol.sealed.manifest import Manifest, Payload, encode
from protocol.sealed.outer import (
    LARGEST,
    MAGIC,
    Outer,
    Signatures,
    check_payload,
    check_signatures,
    read_payload,
    write_outer,
)
from protocol.sealed.packet import (
    STANZA,
    BadPacket,
    Fault,
    Part,
    Signer,
    contents_of,
    kids_of,
    open_packet,
    read_outer,
    seal,
)
from tests.protocol.certificates import NOW, authority, issue, key_usage, leaf
from tests.protocol.sealed.application import PARTS, build_world

WORLD = build_world()
SEALED = WORLD.packet()


def refused(data, world=WORLD, at=NOW):
    with pytest.raises(BadPacket) as refusal:
        open_packet(data, world.identities, world.roots, world.roots, at)
    return refusal.value.code


def opened(data, at=NOW):
    return open_packet(data, WORLD.identities, WORLD.roots, WORLD.roots, at)


# --- the ordinary path ------------------------------------------------------------------------------------


def test_a_sealed_application_is_opened_with_each_key_of_its_service():
    for identity in WORLD.identities:
        result = open_packet(SEALED.data, [identity], WORLD.roots, WORLD.roots, NOW)
        assert result.parts == PARTS
        assert result.outer.manifest == SEALED.manifest
        assert result.outer.manifest_sha256 == SEALED.manifest_sha256


def test_nothing_of_the_application_can_be_read_from_outside():
    assert b"Peeters" not in SEALED.data.replace(b"an.peeters", b"")
    assert b"Peeters" not in repr(PARTS).encode()


def test_the_fleet_checks_a_packet_from_a_stream_without_any_key():
    stream = io.BytesIO(SEALED.data)
    outer = read_outer(stream)
    assert stream.tell() == outer.payload_offset
    check_signatures(outer, WORLD.roots, WORLD.roots, NOW)
    check_payload(outer, stream)
    assert read_payload(outer, SEALED.data) == SEALED.data[outer.payload_offset :]


def test_packets_of_a_kit_are_chained():
    second = WORLD.packet(seq=2, prev=SEALED.manifest_sha256)
    assert (
        opened(second.data).outer.manifest.prev
        == hashlib.sha256(read_outer(SEALED.data).manifest_bytes).hexdigest()
    )


# --- sealing refuses what opening would -------------------------------------------------------------------


def test_a_core_that_describes_something_else_is_a_mistake_of_the_caller():
    kit, officer = WORLD.kit_signer, WORLD.officer_signer
    with pytest.raises(ValueError, match="describes"):
        seal(PARTS[:1], WORLD.core(), WORLD.recipients, kit, officer)
    with pytest.raises(ValueError, match="describes"):
        seal(PARTS, WORLD.core(), WORLD.recipients[:1], kit, officer)


def test_a_core_that_breaks_a_rule_is_not_sealed():
    for changes in ({"seq": 2}, {"suite": "age1"}, {"tenant": "x"}, {"created_utc": "now"}):
        with pytest.raises(BadPacket):
            WORLD.packet(**changes)


# --- the container ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", Fault.NOT_A_PACKET),
        (b"PK\x03\x04", Fault.NOT_A_PACKET),
        (MAGIC.replace(b"1", b"2") + SEALED.data[len(MAGIC) :], Fault.NOT_A_PACKET),
        (MAGIC[:5], Fault.TRUNCATED),
        (MAGIC, Fault.TRUNCATED),
        (MAGIC + b"\0\0\0", Fault.TRUNCATED),
        (MAGIC + b"\0\0\0\x05abc", Fault.TRUNCATED),
        (MAGIC + b"\0\1\0\1", Fault.TOO_LARGE),
        (MAGIC + b"\xff\xff\xff\xff", Fault.TOO_LARGE),
        (MAGIC + b"\0\0\0\0", Fault.MANIFEST_NOT_CANONICAL),
        (SEALED.data + b"\0", Fault.TRAILING_BYTES),
        (SEALED.data[:-1], Fault.TRUNCATED),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_container_of_another_shape_is_refused(data, code):
    assert refused(data) == code


def test_every_cut_is_truncated():
    outer = read_outer(SEALED.data)
    for end in [*range(1, outer.payload_offset, 7), *range(outer.payload_offset, len(SEALED.data), 501)]:
        assert refused(SEALED.data[:end]) == Fault.TRUNCATED


@pytest.mark.filterwarnings("ignore::UserWarning")  # what a changed certificate makes cryptography say
def test_a_flipped_bit_anywhere_is_refused_before_any_key_is_used():
    small = WORLD.packet((Part("application.json", "application/json", b"{}"),)).data
    start = read_outer(small).payload_offset
    no_keys = replace(WORLD, identities=())
    codes = set()
    # a look at a chain costs milliseconds: all of the container's bytes, a part of what is signed
    for at in [*range(len(MAGIC) + 4), *range(len(MAGIC) + 4, start, 5), *range(start, len(small), 97)]:
        changed = bytearray(small)
        changed[at] ^= 1 << at % 8
        codes.add(refused(bytes(changed), no_keys))
    for at in range(start, len(small)):
        changed = bytearray(small)
        changed[at] ^= 1 << at % 8
        with pytest.raises(BadPacket, match="payload-digest"):
            read_payload(read_outer(small), bytes(changed))
    assert Fault.WRONG_RECIPIENT not in codes
    assert codes >= {Fault.PAYLOAD_DIGEST, Fault.KIT_SIGNATURE, Fault.OFFICER_SIGNATURE, Fault.NOT_A_PACKET}


def test_a_packet_beyond_its_bound_is_refused_unread():
    outer = read_outer(SEALED.data)
    huge = msgspec.structs.replace(outer.manifest, payload=Payload(sha512="0" * 128, size=LARGEST))
    assert refused(write_outer(encode(huge), outer.signatures)) == Fault.TOO_LARGE


@pytest.mark.parametrize(
    "value", [{}, [], {"kit": "a"}, {"kit": "a", "officer": "b", "third": "c"}, {"kit": 1, "officer": 2}]
)
def test_signatures_of_another_shape_are_refused(value):
    data = encode(SEALED.manifest)
    raw = canonical.dumps(value)
    packet = MAGIC + len(data).to_bytes(4) + data + len(raw).to_bytes(4) + raw
    assert refused(packet) == Fault.SIGNATURES_MALFORMED
    spaced = raw + b" "
    packet = MAGIC + len(data).to_bytes(4) + data + len(spaced).to_bytes(4) + spaced
    assert refused(packet) == Fault.SIGNATURES_MALFORMED


# --- who signed, and when ---------------------------------------------------------------------------------


def with_signatures(kit=None, officer=None, sealed=SEALED):
    outer = read_outer(sealed.data)
    by = Signatures(kit or outer.signatures.kit, officer or outer.signatures.officer)
    return write_outer(outer.manifest_bytes, by) + sealed.data[outer.payload_offset :]


def sign(kind, data, holder, *chain):
    certificates = [holder.certificate, *(one.certificate for one in chain)]
    return signed.sign_detached(kind, data, holder.key, signed.key_id(holder.key.public_key()), certificates)


DATA = read_outer(SEALED.data).manifest_bytes


def test_the_signatures_cannot_stand_in_for_each_other():
    by = read_outer(SEALED.data).signatures
    assert refused(with_signatures(kit=by.officer)) == Fault.KIT_SIGNATURE
    assert refused(with_signatures(officer=by.kit)) == Fault.OFFICER_SIGNATURE
    as_officer = sign("manifest-officer", DATA, WORLD.kit, WORLD.kit_ca)
    assert refused(with_signatures(officer=as_officer)) == Fault.UNKNOWN_ROLE


def test_a_signature_of_another_manifest_is_refused():
    other = read_outer(WORLD.packet().data).signatures
    assert refused(with_signatures(kit=other.kit)) == Fault.KIT_SIGNATURE
    assert refused(with_signatures(officer=other.officer)) == Fault.OFFICER_SIGNATURE


def test_a_signer_the_manifest_does_not_name_is_refused():
    other_kit = leaf(Role.KIT_SIGN, "kit-gent-01", WORLD.kit_ca)
    renewed = leaf(Role.KIT_SIGN, "kit-brugge-01", WORLD.kit_ca)
    other_officer = leaf(Role.OFFICER, "jan.claes", WORLD.officer_ca)
    for kit in (other_kit, renewed):
        assert refused(with_signatures(kit=sign("manifest", DATA, kit, WORLD.kit_ca))) == Fault.WRONG_SIGNER
    by = sign("manifest-officer", DATA, other_officer, WORLD.officer_ca)
    assert refused(with_signatures(officer=by)) == Fault.WRONG_SIGNER


def test_a_stranger_with_the_right_name_is_untrusted():
    root = authority("Thuisloket test root")
    kit = leaf(Role.KIT_SIGN, "kit-brugge-01", root)
    assert refused(with_signatures(kit=sign("manifest", DATA, kit))) == Fault.CERTIFICATE_UNTRUSTED


def test_a_certificate_without_a_known_role_or_use_is_refused():
    unused = issue(subject(Role.KIT_SIGN, "kit-brugge-01"), WORLD.kit_ca, [])
    assert (
        refused(with_signatures(kit=sign("manifest", DATA, unused, WORLD.kit_ca))) == Fault.CERTIFICATE_USAGE
    )
    name = subject(Role.KIT_SIGN, "kit-brugge-01")
    attributes = [next(iter(rdn)) for rdn in name.rdns]
    odd = x509.Name([attributes[0], x509.NameAttribute(attributes[1].oid, "mayor"), attributes[2]])
    mayor = issue(odd, WORLD.kit_ca, [(key_usage(digital_signature=True), True)])
    assert refused(with_signatures(kit=sign("manifest", DATA, mayor, WORLD.kit_ca))) == Fault.UNKNOWN_ROLE


def test_a_certificate_must_have_been_valid_when_the_packet_was_made():
    created = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    expired = leaf(Role.KIT_SIGN, "kit-brugge-01", WORLD.kit_ca, end=created - timedelta(seconds=1))
    world = replace(WORLD, kit=expired)
    assert refused(world.packet().data) == Fault.CERTIFICATE_EXPIRED
    just = leaf(Role.KIT_SIGN, "kit-brugge-01", WORLD.kit_ca, end=created)
    late = replace(WORLD, kit=just).packet().data
    assert opened(late, created + timedelta(days=60)).parts == PARTS


def test_a_packet_is_neither_from_the_future_nor_older_than_the_law_allows():
    created = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    assert opened(SEALED.data, created - timedelta(days=1)).parts == PARTS
    assert refused(SEALED.data, at=created - timedelta(days=1, seconds=1)) == Fault.FROM_THE_FUTURE
    assert opened(SEALED.data, created + timedelta(days=90)).parts == PARTS
    assert refused(SEALED.data, at=created + timedelta(days=90, seconds=1)) == Fault.TOO_OLD


# --- the sealed part: what a kit that lies could still try ------------------------------------------------


def resealed(payload, core=None):
    """A packet rightly signed around any payload."""
    core = core or WORLD.core()
    whole = Manifest(
        **{name: getattr(core, name) for name in core.__struct_fields__},
        payload=Payload(sha512=hashlib.sha512(payload).hexdigest(), size=len(payload)),
    )
    data = encode(whole)
    kit = sign("manifest", data, WORLD.kit, WORLD.kit_ca)
    officer = sign("manifest-officer", data, WORLD.officer, WORLD.officer_ca)
    return write_outer(data, Signatures(kit, officer)) + payload


def age_file(core, members, *, stanza=None, recipients=WORLD.recipients, archive=None):
    archive = write_archive(members) if archive is None else archive
    digest = hashlib.sha256(encode(core)).digest()
    stanzas = [age.Stanza(STANZA, ("v1",), digest)] if stanza is None else stanza
    return age.encrypt(archive, [recipient.age1pq for recipient in recipients], stanzas)


CORE = WORLD.core()
MEMBERS = [(manifest.CORE_NAME, encode(CORE)), *((part.name, part.data) for part in PARTS)]
STRANGERS = build_world().recipients


def test_the_lying_kit_of_these_tests_can_also_tell_the_truth():
    assert opened(resealed(age_file(CORE, MEMBERS), CORE)).parts == PARTS


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", Fault.TRUNCATED),
        (b"not an age file\n", Fault.AGE_HEADER),
        (age_file(CORE, MEMBERS, stanza=[]), Fault.STANZA_MISMATCH),
        (age_file(WORLD.core(seq=1), MEMBERS), Fault.STANZA_MISMATCH),
        (
            age_file(
                CORE, MEMBERS, stanza=[age.Stanza(STANZA, ("v2",), hashlib.sha256(encode(CORE)).digest())]
            ),
            Fault.STANZA_MISMATCH,
        ),
        (
            age_file(
                CORE, MEMBERS, stanza=[age.Stanza(STANZA, ("v1",), hashlib.sha256(encode(CORE)).digest())] * 2
            ),
            Fault.STANZA_MISMATCH,
        ),
        (age_file(CORE, MEMBERS, recipients=WORLD.recipients[:1]), Fault.RECIPIENTS_MISMATCH),
        (age_file(CORE, MEMBERS, recipients=[*WORLD.recipients, *STRANGERS]), Fault.RECIPIENTS_MISMATCH),
        (age_file(CORE, MEMBERS, recipients=STRANGERS), Fault.WRONG_RECIPIENT),
        (age_file(CORE, MEMBERS)[:-1], Fault.PAYLOAD_CORRUPT),
        (age_file(CORE, MEMBERS, archive=b"not a tar"), Fault.ARCHIVE_MALFORMED),
        (age_file(CORE, []), Fault.CORE_MISMATCH),
        (age_file(CORE, MEMBERS[1:]), Fault.CORE_MISMATCH),
        (age_file(CORE, [(manifest.CORE_NAME, encode(WORLD.core())), *MEMBERS[1:]]), Fault.CORE_MISMATCH),
        (age_file(CORE, [("core.json", encode(CORE)), *MEMBERS[1:]]), Fault.CORE_MISMATCH),
        (age_file(CORE, MEMBERS[:-1]), Fault.CONTENT_MISMATCH),
        (age_file(CORE, [*MEMBERS, ("extra.json", b"")]), Fault.CONTENT_MISMATCH),
        (age_file(CORE, [*MEMBERS[:-1], ("finger-right-index.png", b"x")]), Fault.CONTENT_MISMATCH),
        (age_file(CORE, [*MEMBERS[:-1], ("finger-left-index.png", b"")]), Fault.CONTENT_MISMATCH),
        (age_file(CORE, [MEMBERS[0], MEMBERS[2], MEMBERS[1], MEMBERS[3]]), Fault.CONTENT_MISMATCH),
    ],
    ids=range(20),
)
def test_a_payload_that_is_not_what_the_manifest_says_is_refused(payload, code):
    assert refused(resealed(payload, CORE)) == code


def test_another_manifest_around_the_same_payload_is_refused_even_when_the_stanza_is_changed_too():
    mine = WORLD.core(tenant="0400000000")
    theirs = SEALED.data[read_outer(SEALED.data).payload_offset :]
    assert refused(resealed(theirs, mine)) == Fault.STANZA_MISMATCH
    old = age.encode64(hashlib.sha256(manifest.core_of(SEALED.manifest)).digest()).encode()
    new = age.encode64(hashlib.sha256(encode(mine)).digest()).encode()
    assert old in theirs
    assert refused(resealed(theirs.replace(old, new), mine)) == Fault.HEADER_MAC


def test_every_code_of_a_bad_packet_is_one_we_have_seen():
    """The list of faults is the contract of thuisloket-open; each is provoked somewhere."""
    here = Path(__file__)
    text = here.read_text() + here.with_name("test_manifest.py").read_text()
    assert [fault.name for fault in Fault if f"Fault.{fault.name}" not in text] == []


def test_who_signs_brings_key_and_chain_of_one_holder():
    with pytest.raises(ValueError, match="chain"):
        seal(
            PARTS,
            WORLD.core(),
            WORLD.recipients,
            Signer(WORLD.kit.key, WORLD.officer_signer.chain),
            WORLD.officer_signer,
        )


def test_helpers_describe_parts_and_recipients():
    assert contents_of(PARTS)[2].sha256 == hashlib.sha256(b"").hexdigest()
    assert [one.kid for one in kids_of(WORLD.recipients)] == ["key-0", "key-1"]
    assert serial_of(WORLD.kit.certificate) == SEALED.manifest.kit_cert_serial
    assert isinstance(read_outer(SEALED.data), Outer)
