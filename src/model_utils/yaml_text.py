"""YAML as configurations need it: no merges, which can grow without bound, no numbers to the base 60, bounded lists."""
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

# PyYAML takes 0.1 ms for a value, and with the depth of lists in lists more.
MOST_VALUES, MOST_DEPTH = 20_000, 20


class _Loader(yaml.SafeLoader):
    """Reads 1:30 as a text, not as 90, and refuses ``<<``."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._values = self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._values += 1
        self._depth += 1
        line = self.peek_event().start_mark.line + 1
        if self.check_event(yaml.AliasEvent) and isinstance(self.anchors.get(self.peek_event().anchor),
                                                            yaml.SequenceNode):
            # Lists of lists of lists would grow without bound.
            raise yaml.YAMLError(f"line {line}: *{self.peek_event().anchor} stands for a list; write it out")
        if self._values > MOST_VALUES:
            raise yaml.YAMLError(f"line {line}: more than {MOST_VALUES} values; at most so many are read")
        if self._depth > MOST_DEPTH:
            raise yaml.YAMLError(f"line {line}: more than {MOST_DEPTH} lists in one another; at most so many are read")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, "<< is not read; write the values out, or name a "
                                                                    "file as base_config", key.start_mark)


_NUMBERS = {"tag:yaml.org,2002:int": r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)",
            "tag:yaml.org,2002:float": r"[-+]?([0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?|\.[0-9][0-9_]*([eE][-+][0-9]+)?"
                                       r"|\.(inf|Inf|INF))|\.(nan|NaN|NAN)"}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, re.compile(f"(?:{_NUMBERS[tag]})$") if tag in _NUMBERS else pattern) for tag, pattern in resolvers]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}


def load_all(text: str) -> list[Any]:
    """Return the documents of a text. Raises yaml.YAMLError, RecursionError or ValueError."""
    with _yaml_errors():
        return list(yaml.load_all(text, _Loader))       # a SafeLoader


def load(text: str) -> Any:
    """Return the one document of a text. Raises as ``load_all``."""
    with _yaml_errors():
        return yaml.load(text, _Loader)


@contextmanager
def _yaml_errors() -> Iterator[None]:
    """Turn what PyYAML's own code stumbles over, a tag before a value of another type, into a yaml.YAMLError."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError) as error:
        raise yaml.YAMLError(f"a value that is not of the type of its tag ({type(error).__name__})") from None
