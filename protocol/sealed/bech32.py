"""Bech32 (BIP 173) without its length limit, as age spells keys: `age1pq1...`, `AGE-SECRET-KEY-PQ-1...`."""

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUE = {character: value for value, character in enumerate(ALPHABET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM = 6  # characters
# A post-quantum recipient has 1,959 characters: both ways through it are one step a character, not one a bit.
_DIGITS = str.maketrans(ALPHABET, "0123456789abcdefghijklmnopqrstuv")  # as `int` knows base 32


def _carry(top: int) -> int:
    """What the five bits that leave the checksum at its top do to the rest."""
    carry = 0
    for bit, term in enumerate(_GENERATOR):
        if top >> bit & 1:
            carry ^= term
    return carry


_CARRY = tuple(_carry(top) for top in range(32))


def encode(prefix: str, data: bytes) -> str:
    """`data` with `prefix` (human-readable part); upper case when the prefix is."""
    lower = prefix.lower()
    values = _fives(data)
    check = _polymod([*_expand(lower), *values, *([0] * _CHECKSUM)]) ^ 1
    values += [check >> 5 * (_CHECKSUM - 1 - at) & 31 for at in range(_CHECKSUM)]
    text = f"{lower}1{''.join(ALPHABET[value] for value in values)}"
    return text if prefix == lower else text.upper()


def decode(prefix: str, text: str) -> bytes:
    """The bytes of `text`. ValueError unless it is spelled as `encode(prefix, data)` spells it."""
    if not text.isascii() or not text.startswith(f"{prefix}1"):
        raise ValueError(f"not a {prefix} string")
    lower = prefix.lower()
    letters = text[len(prefix) + 1 :]
    if letters != (letters.lower() if prefix == lower else letters.upper()):
        raise ValueError("mixed case")
    letters = letters.lower()
    try:
        values = [_VALUE[letter] for letter in letters]
    except KeyError as problem:
        raise ValueError("a character outside the bech32 alphabet") from problem
    if len(values) < _CHECKSUM or _polymod([*_expand(lower), *values]) != 1:
        raise ValueError("wrong checksum")
    return _bytes(letters[:-_CHECKSUM])


def _expand(prefix: str) -> list[int]:
    return [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        check = (check & 0x1FFFFFF) << 5 ^ value ^ _CARRY[check >> 25]
    return check


def _fives(data: bytes) -> list[int]:
    """The bits of `data` in groups of five; the last is filled up with zeros."""
    count = -(-8 * len(data) // 5)
    held = int.from_bytes(data) << 5 * count - 8 * len(data)
    return [held >> 5 * at & 31 for at in range(count - 1, -1, -1)]


def _bytes(letters: str) -> bytes:
    """The letters in groups of eight bits. ValueError when what is left over is a letter, or not zero."""
    spare = 5 * len(letters) % 8
    held = int(letters.translate(_DIGITS) or "0", 32)
    if spare >= 5 or held & (1 << spare) - 1:
        raise ValueError("padding that is not zero")
    return (held >> spare).to_bytes(5 * len(letters) // 8)
