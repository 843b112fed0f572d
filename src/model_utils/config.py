"""Options: configs/default_config.yaml, then a YAML file, then the command line -> a checked, frozen Config.

``default_config.yaml`` is the schema: each key with its default, help, choices and bounds. The YAML file of an
experiment lists only what it changes. The model zoo's files (two or three documents: values, help, choices) work
unchanged.
"""
import argparse
import logging
import reprlib
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import yaml

from src import __version__
from src.model_utils.errors import UNetError
from src.model_utils.files import write_atomically
from src.model_utils.options import Option, nearest

PROJECT_ROOT = Path(__file__).resolve().parents[2]
CONFIGS = PROJECT_ROOT / "configs"
DEFAULT_CONFIG = CONFIGS / "default_config.yaml"

# Flags of older releases, and the option that each one sets.
ALIASES = {"output": "output_path", "ckpt_path": "checkpoint_file_path"}
SHORT = {"-d": "--data_path"}

logger = logging.getLogger("unet")

MAX_YAML_BYTES = 10**6
MAX_YAML_BRACKETS = 2000


class Config:
    """Resolved options as attributes. Frozen: ``replace`` makes a changed copy."""

    def __init__(self, values: dict[str, Any]) -> None:
        object.__setattr__(self, "_values", dict(values))

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"no option named {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"options are frozen; use config.replace({name}=...)")

    def replace(self, **changes: Any) -> "Config":
        """Return a copy with ``changes``, each checked like a value in a YAML file."""
        schema = load_schema()
        checked = {key: schema[_known(key, schema, "replace()")].convert(value, "replace()")
                   for key, value in changes.items()}
        return Config({**self._values, **checked})

    def as_dict(self) -> dict[str, Any]:
        """Return the options as a new dictionary."""
        return dict(self._values)

    def save(self, path: str | Path) -> None:
        """Write the options as a YAML file; ``--config_path`` reads it back to the same Config."""
        text = yaml.safe_dump(self._values, sort_keys=False, default_flow_style=None, width=110)
        write_atomically(path, text.encode())


def _known(key: Any, schema: dict[str, Option], source: object) -> str:
    if key not in schema:
        raise UNetError(f"{source}: unknown option {reprlib.repr(key)}{nearest(str(key), list(schema))}")
    return key


@lru_cache(maxsize=1)
def load_schema() -> dict[str, Option]:
    """Return name -> Option, in the order of default_config.yaml."""
    entries = _load_documents(DEFAULT_CONFIG)[0]
    for entry in entries.values():
        if isinstance(entry.get("choices"), str):
            entry["choices"] = sorted(path.stem for path in PROJECT_ROOT.glob(entry["choices"]))
    return {name: Option(name, entry) for name, entry in entries.items()}


def options_that_stay(*kinds: str) -> list[str]:
    """Return the names of the options whose ``resume`` is one of ``kinds``: same, folds, free."""
    return [name for name, option in load_schema().items() if option.resume in kinds]


