"""What a screen may ask of the desk. The desk implements it; a test of the screens may bring another."""

from collections.abc import Mapping
from typing import Literal, Protocol

from device.agent.events import Wish
from device.agent.snapshot import ErrandKind, Snapshot
from device.ports import Finger, Hand

CaptureKind = Literal["card", "pin-state", "photo", "finger", "signature", "seal", "seal-key"]


class Front(Protocol):
    """Every call answers at once or within two seconds; long work is seen through snapshots.

    `Refused` and `KitError` raised here are answers to the one who asked; failures of captures that run in
    the background arrive as `Snapshot.failure`.
    """

    def now(self) -> Snapshot: ...

    def after(self, version: int, seconds: float) -> Snapshot:
        """The first snapshot newer than `version`, or the present one when `seconds` have passed."""
        ...

    def unlock(self, officer_id: str, pin: str) -> None:
        """KitError wrong-pin, too-many-tries, unknown-officer; Snapshot.gate has tries left and the wait."""
        ...

    def show_card(self, officer_id: str) -> None:
        """Look at the own eID of an officer who signs in with it; see `Snapshot.gate.card`.

        Refused not-now."""
        ...

    def enter_officer_pin(self, entry: str, pin: bytearray, last_try: bool) -> None:
        """As `enter_pin`, with the PIN of the officer's own eID."""
        ...

    def hide_card(self) -> None:
        """Back to the officers; nothing is proven any more."""
        ...

    def lock(self) -> None: ...

    def change_pin(self, old: str, new: str) -> None:
        """Another PIN for the officer who is in.

        KitError wrong-pin, too-many-tries, weak-pin; Refused locked."""
        ...

    def challenge(self, officer_id: str) -> str:
        """What an officer who forgot the PIN reads out to the administrator. KitError no-way-back."""
        ...

    def recover(self, officer_id: str, code: str, pin: str) -> None:
        """Take the administrator's code, once, with a new PIN. KitError wrong-code, code-expired, weak-pin,
        too-many-tries, no-way-back, unknown-officer."""
        ...

    def enrol(self, officer_id: str, code: str, pin: str) -> None:
        """Let a colleague in who is in `Snapshot.newcomers`, with the code that was given. Refused locked;
        KitError no-enrolment, wrong-enrolment, enrolment-expired, weak-pin, too-many-tries."""
        ...

    def choose(self, visit_id: str) -> None:
        """Open a visit of today's list, or go on with it. Refused unknown-visit; KitError lease-ended;
        recipients-expired, recapture-late, cannot-seal, disk-full when the dry run says that it could not be
        sealed."""
        ...

    def leave(self) -> None:
        """Back to the list; an unsealed visit stays open."""
        ...

    def wish(self, wish: Wish) -> None:
        """Everything that needs no device. Refused when it does not fit."""
        ...

    def start(self, what: CaptureKind, hand: Hand | None = None, finger: Finger | None = None) -> None:
        """Begin a capture (or the sealing). Refused not-now when one runs or the step does not allow it."""
        ...

    def enter_pin(self, entry: str, pin: bytearray, last_try: bool) -> None:
        """Give the holder's PIN (ASCII digits) to the card, once; `pin` is wiped, whatever happens.

        `entry` is that of `VisitView.pin`. Refused not-now when it is used up, or no PIN is asked for."""
        ...

    def answer_key(self, authenticator_data: str, client_data: str, signature: str) -> None:
        """What the security key answered to `VisitView.key`, in base64url. Refused not-now."""
        ...

    def register_key(self, client_data: str, attestation_object: str) -> None:
        """Keep the registration of a security key of the officer who is in. Refused locked."""
        ...

    def finish_ink(self) -> None:
        """The citizen is done signing."""
        ...

    def cancel(self) -> None: ...

    def try_now(self) -> None:
        """Send what waits without waiting any longer, also what the fleet refused for good."""
        ...

    def carry(self) -> None:
        """Look which sticks are in; see `Snapshot.courier`. Refused not-now while a visit is open."""
        ...

    def run_errand(self, what: ErrandKind, stick: str) -> None:
        """Carry everything to or from the stick of this name. Refused not-now: it is not in, or one runs."""
        ...

    def stop_carrying(self) -> None:
        """Back to the list; an errand under way ends after the file at hand."""
        ...

    def dismiss(self) -> None:
        """The officer has read the failure."""
        ...

    def preview(self) -> bytes:
        """A JPEG of the camera's newest frame. KitError when there is none."""
        ...

    def part(self, record: str) -> tuple[str, bytes]:
        """Media type and bytes of a kept capture of the open visit, for the review screen only."""
        ...

    def summary(self) -> Mapping[str, str]:
        """The open visit in codes and plain values for the review screen: procedure, fingers, exceptions."""
        ...
