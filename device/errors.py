"""What can go wrong on the kit: a refusal, a failure, and (anything else) a bug.

A `Refused` is answered: the wish does not fit the state. A `KitError` is shown with its remedy: the world did
not cooperate. Every other exception is a bug; it ends the process and systemd starts it again.
"""

from enum import StrEnum


class Remedy(StrEnum):
    """Who can put it right."""

    RETRY = "retry"  # the officer does the same again
    OFFICER = "officer"  # the officer does something else first (plug in, insert, choose another way)
    WORKSHOP = "workshop"  # the IT administrator


class Code(StrEnum):
    """Every failure and refusal that can reach a screen; each has words in nl, fr, de and en."""

    # card and reader (reason codes of the contract, section 2)
    NO_READER = "no-reader"
    NO_CARD = "no-card"
    NOT_AN_EID = "not-an-eid"
    CARD_REJECTED = "card-rejected"
    CARD_REMOVED = "card-removed"
    CARD_SWAPPED = "card-swapped"
    CARD_MUTE = "card-mute"
    READER_IN_USE = "reader-in-use"
    TWO_CARDS = "two-cards"
    NOT_GENUINE = "not-genuine"
    WRONG_PERSON = "wrong-person"
    # serial peripherals and camera
    PERIPHERAL_ABSENT = "peripheral-absent"
    PERIPHERAL_GONE = "peripheral-gone"
    PERIPHERAL_BUSY = "peripheral-busy"
    PERIPHERAL_PROTOCOL = "peripheral-protocol"
    PERIPHERAL_REFUSED = "peripheral-refused"
    TIMED_OUT = "timed-out"
    CANCELLED = "cancelled"
    # captures
    NO_FINGER = "no-finger"
    FINGER_POOR = "finger-poor"
    SAME_FINGER = "same-finger"
    EMPTY_SIGNATURE = "empty-signature"
    CAMERA_FROZEN = "camera-frozen"
    PHOTO_POOR = "photo-poor"
    # officer and vault
    CARD_NEEDED = "card-needed"
    WRONG_PIN = "wrong-pin"
    TOO_MANY_TRIES = "too-many-tries"
    PIN_BLOCKED = "pin-blocked"
    KEY_SOURCE_GONE = "key-source-gone"
    UNKNOWN_OFFICER = "unknown-officer"
    LOCKED = "locked"
    WEAK_PIN = "weak-pin"
    PINS_DIFFER = "pins-differ"
    WRONG_CODE = "wrong-code"
    CODE_EXPIRED = "code-expired"
    NO_WAY_BACK = "no-way-back"
    LEASE_ENDED = "lease-ended"
    LEASE_SPENT = "lease-spent"
    ROSTER_ENDED = "roster-ended"
    NO_ENROLMENT = "no-enrolment"
    WRONG_ENROLMENT = "wrong-enrolment"
    ENROLMENT_EXPIRED = "enrolment-expired"
    OTHER_DEVICE = "other-device"
    VAULT_DAMAGED = "vault-damaged"
    DISK_FULL = "disk-full"
    # sealing
    RECIPIENTS_EXPIRED = "recipients-expired"
    RECIPIENTS_UNTRUSTED = "recipients-untrusted"
    CANNOT_SEAL = "cannot-seal"
    RECAPTURE_LATE = "recapture-late"
    KEY_REFUSED = "key-refused"
    # the visit
    NOT_NOW = "not-now"
    UNKNOWN_VISIT = "unknown-visit"
    BAG_UNREADABLE = "bag-unreadable"
    CAPTURE_DAMAGED = "capture-damaged"
    STEP_MISSING = "step-missing"
    # configuration
    BAD_CONFIG = "bad-config"


class KitError(Exception):
    """The world did not cooperate. `detail` is for the administrator's log and holds no personal data."""

    def __init__(self, code: Code, remedy: Remedy, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else str(code))
        self.code = code
        self.remedy = remedy
        self.detail = detail


class Refused(Exception):
    """The wish does not fit the state of the visit; nothing has changed."""

    def __init__(self, code: Code, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else str(code))
        self.code = code
        self.detail = detail
