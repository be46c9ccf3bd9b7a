"""What each party may do at the broker, spelled for mosquitto's dynamic security plugin (docs/protocol.md 7).

Everything that is not here is refused, SUBSCRIBE too; so nobody but an ingest worker can join a shared
subscription. The plugin of mosquitto 2.0.11 knows no `%u`: a kit has a role of its own, named as the kit is.
"""

from collections.abc import Iterable, Sequence

from protocol.identity import HOST_NAME, KIT_ID
from protocol.topics import FLEET_LISTENS, Tail, topic_of

ADMIN = "fleet-admin"
"""CN and client of the fleet when it manages the broker."""
CONTROL = "$CONTROL/dynamic-security/v1"
CONTROL_ANSWER = f"{CONTROL}/response"
WORKER_ROLE = "ingest"
SHARE = "$share/ingest/"
CANARIES = ("kit-canary-one", "kit-canary-two")
"""Kits that exist only at the broker, to try it out with."""
FRESH = "kit-canary-fresh"
"""A canary whose certificate is revoked in the newest lists and was not before."""

Entry = dict[str, object]
_EVERYWHERE = (topic_of("", Tail.FLEET), topic_of("", Tail.NOTICE))


def kit_role(kit_id: str) -> Entry:
    """A kit speaks and hears only under its own name. ValueError for what is no kit id."""
    if KIT_ID.fullmatch(kit_id) is None:
        raise ValueError(f"not a kit id: {kit_id[:40]!r}")
    own = f"tl/v1/kit/{kit_id}"
    return _role(kit_id, says=(f"{own}/up/#", f"{own}/state/#"), hears=(f"{own}/down/#", *_EVERYWHERE))


def worker_role() -> Entry:
    """An ingest worker hears all kits, plainly or sharing the work with others, and answers them."""
    return _role(
        WORKER_ROLE,
        says=("tl/v1/kit/+/down/#", *_EVERYWHERE),
        hears=(*FLEET_LISTENS, *(SHARE + topic for topic in FLEET_LISTENS), *_EVERYWHERE),
    )


def admin_role() -> Entry:
    """The fleet as the broker's manager: who may do what, and a word to the canaries; it hears no kit."""
    control = f"{CONTROL}/#"
    return _role(
        ADMIN, says=(control, *(f"tl/v1/kit/{canary}/down/#" for canary in CANARIES)), hears=(control,)
    )


def client(name: str, role: str) -> Entry:
    """Without password: who it is was said by its certificate."""
    return {"username": name, "roles": [{"rolename": role, "priority": 0}]}


def first_file(workers: Sequence[str], kits: Iterable[str] = ()) -> Entry:
    """The plugin's file for a broker that has none yet. ValueError for a name that could not be one."""
    for worker in workers:
        if HOST_NAME.fullmatch(worker) is None:
            raise ValueError(f"not a name for an ingest worker: {worker[:40]!r}")
    known = sorted(set(kits))
    return {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": False,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": [
            client(ADMIN, ADMIN),
            *(client(worker, WORKER_ROLE) for worker in workers),
            *(client(kit, kit) for kit in known),
        ],
        "groups": [],
        "roles": [admin_role(), worker_role(), *(kit_role(kit) for kit in known)],
    }


def _role(name: str, says: Sequence[str], hears: Sequence[str]) -> Entry:
    rules = [
        *(("publishClientSend", topic) for topic in says),
        *(("subscribePattern", topic) for topic in hears),
        # A shared subscription delivers under the topic itself, which the plain rule beside it allows.
        *(("publishClientReceive", topic) for topic in hears if not topic.startswith("$share/")),
    ]
    return {
        "rolename": name,
        "acls": [{"acltype": kind, "topic": topic, "priority": 0, "allow": True} for kind, topic in rules],
    }
