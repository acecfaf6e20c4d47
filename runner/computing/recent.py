"""Values that were read or made lately, as many as fit: the next parcel often reads them again."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any

MOST_VALUES = 64
MOST_BYTES = 2**30  # of all values together, in each worker; a larger one is kept alone


class Recent:
    """Remembers values by name; those that were asked for longest ago make room."""

    def __init__(self, values: int = MOST_VALUES, size: int = MOST_BYTES) -> None:
        self._most = values, size
        self._held: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._size = 0

    def get(self, name: Hashable, make: Callable[[], Any]) -> Any:
        """Return the value of that name, made now if it is not remembered."""
        if name in self._held:
            self._held.move_to_end(name)
            return self._held[name][0]
        value = make()
        size = size_of(value)
        self._held[name] = value, size
        self._size += size
        values, most = self._most
        while len(self._held) > 1 and (len(self._held) > values or self._size > most):
            _, (_, freed) = self._held.popitem(last=False)
            self._size -= freed
        return value


def size_of(value: Any) -> int:
    """Return about how many bytes the arrays and texts in a value take."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return sum(size_of(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, Mapping):
        return sum(size_of(part) for part in value.values())
    if isinstance(value, (list, tuple)):
        return 8 * len(value) + sum(size_of(part) for part in value if isinstance(part, str))
    if isinstance(value, (bytes, str)):
        return len(value)
    return int(getattr(value, "nbytes", 0))  # of NumPy's arrays, pandas' columns, torch's tensors
