"""Identity: canonical JSON -> sha256. Equal identities are one node."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
)
FORMAT = 1
"""Raised when the engine itself makes other results from equal specs and plugins."""


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, finite numbers only.

    Raises: ValueError for nan and inf, TypeError for what JSON does not have.
    """
    return _ENCODER.encode(value)


def digest(value: Any) -> str:
    """Return the sha256 of a value's canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()
