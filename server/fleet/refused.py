"""An answer, not an error: what was asked does not fit, and nothing has changed."""


class Refused(Exception):
    """`code` has words in server/web/words.toml (`refused.<code>`); no personal data in either."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Invalid(Exception):
    """What was filled in does not fit: a code for each wrong field, `{"postcode": "not-served"}`."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(", ".join(f"{field}: {code}" for field, code in errors.items()))
        self.errors = errors
