"""`python -m tests.device.drivers.eid.fuzz --runs N --seed S`: nonsense for everything that reads a card.

Each run hands one changed or made-up piece to one reader of bytes. What comes back is a value or the error
that reader is documented to raise; anything else ends the program with the seed and number to repeat it.
Memory may not grow: the peak of the process is compared before and after.
"""

import argparse
import json
import random
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from device.drivers.eid.apdu import Answer, BadAnswer, Command, right_length, whole_answer
from device.drivers.eid.certificates import BadCertificate, parse
from device.drivers.eid.chain import holder_matches, judge_register
from device.drivers.eid.der import BadDer, cut
from device.drivers.eid.files import ORDER, BadStatus, CardFiles, read_file
from device.drivers.eid.genuine import Proof
from device.drivers.eid.identity import BadContent, read_address, read_card_number, read_identity
from device.drivers.eid.jpeg import BadJpeg, size
from device.drivers.eid.judge import judge
from device.drivers.eid.pin import state_of
from device.drivers.eid.tlv import BadTlv
from device.drivers.eid.tlv import parse as parse_fields
from device.drivers.eid.trust import TrustStore, load_trust
from device.emulators.eid.maker import make_card
from device.emulators.eid.pki import Pki
from device.emulators.eid.spec import Generation, Spec

GROWTH_KB = 64 * 1024
WARM_UP = 2_000  # runs before memory is looked at for the first time
NOW = datetime.now(UTC)
GENERATIONS: tuple[Generation, ...] = ("1.8", "1.7-ec", "1.7-rsa", "1.1")
INTERESTING = (0x00, 0x01, 0x30, 0x7F, 0x80, 0x81, 0x82, 0xFE, 0xFF)


class Broken(Exception):
    """A run ended in something that is neither a value nor a documented error."""


def changed(dice: random.Random, data: bytes) -> bytes:
    """A few bytes changed, cut out, doubled, or the end gone."""
    out = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(out) + 1)
        match dice.randrange(5):
            case 0 if out:
                out[at % len(out)] = dice.randrange(256)
            case 1 if out:
                out[at % len(out)] = dice.choice(INTERESTING)
            case 2:
                del out[at : at + dice.randint(1, 8)]
            case 3:
                out[at:at] = dice.randbytes(dice.randint(1, 8))
            case _:
                del out[at:]
    return bytes(out)


