"""`thuisloket-kit scan-finger`: one capture, written as PNG, with its quality."""

import time
from pathlib import Path
from typing import Any

from device.drivers import one_shot
from device.drivers.fingerprint import judge, sfm
from device.ports import Capture
from device.rendering.finger import to_png

DRIVERS = {"suprema-sfm": lambda port: sfm.open_driver(sfm.Settings(port=port))}


def scan_finger_command(driver: str, port: str, out: Path, timeout: float, as_json: bool) -> int:
    """Exit code of the contract: 0, 1 failed, 2 unknown driver, 4 absent or gone, 130 cancelled.

    Prints file, width, height, ppi, score, measure, hints, measures, device, ms. A poor capture is a capture:
    the hints say what to do better.
    """
    if driver not in DRIVERS:
        return one_shot.unknown_driver(driver, list(DRIVERS))

    def work(capture: Capture) -> dict[str, Any]:
        began = time.monotonic()
        scanner = DRIVERS[driver](port)
        try:
            image = scanner.capture(capture)
        finally:
            scanner.close()
        Path(out).write_bytes(to_png(image))
        return {
            "file": str(out),
            "width": image.width,
            "height": image.height,
            "ppi": image.ppi,
            "score": image.measures["score"],
            "measure": judge.MEASURE,
            "hints": list(image.hints),
            "measures": image.measures,
            "device": image.device,
            "ms": round(1000 * (time.monotonic() - began)),
        }

    return one_shot.run(work, timeout, as_json)
