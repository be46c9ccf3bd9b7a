"""Real programs of the fleet for tests: the server, a reference service, a kit that calls over mutual TLS."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.mosquitto import until
from tests.pki import Files
from tests.server.town import KIT, Town

STOP_S = 30.0
PATIENCE_S = 120.0  # on a machine that does ten other things
CONTROL = "a-control-token-for-tests"


class Program:
    """A program of ours with its log; `kill` is -9."""

    def __init__(self, log: Path, *argv: str | Path) -> None:
        self.log = log
        with log.open("ab") as file:
            self.process = subprocess.Popen([sys.executable, "-m", *argv], stdout=file, stderr=file)

    def stop(self) -> int:
        """SIGTERM, and how it ended. One that does not end is killed, and that fails the test."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            said = self.log.read_text(errors="replace")[-2000:]
            raise AssertionError(f"not ended {STOP_S:.0f} s after SIGTERM; it said last:\n{said}") from None

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def children(self) -> list[int]:
        """Process ids of everything below it."""
        found, waiting = [], [self.process.pid]
        while waiting:
            below = []
            for path in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):  # each thread has its own
                with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
                    below += [int(child) for child in path.read_text().split()]
            found += below
            waiting += below
        return found


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@contextmanager
def running(town: Town, *argv: str) -> Iterator[Program]:
    program = Program(town.folder / f"{argv[0]}.log", "server", *argv, "--config", str(town.toml))
    try:
        yield program
    finally:
        program.stop()


@contextmanager
def service(town: Town) -> Iterator[Program]:
    """The reference competent service on the port that fleet.toml names."""
    folder = town.folder / "service"
    folder.mkdir(exist_ok=True)
    pki = town.ground.pki.folder
    (folder / "service.toml").write_text(
        f"""port = {town.ports["service"]}
certificate = "{pki}/service-service.test.pem"
key = "{pki}/service-service.test.key"
client_ca = "{pki}/clients.pem"
trust = "{town.folder}/trust"
keys = "{town.ground.service}"
data = "{folder}"
control_token = "{CONTROL}"
"""
    )
    program = Program(folder / "log", "competent.reference", "--config", str(folder / "service.toml"))
    try:
        until(lambda: listens(town.ports["service"], program), PATIENCE_S, "the service")
        yield program
    finally:
        program.stop()


def order(town: Town, behaviour: str, times: int = 1) -> None:
    """Tell the service how to treat the next new applications."""
    configuration = str(town.folder / "service" / "service.toml")
    argv = ["competent.reference", "--config", configuration, "--order", behaviour, "--times", str(times)]
    subprocess.run([sys.executable, "-m", *argv], check=True, capture_output=True)


def count(town: Town) -> Mapping[str, Any]:
    """What the service says it took in."""
    configuration = str(town.folder / "service" / "service.toml")
    argv = [sys.executable, "-m", "competent.reference", "--config", configuration, "--count"]
    answer: Mapping[str, Any] = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
    return answer


def listens(port: int, program: Program) -> bool:
    assert program.process.poll() is None, program.log.read_text()
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ready(town: Town, program: Program) -> None:
    """Wait until pages and listener answer."""

    def answers() -> bool:
        assert program.process.poll() is None, program.log.read_text()
        try:
            url = f"http://127.0.0.1:{town.ports['web']}/readyz"
            return httpx.get(url, trust_env=False, timeout=PATIENCE_S).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    until(answers, PATIENCE_S, "the pages")
    until(lambda: listens(town.ports["kits"], program), PATIENCE_S, "the listener for kits")


class KitCaller:
    """Calls of a kit over HTTPS, a new connection each."""

    def __init__(self, town: Town, role: str = "kit-tls", name: str = KIT) -> None:
        self.port = town.ports["kits"]
        folder = town.ground.pki.folder
        self.files = Files(folder / f"{role}-{name}.pem", folder / f"{role}-{name}.key")
        self.context = ssl.create_default_context(cafile=str(town.ground.pki.roots))
        self.context.load_cert_chain(self.files.certificate, self.files.key)

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], Any]:
        """Status, headers and JSON of the answer."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=20)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            data = response.read()
            return response.status, dict(response.getheaders()), json.loads(data) if data else None
        finally:
            connection.close()
