"""Makes the literal bytes of tests/vectors/recapture anew, for when the protocol itself changes.

    python -m tests.protocol.make_recapture_vectors

A receipt that asks for the photo again, the day bag that carries the question, and the supplement that
answers it. Keys are new each time; the hash in test_recapture.py is printed.
"""

import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol import signed
from protocol.bag import BagVisit, Citizen, DayBag, Place, seal_bag
from protocol.identity import serial_of
from protocol.recapture import Asked, Supplements
from protocol.sealed import age
from protocol.sealed.manifest import Core, Legal
from protocol.sealed.packet import Part, Sealed, contents_of, kids_of, seal
from protocol.sealed.receipt import Receipt, sign_receipt
from protocol.sealed.recipients import Recipient
from tests.protocol.sealed.make_vectors import KIT_ID, OFFICER_ID, PACKET_ID, make_signers, private_key

FOLDER = Path(__file__).parents[1] / "vectors" / "recapture"
SUPPLEMENT_ID, VISIT_ID = "01KCEXAMP1E000000000000005", "01KCEXAMP1E000000000000006"
UNTIL = "2026-12-07T10:00:00Z"
PARTS = (
    Part("identity.json", "application/json", b'{"surname":"Vector"}'),
    Part("photo.jpg", "image/jpeg", bytes.fromhex("ffd8ffe0") + bytes(range(32))),
    Part("application.json", "application/json", b'{"supplements":{}}'),
)


def make() -> tuple[dict[str, bytes], Sealed]:
    signers, receipts, command = make_signers(), private_key(), private_key()
    pairs, bag_pair = [age.generate(), age.generate()], age.generate()
    recipients = tuple(Recipient(kid=f"vector-{at}", age1pq=pair[1]) for at, pair in enumerate(pairs))
    core = Core(
        packet_id=SUPPLEMENT_ID,
        visit_id=VISIT_ID,
        tenant="0207530775",
        service_id="be.eid.application",
        catalogue="c" * 64,
        kit_id=KIT_ID,
        kit_cert_serial=serial_of(signers.kit.certificate),
        officer_id=OFFICER_ID,
        created_utc="2026-11-25T09:30:00Z",
        seq=2,
        prev="d" * 64,
        recipients=kids_of(recipients),
        contents=contents_of(PARTS),
        legal=Legal(reason="be.1991-07-19", retention_until="2027-02-23"),
        supplements=Supplements(packet_id=PACKET_ID, parts=("photo",)),
    )
    sealed = seal(PARTS, core, recipients, signers.signer(signers.kit), signers.signer(signers.officer))
    receipt = Receipt(
        packet_id=PACKET_ID,
        manifest_sha256="a" * 64,
        kit_id=KIT_ID,
        verdict="recapture",
        code="photo-blurred",
        at="2026-11-23T10:00:00Z",
        parts=("photo",),
        until=UNTIL,
    )
    visit = BagVisit(
        visit_id=VISIT_ID,
        service_id="be.eid.application",
        tenant="0207530775",
        municipality="Brugge",
        starts="2026-11-25T09:00:00Z",
        ends="2026-11-25T09:15:00Z",
        officer_id=OFFICER_ID,
        language="nl",
        citizen=Citizen(name="Vera Vector"),
        place=Place(street="Vectorstraat 1", postcode="8000", municipality="Brugge"),
        supplements=Asked(packet_id=PACKET_ID, parts=("photo",), code="photo-blurred", until=UNTIL),
    )
    bag = DayBag(kit_id=KIT_ID, version=3, issued="2026-11-25T05:00:00Z", date="2026-11-25", visits=(visit,))
    files = {
        "supplement.packet": sealed.data,
        "root.pem": signers.root.certificate.public_bytes(Encoding.PEM),
        "service.age": f"{pairs[0][0]}\n".encode(),
        "recapture.jws": sign_receipt(receipt, receipts).encode(),
        "receipt-key.pem": _public(receipts.public_key()),
        "short.bag": seal_bag(bag, bag_pair[1], command, signed.key_id(command.public_key())),
        "bag.age": f"{bag_pair[0]}\n".encode(),
        "command-key.pem": _public(command.public_key()),
    }
    return files, sealed


def _public(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


if __name__ == "__main__":
    made, supplement = make()
    FOLDER.mkdir(exist_ok=True)
    for name, data in made.items():
        (FOLDER / name).write_bytes(data)
    sys.stdout.write(f"{supplement.manifest_sha256}\n")
