"""What keeps the competent service's tools from doing their work, as opposed to a packet that is refused."""


class Failed(Exception):
    """`code` names it, `remedy` says in plain words what to do. Exit status 1."""

    def __init__(self, code: str, remedy: str) -> None:
        super().__init__(f"{code}: {remedy}")
        self.code = code
        self.remedy = remedy
