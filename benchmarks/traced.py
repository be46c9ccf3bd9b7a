"""One application sealed under strace: how often the kernel is asked to flush, and what it is given to write.

The captures are made of a canary. It is looked for in every byte that the program hands to the kernel with a
writing call, from before the captures until after the quiet moment, and in every file that is left; plain, in
hex, in base64 and in UTF-16. A file that holds one capture as it is, written on purpose, shows that the
search finds what is there.
"""

import base64
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CANARY = b"CANARY-86.02.14-001.77-PEETERS/"  # 31 bytes, so that it comes to lie at every alignment
MARKS = ("seal begins", "seal ends", "settled")
_WRITING = "write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,fsync,fdatasync,msync,sync_file_range"
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(frozen=True)
class Traced:
    """Flushes until the officer is told, and in the quiet moment that follows; bytes of canary written."""

    flushes: int
    flushes_after: int
    plaintext: int
    canaries: int  # bytes of canary in the control, which the same search has found


def trace(folder: Path, size: int) -> Traced | None:
    """None without strace, or where it may not trace."""
    if not shutil.which("strace"):
        return None
    log = folder.with_suffix(".strace")
    tracer = ["strace", "-f", "-xx", "-s", "100000000", "-e", f"trace={_WRITING}", "-o", str(log)]
    program = [sys.executable, "-m", "benchmarks.marked", str(folder), str(size)]
    if subprocess.run([*tracer, *program], capture_output=True, check=False).returncode != 0:
        return None
    lines = log.read_text(encoding="ascii").splitlines()
    log.unlink()
    begin, end, settled = (next(n for n, line in enumerate(lines) if hexed(mark) in line) for mark in MARKS)
    control = (folder / "control").read_bytes()
    (folder / "control").unlink()
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return Traced(
        flushes(lines[begin:end]),
        flushes(lines[end:settled]),
        sum(map(plaintext, [*(written(line) for line in lines[:settled]), *files])),
        plaintext(control),
    )


def flushes(lines: list[str]) -> int:
    return sum(bool(re.search(r" (fsync|fdatasync|msync)\(", line)) for line in lines)


def written(line: str) -> bytes:
    """What one call handed over."""
    return b"".join(bytes.fromhex(text.replace("\\x", "")) for text in _TEXT.findall(line))


def plaintext(data: bytes) -> int:
    """Bytes of canary in it, in whatever spelling."""
    # of base64 what does not depend on the neighbours, for each of the three places it may begin at
    coded = [base64.b64encode(bytes(n) + CANARY)[4:-4] for n in range(3)]
    spelled = [CANARY, CANARY.hex().encode(), CANARY.hex().upper().encode(), *coded]
    spelled += [CANARY.decode().encode("utf-16-le"), CANARY.decode().encode("utf-16-be")]
    return len(CANARY) * sum(data.count(one) for one in spelled)


def canaries(size: int) -> bytes:
    return (CANARY * (size // len(CANARY) + 1))[:size]


def hexed(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())
