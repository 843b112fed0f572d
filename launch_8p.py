"""Train on the Ascend cards of this server: ``python launch_8p.py --data_path=DIR --config_path=FILE.yaml``.

It writes the rank table of this server, with the addresses of the cards in /etc/hccn.conf, and starts
scripts/run_distribute_train.sh with it. All other options (--key=value) go to train.py.
"""
import argparse
import json
import os
import re
import sys
from pathlib import Path

from src.model_utils.files import write_atomically
from src.model_utils.inputs import not_there, read_input
from src.model_utils.schema import find_yaml
from src.model_utils.script import guarded

PROJECT = Path(__file__).resolve().parent
LAUNCHER = PROJECT / "scripts" / "run_distribute_train.sh"


def rank_table(devices, addresses, server):
    """Return the rank table of one server: rank r is on the r-th of ``devices``. ``addresses``: device -> address."""
    cards = [{"device_id": str(device), "device_ip": addresses[device], "rank_id": str(rank)}
             for rank, device in enumerate(devices)]
    return {"version": "1.0", "server_count": "1", "server_list": [{"server_id": server, "device": cards,
                                                                    "host_nic_ip": "reserve"}], "status": "completed"}


def read_addresses(path):
    """Return device -> address from the lines address_N=A.B.C.D of a file. Raises as ``read_input``."""
    found = re.findall(r"^\s*address_([0-9]{1,9})\s*=\s*(\S+)", read_input(path).decode(errors="replace"), re.MULTILINE)
    return {int(device): address for device, address in found}


def parse(argv):
    """Return the options, and the arguments for train.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     allow_abbrev=False)
    parser.add_argument("--data_path", "--data_url", required=True, help="folder of the data set")
    parser.add_argument("--config_path", default=str(PROJECT / "unet_medical_config.yaml"), help="YAML file")
    parser.add_argument("--nproc_per_node", type=int, help="number of cards; the default is all of visible_devices")
    parser.add_argument("--visible_devices", default="0,1,2,3,4,5,6,7", help="numbers of the cards")
    parser.add_argument("--server_id", default="127.0.0.1", help="address of this server")
    parser.add_argument("--hccn_conf", default="/etc/hccn.conf", help="file with the addresses of the cards")
    options, rest = parser.parse_known_args(argv)
    if not re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9})*", options.visible_devices):
        parser.error(f"--visible_devices: expected numbers like 0,1,2,3, found {options.visible_devices!r}")
    options.devices = [int(device) for device in options.visible_devices.split(",")]
    count = len(options.devices) if options.nproc_per_node is None else options.nproc_per_node
    if not 1 <= count <= len(options.devices):
        parser.error(f"--nproc_per_node {count}, but visible_devices has {len(options.devices)}")
    options.devices = options.devices[:count]
    return options, rest


def fail(message):
    """Print a message in one line; return the exit status."""
    print(f"error: {message}", file=sys.stderr)
    return 2


def main(argv):
    """Write rank_table_Np.json into the current folder, then replace this process by run_distribute_train.sh."""
    options, rest = parse(argv)
    if not os.path.isdir(options.data_path):
        return fail(f"--data_path: no such folder: {options.data_path}")
    if not (config := find_yaml(Path(options.config_path))).is_file():
        return fail(f"--config_path: {not_there(config, 'YAML file')}")
    try:
        addresses = read_addresses(options.hccn_conf)
    except OSError as error:
        return fail(f"{options.hccn_conf}: {error.strerror}; Ascend's driver writes it; --hccn_conf names another")
    missing = [device for device in options.devices if device not in addresses]
    if missing:
        return fail(f"{options.hccn_conf} has no address of card {missing[0]}; choose others with --visible_devices")
    path = Path(f"rank_table_{len(options.devices)}p.json").absolute()
    table = f"{json.dumps(rank_table(options.devices, addresses, options.server_id), indent=2)}\n".encode()
    if path.is_file() and read_input(path) != table:
        return fail(f"{path} is there and holds something else than the table of these cards; move it, or call this in "
                    f"another folder")
    write_atomically(path, table)
    print(f"rank table: {path}", flush=True)
    os.environ["SERVER_ID"] = options.server_id
    os.environ.setdefault("PYTHON", sys.executable)
    return os.execvp("bash", ["bash", str(LAUNCHER), str(path), options.data_path, str(config), *rest])


if __name__ == "__main__":
    sys.exit(guarded(lambda: main(sys.argv[1:])))
