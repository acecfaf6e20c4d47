"""Tables read back from text, exact to the bit, and what is refused."""

import math

import numpy as np
import pytest

from plugins.data.csv_table import CsvTable
from plugins.renderers.csv import Csv
from runner.errors import RunnerError
from runner.parameters import InputFile
from runner.types import Files, Table

TABLE = Table(
    {
        "step": np.array([3, 1, 2]),
        "loss": np.array([0.1 + 0.2, np.nan, -1e-300]),
        "bound": np.array([np.inf, 1.0, -0.0]),
        "healthy": np.array([True, False, True]),
        "task": np.array(["add", 'a "quoted", one', "mul\nline"], dtype=object),
    }
)


def read(text: str, **parameters: object) -> Table:
    return CsvTable.model_validate(parameters).run(Files({".csv": text.encode()}))


def test_what_csv_writes_is_read_to_the_same_bits() -> None:
    written = Csv(path="a.csv", sort=("step",)).run(TABLE)
    found = CsvTable().run(written).columns
    order = [1, 2, 0]
    assert list(found) == list(TABLE.columns)
    for name, values in TABLE.columns.items():
        wanted = values[order]
        assert found[name].dtype == wanted.dtype
        if wanted.dtype.kind == "f":
            assert found[name].tobytes() == wanted.tobytes()
        else:
            assert found[name].tolist() == wanted.tolist()


def test_a_file_is_read_like_an_export(tmp_path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\N{ZERO WIDTH NO-BREAK SPACE}step,loss\r\n1,0.5\r\n2,\r\n", "utf-8")
    found = CsvTable(file=InputFile(path, "0" * 64)).run().columns
    assert found["step"].tolist() == [1, 2]
    assert found["loss"][0] == 0.5
    assert math.isnan(found["loss"][1])


def test_exactly_one_source_is_needed(tmp_path) -> None:
    for plugin, export in ((CsvTable(), None), (CsvTable(file=InputFile(tmp_path, "")), Files({}))):
        with pytest.raises(RunnerError, match="give either file"):
            plugin.run(export)
    with pytest.raises(RunnerError, match=r"the export is no \.csv, only \.png"):
        CsvTable().run(Files({".png": b""}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no first line"),
        ("a,a\n1,2\n", "two columns are called 'a'"),
        ("a,b\n1,2\n3\n", "row 3 has 1 values, the first 2"),
    ],
)
def test_a_broken_file_is_told(text: str, words: str) -> None:
    with pytest.raises(RunnerError, match=words):
        read(text)


def test_a_column_that_must_be_there_is_named() -> None:
    assert list(read("a,b\n", columns_needed=("b",)).columns) == ["a", "b"]
    with pytest.raises(RunnerError, match="lacks loss; it has a, b"):
        read("a,b\n1,2\n", columns_needed=("b", "loss"))
