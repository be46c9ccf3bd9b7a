"""A real OpenSSH server for tests: SFTP alone, in a folder of its own, on a free port of loopback."""

import getpass
import os
import shutil
import subprocess
from pathlib import Path

from tests.mosquitto import free_port, until

SSHD = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")


class Sshd:
    """`drop` is where a client lands: `in`, `out`, `taken`; `key` opens it, `known_hosts` names it."""

    def __init__(self, folder: Path) -> None:
        assert SSHD is not None, "openssh-server is installed by `make setup`"
        folder.mkdir(parents=True)
        self.folder, self.port, self.user = folder, free_port(), getpass.getuser()
        self.drop = folder / "drop"
        for place in ("in", "out", "taken"):
            (self.drop / place).mkdir(parents=True)
        self.key, host_key = folder / "client", folder / "host"
        for key in (self.key, host_key):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        self.known_hosts = folder / "known_hosts"
        public = host_key.with_suffix(".pub").read_text()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {public}")
        (folder / "authorized").write_bytes(self.key.with_suffix(".pub").read_bytes())
        self._configuration = folder / "sshd_config"
        self._configuration.write_text(
            f"""ListenAddress 127.0.0.1
Port {self.port}
HostKey {host_key}
AuthorizedKeysFile {folder}/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
ForceCommand internal-sftp -d {self.drop}
AllowTcpForwarding no
"""
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert SSHD is not None
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where its unprivileged half is locked up
        with (self.folder / "log").open("ab") as log:
            argv = [SSHD, "-D", "-e", "-f", str(self._configuration)]
            self._process = subprocess.Popen(argv, stderr=log, start_new_session=True)
        until(lambda: "listening" in (self.folder / "log").read_text(), what="sshd")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None
