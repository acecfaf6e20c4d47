"""Lightning's Trainer stripped to its loop: no logger, no files, no bars, one device."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import lightning.pytorch as pl
from lightning.fabric.plugins.environments import LightningEnvironment


def bare_trainer(device: str) -> pl.Trainer:
    """Return a Trainer for one pass over its loader on `device` ("cpu", "cuda", "cuda:1")."""
    kind, _, index = device.partition(":")
    return pl.Trainer(
        accelerator={"cuda": "gpu"}.get(kind, kind),
        devices=[int(index or 0)] if kind == "cuda" else 1,
        max_epochs=1,
        callbacks=[TermAsBefore()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        use_distributed_sampler=False,
        plugins=[LightningEnvironment()],  # one process, even under a cluster's scheduler
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's notes on hardware and loaders off the terminal; its errors still show."""
    names = ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"lightning\.pytorch")
        # Lightning 2.6 asks torch for a tree node the old way, from inside typing_extensions
        warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


class TermAsBefore(pl.Callback):
    """Leave SIGTERM to whoever had it: Lightning would hold it back to the end of a batch."""

    def __init__(self) -> None:
        self.before = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, *_: object) -> None:
        """Put the handler back that stood before Lightning's."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.before)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C through as KeyboardInterrupt: Lightning would exit and leave it switched off."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if main else None
    try:
        yield
    except SystemExit as exit_:
        if not isinstance(exit_.__context__, KeyboardInterrupt):
            raise
        if main:
            signal.signal(signal.SIGINT, before)
        raise KeyboardInterrupt from exit_
