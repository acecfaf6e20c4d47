"""A step meets its plugin: keys sorted into parameters, ports and the engine's own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from runner.errors import Where, given, listed, near
from runner.language.check import Check
from runner.language.expression import ExpressionError, parse
from runner.language.spec import (
    CHECK_KEYS,
    NAME,
    AxisUse,
    Problems,
    Reference,
    Spec,
    Step,
    axis_use,
    leaves,
    not_a_seed,
    parse_reference,
    resolved_names,
    whole_axis,
)
from runner.parameters import ColumnOf, Holes
from runner.plugin import Plugin, Port, Renderer, signature
from runner.registry import Registry
from runner.types import Table

WORDS = ("over", "per", "where", "derive", "seed", "resources", "markers")
RESOURCES = ("threads", "gpu")


@dataclass
class Filled:
    """A port's references: one, or several tables to be joined."""

    port: Port
    references: list[Reference]
    where: dict[str, Any] = field(default_factory=dict)  # of a `let` slice
    derive: dict[str, str] = field(default_factory=dict)


@dataclass
class Bound:
    """A step with its plugin class, its raw parameters and what fills its ports."""

    step: Step
    cls: type[Plugin]
    parameters: dict[str, Any]
    uses: dict[Where, AxisUse]  # places below the step where a parameter names an axis
    ports: dict[str, Filled]
    seed: Any  # a number or an AxisUse; only where the plugin draws
    over: list[str] | None
    per: list[str] | None
    where: dict[str, Any]
    derive: dict[str, str]
    requires: list[str]
    threads: int = 1
    gpu: int = 0
    markers: list[str] = field(default_factory=list)
    unread: list[Where] = field(default_factory=list)  # places of names that are not there
    sound: bool = True  # False after a problem: it has no cells

    @property
    def is_check(self) -> bool:
        """Whether the step is an expectation or a hypothesis."""
        return self.step.family in CHECK_KEYS

    @property
    def outputs(self) -> Mapping[str, type]:
        """The plugin's outputs, by name."""
        return {} if self.is_check else signature(self.cls).outputs


def bind(spec: Spec, step: Step, registry: Registry, problems: Problems) -> Bound | None:
    """Return the step bound to its plugin, or None when there is no such plugin.

    Raises: PluginError when the plugin file itself is broken.
    """
    is_check = step.family in CHECK_KEYS
    if is_check:
        cls: type[Plugin] = Check
    else:
        try:
            cls = registry.load(step.family, step.use)
        except KeyError as error:
            problems.add((*step.where, "use"), str(error.args[0]))
            return None
    before = problems.count
    ports = {} if is_check else signature(cls).references
    words = (*WORDS, "table", "let", "requires") if is_check else WORDS
    raw = {key: value for key, value in step.body.items() if key in cls.model_fields}
    known = [*cls.model_fields, *ports, *words, "use", "like"]
    for key in step.body:
        if key not in known:
            owner = "a check" if is_check else step.use
            message = f'{owner} has no parameter or port "{key}"{near(key, known)}'
            shown = [*cls.model_fields, *ports, *(("table", "let", "requires") if is_check else ())]
            problems.add((*step.where, key), f"{message} (it has: {listed(shown, 20)})", "key")
    filled = _check_ports(step, problems) if is_check else _ports(step, ports, problems)
    for port in filled.values():
        port.references = [_known(spec, reference, problems) for reference in port.references]
    unread: list[Where] = []
    uses = _uses(spec, step, raw, problems, unread)
    bound = Bound(
        step=step,
        cls=cls,
        parameters=raw,
        uses=uses,
        ports=filled,
        seed=_seed(spec, step, cls, problems),
        over=_names(step, "over", problems),
        per=_names(step, "per", problems),
        where=_table(step, "where", problems),
        derive=_derive(step.body.get("derive", {}), (*step.where, "derive"), problems),
        requires=_names(step, "requires", problems) or [],
        markers=_markers(spec, step, problems),
        unread=unread,
    )
    if bound.over is not None and bound.per is not None:
        problems.add((*step.where, "per"), "over and per say the same twice; keep one", "key")
    bound.threads, bound.gpu = _resources(step, problems)
    _check_required(spec, bound, problems)
    bound.sound = problems.count == before
    return bound


def _known(spec: Spec, reference: Reference, problems: Problems) -> Reference:
    """Check that a reference's step is there; fill in a checkpoint that a parameter names."""
    if reference.step not in spec.steps:
        if reference.step in spec.broken:
            problems.follow()
        else:
            hint = near(reference.step, spec.steps) or f" (there are: {listed(spec.steps, 12)})"
            problems.add(reference.where, f'no step "{reference.step}"{hint}')
    use = axis_use(reference.checkpoint)
    if use and resolved_names(spec, use, problems, reference.where) == "param":
        return replace(reference, checkpoint=str(spec.params[use.name]))
    return reference


