"""What mosquitto.conf says, as far as the fleet must know it."""

from dataclasses import dataclass
from pathlib import Path

from server.broker.problem import BrokerProblem


@dataclass(frozen=True)
class Configuration:
    """`lines`: option and value, in order, without comments."""

    path: Path
    lines: tuple[tuple[str, str], ...]

    def values(self, option: str) -> list[str]:
        return [value for name, value in self.lines if name == option]

    def last(self, option: str) -> str:
        """The value that counts; "" when the option is not there."""
        return next(iter(self.values(option)[::-1]), "")

    def file(self, option: str) -> Path:
        """BrokerProblem not-configured when the option is not there."""
        value = self.last(option)
        if not value:
            raise BrokerProblem(
                "not-configured", f"{self.path} has no {option}; write it with `{option} PATH`"
            )
        return Path(value)


def read(path: Path) -> Configuration:
    """BrokerProblem when it cannot be read; `include_dir` is not followed, for ours has none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise BrokerProblem("not-configured", f"{path} cannot be read: {problem}") from problem
    lines = []
    for line in text.splitlines():
        option, _, value = line.strip().partition(" ")
        if option and not option.startswith("#"):
            lines.append((option, value.strip()))
    return Configuration(path, tuple(lines))
