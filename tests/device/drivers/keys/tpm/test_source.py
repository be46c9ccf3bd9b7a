from pathlib import Path

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from device.drivers.keys.tpm import marshal, shapes
from device.drivers.keys.tpm.chip import Chip
from device.drivers.keys.tpm.marshal import TpmError
from device.drivers.keys.tpm.shapes import PinIndex
from device.drivers.keys.tpm.source import TpmKeySource, make
from device.drivers.keys.tpm.talk import Talk
from device.errors import Code, KitError

RIGHT, WRONG = b"right proof".ljust(32, b"."), b"wrong proof".ljust(32, b".")


def fails(call, *arguments):
    with pytest.raises(KitError) as failure:
        call(*arguments)
    return failure.value.code


def test_the_right_proof_gives_the_secret_back_and_each_officer_has_another(source):
    one, two = source.enclose(RIGHT), source.enclose(RIGHT)
    assert source.release(one.ticket, RIGHT) == one.secret
    assert source.release(two.ticket, RIGHT) == two.secret != one.secret
    assert len(one.secret) == 32
    assert source.protection == "hardware"


@pytest.mark.parametrize("proof", [bytes(32), RIGHT[:31] + b"\0", RIGHT[:30] + b"\0\0"])
def test_a_proof_may_end_in_zeros_which_a_tpm_does_not_count(source, proof):
    enclosed = source.enclose(proof)
    assert source.release(enclosed.ticket, proof) == enclosed.secret


def test_five_wrong_proofs_lock_and_the_right_one_is_refused_too(source, tpm):
    mine, hers = source.enclose(RIGHT), source.enclose(RIGHT)
    told = [fails(source.release, mine.ticket, WRONG) for _ in range(5)]
    assert told == [Code.WRONG_PIN] * 4 + [Code.PIN_BLOCKED]
    assert fails(source.release, mine.ticket, RIGHT) == Code.PIN_BLOCKED
    tpm.cut_and_start()
    assert fails(source.release, mine.ticket, RIGHT) == Code.PIN_BLOCKED
    assert source.release(hers.ticket, RIGHT) == hers.secret, "an officer's mistakes are that officer's"


def test_while_a_pin_is_locked_the_kits_own_key_signs(source):
    ticket = source.enclose(RIGHT).ticket
    for _ in range(6):
        fails(source.release, ticket, WRONG)
    digest = bytes(range(32))
    r, s = source.sign(digest)
    key = source.sign_public()
    key.verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    with pytest.raises(InvalidSignature):
        key.verify(encode_dss_signature(r, s), bytes(32), ec.ECDSA(Prehashed(hashes.SHA256())))
    assert len(source.device_secret()) == 32
    assert len(source.enclose(RIGHT).secret) == 32, "and somebody gets a new PIN"


def test_a_right_proof_begins_the_count_anew(source):
    enclosed = source.enclose(RIGHT)
    for _ in range(4):
        assert [fails(source.release, enclosed.ticket, WRONG) for _ in range(4)] == [Code.WRONG_PIN] * 4
        assert source.release(enclosed.ticket, RIGHT) == enclosed.secret


def test_what_is_forgotten_is_released_no_more(source):
    enclosed = source.enclose(RIGHT)
    source.forget(enclosed.ticket)
    source.forget(enclosed.ticket)
    source.forget(b"")
    assert fails(source.release, enclosed.ticket, RIGHT) == Code.VAULT_DAMAGED


def test_another_tpm_opens_nothing_and_says_so(source, other, tmp_path):
    enclosed = source.enclose(RIGHT)
    moved = TpmKeySource(other.chip, tmp_path / "tpm.keys")
    assert fails(moved.device_secret) == Code.OTHER_DEVICE, "a TPM without a storage key"
    make(other.chip)
    for call in (
        moved.device_secret,
        lambda: moved.release(enclosed.ticket, RIGHT),
        lambda: moved.sign(bytes(32)),
    ):
        with pytest.raises(KitError, match="not the TPM that the kit was set up with") as failure:
            call()
        assert failure.value.code == Code.OTHER_DEVICE
    assert source.release(enclosed.ticket, RIGHT) == enclosed.secret


