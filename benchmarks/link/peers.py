"""What others would use for the same bytes over the same link: curl, rsync, one MQTT publish, tus.

All with what the kernel of a Raspberry Pi does (cubic); curl once more with BBR, as we have it.
"""

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.link.emulator import RIGHT
from benchmarks.link.ours import Emulator
from provisioning import broker
from provisioning.durable import write_whole

SINK, BROKER, RSYNC, TUS = 8752, 8883, 8730, 8753
WITH_BBR = "curl, bbr"
PATIENCE_S = 60.0


class Peers:
    """Their servers in the namespace at the far end; `send` runs one client at the near end."""

    NAMES = ("curl", WITH_BBR, "rsync", "mosquitto_pub", "tus")

    def __init__(self, folder: Path, certificates: Path, link: Emulator) -> None:
        self._folder, self._files, self._link = folder, certificates, link
        right = link.right
        (folder / "taken").mkdir()
        (folder / "tus" / "files").mkdir(parents=True)
        rsync = f"port = {RSYNC}\naddress = {RIGHT}\nuse chroot = no\n[in]\npath = {folder / 'taken'}\n"
        write_whole(folder / "rsyncd.conf", (rsync + "read only = no\nuid = 0\ngid = 0\n").encode())
        configuration = broker.write(
            broker.BrokerSettings(
                folder=folder / "broker",
                authorities=certificates / "clients.pem",
                revoked=certificates / "revoked.pem",
                certificate=certificates / "broker.pem",
                key=certificates / "broker.key",
                port=BROKER,
                addresses=(RIGHT,),
            )
        )
        text = configuration.read_text().replace("max_packet_size", "# max_packet_size")  # one message of all
        configuration.write_text(text)
        server, clients = certificates / "server", certificates / "clients.pem"
        words = (RIGHT, str(SINK), f"{server}.pem", f"{server}.key", str(clients))
        self._servers = [
            self._start(right, sys.executable, "-m", "benchmarks.link.sink", *words),
            self._start(right, "rsync", "--daemon", "--no-detach", f"--config={folder / 'rsyncd.conf'}"),
            self._start(right, *broker.command(configuration)),
            self._start(
                right,
                *(sys.executable, "-m", "benchmarks.link.tus", "serve", RIGHT, str(TUS)),
                *(f"{server}.pem", f"{server}.key", str(clients), str(folder / "tus")),
            ),
        ]

    def send(self, name: str, data: Path) -> float:
        """Seconds from its first packet to its end, as ours has no start of a program to pay for; infinite
        when it does not get there in a minute."""
        self._link.prefer("bbr" if name == WITH_BBR else "cubic")
        try:
            ran = subprocess.run(
                ["ip", "netns", "exec", self._link.left, *self._command(name, data)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return float("inf")
        ended = time.monotonic()
        return ended - self._link.count()["up"]["began"] if ran.returncode == 0 else float("inf")

    def stop(self) -> None:
        for server in self._servers:
            server.terminate()
            server.wait(10)

    def _command(self, name: str, data: Path) -> list[str]:
        at = self._files
        if name in ("curl", WITH_BBR):
            trust = ["--cacert", str(at / "root.pem"), "--cert", str(at / "kit-tls.pem")]
            trust += ["--key", str(at / "kit-tls.key")]
            trust += ["-H", "Expect:"]  # it would ask before it sends, a round trip
            return ["curl", "--fail", "--silent", *trust, "-T", str(data), f"https://{RIGHT}:{SINK}/x"]
        if name == "rsync":
            return ["rsync", "--no-compress", "--ignore-times", str(data), f"rsync://{RIGHT}:{RSYNC}/in/"]
        if name == "tus":
            url = f"https://{RIGHT}:{TUS}/files"
            papers = (at / "kit-tls.pem", at / "kit-tls.key", at / "root.pem")
            return [sys.executable, "-m", "benchmarks.link.tus", "send", url, *map(str, (data, *papers))]
        trust = ["--cafile", str(at / "root.pem"), "--cert", str(at / "kit-tls.pem")]
        trust += ["--key", str(at / "kit-tls.key")]
        topic = "tl/v1/kit/kit-bench-01/up/evt/visit"
        where = ["-h", RIGHT, "-p", str(BROKER), "-i", "kit-bench-01", "-V", "5", "-q", "1"]
        return ["mosquitto_pub", *where, *trust, "-t", topic, "-f", str(data)]

    def _start(self, namespace: str, *words: str) -> subprocess.Popen[bytes]:
        with (self._folder / "peers.log").open("ab") as log:
            return subprocess.Popen(["ip", "netns", "exec", namespace, *words], stdout=log, stderr=log)
