"""Write docs/reference/options.md from the schema: ``python -m src.model_utils.options_page``."""
import re

from src.model_utils.config import ALIASES
from src.model_utils.files import write_atomically
from src.model_utils.options import TYPE_NAMES, Option
from src.model_utils.schema import DEFAULT_CONFIG, PROJECT_ROOT, load_schema

# In a help text: names with an underscore, paths and file names.
CODE = re.compile(r"(?<![\w/])([\w/.+-]*(?:_|/|\.[a-z])[\w/.+-]*[\w/])")
PAGE = PROJECT_ROOT / "docs" / "reference" / "options.md"
HEAD = f"""# Options

<!-- Made from configs/default_config.yaml by: python -m src.model_utils.options_page -->

This page is generated from `configs/default_config.yaml`. To change it, edit that file, then run
`python -m src.model_utils.options_page`.

A script takes its options from `configs/default_config.yaml`, then from the YAML file of `--config_path`, then from the
command line: `--lr=0.001`, `--image_size=[256,256]`, `--run_eval=True`.
[How options work](../guides/training.md#how-options-work).

An option with a star (\\*) changes what is trained. If a resumed run has another value of it, a warning says so.

Other names: `-d` is `--data_path`; {"; ".join(f"`--{alias}` is `--{name}`" for alias, name in ALIASES.items())}.
"""


def sections(text: str) -> dict[str, list[str]]:
    """Return heading -> names of its options, from the text of default_config.yaml and its ``# ---- Heading ----``."""
    found: dict[str, list[str]] = {}
    for heading, name in re.findall(r"^(?:# -+ (.+?) -+|(\w+):.*)$", text, re.MULTILINE):
        if heading:
            found[heading] = []
        else:
            found[list(found)[-1]].append(name)
    return found


def page() -> str:
    """Return the text of the page."""
    schema = load_schema()
    parts = [HEAD]
    for heading, options in sections(DEFAULT_CONFIG.read_text(encoding="utf-8")).items():
        parts += [f"## {heading}\n", "| option | default | values | meaning |", "|---|---|---|---|"]
        for name in options:
            option = schema[name]
            meaning = CODE.sub(r"`\1`", option.help)
            star = " \\*" if option.resume == "same" else ""
            parts.append(f"| `{name}`{star} | {_default(option.default)} | {_values(option)} | {meaning} |")
        parts.append("")
    return "\n".join(parts)


def _default(value: object) -> str:
    return "empty" if value in ("", []) else f"`{value}`"


def _values(option: Option) -> str:
    """Describe what an option takes: its choices, or its type and bounds."""
    if option.choices:
        names = ", ".join(f"`{choice}`" for choice in option.choices)
        return f"one or more of {names}" if option.type.endswith("_list") else names
    bounds = [f"{words} {bound}" for words, bound in (("at least", option.min), ("more than", option.above),
                                                      ("at most", option.max)) if bound is not None]
    lengths = [f"{length} {what}" for length, what in ((option.length, "values"), (option.row_length, "values each"))
               if length is not None]
    type_name = TYPE_NAMES[option.type].removeprefix("a ").partition(" such as")[0]
    return ", ".join([type_name, *lengths, *bounds])


def main() -> None:
    """Write the page."""
    write_atomically(PAGE, page().encode())
    print(f"options: {PAGE}")


if __name__ == "__main__":
    main()
