"""The options of a training that the user leaves to the program: looks, chooses, and shows what was chosen."""
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from src.data import class_values
from src.data.class_values import CLASSES_FILE
from src.data.data_options import source_of
from src.data.layouts import LAYOUTS
from src.data.sample_transforms import Geometry
from src.data.splits import write_splits
from src.data.stacks import IMAGE_STACK, LABEL_STACK
from src.data.training_options import training_options
from src.model_utils.config import AUTO, Config, FrozenConfig
from src.model_utils.errors import UNetError, first_few
from src.model_utils.files import CONFIG_YAML
from src.model_utils.schema import load_schema, read_yaml
from src.networks.registry import NetworkSpec, check_activation, check_classes, check_sizes, entry
from src.planning.choices import Choice, choose
from src.planning.facts import DataFacts, Machine
from src.planning.inspection import find_classes, inspect
from src.planning.layouts import COCO, Layout, find_layouts
from src.planning.machine import look
from src.planning.masks import Classes, is_mask
from src.planning.picking import pick
from src.planning.raw import Stopped, coco_classes, prepare_raw, prepared_folder
from src.planning.tree import read_tree

logger = logging.getLogger("unet")

FEW_IMAGES = 4
MOST_WIDTH = 36         # of a column of the table


def wants_plan(config: FrozenConfig) -> bool:
    """Return whether options are to be chosen: for config_path auto, or for data that nothing is said about.

    The stacks of ISBI keep the published protocol, unless auto is asked for.

    Raises:
        UNetError: auto for several processes, or dry_run without auto.
    """
    asked = config.yaml_file == AUTO
    silent = (config.yaml_file is None and "data_path" in config.given and "dataset" not in config.given
              and not config.run_distribute and not config.enable_modelarts
              and not all((Path(config.data_path) / name).is_file() for name in (IMAGE_STACK, LABEL_STACK)))
    if asked and (config.run_distribute or config.enable_modelarts):
        raise UNetError("config_path auto is for one process on this machine; let --dry_run=True show what it chooses, "
                        "and give a YAML file with it")
    if config.dry_run and not asked and not silent:
        raise UNetError("dry_run is True, which is for options that are chosen; give --config_path=auto with it")
    return asked or silent


def planned(config: Any, stopped: Callable[[], object] = lambda: False) -> Config | None:
    """Return the options to train with: as they are, or with those that are chosen; None if there is nothing to train.

    Args and errors: see ``plan``; nothing is trained with dry_run, or after a stop.
    """
    if not wants_plan(config):
        return config
    try:
        chosen = plan(config, stopped)
    except Stopped:
        return None
    return None if config.dry_run else chosen


def plan(config: FrozenConfig, stopped: Callable[[], object] = lambda: False) -> Config:
    """Return the options with those that are chosen; the ones that the user gave stay.

    Args:
        config: the options that the user gave.
        stopped: ends the preparation of raw data once it returns a true value.

    Raises:
        UNetError: data that cannot be read or understood.
        src.planning.raw.Stopped: ``stopped`` returned a true value.
    """
    if config.resume and (earlier := Path(config.output_path) / CONFIG_YAML).is_file():
        logger.info("the options are those of the run that is resumed: %s", earlier)
        return settle(config, read_yaml(earlier, load_schema()))
    with TemporaryDirectory(prefix="unet_plan_") as scratch:
        config, facts, choices = _look(config, Path(scratch) if config.dry_run else None, stopped)
    machine = look(config.device_target, config.cpu_ops)
    given = {name: getattr(config, name) for name in config.given}
    choices += choose(facts, machine, given)
    if facts.train + facts.valid < FEW_IMAGES:
        logger.warning("WARNING: few images: %d in all, of which %d validate; a score of so few says little, and "
                       "more images would help most", facts.train + facts.valid, min(facts.valid, facts.train))
    if facts.classes.is_guess:
        logger.warning("WARNING: a guess: %s; --class_values or --num_classes says it without one",
                       facts.classes.because)
    options = {name: value for choice in choices for name, value in choice.options.items()}
    if "model_name" in given:
        _check_network(settle(config, options))
    for line in [*_about(facts, machine), *table(choices, given)]:
        logger.info("  %s", line)
    if facts.train + facts.valid == 1 and not config.splits and not config.dry_run:
        options["splits"] = str(_write_only_training(config))
    return settle(config, options)


def _check_network(config: Config) -> None:
    """Raise UNetError for options that the network cannot follow, which training would find out after the table."""
    spec = NetworkSpec.from_config(config)
    check_classes(spec)
    if config.run_eval:
        check_activation(entry(spec.model_name).output, config.eval_activate, spec.model_name)
    patches = training_options(config).patches
    if patches:
        check_sizes(spec.model_name, patches.size, patches.label_size, list(patches.size))
    else:
        geometry = Geometry.from_options(config.image_size, config.crop, LAYOUTS[config.dataset].width_first)
        check_sizes(spec.model_name, geometry.input, geometry.content, config.image_size)


