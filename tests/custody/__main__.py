"""`python -m tests.custody --first 1 --many 200`: one batch of schedules, its progress on stderr, and a line
of JSON with what came of it, also appended to `--ledger`. Exits 1 when anything is wrong."""

import argparse
import json
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.custody.schedules import Run
from tests.custody.stand import ROOT, Stand, quick_folder
from tests.postgresql import Postgresql
from tests.server.engines import POSTGRESQL, SQLITE, Engine
from tests.server.town import Town, fill_postgresql, make_ground

SAYS_EVERY_S = 10.0


def main() -> int:
    reader = argparse.ArgumentParser(prog="python -m tests.custody", description=__doc__)
    reader.add_argument("--first", type=int, default=1, help="the first seed")
    reader.add_argument("--many", type=int, default=200, help="how many seeds")
    reader.add_argument("--seconds", type=float, default=0.0, help="begin no schedule after so long (0: all)")
    reader.add_argument("--kits", type=int, default=12)
    reader.add_argument("--engine", choices=(SQLITE, POSTGRESQL), default=SQLITE)
    reader.add_argument("--ledger", type=Path, help="a file to append the result to")
    wish = reader.parse_args()
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what it has started ends with it
    with _stand(wish.engine, wish.kits) as stand:
        stand.start()
        run = Run(stand)
        with _progress(run, wish.many, wish.seconds):
            run.play(range(wish.first, wish.first + wish.many))
        found = run.history.violations()
        result: dict[str, object] = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": _commit(),
            "engine": wish.engine,
            "seeds": [wish.first, wish.first + run.played],
            **run.summary(),
            "seconds": round(time.monotonic() - begun, 1),
            "violations": found,
        }
        if found:
            sys.stderr.write(f"the logs are kept in {_keep(stand)}\n")
    result["processor_seconds"] = round(_used_s(), 1)
    line = json.dumps(result) + "\n"
    sys.stdout.write(line)
    if wish.ledger is not None:
        with wish.ledger.open("a") as file:
            file.write(line)
    return 1 if found else 0


@contextmanager
def _stand(engine: str, kits: int) -> Iterator[Stand]:
    with quick_folder() as folder:
        (folder / "ground").mkdir()
        ground = make_ground(folder / "ground")
        server = Postgresql() if engine == POSTGRESQL else None
        try:
            if server is not None:
                fill_postgresql(ground, server)
            stand = Stand(Town(folder / "town", ground, Engine(server)), kits)
            try:
                yield stand
            finally:
                stand.close()
                stand.town.close()
        finally:
            if server is not None:
                server.stop()


@contextmanager
def _progress(run: Run, many: int, seconds: float) -> Iterator[None]:
    """Says how far it is, and ends it in time."""
    over = threading.Event()

    def say() -> None:
        begun = time.monotonic()
        while not over.wait(SAYS_EVERY_S):
            passed = time.monotonic() - begun
            if seconds and passed > seconds:
                run.begin_no_more()
            sys.stderr.write(f"{passed:6.0f} s  {run.played} of {many}  killed {dict(run.struck)}\n")

    voice = threading.Thread(target=say)
    voice.start()
    try:
        yield
    finally:
        over.set()
        voice.join()


def _used_s() -> float:
    """Processor time of everything that has run and ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in both)


def _commit() -> str:
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    )
    return said.stdout.strip()


def _keep(stand: Stand) -> Path:
    """A copy of the stand's folder: there is something to find in it."""
    return shutil.copytree(
        stand.town.folder,
        Path(tempfile.mkdtemp(prefix="weather-")) / "town",
        ignore=lambda folder, names: [name for name in names if (Path(folder) / name).is_socket()],
    )


if __name__ == "__main__":
    sys.exit(main())
