"""A literal chain of custody: anyone with the root and the list key finds it sound, now and in ten years."""

from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from protocol import canonical
from protocol.custody import FIRST, BadCustody, Step, digest, read_chain, read_signed
from protocol.custodycheck import Trust, judge

VECTOR = Path(__file__).parents[1] / "vectors" / "custody"
SERVICE = "be.eid.application"
STEP = Step(
    packet_id="01ARZ3NDEKTSV4RRFFQ69G5FAV",
    manifest_sha256="a" * 64,
    n=1,
    prev=FIRST,
    step="sealed",
    at="2026-11-23T09:30:00Z",
    evidence="b" * 64,
)


def trust() -> Trust:
    key = load_pem_public_key((VECTOR / "services" / f"{SERVICE}.pem").read_bytes())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return Trust(x509.load_pem_x509_certificates((VECTOR / "root.pem").read_bytes()), {SERVICE: key})


def test_the_vector_is_sound_and_tells_seven_steps() -> None:
    judged = judge(read_chain((VECTOR / "chain.json").read_bytes()), trust())
    assert judged.sound
    assert judged.names == ("sealed", "committed", "erased", "forwarded", "answered", "deleted", "purged")


def test_a_step_has_one_spelling_and_one_digest() -> None:
    assert digest(STEP) == "2238472a4726f8e6e771c041d7e307ee88bcc978b7ddb56423566391df9a2989"


@pytest.mark.parametrize(
    "changes",
    [
        {"evidence": ""},
        {"step": "committed"},
        {"n": 2},
        {"prev": "c" * 64},
        {"n": 17},
        {"at": "2026-02-30T09:30:00Z"},
        {"name": "Roos"},
    ],
)
def test_what_is_no_step_is_refused(changes: dict[str, object]) -> None:
    step = {**msgspec.to_builtins(STEP), **changes}
    with pytest.raises(BadCustody, match="malformed"):
        read_signed(canonical.dumps({"signed": "2026-11-23T09:30:01Z", "step": step}))
    fine = canonical.dumps({"signed": "2026-11-23T09:30:01Z", "step": msgspec.to_builtins(STEP)})
    assert read_signed(fine).step == STEP
