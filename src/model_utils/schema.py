"""The schema of the options, and YAML files that are checked by it.

``default_config.yaml`` is the schema: each key with its default, help, choices and bounds. The YAML file of an
experiment lists only what it changes. The model zoo's files (two or three documents: values, help, choices) work
unchanged.
"""
import logging
import reprlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from src.model_utils.errors import UNetError
from src.model_utils.inputs import read_input
from src.model_utils.options import Option, nearest_options
from src.model_utils.yaml_text import load_all

PROJECT_ROOT = Path(__file__).resolve().parents[2]
CONFIGS = PROJECT_ROOT / "configs"
DEFAULT_CONFIG = CONFIGS / "default_config.yaml"

MAX_YAML_BYTES = 10**6

logger = logging.getLogger("unet")


def known_key(key: Any, schema: dict[str, Option], source: object) -> str:
    """Return ``key``, or raise UNetError if it is no option; ``source`` says where it was given."""
    if key not in schema:
        helps = {name: option.help for name, option in schema.items()}
        raise UNetError(f"{source}: unknown option {reprlib.repr(key)}{nearest_options(str(key), helps)}")
    return key


@lru_cache(maxsize=1)
def load_schema() -> dict[str, Option]:
    """Return name -> Option, in the order of default_config.yaml."""
    entries = load_documents(DEFAULT_CONFIG)[0]
    for entry in entries.values():
        if isinstance(entry.get("choices"), str):
            entry["choices"] = sorted(path.stem for path in PROJECT_ROOT.glob(entry["choices"]))
    return {name: Option(name, entry) for name, entry in entries.items()}


def defaults() -> dict[str, Any]:
    """Return name -> default value of all options."""
    return {name: option.default for name, option in load_schema().items()}


def options_that_stay(*kinds: str) -> list[str]:
    """Return the names of the options whose ``resume`` is one of ``kinds``: same, folds, free."""
    return [name for name, option in load_schema().items() if option.resume in kinds]


def options_of_the_start() -> list[str]:
    """Return the names of the options that say how or where a run is started, and not what it does."""
    return [name for name, option in load_schema().items() if option.start]


def load_documents(path: Path) -> list[dict]:
    """Read the documents of a YAML file, at least one and at most three.

    Raises:
        UNetError: the file cannot be read, or is no YAML file of "key: value" lines.
    """
    try:
        text = read_input(path, MAX_YAML_BYTES).decode()
    except FileNotFoundError:
        raise UNetError(f"no such configuration file: {path}; give a YAML file with --config_path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UNetError(f"{path}: cannot be read as a YAML file: {error}") from None
    try:
        documents = [document for document in load_all(text) if document is not None]
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
    documents = load_documents(path)
    given = dict(documents[0])
    base = given.pop("base_config", None)
    values = {}
    if base is not None:
        if not isinstance(base, str) or "\0" in base:
            raise UNetError(f"{path}: base_config: expected the name of a YAML file, found {reprlib.repr(base)}")
        places = [folder / base for folder in (path.parent, PROJECT_ROOT, CONFIGS)]
        values = read_yaml(next((file for file in places if file.exists()), places[0]), schema, seen + (path,))
    for key, value in given.items():
        values[key] = schema[known_key(key, schema, path)].convert(value, path)
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
