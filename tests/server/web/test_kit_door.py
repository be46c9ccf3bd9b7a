"""The kits' listener through its application: who may ask, what is answered, what is refused."""

import base64
import gc
import json
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from server.db.scope import EVERYONE
from server.fleet import bags, kits, lists
from tests.server.town import KIT, OTHER_KIT, Town
from tests.server.web.caller import Kit


def test_a_packet_goes_up_and_is_committed(town: Town, kit: Callable[..., Kit]) -> None:
    sealed = town.packet(town.plan())
    packet_id, data = sealed.manifest.packet_id, sealed.data
    begun = kit().begin(packet_id, data).get_json()
    assert begun == {"offset": 0, "generation": 1, "state": "open"}
    half = len(data) // 2
    first = kit().patch(packet_id, data[:half], 0, 1)
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, str(half))
    assert "Upload-State" not in first.headers
    behind = kit().patch(packet_id, data[:half], 0, 1)
    assert (behind.status_code, behind.get_json()) == (
        409,
        {"error": "offset", "offset": half, "generation": 1},
    )
    fenced = kit().patch(packet_id, data[half:], half, 7)
    assert (fenced.status_code, fenced.get_json()["error"]) == (409, "generation")
    last = kit().patch(packet_id, data[half:], half, 1)
    assert (last.status_code, last.headers["Upload-State"]) == (204, "complete")
    assert kit().begin(packet_id, data).get_json()["state"] == "complete"


def test_a_nudge_asks_for_nothing_and_only_a_kit_may(town: Town, kit: Callable[..., Kit]) -> None:
    nudged = kit().call("HEAD", "/kit/v1/uploads")
    assert (nudged.status_code, nudged.data) == (204, b"")
    assert kit("kit-sign").call("HEAD", "/kit/v1/uploads").status_code == 403


def test_a_recipient_list_is_asked_for_by_the_key_that_signed_it(town: Town, kit: Callable[..., Kit]) -> None:
    (there,) = lists.look(town.config.services, datetime.now(UTC))
    asked = f"/kit/v1/recipients?key={there.kid}&held="
    assert kit().call("GET", asked).get_json() == {"recipients": there.token}
    held = sha256(there.token.encode()).hexdigest()
    for path, status in ((asked + held, 204), (asked + "none", 400), ("/kit/v1/recipients?key=a/b", 400)):
        assert kit().call("GET", path).status_code == status
    assert kit("kit-sign").call("GET", asked).status_code == 403


def test_a_packet_that_is_refused_says_why(town: Town, kit: Callable[..., Kit]) -> None:
    sealed = town.packet(town.plan(), tenant="0207458223")
    packet_id = sealed.manifest.packet_id
    kit().begin(packet_id, sealed.data)
    answer = kit().patch(packet_id, sealed.data, 0, 1)
    assert (answer.status_code, answer.get_json()) == (422, {"error": "foreign-visit"})
    again = kit().begin(packet_id, sealed.data)
    assert (again.status_code, again.get_json()) == (422, {"error": "foreign-visit"})


def test_the_inbox_gives_the_bag_once_it_is_newer(town: Town, kit: Callable[..., Kit]) -> None:
    assert kit().call("GET", "/kit/v1/inbox?bag=0").get_json()["bag"] is None
    with town.database.writing(EVERYONE) as db:
        bags.build(db, town.fields, town.sealer, town.dock.blobs, KIT, datetime.now(UTC))
    bag = kit().call("GET", "/kit/v1/inbox?bag=0").get_json()["bag"]
    assert bag["version"] == 1
    assert base64.b64decode(bag["sealed"]).startswith(b"age-encryption.org/v1\n")
    assert kit().call("GET", "/kit/v1/inbox?bag=1").get_json()["bag"] is None
    assert kit(name=OTHER_KIT).call("GET", "/kit/v1/inbox?bag=0").get_json()["bag"] is None