def _check_required(spec: Spec, bound: Bound, problems: Problems) -> None:
    known = [step.name for step in spec.steps.values() if step.family == "expect"]
    for position, name in enumerate(bound.requires):
        if name in spec.broken:
            problems.follow()
        elif name not in known:
            hint = near(name, known) or f" (there are: {listed(known)})"
            where = (*bound.step.where, "requires", position)
            problems.add(where, f'no expectation "{name}"{hint}')


def _ports(step: Step, ports: Mapping[str, Port], problems: Problems) -> dict[str, Filled]:
    filled = {}
    for name, port in ports.items():
        value = step.body.get(name)
        where = (*step.where, name)
        if value is None:
            if port.required:
                kinds = " or ".join(kind.__name__ for kind in port.takes)
                message = f'{step.use} needs {name} = "@...", a reference to a {kinds}'
                problems.add(step.where, message, "table")
            continue
        references = _references(value, where, Table in port.takes, problems)
        if references:
            filled[name] = Filled(port, references)
    return filled


def _references(value: Any, where: Where, joins: bool, problems: Problems) -> list[Reference]:
    values = value if isinstance(value, list) else [value]
    if isinstance(value, list) and not joins:
        problems.add(where, "takes one reference; only tables can be joined from several")
        return []
    if not values:
        problems.add(where, "names no step; write one or more references")
    found = []
    for position, text in enumerate(values):
        place = (*where, position) if isinstance(value, list) else where
        reference = parse_reference(text, place) if isinstance(text, str) else None
        if reference is None:
            problems.add(
                place,
                f'{given(text)} is not a reference; write "@step", "@step.output", "@step@best"',
            )
        else:
            found.append(reference)
    return found


def _check_ports(step: Step, problems: Problems) -> dict[str, Filled]:
    """Return the tables of a check: `table` and the slices bound by `let`."""
    filled = {}
    where = (*step.where, "table")
    if "table" in step.body:
        port = Port("table", (Table,), required=False)
        filled["table"] = Filled(port, _references(step.body["table"], where, True, problems))
    slices = _table(step, "let", problems)
    for name, body in slices.items():
        place = (*step.where, "let", name)
        if not NAME.match(name) or name == "table":
            problems.add(place, f'"{name}" cannot name a slice', "key")
            continue
        body = {"table": body} if isinstance(body, (str, list)) else body
        if not isinstance(body, dict) or "table" not in body:
            problems.add(place, 'a slice is { table = "@step", where = { ... } }')
            continue
        for key in body:
            if key not in ("table", "where", "derive"):
                hint = near(key, ("table", "where", "derive"))
                problems.add((*place, key), f'a slice has no "{key}"{hint}', "key")
        references = _references(body["table"], (*place, "table"), True, problems)
        only = body.get("where", {})
        if not isinstance(only, dict):
            problems.add((*place, "where"), 'is a table such as { sampler = "sgld" }')
            only = {}
        derive = _derive(body.get("derive", {}), (*place, "derive"), problems)
        filled[name] = Filled(Port(name, (Table,), required=True), references, only, derive)
    if not filled and not slices and "check" in step.body:
        problems.add(step.where, 'needs table = "@step" or let.NAME = { table = "@step" }', "table")
    return filled


def _uses(
    spec: Spec, step: Step, raw: dict[str, Any], problems: Problems, unread: list[Where]
) -> dict[Where, AxisUse]:
    """Replace `$param` and `$$axis` in the raw parameters; return where axes are used."""
    uses = {}
    for name, value in raw.items():
        for where, leaf in list(leaves(value, (*step.where, name))):
            inner = where[len(step.where) :]
            if (axis := whole_axis(leaf)) is not None:
                if axis not in spec.axes:
                    unread.append(inner)
                if axis in spec.broken:
                    problems.follow()
                elif axis not in spec.axes:
                    hint = near(axis, spec.axes) or f" (there are: {listed(spec.axes)})"
                    problems.add(where, f'no axis "{axis}"{hint}')
                else:
                    spec.used_names.add(axis)
                    put(raw, inner, list(spec.axes[axis].labels))
            elif (use := axis_use(leaf)) is not None:
                kind = resolved_names(spec, use, problems, where)
                if kind == "axis":
                    uses[inner] = use
                elif kind == "param":
                    put(raw, inner, spec.params[use.name])
                else:
                    unread.append(inner)
    return uses


