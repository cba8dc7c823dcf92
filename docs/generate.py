"""Write docs/commands.md, docs/library.md and docs/structure.md from the code.

    python docs/generate.py            write them
    python docs/generate.py --check    write nothing; exit 1 and name the first file that is out of date

Signatures are read from the source, not from live objects, and option lists are laid out here, so that
every Python from 3.11 to 3.13 writes the same text.
"""

import argparse
import ast
import functools
import inspect
import os
import sys
import textwrap
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
WIDTH = 100
OURS = "clampdown"
NOTE = "<!-- Written by docs/generate.py. Change the code, then run it again. -->\n"


def main() -> int:
    options = argparse.ArgumentParser(description="Write the generated docs.")
    options.add_argument("--check", action="store_true", help="only compare with what is there")
    check = options.parse_args().check
    for name, write in {"commands.md": commands, "library.md": library, "structure.md": structure}.items():
        path, text = HERE / name, write()
        if not check:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"docs/{name} is out of date; run: python docs/generate.py", file=sys.stderr)
            return 1
    return 0


# ---- commands


def commands() -> str:
    """The help of `clampdown` and of each of its commands."""
    os.environ["COLUMNS"] = str(WIDTH)
    os.environ["NO_COLOR"] = "1"
    sys.argv[0] = OURS  # a parser without a name of its own takes this one
    from clampdown.cli.main import build_parser

    parts = [NOTE, "# Commands\n"]
    for parser in _with_subcommands(build_parser()):
        parts.append(f"## `{parser.prog}`\n\n```text\n{_help(parser)}```\n")
    return "\n".join(parts)


def _with_subcommands(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    found = [parser]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in dict.fromkeys(action.choices.values()):  # an alias is the same parser
                found += _with_subcommands(child)
    return found


def _help(parser: argparse.ArgumentParser) -> str:
    # Python 3.13 lays out both of these in its own way; this is its way, on every version.
    class Stable(parser.formatter_class):  # type: ignore[name-defined,misc]
        def _format_action_invocation(self, action: argparse.Action) -> str:
            if not action.option_strings or action.nargs == 0:
                return super()._format_action_invocation(action)
            metavar = self._format_args(action, self._get_default_metavar_for_optional(action))
            return f"{', '.join(action.option_strings)} {metavar}"

        def add_argument(self, action: argparse.Action) -> None:
            if action.help is argparse.SUPPRESS:
                return
            lengths = [len(self._format_action_invocation(action)) + self._current_indent]
            for sub in self._iter_indented_subactions(action):
                lengths.append(len(self._format_action_invocation(sub)) + self._current_indent)
            self._action_max_length = max(self._action_max_length, *lengths)
            self._add_item(self._format_action, [action])

    parser.formatter_class = functools.partial(Stable, width=WIDTH)  # type: ignore[assignment]
    lines = (line.rstrip() for line in parser.format_help().strip("\n").splitlines())
    return "\n".join(lines) + "\n"


# ---- library


def library() -> str:
    """The signature and docstring of every public name, and of the public methods of public classes."""
    import clampdown

    parts = [NOTE, "# Library\n", _doc(clampdown)]
    for name in clampdown.__all__:
        if name.startswith("__"):
            continue
        thing = getattr(clampdown, name)
        if inspect.isclass(thing):
            parts.append(_class(name, thing))
        elif inspect.isroutine(thing):
            parts.append(f"## `{name}`\n\n{_code(_signature(_node(thing)))}\n{_doc(thing)}")
        else:
            parts.append(f"## `{name}`\n\n{_code(repr(thing))}")
    return "\n".join(part for part in parts if part)


def _class(name: str, cls: type) -> str:
    bases = ", ".join(base.__name__ for base in cls.__bases__ if base is not object)
    head = f"class {name}({bases})" if bases else f"class {name}"
    fields, members = [], []
    seen: set[str] = set()
    for owner in cls.__mro__:
        if not owner.__module__.startswith(OURS):
            continue
        for node in _node(owner).body:
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    if _is_overload_or_setter(node):
                        continue  # not seen yet: what is overloaded is told by the definition that does the work
                    wanted = not node.name.startswith("_") or node.name in {"__init__", "__call__"}
                    if wanted and node.name not in seen:
                        members.append((node, owner))
                    seen.add(node.name)
                case ast.AnnAssign(target=ast.Name(id=field)):
                    if not field.startswith("_") and field not in seen:
                        fields.append(ast.unparse(node))
                    seen.add(field)
                case ast.Assign(targets=[ast.Name(id=field)]):  # members of an enum, constants
                    if not field.startswith("_") and field not in seen:
                        fields.append(ast.unparse(node))
                    seen.add(field)
    block = head + (":\n" + textwrap.indent("\n".join(fields), "    ") if fields else "")
    parts = [f"## `{name}`\n\n{_code(block)}\n{_doc(cls)}"]
    for node, _ in members:
        title = f"### `{name}`\n" if node.name == "__init__" else f"### `{name}.{node.name}`\n"
        parts.append(f"{title}\n{_code(_signature(node))}\n{_clean(ast.get_docstring(node))}".rstrip() + "\n")
    return "\n".join(parts)


def _is_overload_or_setter(node: Any) -> bool:
    return any(ast.unparse(d).endswith(("overload", ".setter", ".deleter")) for d in node.decorator_list)


def _node(thing: Any) -> Any:
    """The syntax tree of a function's or class's own source."""
    return ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(thing)))).body[0]


