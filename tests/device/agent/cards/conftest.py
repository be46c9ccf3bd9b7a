"""The desk with the real card reader: pcscd and emulated cards."""

from tests.device.agent.conftest import founded, kit
from tests.device.drivers.eid.conftest import card, pki_folder, trust, trust_folder

__all__ = ["card", "founded", "kit", "pki_folder", "trust", "trust_folder"]
