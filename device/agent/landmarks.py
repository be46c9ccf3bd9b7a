"""Places in the life of a visit that everything else can be told about, by name and in order.

They are passed around the moments after which something counts. A kit does nothing there; a test that wants
to know what a power cut leaves behind hands the desk a `Passed` of its own.
"""

from collections.abc import Callable
from typing import Literal

Landmark = Literal[
    "noted:before",  # an event (and the record it names) is about to be committed
    "noted:after",  # it is on disk, the screen does not know yet
    "tidied:before",  # the screen has told a fact; log and room for the packet are laid out next
    "tidied:after",
    "sealed:before",  # the packet's file is on disk; nothing names it yet
    "offered:before",
    "offered:after",  # the uplink may have it
    "reported:before",
    "reported:after",  # the fleet may hear it; we have not noted that we told it
    "answered:before",
    "answered:after",  # the answer counts and the packet is gone here; the spool still has packet and receipt
    "withdrawn:after",
    "pin:before",  # another PIN, or a code taken with a new PIN, is about to be committed
    "pin:after",
    "lease:before",  # a new lease, or the end of one
    "lease:after",
    "epoch:before",  # every visit's key is about to be wrapped under another store key
    "epoch:after",
    "command:before",  # a job of the fleet came: judged, not yet in the vault
    "command:after",  # in the vault, still in the spool
    "job:before",  # it is about to be done
    "job:after",  # done, not yet noted
    "job-told:before",  # its steps are in the outbox, not yet noted as told
    "wish:before",  # another wish of the fleet is about to be committed
    "wish:after",
    "list:before",  # a newer list of officers is about to be committed
    "list:after",  # it counts; who is not on it any more is still here
    "roster:before",  # officers come and go
    "roster:after",
]

Passed = Callable[[Landmark], None]


def nothing(landmark: Landmark) -> None:
    """What a kit does at a landmark."""
