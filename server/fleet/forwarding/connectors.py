"""Which service an application goes to, and how that one is reached: by service, and by municipality where it
has another arrangement than the rest.
"""

from collections.abc import Mapping
from pathlib import Path

from server.fleet.forwarding.answers import Connector
from server.fleet.forwarding.pickup import Pickup
from server.fleet.forwarding.push import Push
from server.fleet.forwarding.sftp import Sftp
from server.settings import Service, lines


class Connectors:
    """By service id and tenant. Thread-safe. `name` is what a breaker and a log call the line."""

    def __init__(self, services: Mapping[str, Service]) -> None:
        self._lines: dict[str, Connector] = {}
        self.recipient_lists: dict[str, Path] = {}  # by line
        for name, service in lines(services):
            self._lines[name] = connect(service)
            self.recipient_lists[name] = service.recipients

    def name(self, service_id: str, tenant: str) -> str | None:
        """The municipality's own line, or that of all; None when nobody is known for the service."""
        own = f"{service_id}/{tenant}"
        if own in self._lines:
            return own
        return service_id if service_id in self._lines else None

    def line(self, name: str) -> Connector:
        return self._lines[name]

    def close(self) -> None:
        for line in self._lines.values():
            line.close()


def connect(service: Service) -> Connector:
    """The connector that a service's settings ask for."""
    if service.sftp is not None:
        return Sftp(service, service.sftp)
    if service.pickup is not None:
        return Pickup(service)
    return Push(service)
