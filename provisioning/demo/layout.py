"""Where everything of the demo lies, below one folder."""

from dataclasses import dataclass
from pathlib import Path

KIT = "kit-brugge-01"
SERVICE = "be.eid.application"
LONGEST_FOLDER = 60  # bytes; a unix socket's path has room for 107, and ours lie some folders deeper


@dataclass(frozen=True)
class Layout:
    """Kept between runs: `ca`, `cards`, `card-pki`, `fingers`, `service-keys`. The rest is made anew."""

    root: Path

    @property
    def ca(self) -> Path:
        return self.root / "ca"

    @property
    def cards(self) -> Path:
        """Emulated identity cards, a folder each."""
        return self.root / "cards"

    @property
    def card_pki(self) -> Path:
        """Keys of the test roots that sign them."""
        return self.root / "card-pki"

    @property
    def card_roots(self) -> Path:
        """The test roots, for the kit to trust."""
        return self.card_pki / "trust"

    @property
    def fingers(self) -> Path:
        return self.root / "fingers"

    @property
    def camera(self) -> Path:
        """Where the emulated camera drops its frames."""
        return self.run / "camera"

    @property
    def service_keys(self) -> Path:
        return self.root / "service-keys"

    @property
    def service(self) -> Path:
        return self.root / "service"

    @property
    def fleet(self) -> Path:
        return self.root / "fleet"

    @property
    def broker(self) -> Path:
        return self.root / "broker"

    @property
    def release(self) -> Path:
        """What the authority hands the fleet: revocation lists and canaries."""
        return self.root / "release"

    @property
    def kits(self) -> Path:
        return self.root / "kits"

    @property
    def kit(self) -> Path:
        return self.kits / KIT

    @property
    def catalogue(self) -> Path:
        """The entry of a service that asks for the holder's PIN, when the demo plays with it."""
        return self.root / "catalogue"

    @property
    def sys(self) -> Path:
        """Stands for /sys on the kit: battery, mains, temperature."""
        return self.root / "sys"

    @property
    def tpm(self) -> Path:
        """What the kit's software TPM remembers, where there is one."""
        return self.root / "tpm"

    @property
    def run(self) -> Path:
        """Sockets and the links to pseudo-terminals."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def lock(self) -> Path:
        return self.root / ".lock"

    @property
    def pcsc(self) -> Path:
        """The socket of the emulated reader's own pcscd."""
        return self.run / "pcscd" / "pcscd.comm"

    @property
    def fleet_toml(self) -> Path:
        return self.fleet / "fleet.toml"

    @property
    def kit_toml(self) -> Path:
        return self.kit / "kit.toml"

    @property
    def service_toml(self) -> Path:
        return self.service / "service.toml"

    def fresh(self) -> tuple[Path, ...]:
        """What every run begins without."""
        return (
            *(self.service, self.fleet, self.broker, self.release, self.kits, self.catalogue),
            *(self.sys, self.tpm, self.run, self.logs),
        )
