"""Types for the fields of plugins: numbers with pi, text with holes, files that are hashed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
)
from pydantic_core import PydanticCustomError, core_schema

from runner.numbers import number


def _real(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return number(value)
        except ValueError as error:
            raise PydanticCustomError("number", "{why}", {"why": str(error)}) from error
    return value


Real = Annotated[float, BeforeValidator(_real)]
"""A finite float; a spec may write it as an expression, `"-2*pi"`."""


@dataclass(frozen=True)
class Holes:
    """Marks text whose `{axis}` holes are filled with the cell's labels before validation.

    Attributes:
        variables: `${NAME}` is an environment variable of a path, not a hole.
    """

    variables: bool = False


Text = Annotated[str, Holes()]
"""Text in which `{axis}` and `{axis:.2f}` stand for the cell's values."""


@dataclass(frozen=True)
class ColumnOf:
    """Marks text that names a column of the table at a port, so that `validate` can check it."""

    port: str = "table"


Column = Annotated[str, ColumnOf()]
"""The name of a column of the table at the port `table`."""


@dataclass(frozen=True)
class InputFile:
    """A file outside the store: where it lies (a circumstance) and its sha256 (in the key)."""

    path: Path
    digest: str

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Accept a path relative to the spec's folder; serialise to the digest alone."""
        return core_schema.with_info_plain_validator_function(
            cls._validated,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda file: {"sha256": file.digest}
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return what stands in a spec: a path, as text."""
        del schema, handler
        return {"type": "string"}

    @classmethod
    def _validated(cls, value: Any, info: core_schema.ValidationInfo[Any]) -> InputFile:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise PydanticCustomError("file_type", "must be the path of a file, as text")
        text = re.sub(r"\$\{(\w+)\}", _environment, value)
        reading = info.context
        folder = reading.folder if reading else Path.cwd()
        path = (folder / text).resolve()
        if not path.is_file():
            raise PydanticCustomError(
                "input_file", 'no such file "{path}"; paths start at the spec\'s folder, {folder}',
                {"path": value, "folder": str(folder)},
            )  # fmt: skip
        return cls(path, reading.digest(path) if reading else file_digest(path))


@dataclass(frozen=True)
class Obtained:
    """Marks an `InputFile` with where such a file comes from, told where it cannot be read."""

    words: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Add the words to whatever is wrong with the file."""
        return core_schema.no_info_wrap_validator_function(self._validated, handler(source))

    def _validated(self, value: Any, inner: core_schema.ValidatorFunctionWrapHandler) -> Any:
        try:
            return inner(value)
        except ValidationError as error:
            message = f"{error.errors()[0]['msg']}; {self.words}"
        raise PydanticCustomError("input_file", "{why}", {"why": message})


def _environment(match: re.Match[str]) -> str:
    if match[1] not in os.environ:
        raise PydanticCustomError(
            "input_file", "environment variable {name} is not set", {"name": match[1]}
        )
    return os.environ[match[1]]


def file_digest(path: Path) -> str:
    """Return the sha256 of a file's content, in hexadecimal."""
    import hashlib

    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
