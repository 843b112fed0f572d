"""Options: configs/default_config.yaml, then a YAML file, then the command line -> a checked, frozen Config."""
import argparse
import os
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from pprint import pformat
from typing import Any, NoReturn

import yaml

from src import __version__
from src.model_utils.devices import choose_device
from src.model_utils.errors import UNetError
from src.model_utils.files import write_atomically
from src.model_utils.options import Option, nearest_options
from src.model_utils.schema import (
    defaults,
    find_yaml,
    known_key,
    load_documents,
    load_schema,
    options_of_the_start,
    read_yaml,
)

# Flags of older releases and of the U-Net for TensorFlow, and the option that each one sets.
ALIASES = {"output": "output_path", "ckpt_path": "checkpoint_file_path", "learning_rate": "lr",
           "train_epochs": "epochs"}
SHORT = {"-d": "--data_path"}

BOUNDARY = "boundary"       # a value of target
AUTO = "auto"               # a value of config_path

# Environment variable: the folder in which a launcher was called. Relative paths mean that folder, not the one that the
# launcher runs this process in.
CALLED_FROM = "UNET_CALLED_FROM"


class Config:
    """Options as attributes.

    Args:
        cfg_dict (dict): name -> value. A dictionary among the values, or in a list, becomes a Config.
    """

    def __init__(self, cfg_dict: Mapping[str, Any]) -> None:
        vars(self).update({name: [_as_config(item) for item in value] if isinstance(value, (list, tuple))
                           else _as_config(value) for name, value in cfg_dict.items()})

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no option named {name!r}")

    def __repr__(self) -> str:
        return pformat(vars(self))

    @property
    def has_rim(self) -> bool:
        """Whether the network tells the rim of objects from their interior (target boundary)."""
        return self.target == BOUNDARY

    @property
    def network_classes(self) -> int:
        """Number of classes that the network tells apart: num_classes, and with a rim one more.

        Raises:
            UNetError: a rim in masks of more than two classes.
        """
        if self.has_rim and self.num_classes != 2:
            raise UNetError(f"target boundary divides the foreground of two classes into interior and rim, and "
                            f"num_classes is {self.num_classes}: it is that of the masks; set it to 2")
        return self.num_classes + self.has_rim

    def replace(self, source: object = "options", /, **changes: Any) -> "Config":
        """Return a frozen copy with ``changes``, each checked like a value in a YAML file; ``source`` has named it."""
        schema = load_schema()
        checked = {key: schema[known_key(key, schema, source)].convert(value, source)
                   for key, value in changes.items()}
        return FrozenConfig({**vars(self), **checked})

    def as_dict(self) -> dict[str, Any]:
        """Return the options as a new dictionary."""
        return dict(vars(self))

    def save(self, path: str | Path, with_start: bool = True) -> None:
        """Write the options as a YAML file, which ``--config_path`` reads.

        ``with_start=False`` leaves out how the run was started, so the file says how to make the run again.
        """
        left_out = set() if with_start else set(options_of_the_start())
        values = {name: value for name, value in vars(self).items() if name not in left_out}
        text = yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=110)
        write_atomically(path, text.encode())

    def start_arguments(self, leave_out: Collection[str] = ()) -> list[str]:
        """Return the options that say how this run was started, as arguments: those that are not at their default."""
        schema = load_schema()
        return [f"--{name}={getattr(self, name)}" for name in options_of_the_start()
                if name not in leave_out and getattr(self, name) != schema[name].default]


