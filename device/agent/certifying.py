"""The deletion certificate that follows from a fact: by the journal alone, so that it can be made again."""

from collections.abc import Mapping

from device.agent.events import Abandoned, Answered, Event, Expired, Sealed
from device.agent.journal import Entry
from device.agent.sealing import KitSigner
from protocol.deletion import Deletion, sign_deletion
from protocol.instant import write_instant

_WHY: Mapping[type[Event], str] = {Sealed: "sealed", Abandoned: "abandoned", Answered: "answered"}


def certify(entry: Entry, sealed: Sealed | None, kit: KitSigner) -> str:
    """The kit's signed word on what this fact destroyed; `sealed` is how the visit was sealed, if it was."""
    event = entry.event
    of_packet = sealed is not None and not isinstance(event, Sealed)
    deletion = Deletion(
        kit_id=kit.kit_id,
        visit_id=entry.visit_id,
        packet_id=sealed.packet_id if sealed is not None and of_packet else "",
        what="packet" if of_packet else "captures",
        why=event.why if isinstance(event, Expired) else _WHY[type(event)],  # type: ignore[arg-type]
        at=write_instant(entry.at),
    )
    return sign_deletion(deletion, kit.signer.key, kit.signer.chain)
