"""Identity: canonical JSON -> sha256. Equal identities are one node."""

from __future__ import annotations

import hashlib
import json
import json.encoder
from typing import Any

_PLAIN = json.JSONEncoder(ensure_ascii=False)
# The encoder that json.dumps makes anew for each call, made once: twice as fast on small values.
_ENCODE = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
    None, _PLAIN.default, json.encoder.encode_basestring, None, ":", ",", True, False, False
)
FORMAT = 1
"""Raised when the engine itself makes other results from equal specs and plugins."""


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, finite numbers only.

    Raises: ValueError for nan and inf, TypeError for what JSON does not have.
    """
    return "".join(_ENCODE(value, 0))


def digest(value: Any) -> str:
    """Return the sha256 of a value's canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()
