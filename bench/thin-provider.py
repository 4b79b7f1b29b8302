"""python3 thin-provider.py FROM TO CAPABILITY: a CUDA library with the machine code of one compute capability (90 for 9.0).

The code of the others is overwritten with zeros. So the library keeps its size and offsets, and compresses to a fraction. A driver looks at an
entry's capability before it looks at its code. Containers and entries of NVIDIA's fat binaries, as `cuobjdump --dump-elf-symbols` lists them: a header of
magic, version, size of itself and of what follows; then entries, each a header with its kind (1 PTX, 2 machine code), its size, that of the code, and from
byte 28 on the capability.
"""

import collections
import struct
import sys

MAGIC = struct.pack("<I", 0xBA55ED50)
CONTAINER_HEADER = 16
SMALLEST_ENTRY_HEADER = 64


def thin(code, capability):
    """Changes `code` and returns the bytes of machine code by capability."""
    sizes = collections.Counter()
    at = code.find(MAGIC)
    while at >= 0:
        version, header, total = struct.unpack_from("<HHQ", code, at + 4)
        end = at + header + total
        if version != 1 or header != CONTAINER_HEADER or end > len(code):
            at = code.find(MAGIC, at + 4)
            continue
        entry = at + header
        while entry + SMALLEST_ENTRY_HEADER <= end:
            kind, _, entry_header, size = struct.unpack_from("<HHIQ", code, entry)
            (found,) = struct.unpack_from("<I", code, entry + 28)
            if kind not in (1, 2) or entry_header < SMALLEST_ENTRY_HEADER or size == 0:
                break
            sizes[found] += size
            if found != capability:
                code[entry + entry_header : entry + entry_header + size] = bytes(size)
            entry += entry_header + size
        at = code.find(MAGIC, end)
    return sizes


def main():
    source, target, capability = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with open(source, "rb") as file:
        code = bytearray(file.read())
    sizes = thin(code, capability)
    if capability not in sizes:
        sys.exit(f"{source} has no code for {capability}; it has {sorted(sizes)}")
    with open(target, "wb") as file:
        file.write(code)
    print(", ".join(f"{found}: {size / 1e6:.1f} MB{' kept' if found == capability else ''}" for found, size in sorted(sizes.items())))


main()
