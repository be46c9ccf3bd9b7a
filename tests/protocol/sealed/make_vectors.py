"""Makes the literal bytes of tests/vectors/sealed anew, for when the protocol itself changes.

    python -m tests.protocol.sealed.make_vectors [--out FOLDER]

Keys, certificates and packets are new each time, so the two hashes in test_vectors.py are rewritten too.
With `--out` nothing else is touched: the files go to FOLDER and the two hashes are printed. The day bag
(`day.bag`, `bag.age`, `command-key.pem`) shares no key with the packets and is not made here.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from protocol.identity import Role, serial_of
from protocol.sealed import age
from protocol.sealed.manifest import FIRST_PREV, Core, Legal
from protocol.sealed.packet import Part, Sealed, Signer, contents_of, kids_of, prepare, seal, without
from protocol.sealed.receipt import Receipt, sign_receipt
from protocol.sealed.recipients import Recipient, RecipientList, cms_recipient, receipt_key, sign_list
from tests.protocol.certificates import Holder, authority, leaf
from tests.protocol.sealed.authenticator import answer, client_data

Suite = Literal["age1pq", "cms-p256-gcm"]

FOLDER = Path(__file__).parents[2] / "vectors" / "sealed"
TESTS = Path(__file__).with_name("test_vectors.py")

KIT_ID = "kit-vector-01"
OFFICER_ID = "vera.vector"
END = datetime(2036, 1, 1, tzinfo=UTC)  # of the root and the issuing CA
PACKET_ID, VISIT_ID, CMS_PACKET_ID, CMS_VISIT_ID = (f"01KCEXAMP1E00000000000000{n}" for n in (1, 2, 3, 4))
PARTS = (
    Part("identity.json", "application/json", b'{"surname":"Vector"}'),
    Part("photo.jpg", "image/jpeg", bytes.fromhex("ffd8ffe0") + bytes(range(64))),
    Part("finger-right-index.png", "image/png", bytes.fromhex("89504e470d0a1a0a")),
    Part("evidence-medical.json", "application/json", b'{"kind":"medical-certificate"}'),
    Part("application.json", "application/json", b'{"procedure":"normal"}'),
)


@dataclass(frozen=True)
class Vectors:
    """The files by name, and the SHA-256 (hex) of the manifests of the two packets."""

    files: dict[str, bytes]
    manifest_sha256: str
    cms_manifest_sha256: str


@dataclass(frozen=True)
class Signers:
    """One root and issuing CA; a kit, an officer's key behind a PIN, and the same officer's security key."""

    root: Holder
    issuing: Holder
    kit: Holder
    officer: Holder
    security_key: Holder

    def signer(self, holder: Holder) -> Signer:
        return Signer(holder.key, (holder.certificate, self.issuing.certificate))

    def core(self, recipients: Sequence[Recipient], **members: Any) -> Core:
        return Core(
            tenant="0207530775",
            service_id="be.eid.application",
            catalogue="c" * 64,
            kit_id=KIT_ID,
            kit_cert_serial=serial_of(self.kit.certificate),
            officer_id=OFFICER_ID,
            created_utc="2026-11-23T09:30:00Z",
            recipients=kids_of(recipients),
            contents=contents_of(PARTS),
            legal=Legal(reason="be.1991-07-19", retention_until="2027-02-21"),
            flags=("test-trust",),
            **members,
        )

    def age_packet(self, recipients: Sequence[Recipient]) -> Sealed:
        """The kit's first packet, of suite age1pq, signed with the officer's key behind a PIN."""
        core = self.core(recipients, packet_id=PACKET_ID, visit_id=VISIT_ID, seq=1, prev=FIRST_PREV)
        return seal(PARTS, core, recipients, self.signer(self.kit), self.signer(self.officer))

    def cms_packet(self, recipients: Sequence[Recipient], prev: str) -> Sealed:
        """The kit's next packet: another suite and digest, signed with the officer's security key."""
        core = self.core(
            recipients,
            packet_id=CMS_PACKET_ID,
            visit_id=CMS_VISIT_ID,
            seq=2,
            prev=prev,
            suite="cms-p256-gcm",
            officer_signature="webauthn",
        )
        prepared = prepare(PARTS, core, recipients, by="sha512")
        chain = self.signer(self.security_key).chain
        assertion = answer(self.security_key.key, chain, client_data(prepared.challenge))
        return prepared.finish(self.signer(self.kit), assertion)


def make_signers() -> Signers:
    root = authority("Thuisloket vectors", end=END)
    issuing = authority("Thuisloket vectors issuing", root, 0, end=END)
    return Signers(
        root,
        issuing,
        leaf(Role.KIT_SIGN, KIT_ID, issuing),
        leaf(Role.OFFICER, OFFICER_ID, issuing),
        leaf(Role.OFFICER_KEY, OFFICER_ID, issuing),
    )


def private_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def recipient_list(
    suite: Suite, recipients: tuple[Recipient, ...], receipts: ec.EllipticCurvePublicKey
) -> RecipientList:
    return RecipientList(
        service_id="be.ibz.belpic",
        suite=suite,
        issued="2026-11-20T00:00:00Z",
        expires="2026-12-20T00:00:00Z",
        recipients=recipients,
        receipt_keys=(receipt_key(receipts),),
    )


def make_vectors() -> Vectors:
    signers = make_signers()
    list_key, receipts_key = private_key(), private_key()
    pairs = [age.generate(), age.generate()]  # a service has its present and its next key
    cms_keys = [private_key(), private_key()]
    age_recipients = tuple(Recipient(kid=f"vector-{at}", age1pq=pair[1]) for at, pair in enumerate(pairs))
    cms_recipients = tuple(cms_recipient(key.public_key()) for key in cms_keys)

    first = signers.age_packet(age_recipients)
    second = signers.cms_packet(cms_recipients, first.manifest_sha256)
    receipts = receipts_key.public_key()
    age_list = sign_list(recipient_list("age1pq", age_recipients, receipts), list_key)
    cms_list = sign_list(recipient_list("cms-p256-gcm", cms_recipients, receipts), list_key)
    receipt = Receipt(
        packet_id=PACKET_ID,
        manifest_sha256=first.manifest_sha256,
        kit_id=KIT_ID,
        verdict="accepted",
        at="2026-11-23T10:00:00Z",
    )
    files = {
        "application.packet": first.data,
        "application-cms.packet": second.data,
        "shredded.packet": without(first.data, ["biometric"]),
        "root.pem": signers.root.certificate.public_bytes(Encoding.PEM),
        "service.age": f"# public key: vector-0\n{pairs[0][0]}\n".encode(),
        "service-cms.key": cms_keys[0].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "recipients.jws": f"{age_list}\n".encode(),
        "recipients-cms.jws": f"{cms_list}\n".encode(),
        "list-key.pem": list_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "receipt.jws": sign_receipt(receipt, receipts_key).encode(),
    }
    return Vectors(files, first.manifest_sha256, second.manifest_sha256)


def with_hashes(source: str, vectors: Vectors) -> str:
    """The source of test_vectors.py with the hashes of these vectors; ValueError when a line is not there."""
    hashes = {"MANIFEST_SHA256": vectors.manifest_sha256, "CMS_MANIFEST_SHA256": vectors.cms_manifest_sha256}
    for name, value in hashes.items():
        source, found = re.subn(
            rf'^{name} = "[0-9a-f]{{64}}"$', f'{name} = "{value}"', source, flags=re.MULTILINE
        )
        if found != 1:
            raise ValueError(f"{TESTS.name} has {found} lines for {name}")
    return source


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="make_vectors", description="make the vectors of sealed packets anew"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write there, and print the hashes")
    out: Path | None = parser.parse_args(argv).out
    vectors = make_vectors()
    source = with_hashes(TESTS.read_text(), vectors)
    folder = FOLDER if out is None else out
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in vectors.files.items():
        (folder / name).write_bytes(data)
    if out is None:
        TESTS.write_text(source)
    else:
        sys.stdout.write(f"{vectors.manifest_sha256}\n{vectors.cms_manifest_sha256}\n")


if __name__ == "__main__":
    main()
