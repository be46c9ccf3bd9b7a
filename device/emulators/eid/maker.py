"""From a specification to the files of a card, signed by a test root."""

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from device.emulators.eid.fields import address_file, identity_fields, number_of_nobody, tlv
from device.emulators.eid.held import ATR_17, ATR_18
from device.emulators.eid.picture import drawn
from device.emulators.eid.pki import (
    Family,
    FamilyName,
    Holder,
    Key,
    Pki,
    Wanted,
    issue,
    new_family,
    new_key,
    register,
)
from device.emulators.eid.spec import BadSpec, Generation, Spec

FAMILY: dict[Generation, FamilyName] = {"1.8": "ec", "1.7-ec": "ec", "1.7-rsa": "rsa", "1.1": "old"}
PHOTO_HASH = {"1.8": hashlib.sha384, "1.7-ec": hashlib.sha256, "1.7-rsa": hashlib.sha256, "1.1": hashlib.sha1}
VERSIONS = {  # card data behind the chip number: component, OS, mask, applet, global OS, interface, PKCS#1
    "1.8": bytes.fromhex("010203040518 0001 00 00 02 0F"),
    "1.7-ec": bytes.fromhex("010203040517 0003 00 21 01 0F"),
    "1.7-rsa": bytes.fromhex("010203040517 0003 00 21 01 0F"),
    "1.1": bytes.fromhex("010203040511 0002 00 21 01 0F"),
}
CHIP_PREFIX = bytes.fromhex("534C4790")
PADDED_18, PADDED_17, ABSENT_18, ABSENT_17 = (
    1100,
    50,
    2500,
    1300,
)  # zeros behind, and instead of, certificates
SIGNATURE_LENGTH = {"1.8": 104, "1.7-ec": 256}
LONG_AGO = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2010, 1, 1, tzinfo=UTC))


@dataclass
class Made:
    """Files by the name they are held under."""

    files: dict[str, bytes] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            (folder / name).write_bytes(data)


def make_card(spec: Spec, pki: Pki, beside: Path) -> Made:
    """All files of the card. A photo's path is relative to `beside`; BadSpec when it cannot be read."""
    family = pki.family(FAMILY[spec.generation])
    if spec.has("self-made-root"):
        family = new_family(family.name)
    made = Made()
    chip = CHIP_PREFIX + secrets.token_bytes(12)
    made.files["atr.bin"] = ATR_18 if spec.generation == "1.8" else ATR_17
    made.files["carddata.bin"] = chip + VERSIONS[spec.generation]
    basic_key_hash = _basic_key(made, spec)
    photo = _photo(spec, beside)
    photo_hash = PHOTO_HASH[spec.generation](photo).digest()
    if spec.has("chip-number"):
        chip = CHIP_PREFIX + secrets.token_bytes(12)
    identity = _identity(spec, chip, photo_hash, basic_key_hash)
    signature = _sign(family.rrn.key, identity, spec)
    if spec.has("identity-signature"):
        signature = _flip(signature, 40)
    address = address_file(spec.address)
    address_signature = _sign(family.rrn.key, address.rstrip(b"\0") + signature, spec)
    if spec.has("identity-tampered"):
        name = identity.index(spec.identity.surname.encode())
        identity = _flip(identity, name)
    if spec.has("truncated-file"):
        identity = identity[:-3]
    if spec.has("address-tampered"):
        address = _flip(address, 2)
    if spec.has("photo-hash"):
        photo = _flip(photo, len(photo) // 2)
    made.files["DF014031.bin"] = identity
    made.files["DF014032.bin"] = signature
    made.files["DF014033.bin"] = address
    made.files["DF014034.bin"] = address_signature
    made.files["DF014035.bin"] = b"" if spec.has("photo-missing") else photo
    made.files["pin.txt"] = f"{spec.pin} {spec.tries}".encode()
    _certificates(made, spec, family)
    return made


def _basic_key(made: Made, spec: Spec) -> bytes:
    """The hash for tag 1A; empty before applet 1.8."""
    if spec.generation != "1.8":
        return b""
    key = ec.generate_private_key(ec.SECP384R1())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    made.files["DF014040.bin"] = public
    if not spec.has("clone"):
        made.files["basic-key.pem"] = _pem(key)
    return hashlib.sha384(public + (b"x" if spec.has("basic-key-hash") else b"")).digest()


def _photo(spec: Spec, beside: Path) -> bytes:
    wanted = spec.photo
    if spec.has("photo-format"):
        return bytes(index * 7 % 251 for index in range(wanted.length or 3000))
    if not wanted.path:
        return drawn(wanted.width, wanted.height, wanted.length)
    try:
        return (beside / wanted.path).read_bytes()
    except OSError as error:
        raise BadSpec(f"photo: {error}") from error


def _identity(spec: Spec, chip: bytes, photo_hash: bytes, basic_key_hash: bytes) -> bytes:
    person = spec.identity
    if spec.has("unknown-month"):
        person = msgspec.structs.replace(person, birth_date="20 JUNO 1964")
    if spec.has("national-number"):
        right = person.national_number or number_of_nobody(person)
        person = msgspec.structs.replace(
            person, national_number=right[:9] + f"{(int(right[9:]) + 1) % 97:02}"
        )
    if spec.has("expired"):
        start, end = (day.replace(year=day.year - 20) for day in (person.valid_from, person.valid_to))
        person = msgspec.structs.replace(person, valid_from=start, valid_to=end)
    fields = identity_fields(person, spec.language, chip, photo_hash, basic_key_hash)
    if spec.has("bad-encoding"):
        fields = [(tag, b"\xc3\x28" if tag == 0x08 else value) for tag, value in fields]
    data = tlv(fields)
    return data[:-1] if spec.has("truncated-tlv") else data


def _sign(key: Key, data: bytes, spec: Spec) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(hashes.SHA384())).ljust(SIGNATURE_LENGTH[spec.generation], b"\0")
    digest = hashes.SHA1() if spec.generation == "1.1" else hashes.SHA256()  # noqa: S303  as that generation
    return key.sign(data, padding.PKCS1v15(), digest)


