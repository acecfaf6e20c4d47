"""The log of a study: a line for each column, or for each row."""

from plugins.renderers.experiment_log import ExperimentLog
from runner.types import Table

TABLE = Table({"steps": [0, 5], "eigenvalue": [2.5, -1.0], "converged": [True, False]})
SETTINGS = Table({"trace": [7.0, 6.5]})


def lines(**parameters: object) -> list[str]:
    log = ExperimentLog.model_validate({"path": "a.log", **parameters}, strict=False)
    return log.run(TABLE, SETTINGS).contents[".log"].decode().splitlines()


def test_columns_are_told_whole() -> None:
    assert lines(notes={"data": "x"}) == [
        "data: x", "trace: 7, 6.5", "steps: 0, 5", "eigenvalue: 2.5, -1", "converged: True, False",
    ]  # fmt: skip


def test_rows_are_told_one_by_one_with_their_signs() -> None:
    assert lines(by_row=True, keep=["steps", "eigenvalue"]) == [
        "trace: 7, 6.5", "steps 0, eigenvalue 2.5", "steps 5, eigenvalue -1",
    ]  # fmt: skip