@pytest.mark.parametrize(
    ("method", "path", "data", "status"),
    [
        ("POST", "/kit/v1/uploads/01J00000000000000000000000", b"", 400),
        ("POST", "/kit/v1/uploads/01J00000000000000000000000", b'{"size": 1}', 400),
        ("POST", "/kit/v1/uploads/01J00000000000000000000000", b'{"size": 0, "sha256": ""}', 400),
        ("POST", "/kit/v1/uploads/x", json.dumps({"size": 1, "sha256": "a" * 64}).encode(), 422),
        ("POST", "/kit/v1/uploads/01J00000000000000000000000", b"[" * 20_000, 413),
        ("PATCH", "/kit/v1/uploads/01J00000000000000000000000", b"x", 400),
        ("GET", "/kit/v1/inbox?bag=-1", b"", 400),
        ("GET", "/kit/v1/inbox?bag=x", b"", 400),
        ("GET", "/kit/v1/inbox?bag=99999999999999999999", b"", 400),
        ("POST", "/kit/v1/inbox/done", b'{"receipts": ["x"]}', 400),
        ("POST", "/kit/v1/inbox/done", b'{"receipts": []}', 204),
        ("DELETE", "/kit/v1/inbox", b"", 405),
        ("GET", "/", b"", 404),
        ("GET", "/healthz", b"", 404),
    ],
)
def test_what_makes_no_sense_is_refused(
    kit: Callable[..., Kit], method: str, path: str, data: bytes, status: int
) -> None:
    answer = kit().call(method, path, data=data)
    assert answer.status_code == status
    assert status == 204 or "error" in answer.get_json()


@pytest.mark.parametrize(
    ("offset", "generation"), [("", "1"), ("0", ""), ("-1", "1"), ("x", "1"), ("0", "٣")]
)
def test_headers_that_are_no_numbers_are_refused(
    kit: Callable[..., Kit], offset: str, generation: str
) -> None:
    path = "/kit/v1/uploads/01J00000000000000000000000"
    headers = {"Upload-Offset": offset, "Upload-Generation": generation.encode().decode("latin-1")}
    assert kit().call("PATCH", path, data=b"x", headers=headers).status_code == 400


def test_a_piece_longer_than_agreed_is_refused(town: Town, kit: Callable[..., Kit]) -> None:
    sealed = town.packet(town.plan())
    kit().begin(sealed.manifest.packet_id, sealed.data)
    assert kit().patch(sealed.manifest.packet_id, b"x" * 131_073, 0, 1).status_code == 413


def test_only_the_tls_certificate_of_a_known_kit_opens_the_door(town: Town, kit: Callable[..., Kit]) -> None:
    path = "/kit/v1/inbox?bag=0"
    assert kit().call("GET", path).status_code == 200
    assert kit("kit-sign").call("GET", path).status_code == 403
    assert kit("ingest", "fleet-ingest-1").call("GET", path).status_code == 403
    assert kit("officer", "an.peeters").call("GET", path).status_code == 403
    assert Kit(kit().client, None).call("GET", path).status_code == 403
    assert Kit(kit().client, b"junk").call("GET", path).status_code == 403
    assert kit().client.get(path).status_code == 403
    with town.database.writing(EVERYONE) as db:
        kits.retire(db, KIT, datetime.now(UTC))
    assert kit().call("GET", path).status_code == 403


class Broken:
    """A body that ends before its length, as a cut connection leaves it."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, most: int) -> bytes:
        piece, self._data = self._data[:most], self._data[most:]
        return piece


def test_a_body_that_breaks_off_counts_as_far_as_it_came(town: Town, kit: Callable[..., Kit]) -> None:
    sealed = town.packet(town.plan())
    packet_id, data = sealed.manifest.packet_id, sealed.data
    kit().begin(packet_id, data)
    sender = kit()
    sender.environ |= {"wsgi.input": Broken(data[:5000]), "CONTENT_LENGTH": str(len(data))}
    assert sender.patch(packet_id, b"", 0, 1).status_code == 400
    again = kit().begin(packet_id, data).get_json()
    assert again == {"offset": 5000, "generation": 2, "state": "open"}
    assert kit().patch(packet_id, data[5000:], 5000, 2).headers["Upload-State"] == "complete"


def test_pieces_may_follow_the_post_on_its_connection_and_on_no_other(
    town: Town, kit: Callable[..., Kit]
) -> None:
    sealed = town.packet(town.plan())
    packet_id, data = sealed.manifest.packet_id, sealed.data
    first, other = kit(), kit()
    assert first.patch(packet_id, data, 0, "begun").status_code == 409
    first.begin(packet_id, data)
    assert other.patch(packet_id, data, 0, "begun").status_code == 409
    assert first.patch(packet_id, data, 0, "begun").headers["Upload-State"] == "complete"


def test_a_connection_that_heard_that_all_is_here_is_let_go(town: Town, kit: Callable[..., Kit]) -> None:
    sealed, caller = town.packet(town.plan()), kit()
    packet_id = sealed.manifest.packet_id
    generation = caller.begin(packet_id, sealed.data).get_json()["generation"]
    assert caller.patch(packet_id, sealed.data, 0, generation).status_code == 204
    caller = kit()  # it did not hear that, and comes back
    assert caller.begin(packet_id, sealed.data).get_json()["state"] == "complete"
    connection = weakref.ref(caller.environ["gunicorn.socket"])
    del caller
    gc.collect()
    assert connection() is None
