"""Keep the list of the results of C++ inference, so that no file of somebody else is removed; used by run_infer_cpp.sh.

Usage: python scripts/lib/cpp_results.py begin INPUTS RESULTS NEED_PREPROCESS    before the program runs: remove the
                                                                                results of the earlier call
       python scripts/lib/cpp_results.py end INPUTS RESULTS NEED_PREPROCESS      afterwards: list those of this call
"""
import os
import re
import stat
import sys
from pathlib import Path

WRITTEN = ".run_infer_cpp.json"     # in the folder of results
PROGRAM = "run_infer_cpp.sh"


class Names:
    """The names of the results that the program writes for a folder of inputs.

    Args:
        inputs (Path): the folder.
        with_images (bool): the program takes pictures, too.

    Attributes:
        single (set): NAME_0.bin of each input.
        stacks (set): NAME of each TIFF file; its results are NAME_PAGE_0.bin if it has several pages.
    """

    def __init__(self, inputs, with_images):
        endings = (".bin", ".png", ".tif", ".tiff") if with_images else (".bin",)
        found = [path for path in (inputs.iterdir() if inputs.is_dir() else ())
                 if path.suffix.lower() in endings and not path.name.startswith(".") and path.is_file()]
        self.single = {f"{path.stem}_0.bin" for path in found}
        self.stacks = {path.stem for path in found if path.suffix.lower() in (".tif", ".tiff")}

    def __contains__(self, name):
        page = re.fullmatch(r"(.+)_[0-9]+_0\.bin", name, re.DOTALL)
        return name in self.single or page is not None and page[1] in self.stacks


def begin(results, names):
    """Remove the results of the earlier call, which must not be scored, and list those that come.

    The pages of TIFF files are not counted here: their results are listed by ``end``.

    Raises:
        UNetError: there are other files with the names of results, or the folder cannot be written.
    """
    from src.export.written_files import read_list, remove_files, write_list
    from src.model_utils.errors import UNetError, first_few
    from src.model_utils.files import make_folder, writing

    with writing(results):
        make_folder(results)
        found = os.listdir(results)
    listed = read_list(results / WRITTEN, PROGRAM)
    if taken := sorted(name for name in found if name in names and name not in listed):
        raise UNetError(f"{results} holds {len(taken)} files with the names of results that {PROGRAM} did not write "
                        f"({first_few(taken)}); remove them, or give another folder with RST_PATH")
    remove_files(results / name for name in [*listed, *filter(lambda name: _is_leftover(results / name), found)])
    write_list(results / WRITTEN, names.single)


def _is_leftover(path):
    """Tell whether this is a file that the program was writing when it was killed."""
    if not re.fullmatch(r"\..*\.unet-[0-9a-f]{16}\.bin", path.name, re.DOTALL):
        return False
    status = path.lstat()
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid()


def end(results, names):
    """List the results that are there. All of them are new, as ``begin`` has left no file with such a name."""
    from src.export.written_files import read_list, write_list

    listed = read_list(results / WRITTEN, PROGRAM)
    write_list(results / WRITTEN, [name for name in os.listdir(results) if name in names or name in listed])


def main():
    """Return the exit status; 2 for wrong usage and bad input."""
    from src.model_utils.script import guarded

    match sys.argv[1:]:
        case ["begin" | "end" as action, inputs, results, need_preprocess]:
            return guarded(lambda: (begin if action == "begin" else end)(
                Path(results), Names(Path(inputs), need_preprocess == "y")))
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.exit(main())
