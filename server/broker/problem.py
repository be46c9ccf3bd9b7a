"""What can go wrong with the broker, as a code and what to do about it."""


class BrokerProblem(Exception):
    """`code` for logs and programs, `remedy` for the person who must act."""

    def __init__(self, code: str, remedy: str) -> None:
        super().__init__(f"{code}: {remedy}")
        self.code = code
        self.remedy = remedy
