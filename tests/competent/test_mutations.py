"""What might be done to a packet on its way: thuisloket-open refuses each with its code, writing nothing."""

import hashlib
import json
import random
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from competent.__main__ import app
from protocol import canonical, signed
from protocol.identity import Role
from protocol.instant import write_instant
from protocol.sealed import age, manifest
from protocol.sealed.archive import write_archive
from protocol.sealed.manifest import Payload
from protocol.sealed.outer import MAGIC, Signatures, read_outer, read_payload, write_outer, write_payload
from protocol.sealed.packet import kids_of, open_packet, prepare, without
from protocol.sealed.recipients import cms_recipient
from protocol.sealed.refusal import BadPacket
from protocol.sealed.suites import STANZA, Label, check_file, open_file, seal_file
from tests.competent.place import NOW
from tests.protocol.certificates import leaf
from tests.protocol.sealed.application import PARTS, build_world, filled
from tests.protocol.sealed.authenticator import answer, authenticator_data, client_data

SPARE = build_world()  # another root, kit, officer and service
STALE = timedelta(days=400)


def sign(kind, data, holder, *issuers):
    chain = [one.certificate for one in (holder, *issuers)]
    return signed.sign_detached(kind, data, holder.key, signed.key_id(holder.key.public_key()), chain)


class Meddler:
    """A packet in pieces, and ways to put it together again."""

    def __init__(self, desk):
        self.desk, self.world = desk, desk.world
        self.sealed = desk.packet()
        self.other = desk.packet()
        self.data = self.sealed.data
        self.outer = read_outer(self.data)
        self.files = list(read_payload(self.outer, self.data).values())
        self.members = msgspec.to_builtins(self.sealed.manifest)

    def build(self, manifest_bytes=None, kit=None, officer=None, files=None):
        by = self.outer.signatures
        kit, officer = kit or by.kit, officer or by.officer
        outer = write_outer(manifest_bytes or self.outer.manifest_bytes, Signatures(kit, officer))
        return b"".join([outer, *write_payload(self.files if files is None else files)])

    def signed(self, manifest_bytes, files=None, kit=None, officer=None):
        """As a kit and an officer of ours who lie would."""
        world = self.world
        kit_token = sign("manifest", manifest_bytes, kit or world.kit, world.kit_ca)
        officer_token = sign("manifest-officer", manifest_bytes, officer or world.officer, world.officer_ca)
        return self.build(manifest_bytes, kit_token, officer_token, files)

    def labelled(self, **changes):
        return canonical.dumps(self.members | changes)

    def lied(self, archive=None, stanzas=None, recipients=None, flip=None):
        """One group, rightly signed, whose sealed file is another than the manifest says."""
        world, part = self.world, PARTS[0]
        core = world.core((part,), created_utc=write_instant(NOW))
        core_bytes = manifest.encode(core)
        members = [(manifest.CORE_NAME, core_bytes), (part.name, part.data)]
        archive = write_archive(members) if archive is None else archive(members)
        label = age.Stanza(STANZA, ("v1", "identity"), hashlib.sha256(core_bytes).digest())
        to = world.recipients if recipients is None else recipients
        stanzas = [label] if stanzas is None else stanzas(label)
        file = bytearray(age.encrypt(archive, [one.age1pq for one in to], stanzas))
        if flip is not None:
            at = flip(bytes(file))
            file[at] = ord("A") if file[at] != ord("A") else ord("B")  # base64 stays base64
        payload = [Payload("identity", len(file), sha256=hashlib.sha256(file).hexdigest())]
        return self.signed(manifest.encode(manifest.with_payload(core, payload)), [bytes(file)])

    def with_key(self, **flags):
        """Signed with a security key that says `flags`."""
        core = self.world.core(created_utc=write_instant(NOW), officer_signature="webauthn")
        ready = prepare(PARTS, core, self.world.recipients)
        holder = leaf(Role.OFFICER_KEY, "an.peeters", self.world.officer_ca, end=NOW + STALE)
        chain = (holder.certificate, self.world.officer_ca.certificate)
        said = client_data(flags.pop("challenge", ready.challenge))
        made = answer(holder.key, chain, said, authenticator_data(**flags))
        return ready.finish(self.world.kit_signer, made).data


