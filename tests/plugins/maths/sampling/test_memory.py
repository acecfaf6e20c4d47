import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from plugins.maths.sampling.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        parts = [torch.ones(1 << 19) for _ in range(8)]  # 2 MiB each
        del parts
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
before = faults()
assert keep_freed_memory()
faults()
print(before, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc")
def test_pages_are_not_asked_for_again():
    # A fixed threshold: left open, what is handed back depends on what happens to lie above it.
    environ = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", FAULTS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environ)
    before, after = map(int, done.stdout.split())
    assert before > 1000  # the premise: without it each round maps its pages anew
    assert after < before / 10
