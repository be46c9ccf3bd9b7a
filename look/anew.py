"""What is taken anew of an application, and why, in words: the same on the kit and at the town hall. Pure."""

from collections.abc import Sequence

from look.words import Words


def only(words: Words, language: str, parts: Sequence[str]) -> str:
    """ "Only the photo and the signature, again"; `parts` as protocol.recapture names them."""
    return words("look.anew.only", language, parts=listed(words, language, parts))


def listed(words: Words, language: str, parts: Sequence[str]) -> str:
    """ "the photo, the fingerprints and the signature"."""
    named = [words(f"look.anew.part.{part}", language) for part in parts]
    head, last = named[:-1], named[-1]
    return f"{', '.join(head)} {words('look.anew.and', language)} {last}" if head else last


def why(words: Words, language: str, code: str) -> str:
    """The service's reason; one without words is shown as it is, for whoever calls the service."""
    key = f"look.anew.why.{code}"
    return words(key, language) if key in words else words("look.anew.why-code", language, code=code)
