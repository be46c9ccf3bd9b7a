"""What the agent asks of the world outside it: four peripherals, a key source, a clock; and their results.

Ports speak the officer's language (read a card, capture a finger); a driver behind a port raises only
`KitError`. Every capture has a deadline in seconds on the monotonic clock, can be cancelled, and reports
progress from 0 to 1.
"""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, Protocol

Progress = Callable[[float, str], None]
"""Called with (share done 0..1, code of what is going on, e.g. "place-finger", "reading-photo")."""

State = Literal["ok", "degraded", "missing"]


@dataclass(frozen=True)
class Condition:
    """Health of one peripheral. `detail` and `serial` never hold personal data."""

    state: State
    model: str = ""
    serial: str = ""
    firmware: str = ""
    detail: str = ""
    example: bool = False  # an emulated source that says so in its data (camera folder, test trust root)


@dataclass(frozen=True)
class Capture:
    """How to run one capture: patience, a way to stop it, and where progress goes."""

    deadline_s: float
    progress: Progress
    cancel: threading.Event


# --- card ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Identity:
    """Identity file 4031 (CONT18 / ID_ADRESSE_File_applet1_8_v5), verified; the contract's names."""

    national_number: str
    surname: str
    first_names: str
    third_initial: str
    nationality: str
    birth_place: str
    birth_date: date | int  # a bare year where the card has no more
    sex: Literal["M", "F", "X"]
    noble_condition: str
    document_type: int
    special_status: int
    valid_from: date
    valid_to: date
    delivery_municipality: str
    duplicate: str


@dataclass(frozen=True)
class Address:
    street: str
    postcode: str
    municipality: str


@dataclass(frozen=True)
class CardPhoto:
    """Photo file 4035: JPEG, 140x200 or 150x195, grey; for comparison only, never the new passport photo."""

    jpeg: bytes = field(repr=False)
    sha256: str
    width: int
    height: int


Verdict = Literal["verified", "weak", "rejected", "not-an-eid", "no-card"]


@dataclass(frozen=True)
class CardReading:
    """One whole read. A rejected card has no identity, address or photo: unverified data is never shown."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    applet: str = ""
    card_number: str = ""
    chip_number: str = ""
    identity: Identity | None = field(default=None, repr=False)
    address: Address | None = field(default=None, repr=False)
    photo: CardPhoto | None = field(default=None, repr=False)
    genuine: Literal["proven", "unproven", "failed"] = "unproven"
    test_trust: bool = (
        False  # verified against a root that is not a pinned Belgium Root CA: TEST on every screen
    )
    apdus: int = 0
    ms: int = 0


Presence = Literal["no-reader", "no-card", "card"]


class CardReader(Protocol):
    def presence(self) -> Presence: ...
    def condition(self) -> Condition: ...
    def read(self, capture: Capture) -> CardReading:
        """Read and judge the card in the reader. A judged card is a result, whatever its verdict; KitError is
        for a card or reader that could not be read (no-card, card-removed, card-mute, reader-in-use,
        no-reader)."""
        ...

    def close(self) -> None: ...


HolderCertificate = Literal["", "valid", "expired", "absent", "untrusted"]
"""Of authentication: what it is worth at this moment; "" when it was not looked at. Without a valid or an
expired one a PIN leads nowhere: Kids-ID, a holder who refused certificates, no trusted root."""


@dataclass(frozen=True)
class PinState:
    """What the card says of its PIN: tries left, None where it does not say (or, on applet 1.1, may not be
    asked)."""

    tries_left: int | None
    entered: bool = False  # the right PIN was given since the last reset
    certificate: HolderCertificate = ""

    @property
    def blocked(self) -> bool:
        return self.tries_left == 0

    @property
    def last_try(self) -> bool:
        """Time for a warning: one more wrong PIN and only the municipality can unblock the card."""
        return self.tries_left == 1


ProofOutcome = Literal[
    "proven",
    "failed",  # the signature is not by the certificate's key
    "wrong-pin",
    "pin-blocked",
    "last-try",  # not asked: the caller must first agree to risk the last try
    "not-a-pin",  # not 4 to 12 digits; nothing was sent
    "another-holder",  # the caller would not have this card; no PIN was sent
    "no-certificate",  # Kids-ID, or a holder who refused certificates
    "untrusted",  # the certificate is under no trusted root; no PIN was sent
]


@dataclass(frozen=True)
class HolderProof:
    """One entry of the card's own PIN and what came of it. Only `proven` says anything about the holder."""

    outcome: ProofOutcome
    tries_left: int | None = None
    national_number: str = field(default="", repr=False)  # as the authentication certificate has it
    certificate: bytes = field(default=b"", repr=False)  # of authentication, DER
    certificate_valid: bool = False  # at this moment; an expired card still proves who held it
    authority: bytes = field(default=b"", repr=False)  # the CA above it, DER
    challenge: bytes = field(default=b"", repr=False)  # what was signed: the purpose, then 32 fresh bytes
    signature: bytes = field(default=b"", repr=False)  # PKCS#1 v1.5, or ECDSA in DER
    scheme: Literal["", "rsa-pkcs1v15-sha256", "ecdsa-p384-sha384"] = ""
    test_trust: bool = False
    apdus: int = 0


