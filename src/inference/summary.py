"""What a prediction says of all its files together: the table of objects, and the report."""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from src.data.image_files import ImageFile
from src.inference.file_predictor import FilePredictor
from src.inference.object_files import TABLE
from src.inference.records import Record, Records
from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.model_utils.files import replacing
from src.report.prediction import PredictionReport


def write_summary(files: Sequence[ImageFile], predictor: FilePredictor, network: str) -> None:
    """Write objects.csv and prediction.html, where they are asked for, from the records of all files.

    Args:
        files: the image files, in the order of the tables.
        predictor: has predicted them.
        network: file of the network, for the report.

    Raises:
        UNetError: a file has no record, or a table cannot be written.
    """
    config = predictor.config
    if not (config.objects or config.report):
        return
    report = PredictionReport()
    with _table(config, predictor.columns) as table:
        for record in _all(predictor.records, files):
            if record.failed:
                report.failed.append(record.failed)
            for page in record.pages:
                report.add(page)
            if table:
                table.writelines(f"{line}\n" for line in record.rows)
    if config.report:
        report.write(config, network, predictor.names)


@contextmanager
def _table(config: Config, columns: Sequence[str]) -> Iterator[IO[str] | None]:
    """Yield objects.csv, which appears at the end; None if it is not asked for."""
    if not columns:
        yield None
        return
    with replacing(Path(config.output_path) / TABLE) as path, open(path, "w", encoding="utf-8", newline="") as table:
        table.write(",".join(columns) + "\n")
        yield table


def _all(records: Records, files: Sequence[ImageFile]) -> Iterator[Record]:
    """Yield the record of each file."""
    for file in files:
        record = records.read(file)
        if record is None:
            raise UNetError(f"{records.folder} has no record of {file.path}; all ranks must see the same output_path, "
                            f"and nothing else may write there")
        yield record
