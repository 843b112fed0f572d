"""Trainings in scripts of users' own, as the model zoo's documentation shows them: our parts in MindSpore's Model."""
import re
import sys

import pytest

from src.networks.unet_nested import NestedUNet
from src.networks.unet_simple import UNet
from src.training.checkpoint import load_weights
from tests.support.scripts import PROJECT, call

ISBI = """
import sys
import mindspore
from mindspore import Model, context, nn
from mindspore.train.callback import CheckpointConfig, ModelCheckpoint
from src.data_loader import create_dataset
from src.loss import CrossEntropyWithLogits
from src.unet_nested import UNet
from src.utils import StepLossTimeMonitor, TempLoss, dice_coeff

data_dir, batch_size = sys.argv.pop(), 2
mindspore.set_seed(1)
context.set_context(mode=context.GRAPH_MODE, device_target="CPU")
net = UNet(1, 2, feature_scale=16)
criterion = CrossEntropyWithLogits()
train_dataset, valid_dataset = create_dataset(data_dir, 1, batch_size, True, 1, False, "None", [96, 96])
ckpoint_cb = ModelCheckpoint("ckpt_unet_simple_adam", "ckpt_0", CheckpointConfig(train_dataset.get_dataset_size()))
optimizer = nn.Adam(params=net.trainable_params(), learning_rate=1e-3, weight_decay=5e-4, loss_scale=1024.0)
manager = mindspore.FixedLossScaleManager(1024.0, False)
model = Model(net, loss_fn=criterion, loss_scale_manager=manager, optimizer=optimizer, amp_level="O0")
model.train(1, train_dataset, callbacks=[StepLossTimeMonitor(batch_size), ckpoint_cb], dataset_sink_mode=False)
model = Model(net, loss_fn=TempLoss(), metrics={"dice_coeff": dice_coeff()})
print("Cross valid dice coeff is:", model.eval(valid_dataset, dataset_sink_mode=False)["dice_coeff"])
"""

# With deep supervision, evaluation during the training, and options from the command line.
FOLDERS = """
from mindspore import Model, context, nn
from src.data_loader import create_multi_class_dataset
from src.eval_callback import EvalCallBack
from src.loss import MultiCrossEntropyWithLogits
from src.model_utils.config import config
from src.unet_nested import NestedUNet
from src.utils import StepLossTimeMonitor, TempLoss, UnetEval, apply_eval, dice_coeff

context.set_context(mode=context.GRAPH_MODE, device_target=config.device_target)
net = NestedUNet(config.num_channels, config.num_classes, feature_scale=32, use_ds=config.use_ds)
data = {"data_dir": config.data_path, "img_size": config.image_size, "num_classes": config.num_classes}
train_dataset = create_multi_class_dataset(repeat=2, batch_size=config.batch_size, is_train=True, augment=True, **data)
valid_dataset = create_multi_class_dataset(repeat=1, batch_size=1, is_train=False, shuffle=False, **data)
model = Model(net, MultiCrossEntropyWithLogits(), nn.Adam(net.trainable_params(), config.lr), amp_level="O0")
eval_model = Model(UnetEval(net, need_slice=config.use_ds, eval_activate=config.eval_activate.lower()),
                   loss_fn=TempLoss(), metrics={"dice_coeff": dice_coeff(False, config.show_eval)})
eval_cb = EvalCallBack(apply_eval, {"model": eval_model, "dataset": valid_dataset, "metrics_name": config.eval_metrics},
                       ckpt_directory=config.output_path, metrics_name=config.eval_metrics)
model.train(2, train_dataset, callbacks=[StepLossTimeMonitor(config.batch_size, 0), eval_cb], dataset_sink_mode=False)
"""


def run(tmp_path, script, *arguments):
    """What the script prints."""
    (tmp_path / "mine.py").write_text(script)
    result = call(sys.executable, tmp_path / "mine.py", *arguments, cwd=tmp_path, PYTHONPATH=str(PROJECT))
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.splitlines()


@pytest.mark.slow
def test_the_first_release(tmp_path, sample):
    *lines, first, second, score = run(tmp_path, ISBI, sample)
    for number, line in enumerate(lines[:-1], 1):
        assert re.fullmatch(rf"step: {number}, loss is 0\.69\d+, fps is [\d.]+", line)
    assert len(lines) == 5 and lines[-1].startswith("epoch:   1, avg loss:0.69")
    pattern = r"single dice coeff is: (0\.\d+), IOU is: 0\.\d+"
    dices = [float(re.fullmatch(pattern, line)[1]) for line in (first, second)]
    assert score.startswith("Cross valid dice coeff is: (")
    assert float(score.split("(")[1].split(",")[0]) == pytest.approx(sum(dices) / 2)
    load_weights(UNet(1, 2, feature_scale=16), tmp_path / "ckpt_0" / "ckpt_unet_simple_adam-1_4.ckpt")


@pytest.mark.slow
def test_folders_and_evaluation_during_the_training(tmp_path, nuclei):
    lines = run(tmp_path, FOLDERS, "--config_path=unet_nested_cell_config.yaml", f"--data_path={nuclei}", "--lr=0.01",
                "--image_size=32,32", "--use_ds=True", "--batch_size=4", "--output_path=out", "--show_eval=True")
    kinds = ["epoch:   1, avg", "epoch: 1, dice_coeff: 0.", "update best result: 0.", "update best checkpoint at: out/",
             "epoch:   2, avg", "epoch: 2, dice_coeff: 0."]
    assert all(line.startswith(kind) for line, kind in zip(lines, kinds)), lines
    assert lines[-1].startswith("End training, the best dice_coeff is: 0.")
    load_weights(NestedUNet(3, 2, feature_scale=32), tmp_path / "out" / "best.ckpt")
    assert len(list((tmp_path / "draw_eval").iterdir())) == 4
