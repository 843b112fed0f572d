"""One option of the schema: how a value that is given for it is read and checked."""
import difflib
import math
import reprlib

import yaml

from src.model_utils.errors import UNetError

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
_NONE = {"none", "null", "~", ""}


class Option:
    """One entry of the schema: how a value given for it is read and checked."""

    def __init__(self, name, entry):
        self.name = name
        self.default = entry["default"]
        self.help = entry["help"]
        self.choices = entry.get("choices")
        self.resume_same = entry.get("resume") == "same"
        self.type = entry.get("type") or _type_of(self.default)
        self.min, self.max, self.above = entry.get("min"), entry.get("max"), entry.get("above")
        self.length, self.row_length = entry.get("length"), entry.get("row_length")

    def convert(self, value, source):
        """Return ``value`` (text, or what YAML made of it) in the option's type.

        Raises:
            UNetError: wrong type, outside the choices or the bounds; ``source`` says where it was given.
        """
        if self.default is None and (value is None or isinstance(value, str) and value.strip().lower() in _NONE):
            return None
        try:
            converted = _CONVERTERS[self.type](value)
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise UNetError(f"{source}: {self.name}: expected {_TYPE_NAMES[self.type]}, "
                            f"found {reprlib.repr(value)}") from None
        if self.choices is not None:
            converted = ([self._choose(item, source) for item in converted] if isinstance(converted, list)
                         else self._choose(converted, source))
        self._check_bounds(converted, source)
        return converted

    def _choose(self, value, source):
        for choice in self.choices:
            if str(choice).lower() == str(value).lower():
                return choice
        names = [str(choice) for choice in self.choices]
        raise UNetError(f"{source}: {self.name}: {reprlib.repr(value)} is not one of {', '.join(names)}"
                        + nearest(str(value), names))

    def _check_bounds(self, value, source):
        if self.type == "int_table":
            for row in value:
                self._check_bounds_of(row, self.row_length, source)
        else:
            self._check_bounds_of(value if isinstance(value, list) else [value], self.length, source)

    def _check_bounds_of(self, values, length, source):
        if length is not None and len(values) != length:
            raise UNetError(f"{source}: {self.name}: expected {length} values, found {len(values)}")
        for number in values:
            for bound, ok, words in ((self.min, lambda x, b: x >= b, "at least"),
                                     (self.max, lambda x, b: x <= b, "at most"),
                                     (self.above, lambda x, b: x > b, "more than")):
                # "not ok" rather than its opposite, so that NaN is refused too.
                if bound is not None and not ok(number, bound):
                    raise UNetError(f"{source}: {self.name}: must be {words} {bound}, found {number}")


def _to_bool(value):
    if not isinstance(value, (bool, int, str)):
        raise ValueError
    text = str(value).strip().lower()
    if text in _TRUE | _FALSE:
        return text in _TRUE
    raise ValueError


def _to_int(value):
    if isinstance(value, bool) or (isinstance(value, float) and value != int(value)):
        raise ValueError
    return int(value)


def _to_float(value):
    if isinstance(value, bool) or not math.isfinite(number := float(value)):
        raise ValueError
    return number


def _to_str(value):
    if value is None or isinstance(value, (list, dict)):
        raise ValueError
    if isinstance(value, bool):     # YAML's reading of a bare on or off
        return "on" if value else "off"
    return str(value)


def _list_of(convert):
    def to_list(value):
        if isinstance(value, str):
            text = value.strip()
            value = _load_text(text if text.startswith("[") else f"[{text}]")
        if not isinstance(value, list):
            raise ValueError
        return [convert(item) for item in value]
    return to_list


def _load_text(text):
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ValueError from None


_CONVERTERS = {
    "bool": _to_bool, "int": _to_int, "float": _to_float, "str": _to_str,
    "int_list": _list_of(_to_int), "float_list": _list_of(_to_float), "str_list": _list_of(_to_str),
    "int_table": _list_of(_list_of(_to_int)),
}
_TYPE_NAMES = {
    "bool": "True or False", "int": "a whole number", "float": "a number", "str": "a text",
    "int_list": "a list of whole numbers such as [256, 256]", "float_list": "a list of numbers",
    "str_list": "a list of names", "int_table": "a list of lists of whole numbers",
}


def _type_of(default):
    if isinstance(default, list):
        return "int_table" if isinstance(default[0], list) else f"{type(default[0]).__name__}_list"
    return type(default).__name__


def nearest(name, names):
    """"; did you mean X?" for the one of ``names`` that is most like ``name``, or nothing."""
    match = difflib.get_close_matches(name.lower(), [known.lower() for known in names], n=1, cutoff=0.5)
    return f"; did you mean {next(known for known in names if known.lower() == match[0])}?" if match else ""
