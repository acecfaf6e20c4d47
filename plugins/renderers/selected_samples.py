"""Which samples a study drew, what the network says of them, and their pictures."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runner.parameters import Column
from runner.plugin import Renderer
from runner.types import Files, Split, Table


class SelectedSamples(Renderer):
    """Write a record for each sample as JSON, as an npz of arrays, or both.

    Fields: rank, index, label, prediction, probability, centre_loss, and thumbnail: grey values
    from 0 to 255, (h, w), the first row on top.

    Reads:  table, the centres of the probe `landscape`, one row for each sample; images, the data
            whose rows `index` names.
    Raises: ValueError for a missing column, or images without a shape.
    Source: none.
    """

    writes: ClassVar[tuple[str, ...]] = (".json", ".npz")

    rank: Column = Field("rank", description="column that orders the samples")

    def run(self, table: Table, images: Split) -> Files:
        import json

        import numpy as np

        from plugins.maths.figures.samples import pictures
        from plugins.maths.figures.views import check_columns
        from plugins.maths.files.grid_files import npz

        names = [self.rank, "index", "label", "prediction", "probability", "centre_loss"]
        frame = table.frame
        for name in names:
            check_columns(frame, table=name)
        rows = frame[names].sort_values(self.rank).to_dict("records")
        shown = pictures(images, [row["index"] for row in rows])
        thumbnails = np.round(255 * np.stack(shown)).astype(np.uint8)
        contents = {}
        for suffix in self.suffixes():
            if suffix == ".json":
                records = [
                    {**{str(k): v for k, v in row.items()}, "thumbnail": picture.tolist()}
                    for row, picture in zip(rows, thumbnails, strict=True)
                ]
                lines = (json.dumps(record, allow_nan=False) for record in records)
                contents[suffix] = ("[\n" + ",\n".join(lines) + "\n]\n").encode()
            else:
                columns = {name: np.asarray([row[name] for row in rows]) for name in names}
                contents[suffix] = npz({**columns, "thumbnail": thumbnails})
        return Files(contents)
