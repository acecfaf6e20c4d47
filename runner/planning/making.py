"""Raw parameters -> a validated plugin object, or problems in our words at their places."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from runner.errors import given, listed, near
from runner.key import canonical
from runner.language.spec import Problems
from runner.planning.bind import Bound
from runner.plugin import Plugin

_LIMITS = {
    "greater_than": "above", "greater_than_equal": "at least", "less_than": "below",
    "less_than_equal": "at most",
}  # fmt: skip
_TYPES = {
    "int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number",
    "bool_type": "true or false", "string_type": "text", "tuple_type": "a list",
    "list_type": "a list", "dict_type": "a table", "model_type": "a table",
    "model_attributes_type": "a table",
}  # fmt: skip


@dataclass
class Reading:
    """What validation of an `InputFile` needs: the folder paths start at, and a digest memo."""

    folder: Path
    digests: dict[Path, str] = field(default_factory=dict)

    def digest(self, path: Path) -> str:
        """Return the sha256 of a file's content, computed once."""
        from runner.parameters import file_digest

        if path not in self.digests:
            self.digests[path] = file_digest(path)
        return self.digests[path]


def make(
    bound: Bound,
    raw: dict[str, Any],
    reading: Reading,
    problems: Problems,
    unread: Collection[Any] = (),
) -> Plugin | None:
    """Return the plugin with its parameters validated, or None when a problem was noted.

    `unread` are parameters that were left out because they cannot be read: none is missing.
    """
    where = bound.step.where
    try:
        plugin = bound.cls.model_validate_json(canonical(raw), strict=True, context=reading)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            if item["loc"][0] not in unread:
                _note(bound, raw, item, problems)
        return None
    wrong = None if unread else plugin.check_parameters()
    if wrong:
        place = (*where, "check") if bound.is_check else where
        problems.add(place, wrong, "value" if bound.is_check else "table")
        return None
    return plugin


def _note(bound: Bound, raw: dict[str, Any], item: Any, problems: Problems) -> None:
    place: list[Any] = []
    value: Any = raw
    missing = item["type"] == "missing"
    for part in item["loc"][:-1] if missing else item["loc"]:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            continue  # the tag of a union stands in no TOML file
        place.append(part)
    where = (*bound.step.where, *place)
    last = item["loc"][-1]
    if missing and isinstance(value, list):
        problems.add(where, f"needs more values than {given(value)}")
    elif missing:
        owner = ".".join(str(part) for part in place) or bound.step.use
        message = f"{owner} needs a value, {last} = ..."
        problems.add(where, 'needs check = "..."' if bound.is_check else message, "table")
    elif item["type"] == "extra_forbidden":
        known = _option_names(bound.cls.model_fields, item["loc"])
        message = f'no option "{last}"{near(str(last), known)}'
        problems.add(where, message + (f" (there are: {listed(known)})" if known else ""), "key")
    else:
        use = bound.uses.get(tuple(place))
        source = f" (from ${use.name})" if use else ""
        problems.add(where, f"{wording(item, value)}{source}")


def wording(item: Mapping[str, Any], value: Any) -> str:
    """Return what pydantic found wrong with a value, in the words of a spec."""
    kind, context = item["type"], item.get("ctx", {})
    if kind in ("number", "input_file"):
        return str(item["msg"])
    if kind == "literal_error":
        words = context["expected"].replace("'", '"')
        choices = re.findall(r'"([^"]*)"', words)
        hint = near(value, choices) if isinstance(value, str) else ""
        return f"must be {words}, not {given(value)}{hint}"
    if kind in _LIMITS:
        limit = next(iter(context.values()))
        return f"must be {_LIMITS[kind]} {limit:g}, not {given(value)}"
    if kind in _TYPES:
        return f"must be {_TYPES[kind]}, not {given(value)}"
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{message[:1].lower()}{message[1:]}, not {given(value)}"


def _option_names(fields: Any, loc: tuple[Any, ...]) -> list[str]:
    """Return the fields of the nested option table that `loc` points into."""
    from pydantic import BaseModel

    models: list[Any] = []

    def collect(annotation: Any) -> None:
        import typing

        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            models.append(annotation)
        for part in typing.get_args(annotation):
            collect(part)

    for part in loc[:-1]:
        if part in fields:
            models = []
            collect(fields[part].annotation)
            fields = {k: v for model in models for k, v in model.model_fields.items()}
    return list(fields)
