"""Memory that a loop asks for again and again is kept, not handed back to the system."""

from __future__ import annotations

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
LARGEST = 1 << 25  # bytes, the most that glibc takes from its heap
KEPT = 1 << 30  # bytes


def keep_freed_memory() -> bool:
    """Let the C library keep up to a gibibyte of freed memory; return whether it could be asked.

    By default it unmaps large pieces when they are freed and maps them anew: each step of a loop
    over tensors of some megabytes then waits for the system to clear thousands of pages, measured
    at a tenth (float32) to a third (bfloat16) of the time of a gradient. Only glibc is asked.
    """
    try:
        allow = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return False
    return bool(allow(MMAP_THRESHOLD, LARGEST) and allow(TRIM_THRESHOLD, KEPT))