def anybody(holder: HolderProof) -> bool:
    """Every card under a trusted root will do."""
    return True


class CardHolderProof(Protocol):
    """An optional step for services that need it, and a way for an officer to show who is there."""

    def pin_state(self, capture: Capture) -> PinState:
        """Asked without costing a try, with what the holder's certificate is worth. KitError as
        `CardReader.read`, and not-an-eid."""
        ...

    def prove(
        self,
        pin: bytearray,
        capture: Capture,
        *,
        purpose: bytes = b"",
        last_try: bool = False,
        accept: Callable[[HolderProof], bool] = anybody,
    ) -> HolderProof:
        """Give the PIN to the card once, and have a fresh challenge signed; `pin` (ASCII digits) is wiped.

        `purpose` stands before the challenge, so that a signature made for one thing is none for another.
        `accept` is asked, on another thread, whether this holder's card may have the PIN at all.
        With one try left nothing is sent unless `last_try`. Never repeated by itself: KitError when the
        card or reader did not go along, and then the caller asks `pin_state` before anybody tries again."""
        ...


class EidReader(CardReader, CardHolderProof, Protocol):
    """The kit's card reader: both in one."""


# --- camera ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Photo:
    """A still: JPEG, sRGB, at least 413x531 px after the 35x45 crop, with what was measured on it."""

    jpeg: bytes = field(repr=False)
    width: int
    height: int
    measures: dict[str, float]
    hints: tuple[str, ...] = ()  # codes, e.g. too-dark, too-bright, blurred, too-small


class Camera(Protocol):
    def condition(self) -> Condition: ...
    def preview(self) -> bytes:
        """The newest frame as a JPEG of at most 640 px high. KitError when there is none."""
        ...

    def capture(self, capture: Capture) -> Photo: ...
    def close(self) -> None: ...


# --- fingerprint ------------------------------------------------------------------------------------------

Hand = Literal["right", "left"]
Finger = Literal["index", "middle", "ring", "little", "thumb"]
LADDER: tuple[Finger, ...] = (
    "index",
    "middle",
    "ring",
    "little",
    "thumb",
)  # order laid down by RD 10 Dec 2019


@dataclass(frozen=True)
class FingerImage:
    """One flat capture: 8-bit grey, row by row from the top left, ridges dark, `ppi` pixels an inch."""

    pixels: bytes = field(repr=False)
    width: int
    height: int
    ppi: int
    measures: dict[str, float]
    hints: tuple[str, ...] = ()  # codes of the contract: blank, low-contrast, partial, ...
    device: str = ""


class FingerprintScanner(Protocol):
    def condition(self) -> Condition: ...
    def capture(self, capture: Capture) -> FingerImage: ...
    def close(self) -> None: ...


# --- signature ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stroke:
    """Points of one pen-down movement, in pad units, origin top left: ((x, y), ...)."""

    points: tuple[tuple[int, int], ...] = field(repr=False)


@dataclass(frozen=True)
class SignatureInk:
    strokes: tuple[Stroke, ...] = field(repr=False)
    width: int  # of the active area, in pad units
    height: int
    device: str = ""


class SignaturePad(Protocol):
    def condition(self) -> Condition: ...
    def capture(
        self, capture: Capture, ink: Callable[[SignatureInk], None], done: threading.Event
    ) -> SignatureInk:
        """Collect strokes until `done` is set or the pen has rested for the driver's pause after a real
        signature.

        `ink` gets what is there so far, for the screen. KitError empty-signature when nothing was written."""
        ...

    def close(self) -> None: ...


# --- the rest ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Enclosed:
    """A secret (32 bytes) that device and PIN release together, and the ticket to ask it back with."""

    secret: bytes = field(repr=False)
    ticket: bytes = field(repr=False)  # for the vault to keep; useless on another device


class KeySource(Protocol):
    """Where the device's share of the store key lives: a TPM, fuses in the processor, a file.

    Every call raises KitError: key-source-gone when the device does not answer, other-device when it is
    not the one it was set up on. A `proof` is 32 bytes that only the right PIN gives; a
    source that can count wrong ones does so itself, and then nobody gets round it."""

    protection: Literal["hardware", "reduced"]

    def device_secret(self) -> bytes:
        """32 bytes, the same at every call on this device, for whoever may ask it; no PIN."""
        ...

    def enclose(self, proof: bytes) -> Enclosed:
        """A share for one officer, given back only for the same `proof`. What was enclosed before stays."""
        ...

    def release(self, ticket: bytes, proof: bytes) -> bytes:
        """The secret of `ticket`. KitError wrong-pin; pin-blocked when this ticket gives no more tries.

        A source that cannot tell a wrong proof releases all the same: the caller finds out."""
        ...

    def forget(self, ticket: bytes) -> None:
        """Never release this one again. One that is not there (any more) changes nothing."""
        ...

    def keep_only(self, tickets: Collection[bytes]) -> None:
        """Forget all that was ever enclosed here but these: what a cut of the power left behind."""
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """Wall clock, with zone UTC."""
        ...

    def monotonic(self) -> float: ...
