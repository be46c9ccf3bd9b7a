"""The npm packages of this folder, put in place once, whoever asks first."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NODE = Path(sys.executable).with_name("node")
NPM = Path(sys.executable).with_name("npm")
# npm writes this list at the end of an install; younger than the lock file means that all of it is there
_DONE = HERE / "node_modules" / ".package-lock.json"


def install() -> Path:
    """The folder to run programs in; `npm ci` has been run there."""
    with (HERE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _DONE.exists() or _DONE.stat().st_mtime < (HERE / "package-lock.json").stat().st_mtime:
            path = f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"
            subprocess.run(
                [NPM, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
                cwd=HERE,
                env=os.environ | {"PATH": path},
                check=True,
                stdout=subprocess.DEVNULL,
                timeout=110,
            )
            os.utime(_DONE)
    return HERE


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """A program of this folder under the node of this environment."""
    return subprocess.run(
        [NODE, install() / program, *arguments], capture_output=True, timeout=60, check=False
    )
