"""Run one rank: ``python rank.py RUN LOG COMMAND...``. The launchers start it.

It runs COMMAND in the folder of RUN/LOG and writes the output there. {rank} in LOG stands for the number of the rank;
for msrun's scheduler the folder is "scheduler". In the same folder it writes ``env.log`` (the environment variables
that matter for a run), ``pid`` and, at the end, ``status``. It forwards SIGTERM and SIGINT.

It does not use src.model_utils.signals.ChildProcess: here the child stays in the process group that the launchers kill,
its own exit status is kept after a signal, and nothing of the project need be importable.
"""
import os
import signal
import subprocess
import sys
from pathlib import Path

SHOWN = ("ASCEND", "CUDA", "DEVICE", "GLOG", "HCCL", "LD_", "MASTER", "MINDSPORE", "MS_", "NCCL", "OMP", "ONEDNN",
         "PATH", "PYTHON", "RANK", "SERVER", "UNET")


def log_path(run, log):
    """Return the path of the log, with the rank that a launcher or MPI has put into the environment."""
    if os.environ.get("MS_ROLE") == "MS_SCHED":
        return Path(run, log.replace("LOG{rank}", "scheduler"))
    rank = os.environ.get("OMPI_COMM_WORLD_RANK") or os.environ.get("RANK_ID") or "0"
    return Path(run, log.replace("{rank}", rank))


def main(run, log, *command):
    """Run the command. Return its exit status, or 128 plus the number of the signal that ended it."""
    log = log_path(run, log)
    log.parent.mkdir(0o755, parents=True, exist_ok=True)    # as the folder above: only this user can write into it
    environment = dict(os.environ)
    if "OMPI_COMM_WORLD_LOCAL_RANK" in environment:
        environment["DEVICE_ID"] = environment["OMPI_COMM_WORLD_LOCAL_RANK"]
    lines = [f"{name}={value}\n" for name, value in sorted(environment.items()) if name.startswith(SHOWN)]
    (log.parent / "env.log").write_text("".join(lines), encoding="utf-8", errors="surrogateescape")
    environment["UNET_RANK_FOLDER"] = str(log.parent)       # by which the launchers know the process
    # Signals wait until there is a process to forward them to.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with open(log, "ab") as file:
        process = subprocess.Popen(command, cwd=log.parent, env=environment, stdin=subprocess.DEVNULL, stdout=file,
                                   stderr=subprocess.STDOUT, preexec_fn=_unblock)     # noqa: PLW1509 - no threads here
    (log.parent / "pid").write_text(f"{process.pid}\n", encoding="utf-8")
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda number, _: process.send_signal(number))
    _unblock()
    status = process.wait()
    status = status if status >= 0 else 128 - status
    (log.parent / "status").write_text(f"{status}\n", encoding="utf-8")
    return status


def _unblock():
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
