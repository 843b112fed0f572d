"""What TensorBoard's files hold."""
import struct

from tensorboardX.proto.event_pb2 import Event


def events(folder):
    """The events of all files in a folder, in the order of the files' making."""
    found = []
    for path in sorted(folder.iterdir()):
        data, place = path.read_bytes(), 0
        while place < len(data):     # TFRecord: length, its check sum, data, their check sum
            length, = struct.unpack("<Q", data[place:place + 8])
            found.append(Event.FromString(data[place + 12:place + 12 + length]))
            place += 16 + length
    return found