MUTATIONS = {
    "another format": (lambda m: b"PK\x03\x04" + m.data, "not-a-packet"),
    "a later version": (lambda m: m.data.replace(b"packet/1", b"packet/2", 1), "not-a-packet"),
    "empty": (lambda m: b"", "not-a-packet"),
    "cut in the manifest": (lambda m: m.data[:100], "truncated"),
    "cut in the signatures": (lambda m: m.data[: m.outer.payload_offset - 1], "truncated"),
    "cut in a file": (lambda m: m.data[:-1], "truncated"),
    "without its last group": (lambda m: m.data[: -4 - len(m.files[-1])], "truncated"),
    "something after it": (lambda m: m.data + b"\0", "trailing-bytes"),
    "twice": (lambda m: m.data * 2, "trailing-bytes"),
    "an endless manifest": (lambda m: MAGIC + b"\xff" * 4 + m.data, "too-large"),
    "a manifest spelled otherwise": (
        lambda m: m.build(m.outer.manifest_bytes.replace(b",", b", ", 1)),
        "manifest-not-canonical",
    ),
    "a suite nobody knows": (lambda m: m.signed(m.labelled(suite="none")), "unknown-suite"),
    "the other suite's name": (lambda m: m.signed(m.labelled(suite="cms-p256-gcm")), "cms-structure"),
    "a manifest with a member more": (lambda m: m.signed(m.labelled(note="x")), "manifest-malformed"),
    "a part moved to a group that is kept longer": (
        lambda m: m.signed(
            m.labelled(
                contents=[m.members["contents"][0] | {"group": "operations"}, *m.members["contents"][1:]]
            )
        ),
        "manifest-malformed",
    ),
    "groups listed in another order": (
        lambda m: m.signed(m.labelled(payload=m.members["payload"][::-1]), m.files[::-1]),
        "manifest-malformed",
    ),
    "no signature of an officer": (
        lambda m: m.build(officer="x").replace(b'"officer":"x"', b'"officex":"x"'),
        "signatures-malformed",
    ),
    "another tenant": (lambda m: m.build(m.labelled(tenant="0400000000")), "kit-signature"),
    "another citizen's visit": (
        lambda m: m.build(m.labelled(visit_id=m.other.manifest.visit_id)),
        "kit-signature",
    ),
    "a longer retention": (
        lambda m: m.build(m.labelled(legal=m.members["legal"] | {"retention_until": "2099-01-01"})),
        "kit-signature",
    ),
    "without its flags": (lambda m: m.build(m.labelled(flags=["x"])), "kit-signature"),
    "a number of the chain left out": (lambda m: m.build(m.labelled(seq=2, prev="a" * 64)), "kit-signature"),
    "the officer's signature of another packet": (
        lambda m: m.build(officer=read_outer(m.other.data).signatures.officer),
        "officer-signature",
    ),
    "the kit's signature in both places": (
        lambda m: m.build(officer=m.outer.signatures.kit),
        "officer-signature",
    ),
    "signed again by a kit of elsewhere": (
        lambda m: m.build(kit=sign("manifest", m.outer.manifest_bytes, SPARE.kit, SPARE.kit_ca)),
        "certificate-untrusted",
    ),
    "signed again by another kit of ours": (
        lambda m: m.signed(m.outer.manifest_bytes, kit=leaf(Role.KIT_SIGN, "kit-gent-01", m.world.kit_ca)),
        "wrong-signer",
    ),
    "signed again by another officer of ours": (
        lambda m: m.signed(
            m.outer.manifest_bytes, officer=leaf(Role.OFFICER, "jan.claes", m.world.officer_ca)
        ),
        "wrong-signer",
    ),
    "signed by the kit as its own officer": (
        lambda m: m.build(
            officer=sign("manifest-officer", m.outer.manifest_bytes, m.world.kit, m.world.kit_ca)
        ),
        "unknown-role",
    ),
    "signed with a certificate that had expired": (
        lambda m: m.signed(
            m.outer.manifest_bytes,
            kit=leaf(Role.KIT_SIGN, "kit-brugge-01", m.world.kit_ca, end=NOW - timedelta(days=1)),
        ),
        "certificate-expired",
    ),
    "signed with the kit's key for TLS": (
        lambda m: m.signed(m.outer.manifest_bytes, kit=leaf(Role.KIT_TLS, "kit-brugge-01", m.world.kit_ca)),
        "unknown-role",
    ),
    "kept and sent again a year later": (
        lambda m: m.desk.packet(created_utc=write_instant(NOW - timedelta(days=365))).data,
        "too-old",
    ),
    "dated next week": (
        lambda m: m.desk.packet(created_utc=write_instant(NOW + timedelta(days=7))).data,
        "from-the-future",
    ),
    "a group shredded on the way": (lambda m: without(m.data, ["biometric"]), "group-missing"),
    "groups in each other's place": (lambda m: m.build(files=m.files[::-1]), "payload-digest"),
    "a group of another packet": (
        lambda m: m.build(
            files=[m.files[0], list(read_payload(read_outer(m.other.data), m.other.data).values())[1]]
        ),
        "payload-digest",
    ),
    "the files of another packet under this manifest, signed": (
        lambda m: m.signed(
            m.labelled(payload=msgspec.to_builtins(m.other.manifest.payload)),
            list(read_payload(read_outer(m.other.data), m.other.data).values()),
        ),
        "label-mismatch",
    ),
    "groups in each other's place, signed": (
        lambda m: m.signed(
            m.labelled(
                payload=[
                    old | {"sha256": new["sha256"], "size": new["size"]}
                    for old, new in zip(m.members["payload"], m.members["payload"][::-1], strict=True)
                ]
            ),
            m.files[::-1],
        ),
        "label-mismatch",
    ),
    "a file without its label": (lambda m: m.lied(stanzas=lambda _: []), "label-mismatch"),
    "a file with two labels": (lambda m: m.lied(stanzas=lambda label: [label, label]), "label-mismatch"),
    "a label put right by hand": (
        lambda m: m.lied(
            stanzas=lambda label: [replace(label, body=label.body[:-1] + bytes([label.body[-1] ^ 1]))],
            flip=lambda file: 0,
        ),
        "age-header",
    ),
    "the header's MAC changed": (
        lambda m: m.lied(flip=lambda file: file.index(b"\n--- ") + 10),
        "header-mac",
    ),
    "sealed to one more": (
        lambda m: m.lied(recipients=[*m.world.recipients, SPARE.recipients[0]]),
        "recipients-mismatch",
    ),
    "sealed to others": (lambda m: m.lied(recipients=SPARE.recipients), "wrong-recipient"),
    "a changed last byte, signed": (lambda m: m.lied(flip=lambda file: len(file) - 1), "payload-corrupt"),
    "something else inside": (lambda m: m.lied(archive=lambda _: b"x" * 2048), "archive-malformed"),
    "another core inside": (
        lambda m: m.lied(archive=lambda members: write_archive(members[1:])),
        "core-mismatch",
    ),
    "a part changed inside": (
        lambda m: m.lied(archive=lambda members: write_archive([members[0], (members[1][0], b"changed")])),
        "content-mismatch",
    ),
    "a part more inside": (
        lambda m: m.lied(archive=lambda members: write_archive([*members, ("photo.jpg", b"")])),
        "content-mismatch",
    ),
    "a security key that did not verify its holder": (lambda m: m.with_key(flags=0x01), "officer-signature"),
    "a security key asked by another page": (lambda m: m.with_key(rp_id="example.org"), "officer-signature"),
    "a security key asked something else": (lambda m: m.with_key(challenge=bytes(32)), "officer-signature"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # what a changed certificate makes cryptography say
@pytest.mark.parametrize("what", MUTATIONS)
def test_a_packet_that_was_meddled_with_is_refused_with_its_code(what, desk):
    make, code = MUTATIONS[what]
    packet = desk.folder / "meddled.packet"
    packet.write_bytes(make(Meddler(desk)))
    before = sorted(path.name for path in desk.folder.iterdir())
    arguments = ["--key", str(desk.keys / "current.age"), "--trust", str(desk.trust)]
    done = CliRunner().invoke(app, [str(packet), *arguments, "--out", str(desk.folder / "out"), "--json"])
    assert done.exit_code == 3, done.output
    answer = json.loads(done.stdout)
    assert (answer["verdict"], answer["code"]) == ("refused", code)
    assert sorted(path.name for path in desk.folder.iterdir()) == before


def test_the_meddler_can_also_leave_a_packet_as_it_is(desk):
    meddler = Meddler(desk)
    world = desk.world
    for data in (
        meddler.build(),
        meddler.signed(meddler.outer.manifest_bytes),
        meddler.lied(),
        meddler.with_key(),
    ):
        assert open_packet(data, world.identities, world.roots, world.roots, NOW).parts


@pytest.mark.parametrize("suite", ["age1pq", "cms-p256-gcm"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_bit_flipped_in_any_sealed_file_is_refused_also_by_the_holder_of_its_key(suite, desk):
    """Every byte of the header, a thousand places of the body; signatures and digests set aside.

    That the digest catches any change needs no thousand tries; that the sealed file itself does is what would
    be left if a signing key were stolen."""
    private = ec.generate_private_key(ec.SECP256R1())
    recipient = desk.world.recipients[0] if suite == "age1pq" else cms_recipient(private.public_key())
    keys = [desk.world.identities[0], private]
    label = Label(suite, b"core", "identity", kids_of([recipient]))
    file = filled(*seal_file([bytes(200_000)], label, [recipient]))

    def opened(data):
        check_file(data, label)
        return open_file(data, label, keys)

    assert opened(file) == bytes(200_000)
    header = age.read_header(file).size if suite == "age1pq" else len(file) - 200_000
    body = random.Random(4).sample(range(header, len(file)), 1000)
    for at in [*range(header), *body]:
        changed = bytearray(file)
        changed[at] ^= 1 << at % 8
        with pytest.raises(BadPacket):
            opened(bytes(changed))
