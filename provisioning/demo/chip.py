"""A TPM for the demo's kit: swtpm on a socket, and a place in memory for the key that it opens."""

import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from provisioning.demo import props
from provisioning.demo.layout import Layout
from provisioning.demo.processes import Program

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  a folder of our own is made in it


class ChipFailed(Exception):
    """This machine cannot play a TPM; the text says what is missing."""


@dataclass(frozen=True)
class Chip:
    """`memory` is a folder in memory, which goes with the demo."""

    layout: Layout
    memory: Path

    @property
    def socket(self) -> Path:
        return self.layout.run.resolve() / "tpm.sock"

    @property
    def tls_key(self) -> Path:
        return self.memory / "kit-tls.key"

    def keys(self) -> dict[str, str | int]:
        """The table `keys` of the kit's configuration."""
        return {
            "source": "tpm2",
            "device": str(self.socket),
            "path": "certs/tpm.keys",
            "tls": "certs/kit-tls.sealed",
        }

    def program(self) -> Program:
        """What the TPM remembers begins anew with every run, as the kit does."""
        program = shutil.which("swtpm")
        if program is None:
            raise ChipFailed("swtpm is missing: apt-get install swtpm")
        state = self.layout.tpm
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        where = ["--tpmstate", f"dir={state}", "--server", f"type=unixio,path={self.socket}"]
        flags = ["--flags", "not-need-init,startup-clear"]
        return Program("tpm", [program, "socket", "--tpm2", *where, *flags], _listens(self.socket))

    def lay_out(self) -> None:
        """The uplink's key, out of the TPM, as the kit's units do it before the uplink starts."""
        props.run("device", "keys", "lay-out", "--config", self.layout.kit_toml)


@contextmanager
def chip(layout: Layout, wanted: bool) -> Iterator[Chip | None]:
    """None unless `wanted`. ChipFailed."""
    if not wanted:
        yield None
        return
    if not SHARED_MEMORY.is_dir():
        raise ChipFailed(f"there is no {SHARED_MEMORY}, where a key can lie in memory")
    with tempfile.TemporaryDirectory(prefix="thuisloket-", dir=SHARED_MEMORY) as memory:
        yield Chip(layout, Path(memory))


def _listens(path: Path) -> Callable[[], bool]:
    def ready() -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(path)) == 0

    return ready
