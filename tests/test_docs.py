"""The pages of the documentation: their links lead somewhere, their commands are ones that the scripts take."""
import re
import shlex

import pytest

from src.model_utils.config import parse_options
from tests.support.scripts import PROJECT

PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md"), *PROJECT.glob("benchmarks/*.md")])

# Scripts that take the options of configs/default_config.yaml.
SCRIPTS = {"train.py", "eval.py", "predict.py", "export.py", "infer_unet_onnx.py", "preprocess.py", "postprocess.py",
           "preprocess_dataset.py", "train_folds.py", "draw_sample.py"}
# A configuration file that a run of the page has written, or that stands for the reader's own.
OWN_CONFIG = re.compile(r"--config_path=(?!unet_)\S+")

# What is no option of the schema, or the example of a page on how to add one.
NO_OPTIONS = {"--help", "--version", "--model_name=unet_small"}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())


def without_code(text):
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", without_code(page.read_text()), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.replace("`", "")).strip().lower()
        found.add("".join(letter for letter in text if letter.isalnum() or letter in " -_").replace(" ", "-"))
    return found


@each_page
def test_relative_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text())):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}: no such heading"


def commands(text):
    """The words of each command in a page's shell blocks and inline code."""
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += [line.replace("\n", " ") for line in re.findall(r"`((?:python|bash) [^`]+)`", without_code(text))]
    for line in lines:
        yield [word for word in shlex.split(line, comments=True) if "…" not in word and word != "..."]


@each_page
def test_commands_can_be_given(page):
    """Scripts exist, and the options of those that take the common ones parse."""
    for words in commands(page.read_text()):
        for word in words:
            if re.fullmatch(r"\w[\w/]*\.(py|sh)", word):
                assert (PROJECT / word).is_file(), f"{page.name}: {' '.join(words)}: no such script"
        names = [word.rsplit("/", 1)[-1] for word in words]
        at = next((place for place, name in enumerate(names) if name in SCRIPTS), None)
        if at is None:
            continue
        line = OWN_CONFIG.sub("", shlex.join([word for word in words[at + 1:] if word not in NO_OPTIONS]))
        given = shlex.split(line)
        if all(word.startswith("-") or given[place - 1].startswith("-") for place, word in enumerate(given)):
            parse_options(given, "")


def test_both_readmes_tell_the_same():
    """The same figures, commands and links to pages in README.md and README_CN.md, which have at most 250 lines."""
    english, chinese = ((PROJECT / name).read_text() for name in ("README.md", "README_CN.md"))
    assert max(len(text.splitlines()) for text in (english, chinese)) <= 250
    assert list(commands(english)) == list(commands(chinese))
    chinese = chinese.replace("migrating_CN.md", "migrating.md")       # the page that is there in Chinese too
    for pattern in (r"\]\((docs/[^)#\s]+)", r"\d+\.\d+"):
        assert sorted(set(re.findall(pattern, english))) == sorted(set(re.findall(pattern, chinese))), pattern
