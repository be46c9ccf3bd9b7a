import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import canonical
from protocol.sealed.manifest import LONGEST, Payload, core_of, decode, digest, encode
from protocol.sealed.refusal import BadPacket, Fault
from tests.protocol.sealed.application import build_world

WORLD = build_world()
MANIFEST = WORLD.packet(flags=("test-trust",)).manifest
MEMBERS = msgspec.to_builtins(MANIFEST)


def refused(data):
    with pytest.raises(BadPacket) as refusal:
        decode(data)
    return refusal.value.code


def test_a_manifest_comes_back_as_it_was_written():
    assert decode(encode(MANIFEST)) == MANIFEST
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.text(), st.integers(0, canonical.BIGGEST))
def test_its_spelling_is_the_canonical_one_whatever_it_says(text, number):
    content = msgspec.structs.replace(MANIFEST.contents[0], name=text, size=number)
    said = msgspec.structs.replace(MANIFEST, contents=(content,), officer_id=text, seq=number)
    assert encode(said) == canonical.dumps(msgspec.to_builtins(said))


def test_the_core_is_the_manifest_without_its_payload():
    expected = {name: value for name, value in MEMBERS.items() if name != "payload"}
    assert core_of(MANIFEST) == canonical.dumps(expected)
    assert core_of(
        msgspec.structs.replace(MANIFEST, payload=(Payload("identity", "0" * 128, 1),))
    ) == core_of(MANIFEST)


def test_a_suite_to_come_is_refused_as_such_even_with_members_unknown_today():
    for suite in ("cms-p256-aes", "age1", "", 7, ["age1pq"]):
        data = canonical.dumps(MEMBERS | {"suite": suite, "profile": "new"})
        assert refused(data) == Fault.UNKNOWN_SUITE


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_a_missing_member_is_noticed(name):
    data = canonical.dumps({key: value for key, value in MEMBERS.items() if key != name})
    assert refused(data) == Fault.MANIFEST_MALFORMED


CONTENT = MEMBERS["contents"][0]


def payload(**changes):
    return {"payload": [MEMBERS["payload"][0] | changes, *MEMBERS["payload"][1:]]}


def contents(**changes):
    return {"contents": [CONTENT | changes, *MEMBERS["contents"][1:]]}


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"v": "1"},
        {"v": True},
        {"extra": 1},
        {"packet_id": "x"},
        {"packet_id": 1},
        {"visit_id": MEMBERS["visit_id"].lower()},
        {"tenant": "207530775"},
        {"tenant": "٠207530775"},
        {"service_id": "eid"},
        {"catalogue": "C" * 64},
        {"catalogue": "c" * 64 + "\n"},
        {"kit_id": "brugge"},
        {"kit_cert_serial": "0a"},
        {"kit_cert_serial": ""},
        {"officer_id": "An Peeters"},
        {"created_utc": "2026-11-23"},
        {"created_utc": "2026-02-30T00:00:00Z"},
        {"seq": 0},
        {"seq": -1},
        {"seq": 2},
        {"prev": "a" * 64},
        {"prev": ""},
        {"recipients": []},
        {"recipients": [{"kid": "a"}, {"kid": "a"}]},
        {"recipients": [{"kid": f"k{at}"} for at in range(9)]},
        {"recipients": [{"kid": "a", "age1pq": "x"}]},
        {"recipients": "a"},
        {"contents": []},
        {"contents": [CONTENT, CONTENT]},
        {"contents": [CONTENT | {"name": f"identity-{at}.json"} for at in range(65)]},
        contents(name="../identity.json"),
        contents(name="/etc/passwd.json"),
        contents(name="identity"),
        contents(name=".json"),
        contents(name="identity.JSON"),
        contents(name="identity.json.exe"),
        contents(name="manifest-core.json"),
        contents(name="a b.json"),
        contents(type="json"),
        contents(size=-1),
        contents(size=2**24 + 1),
        contents(sha256="x"),
        {"legal": {"reason": "be", "retention_until": "soon"}},
        {"legal": {"reason": "Jan, who is ill", "retention_until": "2027-01-01"}},
        {"legal": {"reason": "be"}},
        {"flags": ["b", "a"]},
        {"flags": ["a", "a"]},
        {"flags": ["Test"]},
        {"flags": [f"f{at:02}" for at in range(17)]},
        payload(sha256="0" * 63),
        payload(sha512="0" * 127),
        payload(sha512="0" * 128),
        {"payload": [{"group": one["group"], "size": one["size"]} for one in MEMBERS["payload"]]},
        payload(size=0),
        payload(size=-1),
        payload(group="biometric"),
        payload(group="other"),
        {"payload": []},
        {"payload": MEMBERS["payload"][:1]},
        {"payload": MEMBERS["payload"][::-1]},
        {"payload": [*MEMBERS["payload"], MEMBERS["payload"][0]]},
        {"payload": [*MEMBERS["payload"], MEMBERS["payload"][0] | {"group": "evidence"}]},
        {"payload": {}},
        contents(group="biometric"),
        contents(group="evidence"),
        contents(name="photo.jpg"),
        contents(name="extra.json"),
        {"contents": MEMBERS["contents"][::-1]},
        {"officer_signature": "password"},
    ],
)
def test_a_member_that_breaks_its_rule_is_refused(changes):
    assert refused(canonical.dumps(MEMBERS | changes)) == Fault.MANIFEST_MALFORMED


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"1", b'"x"'],
)
def test_something_else_than_a_manifest_is_malformed(data):
    assert refused(data) in {Fault.MANIFEST_MALFORMED, Fault.MANIFEST_NOT_CANONICAL}


def test_another_spelling_is_not_canonical():
    data = encode(MANIFEST)
    for other in (data + b"\n", b" " + data, data.replace(b":", b": ", 1), data[:-1], data + data):
        assert refused(other) == Fault.MANIFEST_NOT_CANONICAL


def test_a_manifest_beyond_its_bound_is_not_parsed():
    assert refused(b"x" * (LONGEST + 1)) == Fault.TOO_LARGE
