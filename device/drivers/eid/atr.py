"""Which answers to reset are a Belgian eID (OpenSC card-belpic, commons-eid, applet 1.8 manual).

Nothing is sent to a card with another one: a bank card is not asked who it belongs to.
"""

APPLET_18 = bytes.fromhex("3B7F96000080318065B085040120120FFF829000")
BEFORE_18 = bytes.fromhex("3B980040000000000101AD1310")
BEFORE_18_MASK = bytes.fromhex("FFFF00FF00000000FFFFFFFFF0")


def is_belgian_eid(atr: bytes) -> bool:
    """True for applets 1.0 to 1.8; the value says nothing about which (1.1 and 1.7 share one)."""
    if atr == APPLET_18:
        return True
    masked = bytes(value & mask for value, mask in zip(atr, BEFORE_18_MASK, strict=False))
    return len(atr) == len(BEFORE_18) and masked == BEFORE_18
