"""Which programs make up the demo, how each is started, and how it shows that it is ready."""

import ssl
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from provisioning import broker
from provisioning.demo.layout import Layout
from provisioning.demo.processes import Program, exists, listens
from provisioning.demo.world import SERIAL, World

PROBE_S, SERVICE_S = 2.0, 10.0


def emulators(layout: Layout, portrait: Path) -> list[Program]:
    """The peripherals: they need nothing, and take a moment, so they are started first."""
    run = layout.run.resolve()
    return [
        _emulator("reader", ["--run", run, "--control", run / "reader.sock"], layout.pcsc),
        _emulator(
            "finger",
            ["--link", run / "finger", "--baud", str(SERIAL["finger"]), "--control", run / "finger.sock"],
            run / "finger",
        ),
        _emulator("signpad", ["--link", run / "signpad", "--control", run / "signpad.sock"], run / "signpad"),
        _emulator(
            "camera",
            ["--folder", run / "camera", "--portrait", portrait.resolve(), "--control", run / "camera.sock"],
            run / "camera",
        ),
    ]


def standing(world: World) -> list[Program]:
    """The broker and the competent service, which need nobody."""
    layout = world.layout
    return [
        Program("broker", broker.command(layout.broker / "mosquitto.conf"), listens(world.ports["broker"])),
        Program(
            "service",
            [sys.executable, "-m", "competent.reference", "--config", layout.service_toml],
            _all(listens(world.ports["service"]), lambda: _serves(world)),
        ),
    ]


def fleet(world: World) -> Program:
    """The fleet, with pages, listener for kits, ingest and worker."""
    return Program(
        "fleet",
        [sys.executable, "-m", "server", "all", "--config", world.layout.fleet_toml],
        _all(_answers(f"{world.url('fleet')}/readyz"), listens(world.ports["kits"])),
    )


def kit(world: World) -> list[Program]:
    """The kit's two processes. The agent finds the emulated reader by the socket of its own pcscd."""
    layout = world.layout
    return [
        Program(
            "agent",
            [sys.executable, "-m", "device", "run", "--config", layout.kit_toml],
            _answers(f"{world.url('kiosk')}/desk"),
            env={"PCSCLITE_CSOCK_NAME": str(layout.pcsc.resolve())},
        ),
        Program(
            "uplink",
            [sys.executable, "-m", "device", "uplink", "--config", layout.kit_toml],
            lambda: True,
        ),
    ]


def count_at_service(world: World) -> dict[str, int]:
    """What the competent service has taken in: accepted, rejected, distinct, deliveries."""
    with _service_client(world) as client:
        count: dict[str, int] = client.get(f"{world.url('service')}/v1/count").raise_for_status().json()
    return count


def order_service(world: World, behaviour: str, times: int = 1) -> None:
    """How the service treats the next applications: as `competent.behaviour.WORDS` has it."""
    with _service_client(world) as client:
        client.post(
            f"{world.url('service')}/control",
            json={"behaviour": behaviour, "times": times},
            headers={"Authorization": f"Bearer {world.control_token}"},
        ).raise_for_status()


def _serves(world: World) -> bool:
    """Whether the service answers: it listens some time before its worker takes anything in."""
    try:
        count_at_service(world)
    except httpx.HTTPError:
        return False
    return True


def _service_client(world: World) -> httpx.Client:
    """Speaks to the service as the fleet does, with the fleet's certificate."""
    certs = world.layout.fleet / "certs"
    context = ssl.create_default_context(cafile=str(certs / "authorities.pem"))
    context.load_cert_chain(certs / "ingest.pem", certs / "ingest.key")
    return httpx.Client(verify=context, timeout=SERVICE_S, trust_env=False)


def _emulator(name: str, arguments: list[str | Path], sign: Path) -> Program:
    return Program(name, [sys.executable, "-m", "device.emulators", name, *arguments], exists(sign))


def _answers(url: str) -> Callable[[], bool]:
    """Ready when this page answers 200. Asked often, hence without a client that loads certificates."""

    where = urlsplit(url)

    def ready() -> bool:
        connection = HTTPConnection(str(where.hostname), where.port, timeout=PROBE_S)
        try:
            connection.request("GET", where.path, headers={"Accept": "application/json"})
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    return ready


def _all(*signs: Callable[[], bool]) -> Callable[[], bool]:
    return lambda: all(sign() for sign in signs)
