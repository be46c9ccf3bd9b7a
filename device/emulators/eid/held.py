"""A card held as files in a folder: `DF014031.bin` is EF 3F00/DF01/4031, `atr.bin`, `carddata.bin`.

Optional `basic-key.pem` (P-384) lets the card prove that it is genuine, `auth-key.pem` lets it sign with its
PIN: `pin.txt` holds digits and tries left ("1234 3").
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

FILE_NAME = re.compile(r"(DF[0-9A-F]{2})([0-9A-F]{4})\.bin")
ATR_18 = bytes.fromhex("3B7F96000080318065B085040120120FFF829000")
ATR_17 = bytes.fromhex("3B9813400AA503010101AD1311")
APPLET_BYTE = 21  # of the card data
APPLET_18 = 0x18
APPLET_17 = 0x17
PIN_FILE = re.compile(r"([0-9]{4,12}) ([0-3])\s*")


class BadCard(ValueError):
    """The folder does not hold a card."""


@dataclass(frozen=True)
class HeldCard:
    files: dict[bytes, bytes] = field(repr=False)  # path below the master file (4 bytes) -> content
    atr: bytes
    card_data: bytes
    basic_key: ec.EllipticCurvePrivateKey | None = None
    auth_key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None
    pin: str = field(default="1234", repr=False)
    tries: int = 3

    @property
    def applet(self) -> int:
        return self.card_data[APPLET_BYTE] if len(self.card_data) > APPLET_BYTE else 0


def load_card(folder: Path) -> HeldCard:
    """BadCard when there is nothing of a card in `folder` or a key is none."""
    try:
        files = {
            bytes.fromhex(match[1] + match[2]): path.read_bytes()
            for path in folder.iterdir()
            if (match := FILE_NAME.fullmatch(path.name))
        }
        atr, data = folder / "atr.bin", folder / "carddata.bin"
        if not files and not atr.exists():
            raise BadCard(f"no card in {folder}")
        card_data = data.read_bytes() if data.exists() else bytes(28)
        modern = len(card_data) > APPLET_BYTE and card_data[APPLET_BYTE] >= APPLET_18
        pin, tries = _pin(folder / "pin.txt")
        basic, auth = _key(folder / "basic-key.pem"), _key(folder / "auth-key.pem")
    except OSError as error:
        raise BadCard(str(error)) from error
    if isinstance(basic, rsa.RSAPrivateKey):
        raise BadCard("the basic key is an EC key")
    return HeldCard(
        files=files,
        atr=atr.read_bytes() if atr.exists() else ATR_18 if modern else ATR_17,
        card_data=card_data,
        basic_key=basic,
        auth_key=auth,
        pin=pin,
        tries=tries,
    )


def _pin(path: Path) -> tuple[str, int]:
    if not path.exists():
        return "1234", 3
    match = PIN_FILE.fullmatch(path.read_text())
    if not match:
        raise BadCard("pin.txt: digits and tries left")
    return match[1], int(match[2])


def _key(path: Path) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None:
    if not path.exists():
        return None
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except ValueError as error:
        raise BadCard(f"{path.name}: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise BadCard(f"{path.name}: kind of key")
    return key
