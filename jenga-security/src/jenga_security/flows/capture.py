"""Whether a file is a capture of packets, and whether it is whole: NFStream reads what it can and says nothing of the rest."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

from jenga_core.errors import DataError
from jenga_core.textfiles import shown

from .signs import stranger

PCAP = {b"\xd4\xc3\xb2\xa1": "<", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\xa1\xb2\x3c\x4d": ">"}
PCAPNG = b"\x0a\x0d\x0d\x0a"
PACKERS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd")
LONGEST = 1 << 26  # bytes of a packet or block: more means that the file is damaged


def whole_packets(path: Any) -> str | None:
    """What is wrong with the end of a capture, or None. DataError for a file that is no capture, or a damaged one.

    libpcap's format: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html; pcapng: draft-ietf-opsawg-pcapng.
    """
    try:
        with Path(path).open("rb") as file:
            begin = file.read(4)
            if begin in PCAP:
                file.seek(24)
                return _walk(file, PCAP[begin], path)
            if begin == PCAPNG:
                return _walk_blocks(file, path)
            head = begin + file.read(1 << 16)
    except OSError as error:
        raise DataError(f"the file cannot be read: {error.strerror}", where=shown(path)) from error
    if head.startswith(PACKERS):
        raise DataError("a compressed capture", where=shown(path), next="decompress it first")
    if not head:
        raise DataError("the file is empty", where=shown(path))
    raise stranger("a capture of packets (pcap, pcapng)", "security/pcap", shown(path), head.partition(b"\n")[0])


def _walk(file: BinaryIO, order: str, path: Any) -> str | None:
    """From packet to packet: 16 bytes of header, of which the third number is the length of what follows."""
    end, at, packets = _size(file), 24, 0
    while at < end:
        header = _at(file, at, 16)
        length = struct.unpack(order + "I", header[8:12])[0] if len(header) == 16 else 0
        _plausible(length, packets + 1, path)
        at += 16 + length
        if len(header) < 16 or at > end:
            return _cut(packets + 1)
        packets += 1
    return None


def _walk_blocks(file: BinaryIO, path: Any) -> str | None:
    """From block to block: type, length of the block, and at a section's begin its byte order."""
    end, at, blocks, order = _size(file), 0, 0, "<"
    while at < end:
        header = _at(file, at, 12)
        if header[:4] == PCAPNG and len(header) == 12:
            order = "<" if header[8:12] == b"\x4d\x3c\x2b\x1a" else ">"
        length = struct.unpack(order + "I", header[4:8])[0] if len(header) >= 8 else 12
        _plausible(length, blocks + 1, path)
        if length < 12:
            raise DataError(f"block {blocks + 1} says that it is {length} bytes long: damaged", where=shown(path))
        at += length
        if at > end:
            return _cut(blocks + 1)
        blocks += 1
    return None


def _cut(packet: int) -> str:
    return f"the capture is cut off within packet {packet:,}, which is in no flow"


def _plausible(length: int, packet: int, path: Any) -> None:
    if length > LONGEST:
        raise DataError(f"packet {packet:,} says that it is {length:,} bytes long: damaged", where=shown(path))


def _at(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size
