"""Where a sealed application may go from where it is."""

from datetime import datetime

from protocol.lifecycle import ApplicationState
from server.db.tables import Application
from server.fleet.refused import Refused

# A receipt that accepts or rejects is final.
MAY: dict[ApplicationState, frozenset[ApplicationState]] = {
    ApplicationState.SEALED: frozenset({ApplicationState.UPLOADED, ApplicationState.EXPIRED}),
    ApplicationState.UPLOADED: frozenset(
        {
            ApplicationState.FORWARDED,
            ApplicationState.ACCEPTED,
            ApplicationState.REJECTED,
            ApplicationState.RECAPTURE,
            ApplicationState.STUCK,
            ApplicationState.EXPIRED,
        }
    ),
    ApplicationState.FORWARDED: frozenset(
        {
            ApplicationState.ACCEPTED,
            ApplicationState.REJECTED,
            ApplicationState.RECAPTURE,
            ApplicationState.STUCK,
            ApplicationState.EXPIRED,
        }
    ),
    ApplicationState.STUCK: frozenset({ApplicationState.UPLOADED, ApplicationState.EXPIRED}),
    # The answer to what was taken anew is the answer to the whole; or nobody took it in time.
    ApplicationState.RECAPTURE: frozenset(
        {ApplicationState.ACCEPTED, ApplicationState.REJECTED, ApplicationState.EXPIRED}
    ),
    ApplicationState.EXPIRED: frozenset(),
    ApplicationState.ACCEPTED: frozenset(),
    ApplicationState.REJECTED: frozenset(),
}


def move(application: Application, state: ApplicationState, now: datetime) -> None:
    """Refused application-state."""
    if state not in MAY[ApplicationState(application.state)]:
        raise Refused("application-state")
    application.state, application.changed = state, now
