"""The names by which users of the model zoo import this project's functions and classes."""
import ast
import importlib

import pytest

from tests.support.scripts import PROJECT

# Module of the model zoo -> name -> the module that defines it here.
NAMES = {
    "src.data_loader": {"create_dataset": "src.data.datasets", "create_multi_class_dataset": "src.data.datasets"},
    "src.loss": {"CrossEntropyWithLogits": "src.training.losses", "MultiCrossEntropyWithLogits": "src.training.losses"},
    "src.eval_callback": {"EvalCallBack": "src.training.callbacks.evaluation"},
    "src.utils": {"UnetEval": "src.networks.inference_network"},
    "src.unet_medical": {"UNetMedical": "src.networks.unet_medical"},
    "src.unet_medical.unet_model": {"UNetMedical": "src.networks.unet_medical"},
    "src.unet_medical.unet_parts": dict.fromkeys(["DoubleConv", "Down", "Up", "OutConv"], "src.networks.unet_medical"),
    "src.unet_nested": {"NestedUNet": "src.networks.unet_nested", "UNet": "src.networks.unet_simple"},
    "src.unet_nested.unet_model": {"NestedUNet": "src.networks.unet_nested", "UNet": "src.networks.unet_simple"},
    "src.unet_nested.unet_parts": dict.fromkeys(["UnetConv2d", "UnetUp"], "src.networks.unet_simple"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_the_model_zoo_is_the_object_of_its_room(name):
    module = importlib.import_module(name)
    assert sorted(module.__all__) == sorted(NAMES[name])
    for attribute, home in NAMES[name].items():
        found = getattr(module, attribute)
        assert found is getattr(importlib.import_module(home), attribute) and found.__module__ == home


@pytest.mark.parametrize("name", NAMES)
def test_a_module_of_the_model_zoo_only_imports(name):
    path = PROJECT / name.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    docstring, *body = ast.parse(path.read_text()).body
    assert isinstance(docstring, ast.Expr)
    *imports, names = body
    assert all(isinstance(node, ast.ImportFrom) and node.module.startswith("src.") for node in imports)
    assert isinstance(names, ast.Assign) and names.targets[0].id == "__all__"


@pytest.mark.parametrize("name, attributes", [
    ("src.model_utils.config", ["Config", "parse_options"]),
    ("src.model_utils.device_adapter", ["get_device_id", "get_device_num", "get_rank_id", "get_job_id"]),
    ("src.model_utils.local_adapter", ["get_device_id", "get_device_num", "get_rank_id", "get_job_id"]),
    ("src.model_utils.moxing_adapter", ["get_job_id"]),
])
def test_modules_that_are_where_the_model_zoo_has_them(name, attributes):
    module = importlib.import_module(name)
    assert all(getattr(module, attribute).__module__ == name for attribute in attributes)
