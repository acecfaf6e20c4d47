"""The JSON Schema of specs, for editors: every plugin with its parameters, defaults and ports.

It knows shapes and not meanings: what a reference leads to, which axes there are and whether values
suit one another is the business of `runner validate`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runner.language.axes import RANGES
from runner.language.spec import CHECK_KEYS
from runner.plugin import FAMILIES, Plugin, Port, signature
from runner.registry import Registry, find_project
from runner.types import Seed, Table

Schema = dict[str, Any]
DRAFT = "https://json-schema.org/draft/2020-12/schema"
_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_LIMITS = {
    "gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum",
}  # fmt: skip
_ANNOTATIONS = ("description", "default")
_CHECKS = {"expect": "must hold, or the run fails", "hypotheses": "a claim: supported or refuted"}


def spec_schema(project: Path) -> Schema:
    """Return the schema of a project's specs: built-in plugins, its own, and installed ones.

    Raises: PluginError when a plugin file is broken.
    """
    registry = Registry.of(find_project(project))
    definitions = _words()
    required: dict[str, list[str]] = {}
    tables: dict[str, Schema] = {}
    for family in FAMILIES:
        names = sorted(registry.names(family))
        for name in names:
            cls = registry.load(family, name)
            definitions |= _plugin(family, name, cls)
            required |= {f"{family}.{name}": needs} if (needs := _needs(cls)) else {}
        definitions[family] = _family(family, names)
        tables[family] = _ref(family)
    tables |= {key: _ref(key) for key in CHECK_KEYS}
    definitions["part"] = _table({**_top(), **tables})
    definitions["whole"] = _whole(required)
    return {
        "$schema": DRAFT,
        "title": "spec",
        "description": "An experiment: steps, axes and references; see runner's README.",
        **_table(
            {
                "extends": {"type": "string", "description": "path of the spec this one adds to"},
                **_top(),
                **tables,
                "profiles": {
                    "description": "merged over the rest by --profile NAME",
                    **_tables_of(_ref("part")),
                },
            }
        ),
        "anyOf": [{"required": ["extends"]}, _ref("whole")],
        "$defs": definitions,
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _table(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _tables_of(schema: Schema) -> Schema:
    return {"type": "object", "additionalProperties": schema}


def _list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _top() -> Schema:
    return {
        "title": {"type": "string", "description": "the study in one line"},
        "seed": {"$ref": "#/$defs/seed", "default": 0},
        "params": {"type": "object", "description": "single values, used by $name"},
        "axes": {"description": "what varies, used by $name", **_tables_of(_ref("axis"))},
        "markers": {
            "description": 'lists of steps, for -m: slow = ["llc"]', **_tables_of(_ref("names")),
        },
    }  # fmt: skip


# -- the engine's own words ----------------------------------------------------------------------


def _words() -> Schema:
    """Return what the steps of every family and the checks are made of."""
    scalar: Schema = {"type": ["string", "number", "boolean"]}
    number: Schema = {"anyOf": [{"type": "number"}, _ref("expression")]}
    three = {**_list_of(number), "minItems": 3, "maxItems": 3}
    ranges = [{**_table({form: three}), "required": [form]} for form in RANGES]
    step = rf"@{_NAME}(\.{_NAME})?(@\$?[A-Za-z0-9_]+)?"
    references = {"anyOf": [_ref("reference"), {**_list_of(_ref("reference")), "minItems": 1}]}
    amounts = {"threads": {"type": "integer", "minimum": 1, "default": 1},
               "gpu": {"type": "integer", "minimum": 0, "default": 0}}  # fmt: skip
    part = {"table": references, "where": _ref("where"), "derive": _ref("derive")}
    slices = {"anyOf": [references, _table(part)]}
    return {
        "use": {"type": "string", "pattern": rf"^\$?\${_NAME}(\.{_NAME})?$"},
        "expression": {"type": "string", "pattern": r"^([-+*/(). 0-9eE_]|pi|tau|sqrt|log|exp)+$"},
        "reference": {"type": "string", "pattern": f"^{step}$"},
        "references": references,
        "names": _list_of({"type": "string"}),
        "seed": {
            "description": "every draw comes from a named stream of this number",
            "anyOf": [{"type": "integer", "minimum": 0}, _ref("use")],
        },
        "axis": {
            "anyOf": [
                {**_list_of(scalar), "minItems": 1, "uniqueItems": True},
                *ranges,
                {**_tables_of({"type": "object"}), "minProperties": 1},
            ]
        },
        "where": _tables_of({"anyOf": [scalar, {**_list_of(scalar), "minItems": 1}]}),
        "derive": _tables_of({"type": "string"}),
        "engine": _table(
            {
                "like": {"type": "string", "description": "name of a step to take the rest from"},
                "over": {"description": "axes to gather", **_ref("names")},
                "per": {"description": "axes to keep; the others are gathered", **_ref("names")},
                "where": {"description": 'only these cells, { task = "add" }', **_ref("where")},
                "derive": {"description": 'new columns, { gain = "a / b" }', **_ref("derive")},
                "resources": {"description": "what a node may use", **_table(amounts)},
                "markers": {"description": "names for -m", **_ref("names")},
            }
        ),
        **{key: _tables_of(_check(told, references, slices)) for key, told in _CHECKS.items()},
    }  # fmt: skip


def _engine(*left_out: str) -> Schema:
    words = ("like", "over", "per", "where", "derive", "resources", "markers")
    return {w: {"$ref": f"#/$defs/engine/properties/{w}"} for w in words if w not in left_out}


def _check(meaning: str, references: Schema, slices: Schema) -> Schema:
    own = {
        "check": {"type": "string", "description": "true, or true in every row: max(drift) < 1"},
        "claim": {"type": "string", "description": "what the check says, in words"},
        "table": {"description": "the table that `check` speaks of", **references},
        "let": {"description": "slices by name", **_tables_of(slices)},
        "requires": {"description": "expectations that must hold", **_ref("names")},
    }
    return {"description": meaning, **_table({**own, **_engine()})}


# -- plugins -------------------------------------------------------------------------------------


def _family(family: str, names: list[str]) -> Schema:
    """Return the schema of a family's table: each step is of one plugin, or like another step."""
    if not names:
        return {"type": "object", "maxProperties": 0}
    plugins = [_ref(f"{family}.{name}") for name in names]
    chosen = [{"allOf": [plugin, {"required": ["use"]}]} for plugin in plugins]
    rest = {"allOf": [{"not": {"required": ["use"]}}, {"anyOf": plugins}]}
    return _tables_of({"type": "object", "oneOf": [*chosen, rest]})


