"""What lies on a stick that carries sealed packets and receipts: names and bounds (docs/protocol.md 9). Pure.

Every file is signed by whoever made it, so a stick needs no list and no seal of its own, and its order means
nothing. Names are ids, which say nothing of anybody.
"""

from protocol.ids import is_ulid

FOLDER = "thuisloket-koerier"
PACKET, RECEIPT = ".sealed", ".jws"
PARTIAL = ".part"  # being written; left behind by a stick that was pulled out
MOST_FILES = 2_000
LONGEST_RECEIPT = 16 * 1024


def packet_name(packet_id: str) -> str:
    return f"{packet_id}{PACKET}"


def receipt_name(packet_id: str) -> str:
    return f"{packet_id}{RECEIPT}"


def id_of(name: str, suffix: str) -> str:
    """The packet's id in a file name; "" when it is not such a name."""
    stem = name.removesuffix(suffix)
    return stem if stem != name and is_ulid(stem) else ""