def _certificates(made: Made, spec: Spec, family: Family) -> None:
    modern = spec.generation == "1.8"
    padded = bytes(PADDED_18 if modern else PADDED_17)
    root_padded = padded if modern else b""
    made.files["DF00503A.bin"] = family.authority.der + padded
    made.files["DF00503B.bin"] = family.root.der + root_padded
    made.files["DF00503C.bin"] = (
        bytes(200) if spec.has("rrn-garbage") else _rrn(spec, family).der + root_padded
    )
    if spec.has("no-certificates"):
        made.files["DF005038.bin"] = made.files["DF005039.bin"] = bytes(ABSENT_18 if modern else ABSENT_17)
        return
    person = spec.identity
    number = "71715100070" if spec.has("other-holder") else person.national_number or number_of_nobody(person)
    issuer = family.authority
    if spec.has("foreign-certificate"):
        issuer = new_family(family.name).authority
    full_name = f"{person.first_names} {person.surname}"
    auth = Wanted(f"{full_name} (Authentication)", number)
    sign = replace(auth, common_name=f"{full_name} (Signature)", sign=False, repudiate=True)
    key = new_key(spec.holder_key or family.name)
    holder = issue(family.name, auth, key, issuer)
    made.files["DF005038.bin"] = holder.der + padded
    made.files["DF005039.bin"] = issue(family.name, sign, new_key(family.name), issuer).der + padded
    made.files["auth-key.pem"] = _pem(holder.key)


def _rrn(spec: Spec, family: Family) -> Holder:
    if spec.has("rrn-issued-by-citizen-ca"):
        return issue(family.name, register(), family.rrn.key, family.authority)
    if spec.has("rrn-expired"):
        return issue(family.name, register(*LONG_AGO), family.rrn.key, family.root)
    if spec.has("rrn-usage"):
        return issue(family.name, register(repudiate=False), family.rrn.key, family.root)
    return family.rrn


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 0x01,)) + data[at + 1 :]


def _pem(key: Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
