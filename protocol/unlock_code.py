"""The one-use code for an officer who forgot the PIN: what kit and administrator compute for it. Pure.

For every officer the kit makes an ephemeral X25519 key, agrees a secret with the administrator's public key,
locks the officer's identity up under half of it (and the device's own secret), and forgets all of it but the
public half: the challenge. Only the holder of the administrator's key can agree the same secret again, and
so make the code; and only that kit can use it. It works over a telephone: the challenge is read out in 14
groups of four, the code is 44 digits, because a kit's touch screen has digits.

The code is the key of 96 bits, the hour until which it may be used (20 bits, since 2026), and 28 bits of
HMAC-SHA-256 under the other half of the secret, which says that kit, officer, challenge and hour belong
together. Nobody but the administrator (and the kit, which forgot) could have made it: that is its signature.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from protocol.identity import KIT_ID, OFFICER_ID

DIGITS = 44
KEY = 12  # bytes: 96 bits, beyond any guessing, and useless without the device's secret
POINT = 32
LONGEST = timedelta(days=7)
"""A code lives at most so long."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no I, L, O, U
_CHECK = 3  # bytes
_LETTERS = (POINT + _CHECK) * 8 // 5
_HOURS, _TAG = 20, 28  # bits
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class BadCode(ValueError):
    """A challenge or code that cannot be one, or not for this kit and officer, or out of its time."""


@dataclass(frozen=True)
class Challenge:
    """Of which kit, for which officer, and the ephemeral public key."""

    kit_id: str
    officer_id: str
    point: bytes

    def __post_init__(self) -> None:
        if not KIT_ID.fullmatch(self.kit_id) or not OFFICER_ID.fullmatch(self.officer_id):
            raise BadCode("not the name of a kit and an officer")
        if len(self.point) != POINT:
            raise BadCode("not a challenge")

    def about(self) -> bytes:
        return b"|".join(
            (b"thuisloket/unlock-code", self.kit_id.encode(), self.officer_id.encode(), self.point)
        )


@dataclass(frozen=True)
class Halves:
    """What the agreed secret gives: `key` travels in the code, `mac` stays with the identity."""

    key: bytes = field(repr=False)
    mac: bytes = field(repr=False)


@dataclass(frozen=True)
class Code:
    """A code as it was typed; what it says counts once its tag was checked with `genuine`."""

    key: bytes = field(repr=False)
    hours: int
    tag: int

    @property
    def not_after(self) -> datetime:
        return _EPOCH + timedelta(hours=self.hours)


def write_challenge(challenge: Challenge) -> str:
    """14 groups of four; the last letters check that it is of this kit and officer, and was heard right."""
    number = int.from_bytes(challenge.point + _check(challenge))
    letters = "".join(_ALPHABET[number >> 5 * at & 31] for at in reversed(range(_LETTERS)))
    return "-".join(letters[at : at + 4] for at in range(0, _LETTERS, 4))


def read_challenge(text: str, kit_id: str, officer_id: str) -> Challenge:
    """The challenge that this kit shows for this officer. BadCode; I, L and O are read as 1, 1 and 0."""
    letters = text.upper().replace("-", "").replace(" ", "").translate(str.maketrans("ILO", "110"))
    if len(letters) != _LETTERS or set(letters) - set(_ALPHABET):
        raise BadCode(f"a challenge has {_LETTERS} letters and digits")
    number = 0
    for letter in letters:
        number = number << 5 | _ALPHABET.index(letter)
    data = number.to_bytes(POINT + _CHECK)
    challenge = Challenge(kit_id, officer_id, data[:POINT])
    if not hmac.compare_digest(_check(challenge), data[POINT:]):
        raise BadCode("misheard, or the challenge of another kit or officer")
    return challenge


def agree(private: X25519PrivateKey, public: bytes, challenge: Challenge) -> Halves:
    """The same for the kit (its ephemeral key, the administrator's public) and the other way round.

    BadCode for a public key of small order."""
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as problem:
        raise BadCode("not a public key that anything can be agreed with") from problem
    info = challenge.about()
    both = HKDF(algorithm=hashes.SHA256(), length=KEY + 32, salt=None, info=info).derive(shared)
    return Halves(both[:KEY], both[KEY:])


def write_code(halves: Halves, challenge: Challenge, not_after: datetime) -> str:
    """44 digits in groups of four. ValueError when `not_after` is before 2026 or after 2145."""
    hours = int((not_after - _EPOCH) / timedelta(hours=1))
    if not 0 <= hours < 1 << _HOURS:
        raise ValueError("an hour that a code cannot hold")
    tag = _tag(halves.mac, challenge, hours)
    number = (int.from_bytes(halves.key) << _HOURS | hours) << _TAG | tag
    digits = f"{number:0{DIGITS}d}"
    return " ".join(digits[at : at + 4] for at in range(0, DIGITS, 4))


def read_code(text: str) -> Code:
    """BadCode unless it is 44 digits (and spaces) that a code can be."""
    digits = text.replace(" ", "").replace("-", "")
    if len(digits) != DIGITS or not (digits.isascii() and digits.isdigit()):
        raise BadCode(f"a code has {DIGITS} digits")
    number = int(digits)
    if number >> (KEY * 8 + _HOURS + _TAG):
        raise BadCode("not a code")
    hours = number >> _TAG & (1 << _HOURS) - 1
    return Code((number >> _HOURS + _TAG).to_bytes(KEY), hours, number & (1 << _TAG) - 1)


def genuine(code: Code, mac: bytes, challenge: Challenge) -> bool:
    """Whether the administrator gave this code until this hour for this challenge."""
    return hmac.compare_digest(code.tag.to_bytes(4), _tag(mac, challenge, code.hours).to_bytes(4))


def _tag(mac: bytes, challenge: Challenge, hours: int) -> int:
    digest = hmac.digest(mac, challenge.about() + b"|" + hours.to_bytes(4), hashlib.sha256)
    return int.from_bytes(digest) >> 256 - _TAG


def _check(challenge: Challenge) -> bytes:
    return hashlib.sha256(b"check|" + challenge.about()).digest()[:_CHECK]
