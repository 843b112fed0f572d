"""One option of the schema: how a given value is read and checked."""
import difflib
import math
import os
import re
import reprlib
from collections.abc import Callable, Iterable
from typing import Any

import yaml

from src.model_utils.errors import UNetError
from src.model_utils.yaml_text import load

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
_NONE = {"none", "null", "~", ""}
_NO_PATH = {"", "auto"}     # values of path options that name no file

NATIVE = "native"           # image_size: images keep their own sizes


class Option:
    """One entry of the schema.

    Args:
        name (str): name of the option.
        entry (dict): default and help; choices, min, max, above (like min, but not included), length of a list,
            row_length of a list of lists, type, resume and start where they are given. default_config.yaml explains
            them.
    """

    def __init__(self, name: str, entry: dict[str, Any]) -> None:
        self.name = name
        self.default = entry["default"]
        self.help = entry["help"]
        self.choices = entry.get("choices")
        self.resume, self.start = entry.get("resume", "free"), entry.get("start", False)
        self.type = entry.get("type") or _type_of(self.default)
        self.min, self.max, self.above = entry.get("min"), entry.get("max"), entry.get("above")
        self.length, self.row_length = entry.get("length"), entry.get("row_length")

    def convert(self, value: Any, source: object) -> Any:
        """Return ``value`` (text, or what YAML made of it) in the option's type.

        Raises:
            UNetError: wrong type, or outside the choices or bounds. ``source`` says where the value was given.
        """
        if self.default is None and (value is None or isinstance(value, str) and value.strip().lower() in _NONE):
            return None
        try:
            converted = _CONVERTERS[self.type](value)
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise UNetError(f"{source}: {self.name}: expected {TYPE_NAMES[self.type]}, "
                            f"found {reprlib.repr(value)}") from None
        if self.choices is not None:
            converted = ([self._choose(item, self.choices, source) for item in converted]
                         if isinstance(converted, list) else self._choose(converted, self.choices, source))
        self._check_bounds(converted, source)
        return converted

    def path_from(self, folder: str, value: Any) -> Any:
        """Return the value of a path option as seen from ``folder``: a relative path joined to it. Others are kept."""
        return os.path.join(folder, value) if self.type == "path" and value not in _NO_PATH else value

    def _choose(self, value: Any, choices: list, source: object) -> Any:
        for choice in choices:
            if str(choice).lower() == str(value).lower():
                return choice
        names = [str(choice) for choice in choices]
        raise UNetError(f"{source}: {self.name}: {reprlib.repr(value)} is not one of {', '.join(names)}"
                        + nearest(str(value), names))

    def _check_bounds(self, value: Any, source: object) -> None:
        if isinstance(value, str):
            return
        if self.type == "int_table":
            for row in value:
                self._check_bounds_of(row, self.row_length, source)
        else:
            is_list = isinstance(value, list)
            self._check_bounds_of(value if is_list else [value], self.length if is_list else None, source)

    def _check_bounds_of(self, values: list, length: int | None, source: object) -> None:
        if length is not None and len(values) != length:
            raise UNetError(f"{source}: {self.name}: expected {length} values, found {len(values)}")
        for number in values:
            for bound, ok, words in ((self.min, lambda x, b: x >= b, "at least"),
                                     (self.max, lambda x, b: x <= b, "at most"),
                                     (self.above, lambda x, b: x > b, "more than")):
                # "not ok" instead of the opposite comparison, so that NaN is refused too.
                if bound is not None and not ok(number, bound):
                    raise UNetError(f"{source}: {self.name}: must be {words} {bound}, found {number}")


def _to_bool(value: Any) -> bool:
    if not isinstance(value, (bool, int, str)):
        raise ValueError
    text = str(value).strip().lower()
    if text in _TRUE | _FALSE:
        return text in _TRUE
    raise ValueError


def _to_int(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and value != int(value)):
        raise ValueError
    return int(value)


