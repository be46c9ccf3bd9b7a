import os
from itertools import count

import pytest
from cryptography.exceptions import AlreadyFinalized
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.sealed import age, agekeys, bech32
from protocol.sealed.age import CHUNK, BadAge, BadKey, Stanza, decrypt, encrypt

IDENTITY, RECIPIENT = age.generate()
OTHER_IDENTITY, OTHER_RECIPIENT = age.generate()


def refused(data, *identities):
    with pytest.raises(BadAge) as refusal:
        decrypt(data, identities or [IDENTITY])
    return refusal.value.code


@given(st.binary(max_size=400))
def test_what_was_encrypted_is_decrypted(plaintext):
    assert decrypt(encrypt(plaintext, [RECIPIENT]), [IDENTITY]) == plaintext


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1])
def test_the_chunks_of_a_file_end_where_they_should(size):
    plaintext = bytes(range(256)) * (size // 256 + 1)
    plaintext = plaintext[:size]
    pieces = [plaintext[at : at + 1000] for at in range(0, size, 1000)]
    whole = encrypt(plaintext, [RECIPIENT])
    stage = memoryview(bytearray(CHUNK))
    laid = age.Laid(pieces, age.wrap([RECIPIENT]), stage=stage)
    made = bytearray(laid.size)
    laid.fill(memoryview(made))
    assert decrypt(whole, [IDENTITY]) == decrypt(bytes(made), [IDENTITY]) == plaintext
    assert len(whole) == len(made)
    assert not any(stage), "nothing of it is left where chunks were put together"
    with pytest.raises(AlreadyFinalized):
        laid.fill(memoryview(made))


def test_what_is_in_a_file_may_come_after_it_was_laid_out():
    memory = bytearray(3 * CHUNK)
    pieces = [memoryview(memory)[at : at + 7 * CHUNK // 5] for at in range(0, 3 * CHUNK, 7 * CHUNK // 5)]
    laid = age.Laid([b"before", *pieces], age.wrap([RECIPIENT]))
    memory[:] = os.urandom(len(memory))
    made = bytearray(laid.size)
    laid.fill(memoryview(made))
    assert decrypt(bytes(made), [IDENTITY]) == b"before" + memory


def test_stanzas_of_another_size_than_was_told_are_refused():
    stanza = age.write_stanzas([age.Stanza("x", (), b"")])
    for told in (len(stanza) - 1, len(stanza) + 1):
        laid = age.Laid([b"x"], age.wrap([RECIPIENT]), told)
        with pytest.raises(ValueError):
            laid.fill(memoryview(bytearray(laid.size)), stanza)


def test_each_recipient_opens_it_and_nobody_else():
    sealed = encrypt(b"x", [RECIPIENT, OTHER_RECIPIENT])
    assert decrypt(sealed, [IDENTITY]) == decrypt(sealed, [OTHER_IDENTITY]) == b"x"
    assert decrypt(sealed, [age.generate()[0], OTHER_IDENTITY]) == b"x"
    assert refused(sealed, age.generate()[0]) == "wrong-recipient"
    with pytest.raises(BadAge, match="wrong-recipient"):
        decrypt(sealed, [])


def test_a_file_for_nobody_is_not_written():
    with pytest.raises(ValueError):
        encrypt(b"x", [])


def test_extra_stanzas_ride_along_and_are_covered_by_the_mac():
    extra = Stanza("thuisloket.be/manifest", ("v1",), b"\x01" * 32)
    sealed = encrypt(b"x", [RECIPIENT], [extra])
    assert age.read_header(sealed).stanzas[1] == extra
    assert decrypt(sealed, [IDENTITY]) == b"x"
    assert refused(sealed.replace(b"manifest v1", b"manifest v2")) == "header-mac"
    only_extra = sealed[: sealed.index(b"-> mlkem")] + sealed[sealed.index(b"-> thuis") :]
    assert refused(only_extra) == "wrong-recipient"


def test_every_changed_byte_of_header_and_payload_is_refused():
    sealed = encrypt(b"twelve bytes", [RECIPIENT], [Stanza("thuisloket.be/manifest", ("v1",), b"\x01" * 32)])
    codes = set()
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1 << at % 8
        codes.add(refused(bytes(changed)))
    # "truncated" too, where a changed line feed happens to leave no end of the header
    assert codes - {"truncated"} == {"age-header", "wrong-recipient", "header-mac", "payload-corrupt"}


def test_every_cut_and_every_byte_too_many_is_refused():
    sealed = encrypt(b"twelve bytes", [RECIPIENT])
    size = age.read_header(sealed).size
    for end in range(len(sealed)):
        code = refused(sealed[:end])
        assert code == ("truncated" if end < size + age.NONCE + age.TAG else "payload-corrupt")
    assert refused(sealed + b"\0") == "payload-corrupt"


def test_chunks_cannot_be_dropped_swapped_or_added():
    sealed = encrypt(b"a" * CHUNK + b"b" * CHUNK + b"c", [RECIPIENT])
    start = age.read_header(sealed).size + age.NONCE
    step = CHUNK + age.TAG
    head, first, second, last = (
        sealed[:start],
        sealed[start : start + step],
        sealed[start + step : start + 2 * step],
        sealed[start + 2 * step :],
    )
    for other in ([first, second], [first, last], [second, first, last], [first, second, last, last], [last]):
        assert refused(head + b"".join(other)) == "payload-corrupt"


def test_an_empty_last_chunk_after_a_full_one_is_refused():
    wrapped = age.wrap([RECIPIENT])
    laid = age.Laid([b""], wrapped)
    whole = bytearray(laid.size)
    laid.fill(memoryview(whole))
    assert decrypt(bytes(whole), [IDENTITY]) == b""
    header = bytes(whole[: -age.TAG])
    full = wrapped.cipher.encrypt(bytes(12), b"a" * CHUNK, None)  # the first chunk, and not the last
    last = wrapped.cipher.encrypt((1).to_bytes(11) + b"\x01", b"", None)
    assert refused(header + full + last) == "payload-corrupt"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"-> mlkem768x25519 ", b"-> mlkem768x25519 x "),
        (b"-> mlkem768x25519 ", b"-> mlkem768x25519 AA"),
        (b"-> mlkem768x25519 ", b"-> mlkem768x25519 ="),
    ],
)
def test_a_recipient_stanza_of_another_shape_is_refused(old, new):
    assert refused(encrypt(b"x", [RECIPIENT]).replace(old, new)) == "age-header"