def test_what_another_tpm_wrapped_is_refused(source, other, tmp_path):
    theirs = other.found(tmp_path / "other.keys")
    blob = theirs.seal(b"secret")
    assert theirs.open_sealed(blob) == b"secret"
    assert fails(source.open_sealed, blob) == Code.VAULT_DAMAGED


def test_a_thief_who_defines_the_index_anew_with_his_own_pin_gets_nothing(source, tpm):
    """The owner's hierarchy has no password: the index can be taken away, but it never gets its name back."""
    enclosed = source.enclose(RIGHT)
    _, index, writer, *_ = msgspec.msgpack.decode(enclosed.ticket)
    at, key = PinIndex(index, writer), ec.generate_private_key(ec.SECP256R1())
    with tpm.chip.line() as line:
        talk = Talk(line)
        storage = shapes.point(talk.storage_key() or b"", shapes.STORAGE_ATTRIBUTES)
        talk.undefine(index)
        talk.define(talk.session(storage), at, WRONG)
        with pytest.raises(TpmError) as refused:
            talk.limit(talk.session(storage, policy=True), at, key, 5)
        assert refused.value.code == 0x09D, "TPM_RC_POLICY_FAIL: only a key that is gone may write it"
        assert talk.index_name(index) == at.name(written=False) != at.name()
    assert fails(source.release, enclosed.ticket, WRONG) == Code.VAULT_DAMAGED


def test_what_killed_programs_left_in_the_tpm_is_thrown_out(source, tpm):
    enclosed, blob = source.enclose(RIGHT), source.seal(b"anything")
    for _ in range(12):
        with tpm.chip.line() as line:
            talk = Talk(line)
            public = talk.storage_key() or b""
            talk.load(talk.session(shapes.point(public, shapes.STORAGE_ATTRIBUTES)), public, blob)
            line.held.clear()  # killed here: nothing is flushed
        assert source.release(enclosed.ticket, RIGHT) == enclosed.secret


def test_all_places_of_the_tpm_are_free_after_every_call(source, tpm):
    enclosed = source.enclose(RIGHT)
    source.sign(bytes(32))
    fails(source.release, enclosed.ticket, WRONG)
    source.release(enclosed.ticket, RIGHT)
    with tpm.chip.line() as line:
        for first in (0x02000000, 0x80000000):
            asked = marshal.u32(1) + marshal.u32(first) + marshal.u32(32)
            told = line.ask(marshal.command(0x17A, (), (), asked))
            assert marshal.response(told, 0x17A, 0, 0).parameters[5:] == marshal.u32(0)


def test_a_tpm_that_is_gone_says_so(tpm, source):
    tpm.cut()
    assert fails(source.device_secret) == Code.KEY_SOURCE_GONE
    tpm.socket.unlink()
    assert fails(source.device_secret) == Code.KEY_SOURCE_GONE
    tpm.start()
    assert len(source.device_secret()) == 32, "and comes back without a restart"


def test_a_device_that_is_no_device_is_a_mistake_in_the_configuration(source, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for device in (tmp_path / "file", tmp_path):
        assert fails(TpmKeySource(Chip(device), tmp_path / "tpm.keys").device_secret) == Code.BAD_CONFIG


def test_another_character_device_answers_nothing_a_tpm_would(tmp_path, source):
    assert (
        fails(TpmKeySource(Chip(Path("/dev/null")), tmp_path / "tpm.keys").device_secret)
        == Code.KEY_SOURCE_GONE
    )


@pytest.mark.parametrize("data", [b"", b"\x91\x01", b"x" * 5000])
def test_a_file_of_another_kind_is_refused(tpm, tmp_path, data):
    (tmp_path / "bad").write_bytes(data)
    assert fails(TpmKeySource(tpm.chip, tmp_path / "bad").device_secret) == Code.BAD_CONFIG
    assert fails(TpmKeySource(tpm.chip, tmp_path / "none").device_secret) == Code.BAD_CONFIG


@pytest.mark.parametrize("place", range(0, 281, 20))
def test_a_damaged_ticket_opens_nothing(source, place):
    enclosed = source.enclose(RIGHT)
    ticket = bytearray(enclosed.ticket)
    ticket[place] ^= 0x40
    with pytest.raises(KitError) as failure:
        source.release(bytes(ticket), RIGHT)
    assert failure.value.code in (Code.VAULT_DAMAGED, Code.KEY_SOURCE_GONE)
