"""The fleet as the service asks it (docs/protocol.md 11): its statement, a packet, and taking an answer."""

import ssl
from collections.abc import Iterator
from typing import Annotated

import httpx
import msgspec
from msgspec import Meta

from competent.failure import Failed
from competent.reconciling import Stated
from competent.settings import FleetTable
from protocol.ids import is_ulid
from protocol.sealed.outer import LARGEST

LONGEST_PAGE = 512 * 1024
MOST_PAGES = 10_000
_PATIENCE = httpx.Timeout(30.0, connect=10.0)


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    packet_id: Annotated[str, Meta(max_length=26)]
    manifest_sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    state: Annotated[str, Meta(pattern=r"^[a-z]{1,32}\Z")]


class _Page(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    applications: Annotated[list[_Line], Meta(max_length=1000)]
    more: bool


class Fleet:
    """Asks with the service's certificate of role `collector`. Every call raises Failed: `fleet-unreachable`,
    `fleet-refused`."""

    def __init__(self, settings: FleetTable) -> None:
        try:
            context = ssl.create_default_context(cafile=settings.ca)
            context.load_cert_chain(settings.certificate, settings.key)
        except (OSError, ssl.SSLError) as problem:
            raise Failed("bad-config", "ca, certificate or key in [fleet] cannot be read") from problem
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        url = settings.url.rstrip("/") + "/service/v1/"
        self._client = httpx.Client(base_url=url, verify=context, timeout=_PATIENCE, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def statement(self) -> Iterator[Stated]:
        """Every application that arrived at the fleet for us, by packet id."""
        after = ""
        for _ in range(MOST_PAGES):
            body = self._ask("GET", "statement", LONGEST_PAGE, params={"after": after} if after else {})
            try:
                page = msgspec.json.decode(body, type=_Page)
            except (msgspec.DecodeError, UnicodeDecodeError) as problem:
                raise Failed("fleet-refused", "the statement is not one") from problem
            for line in page.applications:
                if not is_ulid(line.packet_id) or line.packet_id <= after:
                    raise Failed("fleet-refused", "the statement is out of order")
                after = line.packet_id
                yield Stated(line.packet_id, line.manifest_sha256, line.state)
            if not page.more:
                return
        raise Failed("fleet-refused", "the statement has no end")

    def packet(self, packet_id: str) -> bytes:
        return self._ask("GET", f"applications/{packet_id}", LARGEST)

    def answer(self, packet_id: str, receipt: str) -> None:
        self._ask("POST", f"applications/{packet_id}/receipt", LONGEST_PAGE, json={"receipt": receipt})

    def _ask(self, method: str, path: str, most: int, **more: object) -> bytes:
        body = bytearray()
        try:
            with self._client.stream(method, path, **more) as response:  # type: ignore[arg-type]
                for piece in response.iter_bytes(65_536):
                    body += piece
                    if len(body) > most:
                        raise Failed("fleet-refused", f"more than {most} bytes")
        except httpx.HTTPError as problem:
            raise Failed("fleet-unreachable", type(problem).__name__) from problem
        if response.status_code != 200:
            raise Failed("fleet-refused", f"status {response.status_code} on {path.partition('/')[0]}")
        return bytes(body)
