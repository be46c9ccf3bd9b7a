"""`thuisloket-kit sign`: one signature, written as SVG and PNG."""

import threading
import time
from pathlib import Path
from typing import Any

from device.drivers import one_shot
from device.drivers.signpad import topaz
from device.ports import Capture
from device.rendering.ink import to_png, to_svg

DRIVERS = {"topaz-siglite": lambda port: topaz.open_driver(topaz.Settings(port=port))}


def sign_command(driver: str, port: str, out_prefix: Path, timeout: float, as_json: bool) -> int:
    """Writes PREFIX.svg and PREFIX.png. Exit code of the contract: 0, 1 failed, 2 unknown driver, 4, 130."""
    if driver not in DRIVERS:
        return one_shot.unknown_driver(driver, list(DRIVERS))

    def work(capture: Capture) -> dict[str, Any]:
        began = time.monotonic()
        pad = DRIVERS[driver](port)
        try:
            ink = pad.capture(capture, lambda _: None, threading.Event())
        finally:
            pad.close()
        svg, png = Path(f"{out_prefix}.svg"), Path(f"{out_prefix}.png")
        svg.write_text(to_svg(ink))
        png.write_bytes(to_png(ink))
        return {
            "svg": str(svg),
            "png": str(png),
            "strokes": len(ink.strokes),
            "points": sum(len(stroke.points) for stroke in ink.strokes),
            "device": ink.device,
            "ms": round(1000 * (time.monotonic() - began)),
        }

    return one_shot.run(work, timeout, as_json)
