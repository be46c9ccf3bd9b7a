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
from protocol.sealed.manifest import Core, Payload, encode
from protocol.sealed.outer import (
    LARGEST,
    MAGIC,
    Outer,
    Signatures,
    check_payload,
    check_signatures,
    read_payload,
    write_outer,
    write_payload,
)
from protocol.sealed.packet import (
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
from protocol.sealed.suites import STANZA
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
    files = read_payload(outer, SEALED.data)
    assert list(files) == ["identity", "biometric"]
    assert b"".join(write_payload(list(files.values()))) == SEALED.data[outer.payload_offset :]


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
    huge = msgspec.structs.replace(
        outer.manifest, payload=(Payload("identity", LARGEST, sha256="0" * 64), SEALED.manifest.payload[1])
    )
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


PART = PARTS[0]  # one group is enough here: what is said of one is said of each
ONE = (PART,)
CORE = WORLD.core(ONE)
MEMBERS = [(manifest.CORE_NAME, encode(CORE)), (PART.name, PART.data)]
STRANGERS = build_world().recipients


def resealed(*files, core=CORE):
    """A packet rightly signed around any files."""
    groups = manifest.groups_of(core)
    described = [
        Payload(group, len(file), sha512=hashlib.sha512(file).hexdigest())
        for group, file in zip(groups, files, strict=True)
    ]
    data = encode(manifest.with_payload(core, described))
    kit = sign("manifest", data, WORLD.kit, WORLD.kit_ca)
    officer = sign("manifest-officer", data, WORLD.officer, WORLD.officer_ca)
    return b"".join([write_outer(data, Signatures(kit, officer)), *write_payload(files)])


def stanza_of(core, group="identity", version="v1"):
    return age.Stanza(STANZA, (version, group), hashlib.sha256(encode(core)).digest())


def age_file(members, *, core=CORE, stanzas=None, recipients=WORLD.recipients, archive=None):
    archive = write_archive(members) if archive is None else archive
    stanzas = [stanza_of(core)] if stanzas is None else stanzas
    return age.encrypt(archive, [recipient.age1pq for recipient in recipients], stanzas)


def test_the_lying_kit_of_these_tests_can_also_tell_the_truth():
    assert opened(resealed(age_file(MEMBERS))).parts == ONE


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (b"not an age file\n", Fault.AGE_HEADER),
        (age_file(MEMBERS, stanzas=[]), Fault.LABEL_MISMATCH),
        (age_file(MEMBERS, core=WORLD.core(ONE)), Fault.LABEL_MISMATCH),
        (age_file(MEMBERS, stanzas=[stanza_of(CORE, version="v2")]), Fault.LABEL_MISMATCH),
        (age_file(MEMBERS, stanzas=[stanza_of(CORE, "biometric")]), Fault.LABEL_MISMATCH),
        (age_file(MEMBERS, stanzas=[stanza_of(CORE)] * 2), Fault.LABEL_MISMATCH),
        (age_file(MEMBERS, recipients=WORLD.recipients[:1]), Fault.RECIPIENTS_MISMATCH),
        (age_file(MEMBERS, recipients=[*WORLD.recipients, *STRANGERS]), Fault.RECIPIENTS_MISMATCH),
        (age_file(MEMBERS, recipients=STRANGERS), Fault.WRONG_RECIPIENT),
        (age_file(MEMBERS)[:-1], Fault.PAYLOAD_CORRUPT),
        (age_file(MEMBERS, archive=b"not a tar"), Fault.ARCHIVE_MALFORMED),
        (age_file([]), Fault.CORE_MISMATCH),
        (age_file(MEMBERS[1:]), Fault.CORE_MISMATCH),
        (age_file([(manifest.CORE_NAME, encode(WORLD.core(ONE))), MEMBERS[1]]), Fault.CORE_MISMATCH),
        (age_file([("core.json", encode(CORE)), MEMBERS[1]]), Fault.CORE_MISMATCH),
        (age_file(MEMBERS[:-1]), Fault.CONTENT_MISMATCH),
        (age_file([*MEMBERS, ("photo.jpg", b"")]), Fault.CONTENT_MISMATCH),
        (age_file([MEMBERS[0], (PART.name, b"x")]), Fault.CONTENT_MISMATCH),
        (age_file([MEMBERS[0], ("card-photo.jpg", PART.data)]), Fault.CONTENT_MISMATCH),
    ],
    ids=range(19),
)
def test_a_file_that_is_not_what_the_manifest_says_is_refused(file, code):
    assert refused(resealed(file)) == code


def test_a_group_in_the_place_of_another_is_refused():
    both = read_payload(read_outer(SEALED.data), SEALED.data)
    swapped = (both["biometric"], both["identity"])
    outer = SEALED.data[: read_outer(SEALED.data).payload_offset]
    assert refused(b"".join([outer, *write_payload(swapped)])) == Fault.PAYLOAD_DIGEST
    core = msgspec.convert(
        {name: value for name, value in msgspec.to_builtins(SEALED.manifest).items() if name != "payload"},
        Core,
    )
    assert refused(resealed(*swapped, core=core)) == Fault.LABEL_MISMATCH
    parts = (PARTS[1], PARTS[0])
    with pytest.raises(BadPacket, match="contents"):
        WORLD.packet(parts)


def test_parts_of_one_group_in_another_order_are_refused():
    core = WORLD.core(PARTS[1:])
    members = [(manifest.CORE_NAME, encode(core)), *((part.name, part.data) for part in PARTS[1:])]
    truth, turned = (
        age_file(each, stanzas=[stanza_of(core, "biometric")])
        for each in (members, [members[0], members[2], members[1]])
    )
    assert opened(resealed(truth, core=core)).parts == PARTS[1:]
    assert refused(resealed(turned, core=core)) == Fault.CONTENT_MISMATCH


def test_another_manifest_around_the_same_file_is_refused_even_when_the_stanza_is_changed_too():
    theirs, mine = age_file(MEMBERS), WORLD.core(ONE, tenant="0400000000")
    assert refused(resealed(theirs, core=mine)) == Fault.LABEL_MISMATCH
    old = age.encode64(hashlib.sha256(encode(CORE)).digest()).encode()
    new = age.encode64(hashlib.sha256(encode(mine)).digest()).encode()
    assert old in theirs
    assert refused(resealed(theirs.replace(old, new), core=mine)) == Fault.HEADER_MAC


# --- what callers rely on ---------------------------------------------------------------------------------


def test_every_code_of_a_bad_packet_is_one_we_have_seen():
    """The list of faults is the contract of thuisloket-open; each is provoked somewhere."""
    here = Path(__file__)
    text = "".join(
        here.with_name(f"test_{name}.py").read_text() for name in ("packet", "shredding", "manifest", "cms")
    )
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
    with pytest.raises(ValueError, match="group"):
        contents_of([Part("extra.json", "application/json", b"")])
    assert serial_of(WORLD.kit.certificate) == SEALED.manifest.kit_cert_serial
    assert isinstance(read_outer(SEALED.data), Outer)
