"""TOML text -> Spec: its shape, names and references; it knows no plugin."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.errors import Problem, Where, given, listed, near
from runner.language.axes import Axis, AxisError, read_axis
from runner.language.layers import LayeredError, Layers, Origin, alien, read
from runner.registry import FAMILY_KEYS

CHECK_KEYS = ("expect", "hypotheses")
TOP_KEYS = (
    "title", "seed", "params", "axes", "extends", "profiles", "markers", *FAMILY_KEYS, *CHECK_KEYS,
)  # fmt: skip
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_AXIS = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)(?:\.([A-Za-z_][A-Za-z0-9_]*))?\Z")
_WHOLE = re.compile(r"\$\$([A-Za-z_][A-Za-z0-9_]*)\Z")
_REFERENCE = re.compile(
    r"@([A-Za-z_][A-Za-z0-9_]*)(?:\.([A-Za-z_][A-Za-z0-9_]*))?(?:@(\$?[A-Za-z0-9_]+))?\Z"
)


@dataclass(frozen=True)
class AxisUse:
    """`$name` or `$name.field` in a parameter."""

    name: str
    field: str | None


@dataclass(frozen=True)
class Reference:
    """`@step`, `@step.output`, `@step@checkpoint`, `@step@$axis` in a port."""

    step: str
    output: str | None
    checkpoint: str | None
    where: Where
    text: str


@dataclass(frozen=True)
class Step:
    """A named table of the spec as written; `family` is its table, `use` its plugin."""

    name: str
    family: str
    use: str
    body: dict[str, Any]  # everything but use and like
    where: Where


@dataclass
class Spec:
    """A spec's shape: every name in it is unique and every table is of the right kind."""

    path: Path
    title: str
    seed: Any
    axes: dict[str, Axis]
    params: dict[str, Any]
    steps: dict[str, Step]
    markers: dict[str, list[str]]
    layers: Layers
    used_names: set[str] = field(default_factory=set)  # axes and params that something uses
    found: list[Problem] = field(default_factory=list)  # what is wrong with the shape
    broken: set[str] = field(default_factory=set)  # axes, params and steps that are there, unread

    @property
    def name(self) -> str:
        """The name of the spec's view folder."""
        return self.path.stem


class Problems:
    """Collects problems, so that all of them are shown at once."""

    def __init__(self, layers: Layers) -> None:
        self.layers = layers
        self.found: list[Problem] = []
        self.count = 0  # of what stops a step: the problems, and all that follows from one

    def follow(self) -> None:
        """Note that something cannot be judged because of a problem told elsewhere."""
        self.count += 1

    def add(self, where: Where, message: str, at: str = "value") -> None:
        """Note a problem once."""
        self.count += 1
        problem = Problem(where, message, at=at)
        if problem not in self.found:
            self.found.append(problem)

    def stop(self) -> None:
        """Raise SpecError when there are problems."""
        if self.found:
            raise LayeredError(self.found, self.layers)


def load(
    path: Path,
    profile: str | None = None,
    sets: Sequence[str] = (),
    sweeps: Sequence[str] = (),
) -> Spec:
    """Return the spec of a file, a profile and command-line overrides.

    What is wrong with its shape is in `found`, so that the plan can add what else is wrong.
    Raises: SpecError when there is no table to judge: unreadable files, broken TOML.
    """
    layers = read(path.resolve(), profile, sets)
    problems = Problems(layers)
    data = layers.data
    for key in data:
        if key not in TOP_KEYS:
            there = near(key, TOP_KEYS) or f" (there are: {listed(TOP_KEYS, 20)})"
            problems.add((key,), f'unknown key "{key}"{there}', "key")
    _sweep(layers, sweeps, problems)
    steps, named = _steps(data, problems)
    spec = Spec(
        path=path.resolve(),
        title=_typed(data, "title", str, path.stem, problems),
        seed=_typed(data, "seed", (int, str), 0, problems),
        axes=_axes(data, problems),
        params=_typed(data, "params", dict, {}, problems),
        steps=steps,
        markers=_typed(data, "markers", dict, {}, problems),
        layers=layers,
    )
    for key, known in (("axes", set(spec.axes)), ("params", set(spec.params))):
        written = data.get(key, {})
        spec.broken |= set(written) - known if isinstance(written, dict) else set()
    spec.broken |= named - set(steps)
    seed = spec.seed
    if seed < 0 if isinstance(seed, int) else axis_use(seed) is None:
        problems.add(("seed",), not_a_seed(spec.seed))
    for name in spec.params:
        if name in spec.axes:
            problems.add(("params", name), f'"{name}" is both an axis and a parameter', "key")
        if not NAME.match(name):
            problems.add(("params", name), f'"{name}" is not a name (letters, digits, _)', "key")
    if not named and not problems.found:
        problems.add((), "has no steps; add one such as [probes.llc] with use = ...")
    spec.found = problems.found
    return spec


def not_a_seed(value: Any) -> str:
    """Return what is wrong with a seed."""
    return f"a seed is a whole number, at least 0, not {given(value)}"


def _typed(data: dict[str, Any], key: str, kind: Any, default: Any, problems: Problems) -> Any:
    value = data.get(key, default)
    if not isinstance(value, kind) or isinstance(value, bool):
        wanted = {str: "text", dict: "a table"}.get(kind, "a whole number")
        problems.add((key,), f"must be {wanted}, not {given(value)}")
        return default
    return value


def _axes(data: dict[str, Any], problems: Problems) -> dict[str, Axis]:
    axes = {}
    for name, value in _typed(data, "axes", dict, {}, problems).items():
        if not NAME.match(name):
            problems.add(("axes", name), f'"{name}" is not a name (letters, digits, _)', "key")
            continue
        try:
            axes[name] = read_axis(name, value)
        except AxisError as error:
            problems.add(("axes", name, *error.part), str(error))
    return axes


