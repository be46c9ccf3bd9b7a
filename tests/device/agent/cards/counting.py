"""What the emulated card itself counted, whatever the agent believes."""

from tests.device.drivers.eid.reader import VirtualReader

VERIFY, STATE = 0x20, 5  # asking for the state is five bytes


def entries_of(virtual: VirtualReader) -> int:
    """How many PINs the card in the first slot has been given since it was put in."""
    return sum(header[1] == VERIFY and length > STATE for header, length, _ in virtual.log())
