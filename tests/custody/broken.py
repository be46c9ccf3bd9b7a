"""Builds broken on purpose: the sources copied, one rule taken out. A judge that lets these pass is none."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.custody.stand import ROOT

SOURCES = ("protocol", "look", "device", "server", "provisioning", "competent", "tests")
Change = tuple[str, str, str]  # file, what stands there exactly once, what stands there instead

BUILDS: Mapping[str, Sequence[Change]] = {
    "no-fencing": (
        ("server/fleet/uploads.py", "if row.generation != generation:", "if row.generation < 0:"),
        (
            "server/fleet/uploads.py",
            'if row.state != "open" or row.written != offset:',
            'if row.state != "open":',
        ),
        # The shortcut in front of it would save most of them.
        ("server/web/berths.py", "if there is None or there[0] is newcomer:", "if newcomer is not None:"),
        ("server/web/berths.py", "if there is None or there[0] is not connection:", "if there is None:"),
    ),
    "no-idempotency": (
        ("competent/intake.py", "held = self.ledger.find(key)", "held = None"),
        ("competent/ledger.py", "packet_id TEXT PRIMARY KEY", "packet_id TEXT"),
    ),
    "receipt-before-commit": (
        (
            "server/broker/line.py",
            "            if batch and self._taking is None:\n",
            "            if batch and self._taking is None:\n"
            "                stream.write(mqtt5.pubacks([each.number for each in batch if each.number]))\n"
            "                __import__('tests.custody.early', fromlist=['receipts']).receipts(self, batch)\n"
            "                self._send(stream)\n"
            "                time.sleep(0.7)\n",
        ),
        ("server/broker/line.py", "[each.number for each in batch if each.number]\n", "[]\n"),
    ),
    "uploaded-before-commit": (
        (
            "server/fleet/uploads.py",
            "    if whole:\n        _complete(database, dock, packet_id, generation, now)\n",
            "    if whole:\n",
        ),
    ),
}


def build(name: str, folder: Path) -> Path:
    """The sources of the broken build `name` in `folder`; AssertionError when a rule is not where it was."""
    for room in SOURCES:
        ignore = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / room, folder / room, ignore=ignore)
    for file, there, instead in BUILDS[name]:
        path = folder / file
        text = path.read_text(encoding="utf-8")
        assert text.count(there) == 1, f"{file}: {there!r} stands there {text.count(there)} times"
        path.write_text(text.replace(there, instead), encoding="utf-8")
    return folder
