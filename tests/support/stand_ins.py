"""Stand-ins for the programs that launchers start: they record how they were called."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.support.scripts import SCRIPT_ENVIRONMENT, SCRIPTS

# Of a stand-in: sh and Python alike, as a "#!" takes no interpreter with a space in its path.
FIRST_LINES = f"""#!/bin/sh
\'\'\'exec' "{sys.executable}" "$0" "$@"
' \'\'\'
"""

# Each stand-in adds a line of JSON to $RECORDS: its name, arguments, working folder and the variables that count.
RECORD = """
import json, os, signal, subprocess, sys, time
SHOWN = ("RANK_ID", "RANK_SIZE", "DEVICE_ID", "RANK_TABLE_FILE", "HCCL_CONNECT_TIMEOUT", "CUDA_VISIBLE_DEVICES",
         "MS_ROLE", "SERVER_ID")
name, argv = os.path.basename(sys.argv[0]), sys.argv[1:]
if name == "python" and not argv[0].endswith(("train.py", "eval.py", "predict.py", "infer_unet_onnx.py")):
    os.execv({python!r}, [{python!r}, *argv])       # rank.py and the launchers' own small programs
name = os.path.basename(argv.pop(0)) if name == "python" else name
with open(os.environ["RECORDS"], "a") as file:
    file.write(json.dumps({{"name": name, "argv": argv, "cwd": os.getcwd(),
                            **{{key: os.environ[key] for key in SHOWN if key in os.environ}}}}) + "\\n")
print(name, "says", argv, flush=True)
"""
SCRIPT = """
rank = os.environ.get("OMPI_COMM_WORLD_RANK") or os.environ.get("RANK_ID", "0")
if os.environ.get("MS_ROLE") == "MS_SCHED":
    sys.exit(0)
def stop(signum, frame):
    print("stopping after signal", signum, flush=True)
    sys.exit(128 + signum)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
do = json.loads(os.environ.get("DO", "{}")).get(rank, "end")
print("rank", rank, "does", do, flush=True)
if do == "die":
    os.kill(os.getpid(), signal.SIGKILL)
for number in (1, 2) if do == "progress" else ():
    print("predicted", number, "of 3 files", flush=True)
    print(number, "predicted", flush=True)
    time.sleep(1)
if do == "wait":
    time.sleep(600)
while do == "follow" and not (os.path.exists("../LOG1/log.log") and "has failed" in open("../LOG1/log.log").read()):
    time.sleep(0.1)
if do == "follow":
    sys.exit("error: rank 1 has failed, so rank 0 ends too; the log of that rank says why")
if do == "fail":
    print("error: this one has failed", flush=True)
    time.sleep(0.5)     # those that follow may be gone first
    sys.exit(3)
"""
STARTER = """
count = int(next(value.split("=")[1] for value in argv if value.startswith("--worker_num=")) if name == "msrun"
            else argv[argv.index("-n") + 1])
command = argv[next(number for number, value in enumerate(argv) if value.endswith("rank.py")) - (name == "mpirun"):]
command = ["python", *command] if name == "msrun" else command
rank = (lambda n: {"RANK_ID": str(n), "MS_ROLE": "MS_WORKER"}) if name == "msrun" else (
    lambda n: {"OMPI_COMM_WORLD_RANK": str(n), "OMPI_COMM_WORLD_LOCAL_RANK": str(n)})
ranks = [subprocess.Popen(command, env={**os.environ, **rank(n)}, start_new_session=True) for n in range(count)]
if name == "msrun":
    ranks.append(subprocess.Popen(command, env={**os.environ, "RANK_ID": "0", "MS_ROLE": "MS_SCHED"}))
sys.exit(max(process.wait() for process in ranks))
"""


class Launch:
    """Runs launchers in an empty folder with spaces in its name, where data, a YAML file and a checkpoint are."""

    def __init__(self, folder):
        self.folder = folder / "my runs"
        (self.folder / "my data").mkdir(parents=True)
        for name in ("a.yaml", "best.ckpt", "unet.onnx"):
            (self.folder / name).write_text("")
        programs = folder / "programs"
        programs.mkdir()
        for name, more in (("python", SCRIPT), ("npu-smi", ""), ("mpirun", STARTER), ("msrun", STARTER)):
            (programs / name).write_text(FIRST_LINES + RECORD.format(python=sys.executable) + more)
            (programs / name).chmod(0o755)
        self.records = folder / "records"
        kept = {key: value for key, value in SCRIPT_ENVIRONMENT.items() if not key.startswith(
            ("MASTER_", "NODE_RANK", "LOCAL_WORKER", "RANK_", "DEVICE_ID", "SERVER_ID", "HCCL", "CUDA"))}
        self.environment = {**kept, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "GRACE": "1",
                            "PYTHON": str(programs / "python"), "RECORDS": str(self.records), "FOREGROUND": "1"}

    def start(self, script, *arguments, **environment):
        return subprocess.Popen(["bash", str(SCRIPTS / script), *map(str, arguments)], cwd=self.folder, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env={**self.environment, **environment},
                                preexec_fn=heed_interrupts)     # noqa: PLW1509 - the tests have no threads

    def __call__(self, script, *arguments, **environment):
        process = self.start(script, *arguments, **environment)
        out, err = process.communicate(timeout=500)
        return subprocess.CompletedProcess(script, process.returncode, out, err)

    def recorded(self, name):
        """What the stand-in of a name was called with, in the order of the ranks."""
        lines = map(json.loads, self.records.read_text().splitlines())
        return sorted((line for line in lines if line.pop("name") == name and line.get("MS_ROLE") != "MS_SCHED"),
                      key=lambda line: line["cwd"])

    def wait_for(self, path, text):
        for _ in range(3000):
            if (self.folder / path).exists() and text in (self.folder / path).read_text():
                return
            time.sleep(0.1)
        raise AssertionError(f"{path} never said {text!r}")


def options(config, data, output, *more):
    """What a launcher gives to a script."""
    return [f"--config_path={config}", f"--data_path={data}", *more, f"--output_path={output}"]


def write_table(path, servers):
    """Write a rank table. servers: server_id -> [(rank, device), ...]."""
    table = {"version": "1.0", "server_count": str(len(servers)), "status": "completed", "server_list": [
        {"server_id": name, "host_nic_ip": "reserve", "device": [
            {"device_id": str(device), "device_ip": f"192.1.27.{device}", "rank_id": str(rank)}
            for rank, device in cards]} for name, cards in servers.items()]}
    path.write_text(json.dumps(table))
    return path


def heed_interrupts():
    """A shell that starts the tests in the background has SIGINT ignored, which its children would inherit."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def runs(pid):
    """Whether a process is there, and not just its exit status that nobody has asked for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
