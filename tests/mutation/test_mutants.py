"""The mistakes that are put in, and the judge of who notices them, on a small room with a known hole."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.__main__ import of_room
from tests.mutation.equivalent import EQUIVALENT
from tests.mutation.mutants import mutants
from tests.mutation.rooms import ROOMS

ROOT = Path(__file__).parent.parent.parent
ROOM = '''
LIMIT = 3


def fits(size: int) -> bool:
    """Whether it fits."""
    return size <= LIMIT


def steps(size: int) -> int:
    done = 0
    while done < size:
        done += 1
    return done


def never_asked() -> int:
    return 7
'''
TESTS = """
from room import fits, steps


def test_small_fits_and_large_does_not():
    assert fits(1)
    assert not fits(5)


def test_steps():
    assert steps(3) == 3
"""
JUDGED = """
import sys
from pathlib import Path
from tests.mutation.__main__ import of_room, watch
from tests.mutation.rooms import Room

folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
room = Room(("room.py", "nobody.py"), ("test_room.py",))
print(dict(watch("toy", room, of_room(room, folder), folder)))
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("return a < b", {"return a <= b", "return None"}),
        ("return a is not b", {"return a is b", "return None"}),
        ("return a and (not b)", {"return a or not b", "return a and b", "return None"}),
        ("return a + 1", {"return a - 1", "return a + 2", "return a + 0", "return None"}),
        ("if a:\n    raise b", {"if not a:\n    raise b", "if a:\n    pass"}),
        ("a.close()", {"pass"}),
        ("a = b'x'", {"a = b'x!'"}),
        ("a = True", {"a = False"}),
        ("assert a == 1\nreturn 'words'", {"assert a == 1\nreturn None"}),
    ],
)
def test_each_mistake_changes_one_thing(before: str, after: set[str]) -> None:
    lines = "".join(f"    {line}\n" for line in before.splitlines())
    made = mutants("m.py", f"def f(a, b):\n{lines}")
    bodies = {"\n".join(ast.unparse(part) for part in each.tree().body[0].body) for each in made}
    assert bodies == after


def test_the_judge_tells_noticed_from_overlooked(tmp_path: Path) -> None:
    (tmp_path / "room.py").write_text(ROOM)
    (tmp_path / "test_room.py").write_text(TESTS)
    (tmp_path / "nobody.py").write_text("def imports() -> int:\n    return 1\n")
    command = [sys.executable, "-c", JUDGED, str(tmp_path)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "survived: line 7: room.py:fits: comparison: size <= LIMIT" in told.stdout
    assert "untested: line 18: room.py:never_asked: nothing returned: return 7" in told.stdout
    assert "untested: line 2: nobody.py:imports: nothing returned: return 1" in told.stdout
    assert "'timeout': 2" in told.stdout, "loops that never end are ended: `done -= 1`, `done += 0`"
    assert told.stdout.count("survived:") == 5, "size < LIMIT, LIMIT 2 or 4, done from 1 or -1"


def test_every_mutant_of_the_watched_rooms_has_a_name_of_a_thing_that_is_there() -> None:
    for room in ROOMS.values():
        assert all((ROOT / each).exists() for each in (*room.sources, *room.tests))
    assert of_room(ROOMS["lifecycle"])
    files = {name.split(":")[0] for name in EQUIVALENT}
    known = {each.name for file in files for each in mutants(file, (ROOT / file).read_text())}
    assert set(EQUIVALENT) <= known, f"no mutants any more: {set(EQUIVALENT) - known}"