class Fuzz:
    """Cards of every generation to begin from, and one method a target, which raises what is documented."""

    def __init__(self, cards: Sequence[CardFiles], trust: TrustStore, dice: random.Random) -> None:
        self._cards = cards
        self._trust = trust
        self._dice = dice
        self._targets: dict[str, tuple[Callable[[], object], tuple[type[Exception], ...]]] = {
            "tlv": (self._tlv, (BadTlv,)),
            "identity": (self._identity, (BadTlv, BadContent)),
            "address": (self._address, (BadTlv, BadContent)),
            "apdu": (self._apdu, (BadAnswer, BadStatus)),
            "jpeg": (self._jpeg, (BadJpeg,)),
            "der": (self._der, (BadDer,)),
            "certificate": (self._certificate, (BadCertificate,)),
            "register": (self._register, ()),
            "card": (self._card, ()),
        }
        # The whole judge costs a hundred times a TLV; still every thousandth run is one.
        self._weights = (200, 250, 150, 200, 80, 60, 50, 8, 2)
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def run(self, number: int) -> None:
        """One run. Broken when it ends as nothing should."""
        name = self._dice.choices(list(self._targets), self._weights)[0]
        target, documented = self._targets[name]
        self.counts[name] += 1
        try:
            target()
        except documented:
            self.refused[name] += 1
        except Exception as error:
            raise Broken(f"run {number}, {name}: {type(error).__name__}: {error}") from error

    def _any(self) -> CardFiles:
        return self._dice.choice(self._cards)

    def _bytes(self, sample: bytes) -> bytes:
        if self._dice.random() < 0.15:
            return self._dice.randbytes(self._dice.randrange(300))
        return changed(self._dice, sample)

    def _tlv(self) -> object:
        data = self._bytes(self._any().identity)
        fields = parse_fields(data)
        assert sum(len(value) + 2 for value in fields.values()) <= len(data)
        return fields

    def _fields(self, sample: bytes) -> dict[int, bytes]:
        if self._dice.random() < 0.3:
            return parse_fields(self._bytes(sample))
        fields = parse_fields(sample)
        for tag in self._dice.sample(list(fields), self._dice.randint(1, min(3, len(fields)))):
            fields[tag] = self._bytes(fields[tag])
        return fields

    def _identity(self) -> object:
        fields = self._fields(self._any().identity)
        return read_identity(fields), read_card_number(fields)

    def _address(self) -> object:
        return read_address(self._fields(self._any().address))

    def _apdu(self) -> object:
        dice = self._dice

        def card(command: Command) -> Answer:
            wanted = command.le or 0
            data = dice.randbytes(dice.choice((0, 1, wanted, wanted, wanted, dice.randrange(260))))
            status = dice.choice(
                (b"\x90\x00", b"\x90\x00", b"\x6b\x00", b"\x6c", b"\x61", b"", dice.randbytes(2))
            )
            if len(status) == 1:
                status += dice.randbytes(1)
            if command.ins == 0xA4:
                data, status = b"", dice.choice((b"\x90\x00", b"\x90\x00", status))
            if len(status) == 2:
                state_of(int.from_bytes(status, "big"))
            return Answer.from_bytes(data + status, command)

        return read_file(whole_answer(right_length(card)), dice.choice(ORDER), dice.randint(1, 256))

    def _jpeg(self) -> object:
        photo = self._any().photo
        width, height = size(changed(self._dice, photo[:700]) + photo[700:])
        assert 0 < width <= 2000
        assert 0 < height <= 2000
        return width

    def _der(self) -> object:
        return cut(self._bytes(self._any().identity_signature))

    def _certificate(self) -> object:
        card = self._any()
        return parse(
            self._bytes(self._dice.choice((card.rrn, card.root, card.authority, card.authentication)))
        )

    def _register(self) -> object:
        card = self._any()
        rrn = self._bytes(card.rrn)
        register = judge_register(rrn, self._bytes(card.root), self._trust, NOW)
        holder_matches(self._bytes(card.authentication), card.authority, "71715100070", self._trust)
        assert not register.trusted or cut(rrn) == cut(card.rrn)  # nothing but padding was changed
        return register

    def _card(self) -> object:
        card = self._any()
        for name in self._dice.sample([file.name for file in ORDER], self._dice.randint(1, 3)):
            card = replace(card, **{name: self._bytes(getattr(card, name))})
        reading = judge(card, self._trust, NOW, Proof(bytes(48), self._dice.randbytes(96)))
        assert (reading.identity is None) is (reading.verdict == "rejected")
        return reading


def cards_in(folder: Path) -> tuple[list[CardFiles], TrustStore]:
    """One made card of each generation, and the roots that vouch for them."""
    pki = Pki(folder)
    cards = []
    for generation in GENERATIONS:
        files = make_card(Spec(generation=generation), pki, folder).files
        held = {file.name: files.get(f"{file.path[2:].hex().upper()}.bin", b"") for file in ORDER}
        cards.append(CardFiles(files["carddata.bin"], **held))
    return cards, load_trust(folder / "trust")


def peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def fuzz(runs: int, seed: int, folder: Path) -> dict[str, object]:
    """Counts, seconds and growth of the peak memory in kB. Broken when something went wrong."""
    cards, trust = cards_in(folder)
    machine = Fuzz(cards, trust, random.Random(seed))
    before = 0
    began = time.monotonic()
    for number in range(runs):
        if number == min(WARM_UP, runs - 1):
            before = peak_kb()
        machine.run(number)
    growth = peak_kb() - before
    if growth > GROWTH_KB:
        raise Broken(f"memory grew by {growth} kB")
    return {
        "runs": runs,
        "seed": seed,
        "seconds": round(time.monotonic() - began, 1),
        "memory_growth_kb": growth,
        "counts": dict(machine.counts),
        "refused": dict(machine.refused),
    }


def main(argv: list[str]) -> int:
    options = argparse.ArgumentParser(prog="python -m tests.device.drivers.eid.fuzz")
    options.add_argument("--runs", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args(argv)
    warnings.simplefilter("ignore")  # of certificates with odd numbers, made by the hundred thousand here
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = fuzz(asked.runs, asked.seed, Path(folder))
        except Broken as error:
            sys.stderr.write(f"seed {asked.seed}, {error}\n")
            return 1
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
