"""One application of canaries, captured, sealed and settled, with marks that a tracer sees.

`python -m benchmarks.marked FOLDER BYTES`, run by benchmarks/traced.py.
"""

import os
import sys
from pathlib import Path

from benchmarks.counter import Kit
from benchmarks.traced import MARKS, canaries


def main(folder: Path, size: int) -> None:
    kit = Kit(folder)
    visit_id = kit.capture(size, canaries)
    os.write(2, MARKS[0].encode())
    kit.seal(visit_id)
    os.write(2, MARKS[1].encode())
    kit.settle()
    os.write(2, MARKS[2].encode())
    (folder / "control").write_bytes(canaries(size))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
