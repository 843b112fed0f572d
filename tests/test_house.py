"""The house rules that can be read in the source: which room may import which, where MindSpore loads, thin scripts."""
import ast
import sys
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.support.scripts import PROJECT, run_code

# A room imports rooms of lower floors only, none of its own floor.
FLOORS = [["src"], ["model_utils"], ["data", "networks", "evaluation"], ["report", "cpu_ops", "tiling"], ["planning"],
          ["training"], ["export"], ["inference"]]
# The model zoo's names for what stands in the rooms; no room uses them.
SHIMS = ["data_loader", "loss", "eval_callback", "utils", "unet_medical", "unet_nested"]

# Rooms and modules that may load MindSpore when they are imported themselves.
MINDSPORE_ROOMS = ["networks", "cpu_ops", "training", "export"]
MINDSPORE_MODULES = ["src.data.pipeline", "src.data.datasets", "src.inference.assemble"]
# Those that may import it inside a function, since most of their users do without it.
MINDSPORE_IN_FUNCTIONS = ["src.model_utils.devices", "src.model_utils.memory", "src.model_utils.ranks",
                          "src.model_utils.runtime"]
# What never loads it, in rooms that do.
WITHOUT_MINDSPORE = ["src.networks.receptive_field", "src.networks.registry", "src.export.onnx_cache",
                     "src.export.onnx_model", "src.export.runtime_files", "src.training.cross_validation"]

# What the arithmetic on images may use.
IMAGE_PACKAGES = {"numpy", "cv2", "scipy", "skimage", "tifffile", "imagecodecs", "PIL"}
PACKAGES = {"src.evaluation": IMAGE_PACKAGES, "src.tiling": IMAGE_PACKAGES,
            "src.networks.receptive_field": set(), "src.data": IMAGE_PACKAGES}

SCRIPTS = sorted(path.name for path in PROJECT.glob("*.py"))
# These three have no room behind them: a score of two files, a launcher, and the entry point of MindSpore Hub.
LONG_SCRIPTS = {"isbi_score.py", "launch_8p.py", "mindspore_hub_conf.py"}


def name_of(path):
    """src/a/b.py -> src.a.b, src/a/__init__.py -> src.a."""
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = {name_of(path): path for path in sorted((PROJECT / "src").rglob("*.py"))}


def imports(path):
    """[(what is imported: the module of src or the package, whether this happens when the file is imported)]."""
    tree = ast.parse(path.read_text())
    in_functions = {id(node) for function in ast.walk(tree) if isinstance(function, ast.FunctionDef)
                    for node in ast.walk(function)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [node.module if node.module in PATHS and f"{node.module}.{alias.name}" not in PATHS
                     else f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found += [(name if name in PATHS else name.split(".")[0], id(node) not in in_functions) for name in names]
    return found


IMPORTS = {name: imports(path) for name, path in PATHS.items()}


def room(module):
    """src.a.b -> a, src -> src."""
    return module.split(".")[1] if "." in module else module


def test_a_room_imports_lower_rooms_only():
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    assert {room(module) for module in PATHS} == {*floor, *SHIMS}
    upward = [f"{module} imports {other}" for module, found in IMPORTS.items() for other, _ in found
              if other in PATHS and room(module) not in SHIMS and room(other) != room(module)
              and (room(other) in SHIMS or floor[room(other)] >= floor[room(module)])]
    assert upward == []


def test_no_module_of_src_imports_a_script_or_a_test():
    outside = {path.removesuffix(".py") for path in SCRIPTS} | {"tests", "benchmarks", "scripts"}
    assert [f"{module} imports {other}" for module, found in IMPORTS.items() for other, _ in found
            if other in outside] == []


def test_no_circle_of_modules():
    graph = {module: {other for other, _ in found if other in PATHS and other != module}
             for module, found in IMPORTS.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_mindspore_is_imported_only_where_it_is_needed():
    def allowed(module, at_import):
        if module in WITHOUT_MINDSPORE:
            return False
        return (room(module) in [*MINDSPORE_ROOMS, *SHIMS] or module in MINDSPORE_MODULES
                or not at_import and module in MINDSPORE_IN_FUNCTIONS)

    assert [module for module, found in IMPORTS.items() for other, at_import in found
            if other == "mindspore" and not allowed(module, at_import)] == []


@pytest.mark.slow
def test_what_does_without_mindspore_loads_without_it():
    """Whatever it imports: readers, evaluation, report and prediction, and every script up to its main()."""
    modules = [module for module in PATHS if room(module) in (
        "src", "model_utils", "data", "evaluation", "report", "tiling", "planning", "inference")
        or module in WITHOUT_MINDSPORE]
    modules = [module for module in modules if module not in MINDSPORE_MODULES]
    modules += [script.removesuffix(".py") for script in SCRIPTS]
    code = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n" \
           "    assert 'mindspore' not in sys.modules, name"
    run_code(code, *modules)


@pytest.mark.parametrize("start", PACKAGES)
def test_arithmetic_on_images_uses_few_packages(start):
    used = {other for module, found in IMPORTS.items() for other, _ in found
            if f"{module}.".startswith(f"{start}.") and module not in MINDSPORE_MODULES
            and not module.startswith("src.data.preparation")}
    assert {name for name in used if name not in sys.stdlib_module_names and name not in PATHS} <= PACKAGES[start]


def test_packages_with_switches_are_imported_in_one_place():
    """albumentations and ONNX Runtime, only after what switches off their calls to the internet."""
    places = [path for folder in ("src", "tests", "benchmarks", "scripts") for path in (PROJECT / folder).rglob("*.py")]
    found = {name_of(path) for path in [*places, *PROJECT.glob("*.py")]
             for other, _ in imports(path) if other in ("albumentations", "onnxruntime")}
    assert found == {"src.model_utils.packages"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_parse_and_call(name):
    """A script is short, and up to its main() it loads only what reads the options and watches for signals."""
    path = PROJECT / name
    assert name in LONG_SCRIPTS or len(path.read_text().splitlines()) <= 35
    early = {other for other, at_import in imports(path) if at_import}
    assert all(other in sys.stdlib_module_names or room(other) == "model_utils" for other in early), early
