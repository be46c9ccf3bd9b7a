"""The hands at the emulated peripherals: insert a card, lay a finger down, sign, pull a plug.

They speak to the emulators' control sockets, one JSON object a line each way, as any test could.
"""

import json
import socket
from pathlib import Path
from typing import Any, Literal, get_args

PATIENCE_S = 15.0
LONGEST_ANSWER = 1 << 16

Plug = Literal["finger", "signpad", "camera"]
PLUGS: tuple[Plug, ...] = get_args(Plug)


class StageFailed(Exception):
    """An emulator would not do what was asked; the text has its answer."""


class Hands:
    """`run` has the control sockets; `fingers` the finger images, `cards` a folder for each card."""

    def __init__(self, run: Path, fingers: Path, cards: Path) -> None:
        self._run, self._fingers, self._cards = run, fingers, cards

    def insert(self, card: str, **how: Any) -> None:
        """Put a card into the reader; another one in it is taken out first."""
        self.take_out()
        self._ask("reader", do="insert", card=str((self._cards / card).resolve()), **how)

    def take_out(self) -> None:
        self._ask("reader", do="remove")

    def lay_finger(self, number: int, touch: int = 1) -> None:
        """Lay finger `number`, counted from 1, on the scanner and leave it there."""
        image = (self._fingers / f"f{number:02d}-{touch}.png").resolve()
        self._ask("finger", do="finger", image=str(image))

    def lift_finger(self) -> None:
        self._ask("finger", do="no-finger")

    def sign_when_asked(self) -> None:
        """From now on the pen is in the hand when the pad waits for a signature."""
        self._ask("signpad", do="waiting")

    def do_not_sign(self) -> None:
        self._ask("signpad", do="nothing")

    def sign(self) -> None:
        self._ask("signpad", do="sign")

    def unplug(self, what: Plug) -> None:
        self._ask(what, do="unplug")

    def plug(self, what: Plug) -> None:
        self._ask(what, do="plug")

    def _ask(self, whom: str, **wish: Any) -> dict[str, Any]:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
                peer.settimeout(PATIENCE_S)
                peer.connect(str(self._run / f"{whom}.sock"))
                peer.sendall(json.dumps(wish).encode() + b"\n")
                with peer.makefile("rb") as lines:
                    answer: dict[str, Any] = json.loads(lines.readline(LONGEST_ANSWER))
        except (OSError, ValueError) as problem:
            raise StageFailed(f"{whom} does not answer to {wish.get('do')}: {problem}") from problem
        if not answer.get("ok"):
            raise StageFailed(f"{whom} refused {wish.get('do')}: {answer.get('error')}")
        return answer