def _write_only_training(config: Config) -> Path:
    """Write a splits.json by which all images train; no fraction in ``split`` says so of a single one."""
    source = source_of(config)
    reader = source.open()
    path = Path(config.output_path) / "all_train.json"
    write_splits(path, [reader.entry(index, source.data_dir) for index in range(len(reader))], [])
    return path


def settle(config: FrozenConfig, options: Mapping[str, Any]) -> Config:
    """Return the options with ``options``, where the user gave none."""
    return config.replace(**{name: value for name, value in options.items() if name not in config.given})


def _look(config: FrozenConfig, scratch: Path | None,
          stopped: Callable[[], object]) -> tuple[FrozenConfig, DataFacts, list[Choice]]:
    """Find the data, prepare them if they are raw, and inspect them; in ``scratch`` if nothing may be written."""
    tree = read_tree(config.data_path)
    given = {name: getattr(config, name) for name in config.given}
    layout = pick(tree, find_layouts(tree, is_mask), given)
    root = tree.path(layout.root)
    _say_about_files(layout, root)
    choices = [Choice(dict(layout.options), layout.title)] if layout.options else []
    if layout.without_mask or layout.without_image or layout.raw:
        choices.append(Choice({"unpaired": "skip"}, "images without a mask are left out"))
    if layout.raw == COCO:
        choices.append(coco_classes(layout, given))
    config = _with(config, settle(config, {name: value for one in choices for name, value in one.options.items()}))
    count = 0
    if layout.raw:
        named = prepared_folder(config, layout, root)
        target = scratch / "prepared" if scratch else named
        count = prepare_raw(config, layout, root, target, bool(scratch), stopped)
        choices.insert(0, Choice({"data_path": str(named)}, f"{layout.images} images are prepared there"))
        root = target
    elif layout.root:
        choices.insert(0, Choice({"data_path": str(root)}, "the data set is there"))
    if root != Path(config.data_path):
        config = _with(config, config.replace(data_path=str(root)))
    classes = _classes_of(config, given)
    config = _with(config, settle(config, classes.options))
    facts = inspect(source_of(config), classes)
    if scratch and count:       # only some of the images were prepared
        scale = count / (facts.train + facts.valid)
        facts = replace(facts, train=round(facts.train * scale), valid=round(facts.valid * scale))
    return config, facts, choices


def _with(old: FrozenConfig, new: Config) -> FrozenConfig:
    return FrozenConfig(new.as_dict(), old.from_yaml, old.given - {"data_path"}, old.yaml_file)


def _classes_of(config: FrozenConfig, given: Mapping[str, Any]) -> Classes:
    """Find the classes: what the user says, else classes.json beside the data, else what the masks hold."""
    if "class_values" in given and config.class_values:
        return Classes({"num_classes": len(config.class_values)}, "class_values names them")
    if "num_classes" in given:
        return Classes({"num_classes": config.num_classes}, "given")
    names = class_values.read_noted(config.data_path)
    if names is not None:
        return Classes({"num_classes": len(names)}, f"{CLASSES_FILE} names them: {first_few(list(names), 4)}")
    return find_classes(source_of(config.replace(num_classes=2, class_values=[])))


def _say_about_files(layout: Layout, root: Path) -> None:
    for names, what, then in ((layout.without_mask, "images have no mask", "they do not train; predict.py takes them"),
                              (layout.without_image, "masks have no image", "they are left out")):
        if names:
            logger.warning("WARNING: %s: %d %s: %s; %s", root, len(names), what, first_few(names), then)
    for note in layout.notes:
        logger.warning("WARNING: %s", note)


def _about(facts: DataFacts, machine: Machine) -> list[str]:
    """Return lines about what was looked at."""
    parts = f": {facts.train} train, {facts.valid} validate" if facts.train and facts.valid else ""
    return [f"images {facts.train + facts.valid}{parts}; looked at {facts.looked_at}, measured {facts.objects.count} "
            f"objects in them",
            f"{machine.device}, {machine.cores} processors, {machine.memory_gb:.1f} GB of memory free"]


def table(choices: list[Choice], given: Mapping[str, Any]) -> list[str]:
    """Return the lines of the table: option, value, and what it is because of."""
    rows = {"choice": ("choice", "value", "because")}
    for choice in choices:
        for name, value in choice.options.items():
            is_given = name in given and name != "data_path"
            rows[name] = (name, str(given[name] if is_given else value), "given" if is_given else choice.because)
    widths = [min(MOST_WIDTH, max(len(row[column]) for row in rows.values())) for column in range(2)]
    return [f"{name.ljust(widths[0])}  {value.ljust(widths[1])}  {because}" for name, value, because in rows.values()]
