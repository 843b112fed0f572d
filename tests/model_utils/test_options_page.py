"""docs/reference/options.md against the schema."""
from src.model_utils.options_page import PAGE, page, sections
from src.model_utils.schema import DEFAULT_CONFIG, load_schema


def test_the_committed_page_is_what_the_command_writes():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m src.model_utils.options_page"


def test_every_option_has_a_section():
    found = sections(DEFAULT_CONFIG.read_text(encoding="utf-8"))
    assert [name for names in found.values() for name in names] == list(load_schema())
    assert "Training" in found and all(found.values())


def test_sections():
    assert sections("# a note\n\n# ---- One, two ---\na: 1\nb: {help: x}\n# ---- Three -\nc: 2\n") == {
        "One, two": ["a", "b"], "Three": ["c"]}
