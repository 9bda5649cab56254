"""What the source says of a class or function, in its own words: signatures, attributes, the strings below them.

From the source rather than by introspection, whose words change with the version of Python.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any


def members(value: type) -> dict[str, Any]:
    """Documented methods and properties, but those below the first `# -- ` in a class, which are for the rest of us."""
    found: dict[str, Any] = {}
    for base in value.__mro__:
        if not base.__module__.startswith("tieline."):
            continue
        public = inspect.getsource(base).partition("    # -- ")[0]
        for name, member in vars(base).items():
            documented = inspect.isfunction(member) or isinstance(member, property)
            if documented and not name.startswith("_") and inspect.getdoc(member) and f"def {name}(" in public:
                found.setdefault(name, member)
    return found


def fields(kind: type) -> dict[str, str]:
    """Name and type of each field, the type with its default: `bool = False`."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        ast.unparse(node.target): ast.unparse(node.annotation) + (f" = {ast.unparse(node.value)}" if node.value else "")
        for node in body.body
        if isinstance(node, ast.AnnAssign)
    }


def signature(function: Callable[..., Any]) -> str:
    """`(name: str, times: int = 1) -> str`, as in the source, without `self` and the calling peer."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    except (OSError, TypeError):
        return ""
    node = tree.body[0]
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return ""
    for arguments in (node.args.posonlyargs, node.args.args, node.args.kwonlyargs):
        for argument in list(arguments):
            _unquote(argument)
            # Neither has a default, so the defaults still belong to the others.
            if argument.arg == "self" or (_text(argument.annotation) == "Peer" and arguments is node.args.args):
                arguments.remove(argument)
    returns = _text(node.returns) if node.name != "__init__" else ""
    # What a method gives at last matters to its caller, not how it waits for it.
    returns = re.sub(r"^(?:asyncio\.Future|Awaitable)\[(.*)\]$", r"\1", returns)
    spaced = ", ".join(_parameters(node.args)).replace("['Peer']", "[Peer]")
    return f"({spaced})" + (f" -> {returns}" if returns else "")


def _parameters(arguments: ast.arguments) -> Iterator[str]:
    """Each parameter as it is usually written; `ast.unparse` leaves no space around the `=`."""
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [*[None] * (len(positional) - len(arguments.defaults)), *arguments.defaults]
    for number, (argument, default) in enumerate(zip(positional, defaults, strict=True), 1):
        yield _parameter(argument, default)
        if number == len(arguments.posonlyargs):
            yield "/"
    if arguments.vararg or arguments.kwonlyargs:
        yield f"*{_parameter(arguments.vararg)}" if arguments.vararg else "*"
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _parameter(argument, default)
    if arguments.kwarg:
        yield f"**{_parameter(arguments.kwarg)}"


def _parameter(argument: ast.arg, default: ast.expr | None = None) -> str:
    text = ast.unparse(argument)
    return text if default is None else f"{text} = {ast.unparse(default)}"


def _unquote(argument: ast.arg) -> None:
    """An annotation written as a string, as what it says."""
    if isinstance(argument.annotation, ast.Constant):
        argument.annotation = ast.parse(str(argument.annotation.value), mode="eval").body


def _text(annotation: ast.expr | None) -> str:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value
    return ast.unparse(annotation) if annotation is not None else ""


def attribute_docs(value: type) -> dict[str, str]:
    """The string below each attribute, in the class or in its `__init__`."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(value)))
    except (OSError, TypeError):
        return {}
    found = {}
    for body in [node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)]:
        for node, following in pairwise(body):
            if isinstance(node, ast.AnnAssign | ast.Assign) and isinstance(following, ast.Expr):
                target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
                text = following.value.value if isinstance(following.value, ast.Constant) else None
                name = ast.unparse(target).removeprefix("self.")
                if isinstance(text, str) and not name.startswith("_"):
                    found[name] = " ".join(text.split())
    return found