def test_a_wrapped_key_of_another_length_is_refused_before_it_is_tried():
    sealed = encrypt(b"x", [RECIPIENT])
    stanza = age.read_header(sealed).stanzas[0]
    for body in (b"", stanza.body[:-1], stanza.body + b"\0"):
        changed = sealed.replace(age.encode64(stanza.body).encode(), age.encode64(body).encode())
        assert refused(changed) == "age-header"


# --- keys ---------------------------------------------------------------------------------------------------


def test_a_key_pair_is_spelled_as_age_spells_it():
    assert IDENTITY.startswith("AGE-SECRET-KEY-PQ-1")
    assert len(IDENTITY) == 77
    assert RECIPIENT.startswith("age1pq1")
    assert len(RECIPIENT) == 1959
    assert age.recipient_of(IDENTITY) == RECIPIENT
    assert age.generate() != age.generate()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1pq1",
        RECIPIENT.upper(),
        RECIPIENT[:-1],
        RECIPIENT + "q",
        RECIPIENT[:-1] + ("q" if RECIPIENT[-1] != "q" else "p"),
        RECIPIENT[:20] + RECIPIENT[20].swapcase() + RECIPIENT[21:] if RECIPIENT[20].isalpha() else "age1pqX",
        RECIPIENT[:9] + "b" + RECIPIENT[10:],
        IDENTITY,
        "x" * 3000,
        bech32.encode("age1pq", bytes(1215)),
        bech32.encode("age1pq", b"\xff" * 1216),
        bech32.encode("age", bytes(32)),
        " " + RECIPIENT,
    ],
    ids=count(),
)
def test_something_that_is_no_recipient_is_refused(text):
    with pytest.raises(BadKey):
        encrypt(b"x", [text])


def test_what_is_far_too_long_for_a_key_is_not_even_read():
    for asked in (
        lambda: encrypt(b"x", [RECIPIENT + "q" * 100]),
        lambda: decrypt(b"", [IDENTITY + "Q" * 2000]),
    ):
        with pytest.raises(BadKey, match="too long"):
            asked()


@pytest.mark.parametrize(
    "text", ["", IDENTITY.lower(), IDENTITY[:-1] + "!", RECIPIENT, IDENTITY + "Q"], ids=count()
)
def test_something_that_is_no_identity_is_refused_without_being_shown(text):
    with pytest.raises(BadKey) as refusal:
        decrypt(b"", [text])
    assert not text or text not in str(refusal.value)


@settings(max_examples=30)
@given(st.binary(max_size=80))
def test_bech32_reads_what_it_writes(data):
    for prefix in ("age1pq", "AGE-SECRET-KEY-PQ-"):
        assert bech32.decode(prefix, bech32.encode(prefix, data)) == data


def test_bech32_as_bip_173_gives_it():
    # BIP 173, segwit address examples aside: the checksum of an empty data part
    assert bech32.encode("a", b"") == "a12uel5l"
    assert bech32.encode("A", b"") == "A12UEL5L"


@pytest.mark.parametrize(
    "text", ["a12uel5m", "A12uEL5L", "a1", "a12uel5", "b12uel5l", "a12uel5b", "é12uel5l"]
)
def test_bech32_that_is_not_whole_is_refused(text):
    with pytest.raises(ValueError):
        bech32.decode("a", text)


def test_bech32_padding_is_zero_and_less_than_a_group():
    for values in ([0, 1], [31], [0, 0, 0]):
        check = bech32._polymod([*bech32._expand("a"), *values, 0, 0, 0, 0, 0, 0]) ^ 1
        digits = values + [check >> 5 * (5 - at) & 31 for at in range(6)]
        with pytest.raises(ValueError, match="padding"):
            bech32.decode("a", "a1" + "".join(bech32.ALPHABET[digit] for digit in digits))


def test_agekeys_generate_is_what_age_offers():
    assert age.generate is agekeys.generate
