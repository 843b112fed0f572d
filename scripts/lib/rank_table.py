"""Print the ranks of this server in an Ascend rank table: ``python rank_table.py FILE``.

The first line is the number of ranks on all servers. Then comes a line for each rank of this server, with its RANK_ID
and DEVICE_ID. This server is the one that SERVER_ID names, or whose server_id is an address of this machine, or the
only one.
"""
import json
import os
import socket
import sys


def ranks_of_this_server(table, server_id=None):
    """Return (number of all ranks, [(rank, device), ...] of this server). Raises ValueError for a bad table."""
    try:
        servers = [(str(server["server_id"]), [(int(card["rank_id"]), int(card["device_id"]))
                                               for card in server["device"]]) for server in table["server_list"]]
        count = int(table.get("server_count", len(servers)))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"not a rank table of version 1.0, with server_list, server_id, device, rank_id and device_id "
                         f"({type(error).__name__}: {error})") from None
    if count != len(servers):
        raise ValueError(f"server_count is {count}, but there are {len(servers)} servers")
    ranks = sorted(rank for _, cards in servers for rank, _ in cards)
    if not ranks or ranks != list(range(len(ranks))):
        raise ValueError(f"the rank_ids are {ranks}; expected 0, 1, 2, ... once each")
    for name, cards in servers:
        if len({device for _, device in cards}) != len(cards):
            raise ValueError(f"server {name} has a device_id twice")
    return len(ranks), sorted(_own(servers, server_id))


def _own(servers, server_id):
    if server_id:
        found = [cards for name, cards in servers if name == server_id]
    elif len(servers) == 1:
        found = [servers[0][1]]
    else:
        found = [cards for name, cards in servers if _is_here(name)]
    if len(found) != 1:
        names = ", ".join(name for name, _ in servers)
        raise ValueError(f"cannot tell which of the servers {names} this is, from "
                         f"{f'SERVER_ID={server_id}' if server_id else 'its addresses'}; set SERVER_ID to one of them")
    return found[0]


def _is_here(address):
    """Return whether this machine has the address: a socket can be bound only to an address of its own."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def main(path):
    """Print the ranks; return the exit status."""
    try:
        with open(path, encoding="utf-8") as file:
            size, own = ranks_of_this_server(json.load(file), os.environ.get("SERVER_ID"))
    except (OSError, ValueError, RecursionError) as error:
        # Names in the table may hold anything.
        message = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in f"error: {path}: {error}")
        print(message, file=sys.stderr)
        return 2
    print(size)
    for rank, device in own:
        print(rank, device)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
