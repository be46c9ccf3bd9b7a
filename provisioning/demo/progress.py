"""One line a step, with how long it took; and the sum, for whoever measures."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Printer = Callable[[str], None]


@dataclass
class Progress:
    """Prints `seconds  step` for each; the steps are kept."""

    printer: Printer = print
    steps: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what is inside. A step that fails is printed as such, and its exception goes on."""
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self.printer(f"{time.monotonic() - began:7.2f} s  {name}: FAILED")
            raise
        self.note(name, time.monotonic() - began)

    def note(self, name: str, seconds: float) -> None:
        self.steps.append((name, seconds))
        self.printer(f"{seconds:7.2f} s  {name}")
