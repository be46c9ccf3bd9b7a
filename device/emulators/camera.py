"""`emulate camera --folder DIR [--portrait FILE] [--fps N]`: frames as a camera on a stand gives them.

The person sways a little and the sensor is noisy, so no two frames in a row are the same. Frames are numbered
JPEGs that appear by rename; the last few are kept. The cycle is made once at the start, so that running costs
next to nothing. Control requests: {"do":"unplug"} (the folder goes), {"do":"plug"}, {"do":"freeze"},
{"do":"run"}, {"do":"portrait","image":PATH}.
"""

import io
import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from device.emulators.control import Control
from device.emulators.running import parser, ready, settle

WIDTH, HEIGHT = 900, 1200
SWAY = 14  # pixels
CYCLE = 8  # frames, one sway to and fro
KEPT = 4


class Scene:
    """The frames of one sway, as JPEG."""

    def __init__(self, portrait: Path | None) -> None:
        person = _drawn() if portrait is None else _loaded(portrait)
        # A little larger than the frame, so that swaying never shows an edge.
        person = person.resize((WIDTH + 2 * SWAY, HEIGHT + 2 * SWAY), Image.Resampling.LANCZOS)
        chance = np.random.default_rng(7)
        self.frames = [self._frame(person, number, chance) for number in range(CYCLE)]

    def _frame(self, person: Image.Image, number: int, chance: np.random.Generator) -> bytes:
        angle = 2 * math.pi * number / CYCLE
        left, top = round(SWAY + SWAY * math.sin(angle)), round(SWAY + 0.4 * SWAY * math.sin(2 * angle))
        pixels = np.asarray(person.crop((left, top, left + WIDTH, top + HEIGHT)), np.int16)
        noisy = pixels + chance.integers(-3, 4, (HEIGHT, WIDTH, 1), np.int16)
        out = io.BytesIO()
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
        return out.getvalue()


class Stand:
    """Puts one frame after the other into the folder."""

    def __init__(self, folder: Path, scene: Scene) -> None:
        self._folder = folder
        self._scene = scene
        self._number = 0
        self._frozen = False
        self._plugged = True

    def control(self, wish: dict[str, Any]) -> None:
        do = wish.get("do")
        if do == "unplug":
            self._plugged = False
            self.clear()
        elif do == "plug":
            self._plugged = True
        elif do in ("freeze", "run"):
            self._frozen = do == "freeze"
        elif do == "portrait":
            self._scene = Scene(Path(str(wish.get("image"))))
        else:
            raise ValueError(f"unknown request {do!r}")

    def step(self) -> None:
        """One frame, unless unplugged or frozen."""
        if not self._plugged or self._frozen:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        self._number += 1
        fresh = self._folder / f".frame.{os.getpid()}"
        fresh.write_bytes(numbered(self._scene.frames[self._number % CYCLE], self._number))
        fresh.rename(self._folder / f"{self._number:08d}.jpg")
        (self._folder / f"{self._number - KEPT:08d}.jpg").unlink(missing_ok=True)

    def clear(self) -> None:
        """Take the frames away, and the folder with them unless something else lies in it."""
        for frame in self._folder.glob("[0-9]" * 8 + ".jpg"):
            frame.unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()


def numbered(frame: bytes, number: int) -> bytes:
    """The JPEG with its number in a comment: a picture that comes round again is still another frame."""
    comment = f"frame {number}".encode()
    return frame[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + frame[2:]


def _loaded(path: Path) -> Image.Image:
    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > 40_000_000:
                raise ValueError(f"{path}: {opened.width}x{opened.height}")
            picture = opened.convert("RGB")
    except OSError as error:
        raise ValueError(f"{path}: {error}") from error
    wide, tall = (
        min(picture.width, round(picture.height * 3 / 4)),
        min(picture.height, round(picture.width * 4 / 3)),
    )
    left, top = (picture.width - wide) // 2, (picture.height - tall) // 2
    return picture.crop((left, top, left + wide, top + tall))


def _drawn() -> Image.Image:
    """Somebody who does not exist: drawn, for want of a portrait."""
    picture = Image.new("RGB", (600, 800), (206, 210, 214))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((60, 560, 540, 1100), fill=(52, 72, 108))
    draw.rectangle((255, 470, 345, 600), fill=(205, 160, 132))
    draw.ellipse((170, 130, 430, 500), fill=(92, 62, 40))
    draw.ellipse((190, 190, 410, 530), fill=(222, 178, 150))
    for x in (250, 350):
        draw.ellipse((x - 24, 325, x + 24, 353), fill=(250, 250, 250))
        draw.ellipse((x - 11, 328, x + 11, 350), fill=(60, 80, 60))
        draw.arc((x - 34, 290, x + 34, 340), 200, 340, fill=(80, 55, 38), width=7)
    draw.line((300, 350, 290, 415, 308, 418), fill=(186, 138, 112), width=5)
    draw.arc((255, 420, 345, 476), 25, 155, fill=(160, 70, 70), width=8)
    return picture.filter(ImageFilter.GaussianBlur(1.2))


def main(argv: list[str]) -> int:
    options = parser("camera", "a camera on a stand: numbered JPEG frames in a folder")
    options.add_argument("--folder", type=Path, required=True)
    options.add_argument("--portrait", type=Path, help="who is looked at; a drawn person if not given")
    options.add_argument("--fps", type=float, default=6.0)
    given = options.parse_args(argv)
    if not 0.1 <= given.fps <= 60:
        options.error("--fps from 0.1 to 60")
    settle(given)
    try:
        stand = Stand(given.folder, Scene(given.portrait))
    except ValueError as error:
        options.error(str(error))
    stand.clear()
    control = Control(given.control, stand.control)
    try:
        stand.step()
        ready(folder=str(given.folder))
        while True:
            control.serve(1 / given.fps)
            stand.step()
    finally:
        stand.clear()
        control.close()
    return 0
