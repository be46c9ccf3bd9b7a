"""One face for the kit's and the fleet's screens: words, layout, style, icons."""

from look.face import mount
from look.words import LANGUAGES, Words, WordsError

__all__ = ["LANGUAGES", "Words", "WordsError", "mount"]
