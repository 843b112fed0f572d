"""One option of the schema: how a given value is read and checked."""
import difflib
import math
import reprlib
from collections.abc import Callable, Iterable
from typing import Any

import yaml

from src.model_utils.errors import UNetError

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
_NONE = {"none", "null", "~", ""}


class Option:
    """One entry of the schema.

    Args:
        name (str): name of the option.
        entry (dict): default and help; choices, min, max, above (like min, but not included), length of a list,
            row_length of a list of lists, type and resume where they are given. default_config.yaml explains them.
    """

    def __init__(self, name: str, entry: dict[str, Any]) -> None:
        self.name = name
        self.default = entry["default"]
        self.help = entry["help"]
        self.choices = entry.get("choices")
        self.resume = entry.get("resume", "free")
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

    def _choose(self, value: Any, choices: list, source: object) -> Any:
        for choice in choices:
            if str(choice).lower() == str(value).lower():
                return choice
        names = [str(choice) for choice in choices]
        raise UNetError(f"{source}: {self.name}: {reprlib.repr(value)} is not one of {', '.join(names)}"
                        + nearest(str(value), names))

    def _check_bounds(self, value: Any, source: object) -> None:
        if self.type == "int_table":
            for row in value:
                self._check_bounds_of(row, self.row_length, source)
        else:
            self._check_bounds_of(value if isinstance(value, list) else [value], self.length, source)

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


def _load_text(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ValueError from None


_CONVERTERS = {
    "bool": _to_bool, "int": _to_int, "float": _to_float, "str": _to_str,
    "int_list": _list_of(_to_int), "float_list": _list_of(_to_float), "str_list": _list_of(_to_str),
    "int_table": _list_of(_list_of(_to_int)),
}
TYPE_NAMES = {
    "bool": "True or False", "int": "a whole number", "float": "a number", "str": "a text",
    "int_list": "a list of whole numbers such as [256, 256]", "float_list": "a list of numbers",
    "str_list": "a list of names", "int_table": "a list of lists of whole numbers",
}


def _type_of(default: Any) -> str:
    if isinstance(default, list):
        return "int_table" if isinstance(default[0], list) else f"{type(default[0]).__name__}_list"
    return type(default).__name__


def nearest(name: str, names: Iterable[str]) -> str:
    """Return "; did you mean X?" with the one of ``names`` that is most like ``name``, or an empty text."""
    names = list(names)
    match = difflib.get_close_matches(name.lower(), [known.lower() for known in names], n=1, cutoff=0.5)
    return f"; did you mean {next(known for known in names if known.lower() == match[0])}?" if match else ""