def _sweep(layers: Layers, sweeps: Sequence[str], problems: Problems) -> None:
    """Turn parameters into axes: `--sweep lr=1e-3,1e-4`."""
    import tomllib

    for option in sweeps:
        name, equals, text = (part.strip() for part in option.partition("="))
        axes, params = layers.data.setdefault("axes", {}), layers.data.get("params", {})
        if not isinstance(axes, dict) or not isinstance(params, dict):
            continue  # what they should be is told below
        if not equals or not name or not text:
            message = f"--sweep {option}: write name=a,b,c, for example --sweep lr=1e-3,1e-4"
            problems.add((), message)
            continue
        if name not in params and name not in axes:
            known = [*params, *axes]
            hint = near(name, known) or f" (there are: {listed(known)})"
            problems.add((), f'--sweep {option}: no parameter or axis "{name}"{hint}')
            continue
        values = []
        for part in text.split(","):
            try:
                values.append(tomllib.loads(f"v = {part}")["v"])
            except tomllib.TOMLDecodeError:
                values.append(part)
        params.pop(name, None)
        axes[name] = values
        layers.overridden = True
        layers.origins["axes", name] = Origin(None, (), f"--sweep {option}")
        if wrong := alien(values, ("axes", name)):
            raise LayeredError(wrong, layers)


def _steps(data: dict[str, Any], problems: Problems) -> tuple[dict[str, Step], set[str]]:
    """Return the steps that can be read, and the names of all."""
    bodies: dict[str, tuple[str, Any]] = {}
    named = {
        n
        for key, table in data.items()
        if key not in TOP_KEYS and isinstance(table, dict)
        for n in table
    }
    for family in (*FAMILY_KEYS, *CHECK_KEYS):
        for name, body in _typed(data, family, dict, {}, problems).items():
            where = (family, name)
            named.add(name)
            if not NAME.match(name):
                problems.add(where, f'"{name}" is not a name (letters, digits, _)', "key")
            elif not isinstance(body, dict):
                problems.add(where, f"a step is a table, not {given(body)}")
            elif name in bodies:
                other = bodies[name][0]
                problems.add(where, f'step name "{name}" is taken by [{other}.{name}]', "table")
            else:
                bodies[name] = (family, body)
    steps = {}
    for name, (family, _) in bodies.items():
        before = problems.count
        body = _liked(name, bodies, problems, [])
        if problems.count > before:
            continue
        use = body.pop("use", None)
        if family in CHECK_KEYS:
            if use is not None:
                problems.add((family, name, "use"), "a check has no plugin; take `use` out", "key")
            use = "check"
        elif not isinstance(use, str):
            wanted = f"the name of a plugin in {family}"
            if use is None:
                message = f'needs `use = "..."`, {wanted} (runner list {family})'
                problems.add((family, name), message, "table")
            else:
                message = f"must be {wanted}, as text, not {given(use)}"
                problems.add((family, name, "use"), message)
            continue
        steps[name] = Step(name, family, use, body, (family, name))
    return steps, named


def _liked(
    name: str, bodies: dict[str, tuple[str, Any]], problems: Problems, chain: list[str]
) -> dict[str, Any]:
    """Return a step's body with what it is `like` filled in."""
    family, raw = bodies[name]
    body: dict[str, Any] = copy.deepcopy(raw)
    other = body.pop("like", None)
    if other is None:
        return body
    where = (family, name, "like")
    if not isinstance(other, str) or other not in bodies:
        problems.add(where, f'no step "{other}"{near(str(other), bodies)}')
    elif bodies[other][0] != family:
        problems.add(where, f'"{other}" is in [{bodies[other][0]}], this step in [{family}]')
    elif name in chain:
        problems.add(where, f"steps are like one another: {' -> '.join([*chain, name])}")
    else:
        return _overridden(_liked(other, bodies, problems, [*chain, name]), body)
    return body


def _overridden(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(old.get(key), dict)
        old[key] = _overridden(old[key], value) if both else value
    return old


def parse_reference(text: str, where: Where) -> Reference | None:
    """Return the reference that `text` writes, or None when it is malformed."""
    match = _REFERENCE.match(text)
    return Reference(match[1], match[2], match[3], where, text) if match else None


def axis_use(text: Any) -> AxisUse | None:
    """Return the axis or parameter that text such as `$task` or `$scenario.points` names."""
    match = _AXIS.match(text) if isinstance(text, str) else None
    return AxisUse(match[1], match[2]) if match else None


def whole_axis(text: Any) -> str | None:
    """Return the axis that `$$step` names, all of whose values it stands for."""
    match = _WHOLE.match(text) if isinstance(text, str) else None
    return match[1] if match else None


def leaves(value: Any, where: Where) -> Iterator[tuple[Where, Any]]:
    """Yield every scalar below `value` with its place."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*where, key))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from leaves(inner, (*where, position))
    else:
        yield where, value


def resolved_names(spec: Spec, use: AxisUse, problems: Problems, where: Where) -> str | None:
    """Check that an axis or parameter is there; return "axis", "param" or None."""
    spec.used_names.add(use.name)
    if use.name in spec.broken:
        problems.follow()
        return None
    if use.name in spec.axes:
        wrong = spec.axes[use.name].check_field(use.field)
        if wrong:
            problems.add(where, wrong)
            return None
        return "axis"
    if use.name in spec.params:
        if use.field is not None:
            problems.add(where, f'"${use.name}.{use.field}": a parameter has no fields')
            return None
        return "param"
    known = [*spec.axes, *spec.params]
    problems.add(
        where,
        f'no axis or parameter "{use.name}"{near(use.name, known)} (there are: {listed(known)})',
    )
    return None
