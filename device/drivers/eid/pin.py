"""The PIN as it goes to the card, and what the card says about it (applet manuals 1.7 and 1.8, 5 and 6.5).

    00 20 00 01 08  2L dd dd dd dd FF FF FF      L digits, two a byte
    90 00 right; 63 Cx wrong, x tries left; 69 83 blocked

The command is never built by the layers for T=0 and never sent twice: one entry is one try.
"""

from device.drivers.eid.apdu import OK, Command
from device.ports import PinState

SHORTEST, LONGEST = 4, 12  # digits
BLOCK = 8  # bytes
FORMAT = 0x20
FILL = 0x0F
VERIFY = bytes((0x00, 0x20, 0x00, 0x01, BLOCK))
FIRST_ASKABLE = 0x17  # older applets count a VERIFY without data as a wrong PIN (manual 1.7, 6.5)
BLOCKED = 0x6983
TRIES_LEFT = 0x63C0
UNKNOWN = PinState(tries_left=None)


class NotAPin(ValueError):
    """Not 4 to 12 digits; nothing may be sent."""


def verify_command(pin: bytearray) -> bytearray:
    """VERIFY with the PIN (ASCII digits) in it, to be overwritten after use by `wipe`. NotAPin."""
    if not SHORTEST <= len(pin) <= LONGEST or not all(0x30 <= digit <= 0x39 for digit in pin):
        raise NotAPin
    wire = bytearray(VERIFY) + bytes((FORMAT | len(pin),)) + b"\xff" * (BLOCK - 1)
    for index, digit in enumerate(pin):
        at, value = len(VERIFY) + 1 + index // 2, digit & FILL
        wire[at] = (wire[at] & 0x0F) | value << 4 if index % 2 == 0 else (wire[at] & 0xF0) | value
    return wire


def wipe(secret: bytearray) -> None:
    """Zeros over it. Python may have made copies before; those are not reached."""
    secret[:] = bytes(len(secret))


def ask_state(applet: int) -> Command | None:
    """VERIFY without data, which costs no try; None for an applet where it would cost one."""
    return Command(0x00, 0x20, 0x00, 0x01) if applet >= FIRST_ASKABLE else None


def state_of(status: int) -> PinState:
    """What a VERIFY, with or without data, was answered with; UNKNOWN for any other status."""
    if status == OK:
        return PinState(tries_left=None, entered=True)
    if status == BLOCKED:
        return PinState(tries_left=0)
    if status & 0xFFF0 == TRIES_LEFT:
        return PinState(tries_left=status & 0x0F)
    return UNKNOWN
