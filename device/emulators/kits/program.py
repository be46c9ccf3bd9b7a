"""The program: options, the kits of a folder, and what came of it in one line of JSON."""

import asyncio
import json
import resource
import signal
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from device.emulators.kits.light import Application, LightKit, Shared
from device.emulators.kits.sending import Refused, Stopped, upload
from device.emulators.running import parser, ready
from protocol.sealed.outer import read_outer

AT_A_TIME = 16  # kits that shake hands at once
UPLOADS = 8


def main(argv: Sequence[str]) -> int:
    """`--certificates` holds `kit-tls-<kit id>.pem` and `.key`, `--packets` `<kit id>/<packet id>.sealed`."""
    options = parser("kits", __doc__ or "")
    options.add_argument("--count", type=int, default=10, help="how many of the folder's kits, by name")
    pace = options.add_mutually_exclusive_group()
    pace.add_argument("--every", type=float, default=30.0, help="seconds between two health reports of a kit")
    pace.add_argument("--rate", type=float, help="or: health reports a second of all of them together")
    options.add_argument("--broker", required=True, help="HOST:PORT")
    options.add_argument("--https", help="HOST:PORT of the fleet's listener for kits")
    options.add_argument("--ca", type=Path, required=True, help="root certificates of broker and fleet")
    options.add_argument("--certificates", type=Path, required=True)
    options.add_argument("--packets", type=Path, help="sealed applications to upload")
    options.add_argument("--seconds", type=float, default=60.0, help="how long at least")
    chosen = options.parse_args(argv)
    if chosen.packets and not chosen.https:
        options.error("--packets needs --https")
    if chosen.rate is not None:
        chosen.every = chosen.count / max(chosen.rate, 1e-3)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    names = sorted(
        path.stem.removeprefix("kit-tls-") for path in chosen.certificates.glob("kit-tls-kit-*.pem")
    )
    if len(names) < chosen.count:
        sys.stderr.write(f"failed: {len(names)} kits in {chosen.certificates}, {chosen.count} asked for\n")
        return 1
    return asyncio.run(_run(chosen, names[: chosen.count]))


async def _run(options: Namespace, names: Sequence[str]) -> int:
    host, port = _address(options.broker)
    shared = Shared(host, port, options.ca, options.every, asyncio.Semaphore(AT_A_TIME))
    folder = options.certificates
    kits = [
        LightKit(name, folder / f"kit-tls-{name}.pem", folder / f"kit-tls-{name}.key", shared)
        for name in names
    ]
    began, stop, abandoned = time.monotonic(), asyncio.Event(), threading.Event()

    def leave() -> None:
        stop.set()
        abandoned.set()  # the same for the threads that upload

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, leave)
    lives = [asyncio.ensure_future(kit.live()) for kit in kits]
    while shared.seen["connected"] < len(kits) and not stop.is_set():
        await _pause(stop, 0.2)
    ready(kits=len(kits), seconds=round(time.monotonic() - began, 1))
    sent = time.monotonic()
    if options.packets:
        await _burst(options, kits, shared, abandoned)
    burst = time.monotonic() - sent
    while not stop.is_set():
        over = time.monotonic() - began >= options.seconds
        if over and not any(kit.unheard for kit in kits):
            break
        await _pause(stop, 0.5)
    for life in lives:
        life.cancel()
    await asyncio.gather(*lives, return_exceptions=True)
    result = {"kits": len(kits), "burst_s": round(burst, 1), "unheard": sum(kit.unheard for kit in kits)}
    result |= shared.handed_in()
    sys.stdout.write(json.dumps(result | dict(sorted(shared.seen.items()))) + "\n")
    return 0 if not result["unheard"] and not shared.seen["refused"] else 1


async def _burst(
    options: Namespace, kits: Sequence[LightKit], shared: Shared, abandoned: threading.Event
) -> None:
    """All applications of all kits, so many at a time."""
    host, port = _address(options.https)
    loop = asyncio.get_running_loop()

    def send(kit: LightKit, path: Path) -> tuple[int, float]:
        began = time.monotonic()
        return upload(host, port, kit.context(), path.stem, path, abandoned), time.monotonic() - began

    with ThreadPoolExecutor(UPLOADS) as pool:

        async def one(kit: LightKit, path: Path) -> None:
            visit_id, digest = await loop.run_in_executor(pool, _front, path)
            kit.tell(Application(path.stem, visit_id, digest))
            kit.waiting += 1
            try:
                again, took_s = await loop.run_in_executor(pool, send, kit, path)
            except Stopped:
                return
            except Refused as problem:
                sys.stderr.write(f"{path.stem} refused: {problem}\n")
                shared.seen["refused"] += 1
            else:
                shared.seen["uploaded"] += 1
                shared.seen["begun-anew"] += again
                shared.took_ms.append(round(took_s * 1000))
            kit.waiting -= 1

        await asyncio.gather(
            *(
                one(kit, path)
                for kit in kits
                for path in sorted((options.packets / kit.kit_id).glob("*.sealed"))
            )
        )


def _front(path: Path) -> tuple[str, str]:
    """The visit that a sealed file is of, and the digest of its manifest."""
    with path.open("rb") as file:
        outer = read_outer(file)
    return outer.manifest.visit_id, outer.manifest_sha256


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)