def _plugin(family: str, name: str, cls: type[Plugin]) -> Schema:
    """Return the plugin's definition and those of its tables of options."""
    template = f"#/$defs/{family}.{name}.{{model}}"
    raw = cls.model_json_schema(ref_template=template)
    found = signature(cls)
    properties = {
        "use": {"const": name, "description": (cls.__doc__ or "").strip().partition("\n")[0]},
        **_fields(raw),
        **{port.name: _port(port) for port in found.references.values()},
        **_engine(),
        **({"seed": _ref("seed")} if found.port_of(Seed) else {}),
    }
    return {
        f"{family}.{name}": {"description": raw.get("description", ""), **_table(properties)},
        **{
            f"{family}.{name}.{model}": {
                "description": inner.get("description", ""), **_table(_fields(inner)),
            }
            if "properties" in inner
            else _bare(inner)
            for model, inner in raw.get("$defs", {}).items()
        },
    }  # fmt: skip


def _port(port: Port) -> Schema:
    kinds = " or ".join(kind.__name__ for kind in port.takes)
    joins = "; several are joined by their axes" if Table in port.takes else ""
    optional = "" if port.required else " (may be left out)"
    told = {"description": f"a reference to a {kinds}{joins}{optional}"}
    return {**told, **_ref("references" if Table in port.takes else "reference")}


def _fields(model: Schema) -> Schema:
    return {name: _admitting(field) for name, field in model.get("properties", {}).items()}


def _admitting(schema: Schema) -> Schema:
    """Return the schema of a value, or of text that stands for one: `$axis`, `pi/2`."""
    about = {key: _known(schema[key]) for key in _ANNOTATIONS if schema.get(key) is not None}
    bare = _bare({key: value for key, value in schema.items() if key not in _ANNOTATIONS})
    members = bare["anyOf"] if set(bare) == {"anyOf"} else [bare]
    members = [member for member in members if member != {"type": "null"}]
    if any(member in ({}, {"type": "string"}) for member in members):  # any text will do
        return {**about, **(members[0] if len(members) == 1 else {"anyOf": members})}
    if any(member.get("type") == "number" for member in members):
        members.append(_ref("expression"))
    return {**about, "anyOf": [*members, _ref("use")]}


def _bare(schema: Schema) -> Schema:
    """Return a schema without pydantic's titles, its inner values admitting `$axis` as well."""
    found: Schema = {}
    for key, value in schema.items():
        if key in ("anyOf", "oneOf"):
            found["anyOf"] = [_bare(member) for member in value]
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            found[key] = _admitting(value)
        elif key == "prefixItems":
            found[key] = [_admitting(item) for item in value]
        elif key == "properties":
            found[key] = {name: _admitting(item) for name, item in value.items()}
        elif key not in ("title", "required", "discriminator"):
            found[_LIMITS.get(key, key)] = value
    return found


def _known(default: Any) -> Any:
    """Return a default without the options that are not given: TOML has no null."""
    if isinstance(default, dict):
        return {key: _known(value) for key, value in default.items() if value is not None}
    return default


# -- what a spec must have that a profile need not -----------------------------------------------


def _needs(cls: type[Plugin]) -> list[str]:
    fields = [field for field, about in cls.model_fields.items() if about.is_required()]
    ports = [port.name for port in signature(cls).references.values() if port.required]
    return fields + ports


def _whole(required: dict[str, list[str]]) -> Schema:
    """Return what holds of a spec that stands alone: each step has a plugin and what that needs."""
    like: Schema = {"required": ["like"]}
    steps: Schema = {family: _tables_of(_complete(family, required, like)) for family in FAMILIES}
    judged = {
        "required": ["check"],
        "anyOf": [{"required": [word]} for word in ("table", "let")],
        "properties": {"let": _tables_of({"required": ["table"]})},  # of a slice that is a table
    }
    checks = {key: _tables_of({"anyOf": [like, judged]}) for key in CHECK_KEYS}
    return {"properties": {**steps, **checks}}


def _complete(family: str, required: dict[str, list[str]], like: Schema) -> Schema:
    rules = [
        {
            "if": {"properties": {"use": {"const": key.partition(".")[2]}}, "required": ["use"]},
            "then": {"required": names},
        }
        for key, names in required.items()
        if key.startswith(f"{family}.")
    ]
    return {"anyOf": [like, {"required": ["use"], **({"allOf": rules} if rules else {})}]}
