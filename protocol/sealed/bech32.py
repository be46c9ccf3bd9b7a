"""Bech32 (BIP 173) without its length limit, as age spells keys: `age1pq1...`, `AGE-SECRET-KEY-PQ-1...`."""

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUE = {character: value for value, character in enumerate(ALPHABET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM = 6  # characters


def encode(prefix: str, data: bytes) -> str:
    """`data` with `prefix` (human-readable part); upper case when the prefix is."""
    lower = prefix.lower()
    values = _regroup(data, 8, 5, pad=True)
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
    try:
        values = [_VALUE[letter] for letter in letters.lower()]
    except KeyError as problem:
        raise ValueError("a character outside the bech32 alphabet") from problem
    if len(values) < _CHECKSUM or _polymod([*_expand(lower), *values]) != 1:
        raise ValueError("wrong checksum")
    return bytes(_regroup(values[:-_CHECKSUM], 5, 8, pad=False))


def _expand(prefix: str) -> list[int]:
    return [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate(_GENERATOR):
            if top >> bit & 1:
                check ^= term
    return check


def _regroup(values: bytes | list[int], have: int, want: int, *, pad: bool) -> list[int]:
    """The same bits in groups of another size; what is left over is padding: added, or checked to be zero."""
    held = bits = 0
    out = []
    for value in values:
        held = held << have | value
        bits += have
        while bits >= want:
            bits -= want
            out.append(held >> bits & (1 << want) - 1)
        held &= (1 << bits) - 1
    if pad and bits:
        out.append(held << want - bits & (1 << want) - 1)
    elif not pad and (bits >= have or held):
        raise ValueError("padding that is not zero")
    return out
