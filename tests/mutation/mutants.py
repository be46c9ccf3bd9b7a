"""One small mistake at a time in the syntax tree of a module: what a test suite ought to notice.

Messages, lines of the log and other texts are left alone, and so are annotations, defaults, class bodies and
assertions for the type checker. What stands in a function, and the values of module-level names, is what may
be mistaken. Pure.
"""

import ast
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

_Swap = Mapping[type[ast.AST], type[ast.AST]]
COMPARISONS: _Swap = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: _Swap = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}
Body = ast.FunctionDef | ast.Assign | ast.AnnAssign
_Path = tuple[str | int, ...]
Step = tuple[_Path, str, Callable[[ast.AST], ast.AST]]
_Node = TypeVar("_Node", bound=ast.AST)


@dataclass(frozen=True)
class Mutant:
    """One mistake; `tree` makes the whole module with it."""

    file: str
    where: str  # the function's qualified name, or the name assigned
    line: int
    first_line: int  # of the function or assignment
    what: str
    code: str  # the statement or expression as it stood
    tree: Callable[[], ast.Module]
    of_module: bool  # a module-level value rather than a function

    @property
    def name(self) -> str:
        return f"{self.file}:{self.where}: {self.what}: {self.code}"


def mutants(file: str, source: str) -> list[Mutant]:
    """All of a module, in the order of its lines."""
    tree = ast.parse(source)
    found = []
    for path, where, body in _bodies(tree):
        for step, what, change in _mistakes(body):
            node = _at(tree, (*path, *step))
            code = " ".join(ast.unparse(node).split())[:80]
            line = int(getattr(node, "lineno", body.lineno))
            first = min([body.lineno, *(each.lineno for each in getattr(body, "decorator_list", ()))])
            whole = not isinstance(body, ast.FunctionDef)
            make = partial(_changed, tree, (*path, *step), change)
            found.append(Mutant(file, where, line, first, what, code, make, whole))
    return found


def _changed(tree: ast.Module, path: _Path, change: Callable[[ast.AST], ast.AST]) -> ast.Module:
    changed = copy.deepcopy(tree)
    _put(changed, path, change(_at(changed, path)))
    return ast.fix_missing_locations(changed)


def _bodies(
    tree: ast.Module | ast.ClassDef, path: _Path = (), of: str = ""
) -> Iterator[tuple[_Path, str, Body]]:
    for number, each in enumerate(tree.body):
        here = (*path, "body", number)
        if isinstance(each, ast.FunctionDef):
            yield here, f"{of}{each.name}", each
        elif isinstance(each, ast.ClassDef):
            yield from _bodies(each, here, f"{of}{each.name}.")
        elif not of and isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
            yield here, each.targets[0].id, each
        elif not of and isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and each.value:
            yield here, each.target.id, each


def _mistakes(body: Body) -> Iterator[Step]:
    if not isinstance(body, ast.FunctionDef):
        assert body.value is not None
        yield from _within(("value",), body.value)
        return
    for number, statement in enumerate(body.body):
        yield from _within(("body", number), statement)


def _within(path: _Path, node: ast.AST) -> Iterator[Step]:
    if isinstance(node, ast.Assert | ast.JoinedStr | ast.arguments):
        return
    for what, change in _of(node):
        yield path, what, change
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        if isinstance(value, ast.AST):
            yield from _within((*path, name), value)
        elif isinstance(value, list):
            for number, each in enumerate(value):
                if isinstance(each, ast.AST):
                    yield from _within((*path, name, number), each)


def _of(node: ast.AST) -> Iterator[tuple[str, Callable[[ast.AST], ast.AST]]]:
    match node:
        case ast.Compare(ops=[op]) if type(op) in COMPARISONS:
            yield "comparison", lambda n: _with(n, ops=[COMPARISONS[type(op)]()])
        case ast.BoolOp(op=op):
            other = ast.Or if isinstance(op, ast.And) else ast.And
            yield "and-or", lambda n: _with(n, op=other())
        case ast.UnaryOp(op=ast.Not()):
            yield "not", lambda n: _expression(n, "operand")
        case ast.If() | ast.While() | ast.IfExp():
            yield "negation", lambda n: _with(n, test=ast.UnaryOp(ast.Not(), _expression(n, "test")))
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in ARITHMETIC:
            yield "arithmetic", lambda n: _with(n, op=ARITHMETIC[type(op)]())
        case ast.Constant(value=bool() as value):
            yield "truth", lambda n: ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield "one more", lambda n: ast.Constant(value + 1)
            yield "one less", lambda n: ast.Constant(value - 1)
        case ast.Constant(value=bytes() as value):
            yield "bytes", lambda n: ast.Constant(value + b"!")
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield "nothing returned", lambda n: _with(n, value=ast.Constant(None))
        case ast.Raise():
            yield "not raised", lambda n: ast.Pass()
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="log")))):
            return  # nobody is promised a line in the log
        case ast.Expr(value=value) if not isinstance(value, ast.Constant | ast.Yield | ast.YieldFrom):
            yield "left out", lambda n: ast.Pass()
        case _:
            return


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _with(node: _Node, **changes: object) -> _Node:
    changed = copy.copy(node)
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed


def _expression(node: ast.AST, name: str) -> ast.expr:
    found = getattr(node, name)
    assert isinstance(found, ast.expr)
    return found


def _at(tree: ast.AST, path: Sequence[str | int]) -> ast.AST:
    found: object = tree
    for step in path:
        found = (
            found[step] if isinstance(step, int) and isinstance(found, list) else getattr(found, str(step))
        )
    assert isinstance(found, ast.AST)
    return found


def _put(tree: ast.AST, path: Sequence[str | int], new: ast.AST) -> None:
    before, last = path[:-1], path[-1]
    if isinstance(last, int):
        listed = getattr(_at(tree, before[:-1]), str(before[-1]))
        listed[last] = ast.copy_location(new, listed[last])
    else:
        holder = _at(tree, before)
        setattr(holder, last, ast.copy_location(new, getattr(holder, last)))