class FrozenConfig(Config):
    """The options of a run, which nothing changes; ``replace`` makes a changed copy.

    Attributes:
        from_yaml (frozenset): names of the options that have their values from a YAML file.
        given (frozenset): names of the options that the user gave, in a YAML file or on the command line.
        yaml_file (str): what ``--config_path`` says: AUTO, or a file; None if it was not given.
    """
    __slots__ = ("from_yaml", "given", "yaml_file")      # not options

    from_yaml: frozenset[str]
    given: frozenset[str]
    yaml_file: str | None

    def __init__(self, values: Mapping[str, Any], from_yaml: Iterable[str] = (), given: Iterable[str] = (),
                 yaml_file: str | None = None) -> None:
        vars(self).update(values)
        object.__setattr__(self, "yaml_file", yaml_file)
        object.__setattr__(self, "from_yaml", frozenset(from_yaml))
        object.__setattr__(self, "given", frozenset(given))

    @property
    def on_command_line(self) -> frozenset[str]:
        """Names of the options that the user gave on the command line. A run's config.yaml gives all of them."""
        return self.given - self.from_yaml

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"options are frozen; use config.replace({name}=...)")

    def __reduce__(self) -> tuple[type, tuple]:
        return FrozenConfig, (vars(self), self.from_yaml, self.given, self.yaml_file)

    def replace(self, source: object = "options", /, **changes: Any) -> "Config":
        return FrozenConfig(vars(super().replace(source, **changes)), self.from_yaml - changes.keys(), self.given,
                            self.yaml_file)


def _as_config(value: Any) -> Any:
    return Config(value) if isinstance(value, dict) else value


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UNetError(f"command line: {message}; --help lists all options")


def _build_parser(schema: dict[str, Option], description: str) -> _Parser:
    parser = _Parser(description=description, allow_abbrev=False, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--config_path", metavar="FILE",
                        help="YAML file of the experiment; auto (train.py, train_folds.py): options are chosen by the\n"
                             "data and the machine, also without config_path if data_path is given without dataset\n"
                             "and holds no stacks of ISBI")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    _add_options(parser, schema)
    return parser


def _add_options(parser: argparse.ArgumentParser, schema: dict[str, Option]) -> None:
    for option in schema.values():
        notes = [f"default: {option.default}"]
        if option.choices:
            notes.append(f"choices: {', '.join(map(str, option.choices))}")
        aliases = [f"--{alias}" for alias, name in ALIASES.items() if name == option.name]
        flag: dict[str, Any] = {"nargs": "?", "const": "True"} if option.type == "bool" else {}
        parser.add_argument(f"--{option.name}", *aliases, dest=option.name, default=argparse.SUPPRESS,
                            metavar=option.type.upper(), **flag,
                            help=f"{option.help}\n({'; '.join(notes)})".replace("%", "%%"))


def parse_options(argv: list[str], description: str, may_choose: bool = False) -> Config:
    """Read the command line and the YAML file that it names.

    Args:
        argv (list[str]): arguments without the program's name.
        description (str): first line of ``--help``.
        may_choose (bool): whether the script can choose options itself, for config_path auto.

    Returns:
        Config, complete and checked.

    Raises:
        UNetError: an unknown option, a wrong type, a value outside its choices or bounds, or an unreadable YAML file.
    """
    schema = load_schema()
    parser = _build_parser(schema, description)
    # Only whole words are replaced: argparse would read -data_path=DIR as -d with the value "ata_path=DIR".
    known, unknown = parser.parse_known_args([SHORT.get(word, word) for word in argv])
    if unknown:
        name = unknown[0].split("=")[0]
        helps = {**dict.fromkeys(["config_path", *ALIASES], ""), **{key: one.help for key, one in schema.items()}}
        raise UNetError(f"command line: unknown option {name}{nearest_options(name.lstrip('-'), helps, '--')}")
    given = vars(known)
    yaml_file = given.pop("config_path")
    if yaml_file == AUTO and not may_choose:
        raise UNetError("config_path auto is for train.py and train_folds.py, which choose; give the config.yaml that "
                        "the run has written")
    values = defaults()
    from_file = {} if yaml_file in (AUTO, None) else read_yaml(find_yaml(Path(yaml_file)), schema)
    values.update(from_file)
    from_line = {key: schema[key].convert(text, "command line") for key, text in given.items()}
    values.update(from_line)
    # The first release called data_path data_url. In YAML files that is only the address of the data for ModelArts.
    if from_line.get("data_url") and "data_path" not in from_line and not values["enable_modelarts"]:
        values["data_path"] = from_line["data_path"] = from_line["data_url"]
    folder = os.environ.get(CALLED_FROM, "")
    values.update({name: schema[name].path_from(folder, values[name]) for name in from_file | from_line})
    return FrozenConfig(values, from_file.keys() - from_line.keys(), from_file | from_line, yaml_file)