def _signature(node: Any) -> str:
    """The definition without its body; one argument a line when it would be too long for one line."""
    kept = [f"@{ast.unparse(d)}" for d in node.decorator_list if "contextmanager" not in ast.unparse(d)]
    start = ("async def " if isinstance(node, ast.AsyncFunctionDef) else "def ") + node.name
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    line = f"{start}({ast.unparse(node.args)}){result}"
    if len(line) > WIDTH:
        line = f"{start}(\n" + "".join(f"    {item},\n" for item in _arguments(node.args)) + f"){result}"
    return "\n".join([*kept, line])


def _arguments(args: ast.arguments) -> list[str]:
    def one(arg: ast.arg, default: ast.expr | None = None) -> str:
        if default is None:
            return ast.unparse(arg)
        space = " " if arg.annotation else ""
        return f"{ast.unparse(arg)}{space}={space}{ast.unparse(default)}"

    plain = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(args.defaults)) + list(args.defaults)
    out = [one(a, d) for a, d in zip(plain, defaults, strict=True)]
    if args.posonlyargs:
        out.insert(len(args.posonlyargs), "/")
    if args.vararg:
        out.append("*" + ast.unparse(args.vararg))
    elif args.kwonlyargs:
        out.append("*")
    out += [one(a, d) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    if args.kwarg:
        out.append("**" + ast.unparse(args.kwarg))
    return out


def _doc(thing: Any) -> str:
    """A module's, class's or function's own docstring; none that Python or a base class made up."""
    if inspect.ismodule(thing):
        return _clean(inspect.getdoc(thing))
    node = _node(thing)
    return _clean(ast.get_docstring(node))


def _clean(text: str | None) -> str:
    """Markdown from a docstring: indented blocks under a heading such as `Raises:` become lists."""
    if not text:
        return ""
    out: list[str] = []
    section = False
    for line in text.splitlines():
        if line in {"Args:", "Attributes:", "Raises:", "Returns:", "Yields:", "Shapes:", "Source:", "Units:"}:
            section = True
            out += [f"**{line.rstrip(':')}**", ""]
        elif section and line.startswith("    ") and not line.startswith("     "):
            out.append(f"- {line.strip()}")
        elif section and line.startswith("     "):
            out.append(f"  {line.strip()}")
        else:
            section = section and not line.strip()
            out.append(line)
    return "\n".join(out).rstrip() + "\n"


# ---- structure


def structure() -> str:
    """What each folder and module of the package is for: the first sentence of its docstring."""
    root = HERE.parent / "src" / OURS
    parts = [NOTE, "# Structure\n", "What each folder and file is for, in its own words. Imports run down only.\n"]
    for folder in sorted(path.parent for path in root.rglob("__init__.py")):
        name = folder.relative_to(root.parent).as_posix()
        parts.append(f"## {name}\n\n{_sentence(folder / '__init__.py')}\n")
        files = sorted(path for path in folder.glob("*.py") if not path.name.startswith("__init__"))
        if files:
            parts.append("".join(f"- `{path.name}`: {_sentence(path)}\n" for path in files))
    return "\n".join(parts)


def _sentence(path: Path) -> str:
    told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first = " ".join(told.split("\n\n")[0].split())
    if not first:
        raise SystemExit(f"{path.relative_to(HERE.parent)} has no docstring; say in one sentence what it is for")
    return first


def _code(text: str) -> str:
    return f"```python\n{text}\n```\n"


if __name__ == "__main__":
    raise SystemExit(main())
