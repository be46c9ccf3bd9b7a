"""What the uplink must know; plain values, so that it needs no room of the agent's to read them."""

from dataclasses import dataclass
from pathlib import Path

from device.spool.credentials import Credentials, Papers


@dataclass(frozen=True)
class UplinkSettings:
    """`https` is `https://host[:port]`; `certificate` is the kit-tls leaf and its issuing CA, `ca` the roots.

    Times in seconds. Everything from `mqtt_version` on has the value of production."""

    kit_id: str
    spool: Path
    mqtt_host: str
    mqtt_port: int
    https: str
    ca: Path
    certificate: Path
    key: Path
    mqtt_version: str = "auto"  # or "5", "3.1.1"
    older_s: float = 6 * 3600.0  # after so long at 3.1.1, a broker is tried at 5 again
    keepalive_s: int = 60
    will_delay_s: int = 30
    connect_s: float = 10.0  # TCP and TLS together with the first answer
    read_s: float = 30.0  # the longest silence of the fleet within an answer
    retry_first_s: float = 1.0
    retry_most_s: float = 120.0
    steady_s: float = 60.0  # a session this long was a good one: the next retry starts at the beginning again
    receipt_s: float = 60.0  # an event without receipt by then is sent again
    refused_again_s: float = 3600.0  # a refused packet is offered again: the cause may lie at the fleet
    asked_again_s: float = 86_400.0  # what the fleet has said it holds: it may have been put back from a copy
    inbox_every_s: float = 300.0
    look_every_s: float = 5.0  # at the spool, in case a ring was lost
    piece_bytes: int = 131_072  # the most that the fleet takes at once
    ferry_after_s: float = 120.0  # HTTPS has failed this long: packets go through the broker instead
    credentials: Path | None = None  # where renewed certificates lie; None: beside the spool
    makes_keys: bool = True  # False: keys are sealed to a TPM, and laid out in memory beside `key`

    def held(self) -> Credentials:
        """The certificate in use: the one above, until it is renewed."""
        spare = None if self.makes_keys else self.key.with_name(f"next-{self.key.name}")
        given = Papers(self.certificate, self.key, self.ca)
        return Credentials(self.credentials or self.spool.with_name("uplink"), given, "uplink", spare)
