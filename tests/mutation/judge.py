"""Whether the tests notice a mutant: tests collected once, each mutant in a fork of its own.

A mutant changes nothing on disk. In the fork the function's code, or the module's value, is replaced in the
running program; then the tests that go through that line are run, quickest first, until one fails. A fork
that uses far more processor time than the tests took before is a mutant noticed by the clock.
"""

import ast
import gc
import os
import resource
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import coverage
import msgspec
import pytest

from tests.mutation.mutants import Mutant

Verdict = Literal["killed", "timeout", "survived", "untested"]
QUICK_S = 2.5  # of processor time: a test that takes longer is left out
ENOUGH_S = 25.0  # of processor time on one mutant
LONGEST_S = 90  # by the clock on the wall: nothing moves any more
BROKEN, NOTICED = 1, 10  # exit codes of a fork: the judge's own fault; a test failed
_VERDICTS: Mapping[int, Verdict] = {0: "survived", NOTICED: "killed"}


class Seen(msgspec.Struct):
    """What the tests did before anything was mistaken: processor seconds of each, and who goes where."""

    seconds: dict[str, float]
    failed: list[str]
    lines: dict[str, dict[int, list[str]]]  # by file and line


@dataclass(eq=False)
class Judge:
    """A pytest plugin: lets pytest collect, then runs what it likes of it. `after` gets the judge itself."""

    root: Path
    files: Sequence[str]
    after: Callable[["Judge"], None]
    items: dict[str, pytest.Item] = field(default_factory=dict)
    seen: Seen = field(default_factory=lambda: Seen({}, [], {}))
    _failures: list[str] = field(default_factory=list)
    _stop: bool = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failures.append(report.nodeid)
            if self._stop:
                os._exit(NOTICED)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        self.seen = self._watch()
        self.after(self)
        return True

    def judge(self, mutant: Mutant) -> Verdict:
        """ValueError when the mutant cannot be put in the place of what runs."""
        chosen = self._tests_of(mutant)
        if not chosen:
            return "untested"  # its module may not even have been imported
        put = _in_place(mutant, self.root)
        expected = sum(self.seen.seconds[name] for name in chosen)

        def run() -> None:
            self._stop = True
            put()
            self._run(chosen)

        status = _wait(_start(run, cpu_s=int(4 * expected + 3)))
        if status == BROKEN:
            raise RuntimeError(f"could not be judged: {mutant.name}")
        return _VERDICTS.get(status, "timeout")

    def _tests_of(self, mutant: Mutant) -> list[str]:
        lines = self.seen.lines.get(mutant.file, {})
        found = lines.values() if mutant.of_module else [lines.get(mutant.line, [])]
        names = {name for each in found for name in each if name in self.items}
        if mutant.of_module and not names and _is_loaded(mutant, self.root):
            names = set(self.items)  # nobody goes through a module of values alone: anybody may use them
        chosen, spent = [], 0.0
        for name in sorted(names, key=lambda each: (self.seen.seconds[each], each)):
            spent += self.seen.seconds[name]
            if self.seen.seconds[name] > QUICK_S or spent > ENOUGH_S or name in self.seen.failed:
                continue
            chosen.append(name)
        return chosen

    def _watch(self) -> Seen:
        """Every test once, with nothing mistaken, in a fork."""
        read, write = os.pipe()

        def run() -> None:
            os.close(read)
            paths = [str(self.root / file) for file in self.files]
            watch = coverage.Coverage(data_file=None, include=paths, config_file=False)
            watch.start()
            seconds = {}
            for name in self.items:
                watch.switch_context(name)
                began = time.process_time()
                self._run([name])
                seconds[name] = time.process_time() - began
            watch.stop()
            data = watch.get_data()
            lines = {file: data.contexts_by_lineno(str(self.root / file)) for file in self.files}
            with os.fdopen(write, "wb") as pipe:
                pipe.write(msgspec.msgpack.encode(Seen(seconds, self._failures, lines)))

        child = _start(run, cpu_s=900)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            told = pipe.read()
        if _wait(child) != 0:
            raise RuntimeError("the tests did not come to their end before anything was mistaken")
        return msgspec.msgpack.decode(told, type=Seen)

    def _run(self, names: Sequence[str]) -> None:
        chosen = [self.items[name] for name in names]
        config = chosen[0].config
        if config.pluginmanager.has_plugin("terminalreporter"):
            config.pluginmanager.unregister(name="terminalreporter")
        for item, following in zip(chosen, [*chosen[1:], None], strict=True):
            config.hook.pytest_runtest_protocol(item=item, nextitem=following)


def _start(run: Callable[[], None], cpu_s: int) -> int:
    child = os.fork()
    if child:
        return child
    status = BROKEN
    try:
        os.setsid()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(max(LONGEST_S, 5 * cpu_s))
        used = int(time.process_time()) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (used + cpu_s, used + cpu_s))
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        run()
        status = 0
    finally:
        os._exit(status)


def _wait(child: int) -> int:
    """The child's exit code, or minus the signal that ended it; what it started ends with it."""
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return status


def _in_place(mutant: Mutant, root: Path) -> Callable[[], None]:
    """What puts the mutant in the place of the code, or the value, that runs."""
    path = str(root / mutant.file)
    module = next(each for each in _modules(path))
    code = compile(mutant.tree(), path, "exec", dont_inherit=True)
    if mutant.of_module:
        return lambda: _replace_value(module, mutant)
    wanted = (mutant.where, mutant.first_line)
    new = next(each for each in _codes(code) if (each.co_qualname, each.co_firstlineno) == wanted)
    places = [
        each
        for each in gc.get_objects()
        if isinstance(each, types.FunctionType)
        and each.__code__.co_filename == path
        and (each.__code__.co_qualname, each.__code__.co_firstlineno) == wanted
    ]
    if not places or any(each.__code__.co_freevars != new.co_freevars for each in places):
        raise ValueError(f"cannot be put in place: {mutant.name}")

    def put() -> None:
        for each in places:
            each.__code__ = new

    return put


def _modules(path: str) -> Iterator[types.ModuleType]:
    return (each for each in list(sys.modules.values()) if getattr(each, "__file__", None) == path)


def _is_loaded(mutant: Mutant, root: Path) -> bool:
    return next(_modules(str(root / mutant.file)), None) is not None


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield each
            yield from _codes(each)


def _replace_value(module: types.ModuleType, mutant: Mutant) -> None:
    """By name, wherever the same object was imported under its own name."""
    body = next(each for each in mutant.tree().body if each.lineno == mutant.first_line)
    assert isinstance(body, ast.Assign | ast.AnnAssign)
    assert body.value is not None
    old = vars(module)[mutant.where]
    try:
        value = eval(compile(ast.Expression(body.value), mutant.file, "eval"), vars(module))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        os._exit(NOTICED)  # nobody could even import it
    for each in list(sys.modules.values()):
        if isinstance(each, types.ModuleType) and vars(each).get(mutant.where) is old:
            setattr(each, mutant.where, value)