def put(raw: dict[str, Any], inner: Where, value: Any) -> None:
    """Put a value at a place of nested tables and lists."""
    target: Any = raw
    for part in inner[:-1]:
        target = target[part]
    target[inner[-1]] = value


def _seed(spec: Spec, step: Step, cls: type[Plugin], problems: Problems) -> Any:
    from runner.types import Seed

    draws = cls is not Check and signature(cls).port_of(Seed) is not None
    value = step.body.get("seed", spec.seed)
    where = (*step.where, "seed") if "seed" in step.body else ("seed",)
    if "seed" in step.body and not draws:
        problems.add(where, f"{step.use} draws nothing; take `seed` out", "key")
        return None
    if not draws:
        return None
    if (use := axis_use(value)) is not None:
        kind = resolved_names(spec, use, problems, where)
        if kind == "axis":
            values = [spec.axes[use.name].value(v, use.field) for v in spec.axes[use.name].labels]
            value = next((v for v in values if type(v) is not int or v < 0), use)
        elif kind == "param":
            value = spec.params[use.name]
        else:
            return None
    if not isinstance(value, AxisUse) and (type(value) is not int or value < 0):
        source = f" (from ${use.name})" if use else ""
        problems.add(where, not_a_seed(value) + source)
    return value


def _names(step: Step, word: str, problems: Problems) -> list[str] | None:
    value = step.body.get(word)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        message = f'must be a list of names, such as ["task"], not {given(value)}'
        problems.add((*step.where, word), message)
        return None
    return value


def _table(step: Step, word: str, problems: Problems) -> dict[str, Any]:
    value = step.body.get(word, {})
    if not isinstance(value, dict):
        example = {
            "where": 'such as { task = "add" }', "resources": "such as { threads = 2 }",
            "let": 'such as let.part = { table = "@step" }',
        }[word]  # fmt: skip
        problems.add((*step.where, word), f"must be a table {example}, not {given(value)}")
        return {}
    return value


def _derive(value: Any, where: Where, problems: Problems) -> dict[str, str]:
    if not isinstance(value, dict):
        problems.add(where, 'is a table of expressions, { gain = "a / b - 1" }')
        return {}
    for name, text in value.items():
        try:
            if not isinstance(text, str) or not NAME.match(name):
                message = f"must be an expression, as text, under a plain name, not {given(text)}"
                raise ExpressionError(message)
            parse(text)
        except ExpressionError as error:
            problems.add((*where, name), str(error))
    return {name: text for name, text in value.items() if isinstance(text, str)}


def _markers(spec: Spec, step: Step, problems: Problems) -> list[str]:
    for name, members in spec.markers.items():
        if not isinstance(members, list) or not all(isinstance(m, str) for m in members):
            message = f'must be a list of step names, such as ["llc"], not {given(members)}'
            problems.add(("markers", name), message)
            continue
        for position, member in enumerate(members):
            if member not in spec.steps:
                message = f'no step "{member}"{near(member, spec.steps)}'
                problems.add(("markers", name, position), message)
    own = _names(step, "markers", problems) or []
    return [*own, *(name for name, members in spec.markers.items() if step.name in members)]


def _resources(step: Step, problems: Problems) -> tuple[int, int]:
    value = _table(step, "resources", problems)
    for key, amount in value.items():
        where = (*step.where, "resources", key)
        if key not in RESOURCES:
            problems.add(where, f'no resource "{key}"{near(key, RESOURCES)}', "key")
        elif type(amount) is not int or amount < (1 if key == "threads" else 0):
            least = 1 if key == "threads" else 0
            message = f"must be a whole number, at least {least}, not {given(amount)}"
            problems.add(where, message)
    threads, gpu = value.get("threads", 1), value.get("gpu", 0)
    return (threads if type(threads) is int else 1), (gpu if type(gpu) is int else 0)


@cache
def marked_fields(cls: type[Plugin]) -> tuple[dict[str, Holes], dict[str, str]]:
    """Return the fields that are text with holes, and the fields that name a port's columns."""
    holes, columns = {}, {}
    for name, info in cls.model_fields.items():
        for mark in [*info.metadata, *_inner_marks(info.annotation)]:
            if isinstance(mark, Holes):
                holes[name] = mark
            elif isinstance(mark, ColumnOf):
                columns[name] = mark.port
    return holes, columns


def _inner_marks(annotation: Any) -> list[Any]:
    import typing

    marks = list(getattr(annotation, "__metadata__", ()))
    for part in typing.get_args(annotation):
        marks += _inner_marks(part)
    return marks


def is_renderer(bound: Bound) -> bool:
    """Whether the step draws a view."""
    return issubclass(bound.cls, Renderer)
