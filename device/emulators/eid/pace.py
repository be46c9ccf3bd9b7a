"""How slow a real card is: 12 elementary time units a byte at 4 MHz, from TA1 of its answer to reset."""

FI = {
    0: 372,
    1: 372,
    2: 558,
    3: 744,
    4: 1116,
    5: 1488,
    6: 1860,
    9: 512,
    10: 768,
    11: 1024,
    12: 1536,
    13: 2048,
}
DI = {1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 6: 32, 7: 64, 8: 12, 9: 20}  # ISO 7816-3, tables 7 and 8
CLOCK_HZ = 4_000_000
UNITS_A_BYTE = 12
COMMAND_S = 0.010  # what the chip itself takes
TA1_FOLLOWS = 0x10


class Pace:
    def __init__(self, atr: bytes) -> None:
        has = len(atr) > 2 and atr[1] & TA1_FOLLOWS
        ta1 = atr[2] if has else 0x11
        clocks = FI.get(ta1 >> 4, 372) / DI.get(ta1 & 0x0F, 1)
        self._byte_s = UNITS_A_BYTE * clocks / CLOCK_HZ

    def seconds(self, length: int) -> float:
        """One command and answer of `length` bytes together."""
        return COMMAND_S + length * self._byte_s
