"""The YAML files of the model zoo's names have the model zoo's values, except those that cannot work today."""
import json

import pytest
import yaml

from src.model_utils.config import parse_options

NOT_ON_A_USERS_MACHINE = {"data_path", "output_path", "rst_path", "device_target"}
ONE_SIZE_FITS_NO_OTHER = {"width", "height"}
# File -> options that differ; docs/migrating.md says why.
DIFFERENCES = {
    "unet_medical_config.yaml": NOT_ON_A_USERS_MACHINE - {"rst_path"},
    "unet_medical_gpu_config.yaml": {"data_path", "output_path"},
    "unet_simple_config.yaml": NOT_ON_A_USERS_MACHINE - {"rst_path"} | {"filter_weight"},
    "unet_simple_coco_config.yaml": NOT_ON_A_USERS_MACHINE - {"rst_path"} | ONE_SIZE_FITS_NO_OTHER | {"filter_weight"},
    "unet_nested_config.yaml": NOT_ON_A_USERS_MACHINE | ONE_SIZE_FITS_NO_OTHER,
    "unet_nested_cell_config.yaml": NOT_ON_A_USERS_MACHINE - {"rst_path"},
    "unet_nested_coco_config.yaml": NOT_ON_A_USERS_MACHINE - {"rst_path"} | ONE_SIZE_FITS_NO_OTHER | {"filter_weight"},
}


@pytest.fixture(scope="module")
def facts(compat):
    """File -> key -> value in the model zoo."""
    return json.loads((compat / "yaml_values.json").read_text())


def test_the_files_are_the_same(facts):
    assert set(facts) == set(DIFFERENCES)


@pytest.mark.parametrize("name", DIFFERENCES)
def test_values(name, facts, tmp_path):
    """Both are read as options, as a value can be written in several ways: None and 'None', x and [x]."""
    (tmp_path / name).write_text(yaml.safe_dump(facts[name]))
    there = parse_options([f"--config_path={tmp_path / name}"], "")
    here = parse_options([f"--config_path={name}"], "")
    differ = {key for key in facts[name] if getattr(there, key) != getattr(here, key)}
    assert differ - {"result_path"} == DIFFERENCES[name]
    assert here.result_path.rstrip("/") == there.result_path.rstrip("/")


@pytest.mark.parametrize("name", DIFFERENCES)
def test_values_here(name):
    """Without the facts: what users of these files saw change before."""
    config = parse_options([f"--config_path={name}"], "")
    assert config.run_eval == (name == "unet_nested_cell_config.yaml")
    assert (config.data_path, config.output_path, config.device_target) == (
        "./data", "./output", "GPU" if "gpu" in name else "auto")
