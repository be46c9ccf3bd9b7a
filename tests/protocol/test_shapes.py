"""Many threads that decode into the same shapes for the first time at once."""

import subprocess
import sys

from protocol import messages, shapes

MANY_AT_ONCE = """
import sys, threading
from typing import Annotated
import msgspec
from protocol import shapes

sys.setswitchinterval(1e-6)
names = [f"field_{n}" for n in range(20)]
content = dict.fromkeys(names, "a")

def shape(n):
    kinds = [Annotated[str, msgspec.Meta(pattern=f"^[a-z]{{0,{n + 1}}}")] for _ in names]
    return msgspec.defstruct(f"Shape{n}", list(zip(names, kinds)))

made = [shape(n) for n in range(500)]
if sys.argv[1] == "worked-out":
    shapes.work_out()
together = threading.Barrier(4)

def decode():
    for each in made:
        together.wait()
        msgspec.convert(content, each)

threads = [threading.Thread(target=decode) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_shapes_that_were_worked_out_may_be_met_by_many_threads_at_once() -> None:
    """Without (`as-they-come`) the process dies of SIGSEGV."""
    assert subprocess.run([sys.executable, "-c", MANY_AT_ONCE, "worked-out"], timeout=120).returncode == 0


def test_every_shape_that_is_defined_is_worked_out() -> None:
    assert messages.Envelope.__name__
    assert shapes.work_out() > 50
