"""The digest a kit gives its packets."""

from device.agent.digests import quicker
from protocol.sealed.manifest import describe


def test_it_is_one_that_a_packet_may_have_and_stays_the_same():
    by = quicker()
    described = describe("biometric", 3, by, "0" * (64 if by == "sha256" else 128))
    hashed = described.hashed()
    assert hashed.name == by == quicker()
    assert not described.is_of(hashed)