# ---- the model zoo's names

# The YAML file of a program whose command line names none.
_config_path = "./unet_simple_config.yaml"


def parse_yaml(yaml_path: str | Path) -> tuple[dict, dict, dict]:
    """Read a YAML file: values, help texts and choices of its options.

    A file with a ``base_config`` gives all options, and its values are checked; other files are read as they are.

    Raises:
        UNetError: the file cannot be read, or see ``read_yaml``.
    """
    path = find_yaml(Path(yaml_path))
    documents = load_documents(path)
    if "base_config" not in documents[0]:
        values, helps, choices = [*documents, {}, {}][:3]
        return values, helps, choices
    schema = load_schema()
    return ({**defaults(), **read_yaml(path, schema)}, {name: option.help for name, option in schema.items()},
            {name: option.choices for name, option in schema.items() if option.choices})


def parse_cli_to_yaml(parser: argparse.ArgumentParser, cfg: dict[str, Any], helper: dict[str, str] | None = None,
                      choices: dict[str, list] | None = None,
                      cfg_path: str | Path = "unet_simple_config.yaml") -> argparse.Namespace:
    """Read the options of ``cfg`` from this program's command line; an option that is not there keeps its value.

    Args:
        parser (ArgumentParser): options of the program's own, made without ``--help``.
        cfg (dict): name -> value, which gives the option's type. Lists and dictionaries cannot be given.
        helper, choices (dict): help text and choices of an option.
        cfg_path (str): the file that the help of the others refers to.

    Raises:
        UNetError: an unknown option, or a value of another type or not among the choices.
    """
    helper, choices = helper or {}, choices or {}
    schema = {name: Option(name, {"default": value, "help": helper.get(name, f"see {cfg_path}"),
                                  "choices": choices.get(name), "type": "str" if value is None else None})
              for name, value in cfg.items() if not isinstance(value, (list, dict))}
    whole = _Parser(parents=[parser], allow_abbrev=False)
    _add_options(whole, schema)
    given = vars(whole.parse_args())
    given.update({name: option.convert(given.get(name, option.default), "command line")
                  for name, option in schema.items()})
    return argparse.Namespace(**given)


def merge(args: argparse.Namespace, cfg: dict[str, Any]) -> dict[str, Any]:
    """Put what the command line gave into ``cfg``, and return it."""
    cfg.update(vars(args))
    return cfg


def get_config() -> Config:
    """Read the options of this program's command line as scripts of the model zoo use them.

    In contrast to those of ``parse_options``, they can be changed, ``device_target`` is never auto, and
    ``eval_metrics`` is a text if it is one name.

    Raises:
        UNetError: see ``parse_options``.
    """
    values = parse_options([f"--config_path={_config_path}", *sys.argv[1:]], "U-Net and UNet++.").as_dict()
    if values["device_target"] == "auto":
        values["device_target"] = choose_device("auto")
    if len(values["eval_metrics"]) == 1:
        values["eval_metrics"] = values["eval_metrics"][0]
    return Config(values)


class _CommandLine(Config):
    """``get_config()``, called when an option is first used."""

    def __init__(self) -> None:
        pass

    def __getattribute__(self, name: str) -> Any:
        values = object.__getattribute__(self, "__dict__")
        if not values and (name == "__dict__" or not name.startswith("__")):
            values.update(vars(get_config()))
        return object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        vars(self)[name] = value


config = _CommandLine()
