"""From the files of a card to a verdict. Pure: bytes, trust and the time in, so every attack is a test.

All reasons are gathered, not only the first: the officer's question is what is wrong with this card.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha1, sha256, sha384

from device.drivers.eid.certificates import absent
from device.drivers.eid.chain import Register, holder_matches, judge_register
from device.drivers.eid.files import CardFiles
from device.drivers.eid.genuine import Genuine, Proof, applet_version, basic_key_matches, judge_chip
from device.drivers.eid.identity import (
    CHIP_NUMBER,
    PHOTO_HASH,
    BadContent,
    read_address,
    read_card_number,
    read_identity,
)
from device.drivers.eid.jpeg import BadJpeg, size
from device.drivers.eid.signatures import address_data, signed_by
from device.drivers.eid.tlv import BadTlv, parse
from device.drivers.eid.trust import TrustStore
from device.ports import Address, CardPhoto, CardReading, Identity

CHIP_NUMBER_BYTES = 16
PHOTO_HASHES = {20: sha1, 32: sha256, 48: sha384}  # by length; the signature's hash says nothing about it


@dataclass
class _Findings:
    reasons: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    weak: bool = False

    def require(self, fine: bool, reason: str) -> None:
        if not fine and reason not in self.reasons:
            self.reasons.append(reason)

    def remark(self, there: bool, flag: str) -> None:
        if there:
            self.flags.append(flag)


def judge(files: CardFiles, trust: TrustStore, at: datetime, proof: Proof | None = None) -> CardReading:
    """The reading of one card, its count of APDUs and time left at 0. `at` has a zone.

    Reasons and flags are the contract's codes. A rejected card carries no data at all.
    """
    found = _Findings()
    register = judge_register(files.rrn, files.root, trust, at)
    found.require(register.trusted, register.reason)
    _judge_signatures(found, register, files)
    fields = _fields(found, files.identity)
    identity, card_number = _identity(found, fields)
    address = _address(found, files.address)
    photo = _photo(found, fields, files.photo)
    if CHIP_NUMBER in fields:
        found.require(_same_chip(fields[CHIP_NUMBER], files.card_data), "chip-number")
    found.require(basic_key_matches(fields, files.basic_key), "basic-key-hash")
    if identity is not None:
        _judge_holder(found, register, files, identity, trust, at)
    genuine = judge_chip(fields, files.card_data, files.basic_key, proof)
    found.remark(genuine == "failed", "not-genuine")
    found.remark(found.weak, "weak-signature")
    version = applet_version(files.card_data)
    applet = f"{version >> 4}.{version & 0x0F}" if version else ""
    if found.reasons or identity is None or address is None or photo is None:
        return _rejected(found, applet, genuine)
    return CardReading(
        verdict="weak" if found.weak else "verified",
        flags=tuple(found.flags),
        applet=applet,
        card_number=card_number,
        chip_number=fields[CHIP_NUMBER].hex(),
        identity=identity,
        address=address,
        photo=photo,
        genuine=genuine,
        test_trust=register.test_trust,
    )


def rejected(reason: str, applet: str = "") -> CardReading:
    """A card refused for something that was seen while reading it, not in its files."""
    return CardReading(verdict="rejected", reasons=(reason,), applet=applet)


def _rejected(found: _Findings, applet: str, genuine: Genuine) -> CardReading:
    assert found.reasons, "nothing is refused without a reason"
    # A chip that proves a key nobody vouches for has proven nothing.
    chip: Genuine = "failed" if genuine == "failed" else "unproven"
    return CardReading("rejected", tuple(found.reasons), tuple(found.flags), applet, genuine=chip)


def _judge_signatures(found: _Findings, register: Register, files: CardFiles) -> None:
    if register.key is None:
        return
    address = address_data(files.address, files.identity_signature)
    strengths = [register.strength]
    for reason, signature, data in (
        ("identity-signature", files.identity_signature, files.identity),
        ("address-signature", files.address_signature, address),
    ):
        strength = signed_by(register.key, signature, data)
        found.require(strength is not None, reason)
        strengths.append(strength or "strong")
    found.weak = "weak" in strengths


def _fields(found: _Findings, identity: bytes) -> Mapping[int, bytes]:
    try:
        return parse(identity)
    except BadTlv:
        found.require(False, "tlv")
        return {}


def _identity(found: _Findings, fields: Mapping[int, bytes]) -> tuple[Identity | None, str]:
    if not fields and "tlv" in found.reasons:
        return None, ""
    try:
        return read_identity(fields), read_card_number(fields)
    except BadContent as error:
        found.require(False, error.reason)
        return None, ""


def _address(found: _Findings, address: bytes) -> Address | None:
    try:
        return read_address(parse(address))
    except BadTlv:
        found.require(False, "tlv")
    except BadContent as error:
        found.require(False, error.reason)
    return None


def _photo(found: _Findings, fields: Mapping[int, bytes], photo: bytes) -> CardPhoto | None:
    if PHOTO_HASH not in fields:  # the identity file is refused already
        return None
    digest = PHOTO_HASHES.get(len(fields[PHOTO_HASH]))
    if digest is None or digest(photo).digest() != fields[PHOTO_HASH]:
        found.require(False, "photo-hash")
        return None
    try:
        width, height = size(photo)
    except BadJpeg:
        found.require(False, "photo-format")
        return None
    return CardPhoto(photo, sha256(photo).hexdigest(), width, height)


def _same_chip(chip_number: bytes, card_data: bytes) -> bool:
    return len(chip_number) == CHIP_NUMBER_BYTES and card_data[:CHIP_NUMBER_BYTES] == chip_number


def _judge_holder(
    found: _Findings,
    register: Register,
    files: CardFiles,
    identity: Identity,
    trust: TrustStore,
    at: datetime,
) -> None:
    found.remark(isinstance(identity.birth_date, int), "birth-date")  # a year only
    found.remark(at.date() > identity.valid_to, "card-expired")
    if absent(files.authentication):
        found.remark(True, "no-auth-certificate")
    elif register.trusted:
        matches = holder_matches(files.authentication, files.authority, identity.national_number, trust)
        found.require(matches, "auth-cert-mismatch")
