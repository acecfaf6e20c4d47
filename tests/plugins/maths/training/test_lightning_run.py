"""Lightning kept quiet, and Ctrl-C kept working."""

import logging
import signal
import sys

import pytest

from plugins.maths.training.lightning_run import bare_trainer, interruptible, quiet


def test_the_trainer_keeps_no_logger_no_callbacks_and_no_files():
    with quiet():
        trainer = bare_trainer("cpu")
    assert trainer.loggers == []
    assert trainer.checkpoint_callbacks == []
    assert trainer.world_size == 1


def test_a_cluster_s_variables_do_not_make_it_distributed(monkeypatch):
    for name, value in {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "x", "SLURM_PROCID": "2"}.items():
        monkeypatch.setenv(name, value)
    with quiet():
        assert bare_trainer("cpu").world_size == 1


def test_quiet_puts_the_log_levels_back():
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    before = logger.level
    with quiet():
        assert logger.level == logging.ERROR
    assert logger.level == before


def test_lightning_s_exit_on_ctrl_c_is_an_interrupt_again_and_gives_the_handler_back():
    @interruptible()
    def loop():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            sys.exit(1)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        loop()
    assert signal.getsignal(signal.SIGINT) is before


def test_any_other_exit_stays_an_exit():
    with pytest.raises(SystemExit), interruptible():
        sys.exit(3)
