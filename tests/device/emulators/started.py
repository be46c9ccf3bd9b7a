"""Starts an emulator program as the demo does, and ends it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """The running program, after it has said that it is ready."""
    command = [sys.executable, "-m", "device.emulators", *map(str, arguments), "--die-with-parent"]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    try:
        line = program.stdout.readline()
        assert line, f"{command} ended with {program.wait()}"
        assert json.loads(line)["ready"]
        yield program
    finally:
        program.terminate()
        program.wait(10)
        program.stdout.close()


def strokes_file(path: Path, *strokes: list[tuple[float, float]]) -> Path:
    """A strokes file in pad units of 2150 x 1400."""
    path.write_text(json.dumps({"width": 2150, "height": 1400, "strokes": strokes}))
    return path
