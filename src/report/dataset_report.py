"""The check of all samples of a data set, without training."""
from pathlib import Path

from src.data.data_options import class_names
from src.data.dataset_check import check_not_empty, find_faults, raise_faults
from src.data.samples import create_samples
from src.model_utils.config import Config
from src.model_utils.files import DATASET_JPG, DATASET_JSON
from src.report.dataset_pictures import write_pictures


def check_and_report(config: Config) -> None:
    """Check all samples as training and validation would read them, and draw some; with ``report``, write report.html.

    Raises:
        UNetError: no sample to train on; or samples that cannot be used, after the pictures and the report are written.
    """
    output = Path(config.output_path)
    train, validation = create_samples(config)
    check_not_empty(train, validation, config)
    findings = find_faults(train, validation, class_names(config))
    findings.save(output / DATASET_JSON)
    write_pictures(output / DATASET_JPG, train, validation, config.color)
    if config.report:
        from src.report.page import ReportInput, write_report  # matplotlib takes a second to load

        write_report(config, ReportInput("preprocess_dataset.py"))
    raise_faults(findings.faults, str(output / DATASET_JSON))
