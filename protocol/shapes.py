"""Shapes worked out while there is one thread.

msgspec works out what a Struct holds when it is first decoded into, and shows other threads the half of it:
two that decode into the same Struct for the first time at once make the process die (msgspec 0.22.0, a null
`TypeNode` in `convert`; tests/protocol/test_shapes.py does it). So every program works out its shapes
before it starts a thread.
"""

import msgspec


def work_out() -> int:
    """Every Struct that is defined by now; how many. Before the first thread, behind the imports."""
    done = 0
    waiting = list(msgspec.Struct.__subclasses__())
    while waiting:
        shape = waiting.pop()
        waiting += shape.__subclasses__()
        try:
            msgspec.json.Decoder(shape)
        except TypeError:  # it holds what no JSON can: nobody decodes into it
            continue
        done += 1
    return done
