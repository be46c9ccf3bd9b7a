"""Check digits of the national number; the number itself is a name, not a date.

The last two digits are 97 minus the first nine modulo 97, or, for who was born in 2000 or later, 97 minus the
same nine digits with a 2 before them. Month and day may be 00 (unknown), the month +20 or +40 (bis number),
and specimens have months that do not exist, so nothing else is asked (docs/decisions/0021).
"""

import re

ELEVEN = re.compile(r"[0-9]{11}")


def national_number_ok(number: str) -> bool:
    """True when the check digits fit for a birth before or after 2000."""
    if not ELEVEN.fullmatch(number):
        return False
    body, check = number[:9], int(number[9:])
    return any(97 - int(century + body) % 97 == check for century in ("", "2"))
