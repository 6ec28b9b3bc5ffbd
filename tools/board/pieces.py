"""A script in pieces that a board can compile one after the other, when there is no room for the whole of it at once.

MicroPython's compiler needs several times a script's length. Comments and docstrings go, and constants are put in
place: a `_NAME = const(1)` is known only within the piece that is compiled.
"""

from __future__ import annotations

import ast


class _Constants(ast.NodeTransformer):
    """Puts the values of const() in the place of their names, and takes docstrings away."""

    def __init__(self, values: dict[str, int | str | bytes]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """A name that is read."""
        if isinstance(node.ctx, ast.Load) and node.id in self.values:
            return ast.copy_location(ast.Constant(self.values[node.id]), node)
        return node

    def _without_docstring(self, node: ast.FunctionDef | ast.ClassDef) -> ast.stmt:
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        self.generic_visit(node)
        return node

    visit_FunctionDef = _without_docstring
    visit_ClassDef = _without_docstring


def pieces(source: str) -> list[str]:
    """Returns the script in pieces, to be run in this order in one namespace: each function and class is one, and so is
    what is between them."""
    values: dict[str, int | str | bytes] = {}
    groups: list[list[ast.stmt]] = []
    single = True  # the last group is complete
    for statement in ast.parse(source).body:
        match statement:
            case ast.Assign(targets=[ast.Name(name)], value=ast.Call(func=ast.Name("const"), args=[value])):
                values[name] = ast.literal_eval(value)
                continue
            case ast.FunctionDef() | ast.ClassDef():
                groups.append([statement])
                single = True
                continue
        if single:
            groups.append([])
        groups[-1].append(statement)
        single = False
    transform = _Constants(values)
    return ["\n".join(ast.unparse(ast.fix_missing_locations(transform.visit(s))) for s in group) for group in groups]
