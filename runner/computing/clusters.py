"""What `--dask` can name: a scheduler, its file, workers of this machine, a batch queue's jobs.

Batch queues and Kubernetes are described in Dask's own configuration (docs/clusters.md); what is
added here is what parcels need: one thread for each process, and a death that does not spread.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.computing.compute import THREAD_VARIABLES
from runner.computing.executors import PoolError
from runner.errors import UsageError, near

QUEUES = {
    "slurm": "SLURMCluster", "pbs": "PBSCluster", "sge": "SGECluster", "lsf": "LSFCluster",
    "htcondor": "HTCondorCluster", "oar": "OARCluster", "moab": "MoabCluster",
}  # fmt: skip
KINDS = ("local", *QUEUES, "kubernetes")
_FORMS = (
    "tcp://HOST:PORT, a scheduler file (scheduler.json), local:N, "
    f"{', '.join(f'{name}:N' for name in QUEUES)} or kubernetes:N"
)
# Dask looks at itself 50 to 150 times a second in each process, for a dashboard that nobody has
# open: beside workers that fill all cores it was measured to slow them down by a fifth.
CALM = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.limit": "30s",
    "distributed.admin.system-monitor.interval": "10s",
}
# Tensors' memory is kept: Dask by itself has it given back to the system at once, and fetched anew.
WORKER_ENVIRONMENT = dict.fromkeys(THREAD_VARIABLES, "1") | {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": f"{1 << 30}",
    "MALLOC_MMAP_THRESHOLD_": f"{1 << 25}",
    **{
        f"DASK_{key.replace('.', '__').replace('-', '_').upper()}": f"{v}"
        for key, v in CALM.items()
    },
}
_REACH = 20  # seconds to reach a scheduler within


@dataclass(frozen=True)
class Asked:
    """What `--dask` names: a kind of cluster with so many workers, or an address."""

    kind: str  # one of KINDS, "address" or "file"
    count: int = 0
    target: str = ""


@dataclass
class Cluster:
    """A client of a scheduler and, when the runner started it, the cluster."""

    client: Any
    name: str
    own: Any = None
    threads: int = 0  # of this machine, which all workers share; 0: each worker has its own

    def end(self) -> None:
        """Leave the scheduler; end a cluster that the runner started, killing its processes."""
        for nanny in getattr(self.own, "workers", {}).values() if self.threads else ():
            nanny.close_gracefully()  # which is to say: do not start another one in its place
            with suppress(OSError, TypeError):  # it may be gone, or not there yet
                os.kill(nanny.pid, signal.SIGKILL)
        with suppress(Exception):  # a scheduler that is gone cannot be told goodbye
            self.client.close(timeout=5)
        if self.own is not None:
            with suppress(Exception):
                self.own.close(timeout=30)


def asked(text: str) -> Asked:
    """Return what the text of `--dask` names; Dask is not imported.

    Raises: UsageError when it names nothing, or a scheduler file that is not there.
    """
    if "://" in text:
        return Asked("address", target=text)
    if text.endswith(".json") or Path(text).is_file():
        if not Path(text).is_file():
            raise UsageError(f"--dask {text}: no such scheduler file; is the scheduler running?")
        return Asked("file", target=text)
    kind, _, count = text.partition(":")
    if kind not in KINDS:
        cure = f"write tcp://{text}" if re.fullmatch(r"[\w.-]+:\d+", text) else f"give {_FORMS}"
        raise UsageError(f"--dask {text}: no such cluster{near(kind, KINDS)}; {cure}")
    if not count.isdigit() or not int(count):
        raise UsageError(f"--dask {text}: say how many, such as --dask {kind}:4")
    return Asked(kind, int(count))


def connect(text: str) -> Cluster:
    """Return the cluster that `--dask` names, started or connected to.

    Raises: UsageError, PoolError.
    """
    wanted = asked(text)
    try:
        import dask

        distributed: Any = importlib.import_module("distributed")
    except ImportError as error:
        raise PoolError(f"--dask needs Dask ({error}); pip install 'runner[dask]'") from error
    for handler in logging.getLogger("distributed").handlers:
        handler.setLevel(logging.CRITICAL)  # what matters of it is told by the pool
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GiB"})
    if wanted.kind in ("address", "file"):
        return _existing(wanted, distributed)
    # One death is enough to know which parcel a worker died of; the pool submits it again.
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        if wanted.kind == "local":
            own = _local(wanted.count, distributed)
        elif wanted.kind == "kubernetes":
            own = _kubernetes(wanted.count)
        else:
            own = queue(wanted.kind)
            own.adapt(minimum_jobs=wanted.count, maximum_jobs=wanted.count)  # replaces ended jobs
    client = distributed.Client(own, set_as_default=False)
    name = f"{wanted.kind} cluster" if wanted.kind != "local" else "this machine"
    return Cluster(client, name, own, wanted.count if wanted.kind == "local" else 0)


def _existing(wanted: Asked, distributed: Any) -> Cluster:
    address = wanted.target
    try:
        if wanted.kind == "file":
            address = json.loads(Path(wanted.target).read_text("utf-8"))["address"]
        client = distributed.Client(address, timeout=_REACH, set_as_default=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        cause = f"{error}".strip().splitlines()[0] if f"{error}" else type(error).__name__
        raise PoolError(
            f"--dask {wanted.target}: no Dask scheduler answers at {address} ({cause}); start one "
            "with `dask scheduler` and workers with `dask worker` (docs/clusters.md)"
        ) from error
    return Cluster(client, address)


def _local(count: int, distributed: Any) -> Any:
    try:
        import cryptography  # noqa: F401  # for certificates: other users share the loopback
    except ImportError as error:
        raise PoolError(
            "--dask local:N encrypts what it sends; pip install 'runner[dask]'"
        ) from error
    import dask

    dask.config.set(CALM)  # to stay: scheduler and nannies of this process read it when they start
    with dask.config.set({"distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT}):
        return distributed.LocalCluster(
            n_workers=count, threads_per_worker=1, processes=True, security=True, memory_limit=0,
            dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL,
        )  # fmt: skip


def queue(kind: str) -> Any:
    """Return a batch queue's cluster of dask-jobqueue, without jobs yet.

    All comes from Dask's configuration, `jobqueue.KIND`. Where that says nothing of processes, a
    job has one for each core: a parcel takes one thread. Where it names a folder for certificates
    (`shared-temp-directory`), what is sent is encrypted and nobody else can use the workers.

    Raises: PoolError when dask-jobqueue or a needed value is not there.
    """
    import dask

    cls = _imported("dask_jobqueue", QUEUES[kind], "dask-jobqueue", kind)
    given = dask.config.get(f"jobqueue.{kind}")
    lacking = [name for name in ("cores", "memory") if given.get(name) is None]
    if lacking:
        raise PoolError(
            f"--dask {kind}: Dask's configuration lacks {' and '.join(lacking)} of a job; write "
            f"them under jobqueue.{kind} in ~/.config/dask/jobqueue.yaml (docs/clusters.md)"
        )
    exports = [f"export {name}={value}" for name, value in WORKER_ENVIRONMENT.items()]
    return cls(
        processes=given.get("processes") or given["cores"],
        job_script_prologue=[*(given.get("job-script-prologue") or []), *exports],
        security=True if given.get("shared-temp-directory") else None,
    )


def job_script(kind: str) -> str:
    """Return the script that a batch queue would be handed for each job."""
    with queue(kind) as cluster:
        return str(cluster.job_script())


def _kubernetes(count: int) -> Any:
    cls = _imported("dask_kubernetes.operator", "KubeCluster", "dask-kubernetes", "kubernetes")
    return cls(n_workers=count)


def _imported(module: str, name: str, package: str, kind: str) -> Any:
    before = signal.getsignal(signal.SIGINT)
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise PoolError(
            f"--dask {kind} needs {package} ({error}); pip install {package}"
        ) from error
    finally:  # dask_jobqueue makes Ctrl-C end the program where it stands as it is imported
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)
