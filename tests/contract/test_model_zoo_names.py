"""The names by which users of the model zoo import functions and classes, and what calls of them may look like."""
import ast
import importlib
import inspect
import json

import mindspore as ms
import pytest
from mindspore import nn

# What scripts and notebooks call, as the model zoo declares it. python_names.json has more: methods and base classes.
CALLS = {
    "src.data_loader": [
        "_load_multipage_tiff(path)",
        "_get_val_train_indices(length, fold, ratio=0.8)",
        "data_post_process(img, mask)",
        "train_data_augmentation(img, mask)",
        "create_dataset(data_dir, repeat=400, train_batch_size=16, augment=False, cross_val_ind=1, "
        "run_distribute=False, do_crop=None, img_size=None)",
        "MultiClassDataset(data_dir, repeat, is_train=False, split=0.8, shuffle=False)",
        "preprocess_img_mask(img, mask, num_classes, img_size, augment=False, eval_resize=False)",
        "create_multi_class_dataset(data_dir, img_size, repeat, batch_size, num_classes=2, is_train=False, "
        "augment=False, eval_resize=False, split=0.8, rank=0, group_size=1, shuffle=True)",
    ],
    "src.eval_callback": [
        "EvalCallBack(eval_function, eval_param_dict, interval=1, eval_start_epoch=1, save_best_ckpt=True, "
        "ckpt_directory='./', best_ckpt_name='best.ckpt', metrics_name='acc')",
    ],
    "src.loss": ["MyLoss(reduction='mean')", "CrossEntropyWithLogits()", "MultiCrossEntropyWithLogits()"],
    "src.model_utils.config": [
        "Config(cfg_dict)",
        "parse_cli_to_yaml(parser, cfg, helper=None, choices=None, cfg_path='unet_simple_config.yaml')",
        "parse_yaml(yaml_path)",
        "merge(args, cfg)",
        "get_config()",
    ],
    "src.model_utils.device_adapter": ["get_device_id()", "get_device_num()", "get_rank_id()", "get_job_id()"],
    "src.model_utils.local_adapter": ["get_device_id()", "get_device_num()", "get_rank_id()", "get_job_id()"],
    "src.model_utils.moxing_adapter": [
        "get_device_id()", "get_device_num()", "get_rank_id()", "get_job_id()", "sync_data(from_path, to_path)",
        "moxing_wrapper(pre_process=None, post_process=None)",
    ],
    "src.unet_medical": ["UNetMedical(n_channels, n_classes)"],
    "src.unet_medical.unet_model": ["UNetMedical(n_channels, n_classes)"],
    "src.unet_medical.unet_parts": [
        "DoubleConv(in_channels, out_channels, mid_channels=None)",
        "Down(in_channels, out_channels)",
        *(f"Up{number}(in_channels, out_channels, bilinear=True)" for number in range(1, 5)),
        "OutConv(in_channels, out_channels)",
    ],
    **dict.fromkeys(["src.unet_nested", "src.unet_nested.unet_model"], [
        "NestedUNet(in_channel, n_class=2, feature_scale=2, use_deconv=True, use_bn=True, use_ds=True)",
        "UNet(in_channel, n_class=2, feature_scale=2, use_deconv=True, use_bn=True)",
    ]),
    "src.unet_nested.unet_parts": [
        "conv_bn_relu(in_channel, out_channel, use_bn=True, kernel_size=3, stride=1, pad_mode='same', "
        "activation='relu')",
        "UnetConv2d(in_channel, out_channel, use_bn=True, num_layer=2, kernel_size=3, stride=1, padding='same')",
        "UnetUp(in_channel, out_channel, use_deconv, n_concat=2)",
    ],
    "src.utils": [
        "UnetEval(net, need_slice=False, eval_activate='softmax')",
        "TempLoss()",
        "apply_eval(eval_param_dict)",
        "dice_coeff(print_res=True, show_eval=False)",
        "StepLossTimeMonitor(batch_size, per_print_times=1, rank=0)",
        "mask_to_image(mask)",
        "filter_checkpoint_parameter_by_list(param_dict, filter_list)",
    ],
}
BASES = {"Callback": ms.train.Callback, "nn.Metric": ms.train.Metric, "Cell": nn.Cell, "nn.Cell": nn.Cell}


def parameters(declaration):
    """[(name, kind, default)] of the parameters in parentheses."""
    arguments = ast.parse(f"def f{declaration}: pass").body[0].args
    without = [inspect.Parameter.empty] * (len(arguments.args) - len(arguments.defaults))
    defaults = without + [ast.literal_eval(default) for default in arguments.defaults]
    found = [(argument.arg, inspect.Parameter.POSITIONAL_OR_KEYWORD, default)
             for argument, default in zip(arguments.args, defaults)]
    return found + ([(arguments.vararg.arg, inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.empty)]
                    if arguments.vararg else [])


def check(attribute, declaration):
    """Whatever the declaration allows in a call means the same here; more parameters are optional."""
    attribute = attribute.fget if isinstance(attribute, property) else attribute
    if inspect.isclass(attribute) and inspect.isfunction(attribute.__init__):
        own = list(inspect.signature(attribute.__init__).parameters.values())[1:]      # some Cells have a __new__ too
    else:
        own = list(inspect.signature(attribute).parameters.values())
    expected = parameters(declaration)
    assert [(one.name, one.kind, one.default) for one in own[:len(expected)]] == expected
    assert all(one.default is not one.empty or one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
               for one in own[len(expected):])


@pytest.mark.parametrize("name", CALLS)
def test_calls(name):
    module = importlib.import_module(name)
    for call in CALLS[name]:
        attribute, arguments = call.split("(", 1)
        check(getattr(module, attribute), f"({arguments}")


def test_all_names_and_methods(compat):
    for path, names in json.loads((compat / "python_names.json").read_text()).items():
        module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
        for name, expected in names.items():
            assert name == "config" or hasattr(module, name), f"{path}: {name}"     # config would read sys.argv
            if isinstance(expected, dict):
                found = getattr(module, name)
                for base in expected["bases"]:
                    assert issubclass(found, BASES.get(base) or getattr(module, base)), f"{path}: {name}"
                for method, declaration in expected["methods"].items():
                    check(getattr(found, method), declaration)
            elif expected != "value":
                check(getattr(module, name), expected)


def test_every_name_of_a_module_of_the_model_zoo_is_meant():
    """What its ``__all__`` leaves out is an import of its own, or begins with an underscore as there."""
    for name in ("data_loader", "eval_callback", "loss", "utils", "unet_medical", "unet_medical.unet_parts",
                 "unet_nested", "unet_nested.unet_model", "unet_nested.unet_parts"):
        calls = {call.split("(")[0] for call in CALLS[f"src.{name}"]}
        assert {call for call in calls if not call.startswith("_")} <= set(
            importlib.import_module(f"src.{name}").__all__) <= calls | {"Up"}
