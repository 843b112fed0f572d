"""What the files of a run hold, to compare it with another run."""
import json
import re

from google.protobuf.message import DecodeError


def is_part(found, whole):
    """A file is what the undisturbed run writes; a list of rows may lack the last ones."""
    return found == (whole[:len(found)] if isinstance(found, list) else whole)


def assert_same(found, expected):
    """Two ``contents`` are the same; the error names the files that differ."""
    names = {name for name in {*found, *expected} if (name in found, found.get(name)) != (
        name in expected, expected.get(name))}
    assert not names, f"different: {sorted(names)}"


def files(folder):
    """Name -> bytes of all files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def contents(folder):
    """Name -> what is the same in each run, of all files below a folder. An AssertionError if one cannot be read."""
    names = {name: re.sub(r"(events\.out\.tfevents).*", r"\1", name) for name in files(folder)}
    try:
        return {short: content(folder / name) for name, short in names.items()}
    except (OSError, ValueError, LookupError, DecodeError) as error:
        raise AssertionError(f"a file cannot be read: {error}") from error


def content(path):
    """What a file holds, except times and the name of the run."""
    if path.suffix == ".ckpt":
        import mindspore as ms

        return {name: value.asnumpy().tobytes() for name, value in ms.load_checkpoint(str(path)).items()
                if not isinstance(value, str)}
    if path.suffix == ".mindir":        # MindSpore names its nodes anew in each process
        from mindspore.train.mind_ir_pb2 import ModelProto

        graph = ModelProto.FromString(path.read_bytes()).graph
        return [value.SerializeToString() for value in graph.parameter], [node.op_type for node in graph.node]
    if path.name in ("run.json", "report.html", "progress.png", "folds.md") or "tfevents" in path.name:
        return path.stat().st_size > 0
    if path.suffix == ".json":
        return re.sub(r'"(minutes|mean|standard_deviation)": [^,}]*', "", path.read_text()) if (
            path.name == "folds.json") else json.loads(path.read_text())
    if path.name == "history.csv":
        times = [path.read_text().split("\n")[0].split(",").index(name) for name in ("seconds", "images_per_second",
                                                                                   "waiting")]
        return [[cell for place, cell in enumerate(line.split(",")) if place not in times]
                for line in path.read_text().splitlines()]
    return path.read_bytes()