def _load_documents(path: Path) -> list[dict]:
    try:
        if path.stat().st_size > MAX_YAML_BYTES:
            raise UNetError(f"{path}: {path.stat().st_size} bytes; a configuration file has at most {MAX_YAML_BYTES}")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UNetError(f"no such configuration file: {path}; give a YAML file with --config_path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UNetError(f"{path}: cannot be read as a YAML file: {error}") from None
    # The time of the YAML reader grows with the square of the depth.
    if text.count("[") + text.count("{") > MAX_YAML_BRACKETS:
        raise UNetError(f"{path}: more than {MAX_YAML_BRACKETS} opening brackets; expected 'key: value' lines")
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UNetError(f"{path}: not valid YAML: {reason}") from None
    if len(documents) > 3:
        raise UNetError(f"{path}: {len(documents)} YAML documents; expected values, then help, then choices")
    for document in documents:
        if not isinstance(document, dict):
            raise UNetError(f"{path}: expected 'key: value' lines, found {reprlib.repr(document)}")
    return documents or [{}]


def find_yaml(path: Path) -> Path:
    """Return ``path`` if the file exists, else the project's own YAML file of that name if there is one.

    The model zoo's users name its files without a folder, or with the folder of another checkout. The latter is a
    guess, and gets a warning.
    """
    if path.exists():
        return path
    found = next((file for file in (CONFIGS / path.name, PROJECT_ROOT / path.name) if file.is_file()), path)
    if found != path and path.parent != Path():
        logger.warning("WARNING: no such file: %s; using %s", path, found)
    return found


def read_yaml(path: Path, schema: dict[str, Option], seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Return the checked values of a YAML file and of the files that it names as ``base_config``.

    Args:
        path (Path): the file.
        schema (dict): name -> Option.
        seen (tuple): files that led to this one, to notice a circle.

    Raises:
        UNetError: a file that cannot be read, an unknown option, or a wrong value.
    """
    path = path.resolve()
    if path == DEFAULT_CONFIG:
        return {}
    if path in seen:
        raise UNetError(f"{path}: base_config leads back to this file")
    documents = _load_documents(path)
    given = dict(documents[0])
    base = given.pop("base_config", None)
    values = {}
    if base is not None:
        if not isinstance(base, str) or "\0" in base:
            raise UNetError(f"{path}: base_config: expected the name of a YAML file, found {reprlib.repr(base)}")
        places = [folder / base for folder in (path.parent, PROJECT_ROOT, CONFIGS)]
        values = read_yaml(next((file for file in places if file.exists()), places[0]), schema, seen + (path,))
    for key, value in given.items():
        values[key] = schema[_known(key, schema, path)].convert(value, path)
    _check_own_choices(path, values, documents[2] if len(documents) > 2 else {})
    return values


def _check_own_choices(path: Path, values: dict[str, Any], choices: dict) -> None:
    """Check the values against the third document of a file in the model zoo's form."""
    for key, allowed in choices.items():
        if isinstance(allowed, list) and key in values and not _is_allowed(values[key], allowed):
            raise UNetError(f"{path}: {key}: {reprlib.repr(values[key])} is not one of the file's own choices "
                            f"{reprlib.repr(allowed)}")


def _is_allowed(value: Any, allowed: list) -> bool:
    """Return whether a value, or each item of a list, is one of the choices."""
    return value in allowed or isinstance(value, list) and all(item in allowed for item in value)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UNetError(f"command line: {message}; --help lists all options")


def _build_parser(schema: dict[str, Option], description: str) -> _Parser:
    parser = _Parser(description=description, allow_abbrev=False, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--config_path", metavar="FILE", default=str(DEFAULT_CONFIG),
                        help="YAML file of the experiment")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    for option in schema.values():
        notes = [f"default: {option.default}"]
        if option.choices:
            notes.append(f"choices: {', '.join(map(str, option.choices))}")
        aliases = [f"--{alias}" for alias, name in ALIASES.items() if name == option.name]
        flag: dict[str, Any] = {"nargs": "?", "const": "True"} if option.type == "bool" else {}
        parser.add_argument(f"--{option.name}", *aliases, dest=option.name, default=argparse.SUPPRESS,
                            metavar=option.type.upper(), **flag,
                            help=f"{option.help}\n({'; '.join(notes)})".replace("%", "%%"))
    return parser


def parse_options(argv: list[str], description: str) -> Config:
    """Read the command line and the YAML file that it names.

    Args:
        argv (list[str]): arguments without the program's name.
        description (str): first line of ``--help``.

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
        names = ["--config_path", *(f"--{key}" for key in [*schema, *ALIASES])]
        raise UNetError(f"command line: unknown option {name}{nearest(name, names)}")
    given = vars(known)
    config_path = find_yaml(Path(given.pop("config_path")))
    values = {name: option.default for name, option in schema.items()}
    from_file = read_yaml(config_path, schema)
    values.update(from_file)
    from_line = {key: schema[key].convert(text, "command line") for key, text in given.items()}
    values.update(from_line)
    for source in (from_line, from_file):
        # Older releases call data_path data_url. With ModelArts they are two options.
        if source.get("data_url") and "data_path" not in from_line and not values["enable_modelarts"]:
            values["data_path"] = source["data_url"]
            break
    return Config(values)
