"""The root of every refusal of something that came from outside and is not what it must be."""


class Bad(ValueError):
    """code: one of those that the subclass names. detail: for a log; holds no personal data."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
