"""Wishes that fit, for the tests of rules and desk: one whole visit, step by step."""

import hashlib

from device.agent.events import (
    ChooseProcedure,
    Inform,
    KeepCard,
    KeepFinger,
    KeepPhoto,
    KeepSignature,
    Open,
    Review,
    Seal,
    Wish,
)
from protocol.catalogue import shipped

ENTRY = shipped()["be.eid.application"]
SERVICE = ENTRY.service
VISIT = "01KA0000000000000000000001"
PACKET = "01KA0000000000000000000002"


def digest(record: str) -> str:
    return hashlib.sha256(record.encode()).hexdigest()


OPEN = Open(VISIT, SERVICE.service, ENTRY.digest, "an.peeters", "0207500123")
CARD = KeepCard("card-1", digest("card-1"), "verified", (), "proven", False, True)
INFORM = Inform("eid-info", "nl", False)
NORMAL = ChooseProcedure("normal")
PHOTO = KeepPhoto("photo-1", digest("photo-1"))
RIGHT = KeepFinger("right", "index", "finger-1", digest("finger-1"))
LEFT = KeepFinger("left", "index", "finger-2", digest("finger-2"))
SIGNATURE = KeepSignature("signature-1", digest("signature-1"))
REVIEW = Review("nl")
SEAL = Seal(PACKET, digest("manifest"), 1000)

WHOLE: tuple[Wish, ...] = (
    OPEN,
    CARD,
    INFORM,
    NORMAL,
    PHOTO,
    RIGHT,
    LEFT,
    SIGNATURE,
    REVIEW,
    SEAL,
)