def _to_float(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(number := float(value)):
        raise ValueError
    return number


def _to_str(value: Any) -> str:
    if value is None or isinstance(value, (list, dict)):
        raise ValueError
    if isinstance(value, bool):     # YAML reads on and off without quotes as booleans
        return "on" if value else "off"
    return str(value)


def _list_of(convert: Callable[[Any], Any]) -> Callable[[Any], list]:
    def to_list(value: Any) -> list:
        if isinstance(value, str):
            text = value.strip()
            value = _load_text(text if text.startswith("[") else f"[{text}]")
        if not isinstance(value, list):
            raise ValueError
        return [convert(item) for item in value]
    return to_list


def _to_size_or_native(value: Any) -> str | list[int]:
    if isinstance(value, str) and value.strip().lower() == NATIVE:
        return NATIVE
    size = _list_of(_to_int)(value)
    if len(size) != 2:
        raise ValueError
    return size


def _to_side_or_size(value: Any) -> int | list[int]:
    try:
        return _to_int(value)
    except (TypeError, ValueError):
        return _list_of(_to_int)(value)


def to_class_values(value: Any) -> list[Any] | dict[str, Any]:
    """Check a value of class_values: entries in a list, or in a dictionary under the names of the classes.

    An entry is a whole number, a text (a colour, a name), or a list of these.

    Raises:
        ValueError, TypeError: it has another form.
    """
    if isinstance(value, str):
        # A shell removes quotes, and YAML takes #ff0000 without quotes for a comment.
        text = re.sub(r"(?<![\w\"'])#(\w+)", r'"#\1"', value.strip())
        value = _load_text(text if text.startswith(("[", "{")) else f"[{text}]")
    if isinstance(value, dict):
        return {_to_str(name): _class_value(entry) for name, entry in value.items()}
    return [_class_value(entry) for entry in _list_of(lambda entry: entry)(value)]


def _class_value(entry: Any) -> Any:
    if isinstance(entry, list):
        return [_number_or_text(value) for value in entry]
    return _number_or_text(entry)


def _number_or_text(value: Any) -> int | str:
    return _to_str(value) if isinstance(value, str) else _to_int(value)


def _to_mask_value(value: Any) -> int | str:
    try:
        return _to_int(value)
    except ValueError:
        if not re.fullmatch(r"#([0-9a-f]{3}){1,2}", str(value).strip().lower()):
            raise
        return str(value).strip().lower()


def _load_text(text: str) -> Any:
    try:
        return load(text)
    except yaml.YAMLError:
        raise ValueError from None


_CONVERTERS = {
    "bool": _to_bool, "int": _to_int, "float": _to_float, "str": _to_str, "path": _to_str,
    "int_list": _list_of(_to_int), "float_list": _list_of(_to_float), "str_list": _list_of(_to_str),
    "int_table": _list_of(_list_of(_to_int)), "class_values": to_class_values, "mask_value": _to_mask_value,
    "size_or_native": _to_size_or_native, "side_or_size": _to_side_or_size,
}
TYPE_NAMES = {
    "bool": "True or False", "int": "a whole number", "float": "a number", "str": "a text",
    "path": "a path",
    "int_list": "a list of whole numbers such as [256, 256]", "float_list": "a list of numbers",
    "str_list": "a list of names", "int_table": "a list of lists of whole numbers",
    "class_values": 'numbers or colours, one entry a class, such as [0, 255] or {background: 0, cell: "#ff0000"}',
    "mask_value": 'a whole number, or a colour such as "#ff0000"',
    "size_or_native": f"two whole numbers such as [256, 256], or {NATIVE}", "side_or_size": "a whole number, or two",
}


def _type_of(default: Any) -> str:
    if isinstance(default, list):
        return "int_table" if isinstance(default[0], list) else f"{type(default[0]).__name__}_list"
    return type(default).__name__


MOST_LETTERS = 60       # of a name that is compared with others; whoever writes more means none of them


def nearest(name: str, names: Iterable[str]) -> str:
    """Return "; did you mean X?" with the one of ``names`` that is most like ``name``, or an empty text."""
    match = _closest(name, names, 0.5) if len(name) <= MOST_LETTERS else None
    return f"; did you mean {match}?" if match else ""


def _closest(name: str, names: Iterable[str], cutoff: float) -> str | None:
    names = list(names)
    match = difflib.get_close_matches(name.lower(), [known.lower() for known in names], n=1, cutoff=cutoff)
    return next(known for known in names if known.lower() == match[0]) if match else None


def nearest_options(name: str, helps: dict[str, str], prefix: str = "") -> str:
    """Return "; did you mean X, Y or Z?" for an unknown option, or an empty text.

    An option is meant if its name is nearly the same; else if its name and help hold all words of ``name``.

    Args:
        name (str): the unknown option.
        helps (dict): name of an option -> its help.
        prefix (str): what goes before the options in the text.
    """
    if len(name) > MOST_LETTERS:
        return ""
    match = _closest(name, helps, 0.8)
    words = [re.escape(word) for word in re.split(r"[\W_]+", name.lower()) if word]
    # The more in the name, and the earlier in the help, the better.
    places = {option: [re.search(rf"(?<![a-z]){word}", f"{option} {text}".lower().replace("_", " ")) for word in words]
              for option, text in helps.items()}
    found = sorted((max(place.start() for place in where if place), len(helps[option]), option)
                   for option, where in places.items() if where and all(where))
    options = [match] if match else [option for _, _, option in found[:3]]
    options = options or [close for close in [_closest(name, helps, 0.6)] if close]
    if not options:
        return ""
    *others, last = [prefix + option for option in options]
    return f"; did you mean {', '.join(others) + ' or ' if others else ''}{last}?"
