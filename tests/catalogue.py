"""Catalogue entries for tests: the one that is shipped, and the same for a service that asks for the PIN."""

from importlib.resources import files

from protocol.catalogue import Entry, parse

SERVICE = "be.eid.application"
POSSESSION = """
[possession]
exceptions = ["no-card", "no-certificate", "certificate-expired", "pin-blocked", "pin-unknown", "refuses"]
"""


def text() -> str:
    return files("protocol.catalogue").joinpath(f"{SERVICE}.toml").read_text()


def with_possession(rules: str = POSSESSION) -> Entry:
    return parse(
        (text().replace('"inform", "procedure"', '"inform", "possession", "procedure"') + rules).encode()
    )
