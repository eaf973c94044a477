"""Files as checked UTF-8 bytes: decompressed, without byte order mark, with a clear error for what is not text.

Readers of text formats sit on top of this, so that each sees clean UTF-8 and no defect of an encoding is silent.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from .errors import DataError, nearest

BLOCK = 1 << 20


def _zst(path: Path, mode: str) -> Any:
    import pyarrow as pa

    return pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")


@contextmanager
def _zip(path: Path, mode: str) -> Iterator[Any]:
    """The only file in the archive."""
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX/")]
        if len(names) != 1:
            raise DataError(f"the archive holds {len(names)} files, not one: {', '.join(names[:5])}", where=shown(path))
        with archive.open(names[0]) as stream:
            yield stream


class _Streams(io.RawIOBase):
    """The bytes of compressed streams one behind the other, all of them.

    Python's own readers stop without a word where a later stream is damaged, and so would lose rows.
    """

    def __init__(self, path: Path, start: Callable[[], Any], padding: bytes) -> None:
        self._file, self._start, self._padding = path.open("rb"), start, padding
        self._stream, self._left, self._begun = start(), b"", False

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, target: Any) -> int:
        while True:
            if self._stream.eof:
                rest = self._stream.unused_data.lstrip(self._padding) or self._file.read(BLOCK).lstrip(self._padding)
                if not rest:
                    return 0
                self._stream, self._left = self._start(), rest
            if self._stream.needs_input and not self._left:
                self._left = self._file.read(BLOCK)
                if not self._left:
                    raise EOFError
            made, self._left = self._stream.decompress(self._left, len(target)), b""
            if made:
                target[: len(made)] = made
                return len(made)


def _bz2(path: Path, mode: str) -> Any:
    return _Streams(path, bz2.BZ2Decompressor, b"")


def _xz(path: Path, mode: str) -> Any:
    return _Streams(path, lzma.LZMADecompressor, b"\0")


_OPENERS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": _bz2,
    ".xz": _xz,
    ".zst": _zst,
    ".zip": _zip,
}
_BOMS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ENCODING_STEP = "convert the file to UTF-8: iconv -f {encoding} -t utf-8"


def shown(path: Any) -> str:
    """How messages name a file: relative to the working folder when it lies below it."""
    path = Path(path)
    cwd = Path.cwd()
    return str(path.relative_to(cwd)) if path.is_absolute() and path.is_relative_to(cwd) else str(path)


def ending(path: Any) -> str:
    """The file's ending in lower case, without that of a compression: ".tsv" for "a.TSV.gz"."""
    path = Path(path)
    bare: Path = path.with_suffix("") if path.suffix.lower() in _OPENERS else path
    return bare.suffix.lower()


def missing_file(path: Any) -> DataError:
    """The error for a file that is not there, with the name in its folder that is spelt most like it."""
    path = Path(path)
    if not path.parent.is_dir():
        return DataError(f"no such folder: {shown(path.parent)}", where=shown(path))
    near = nearest(path.name, (p.name for p in path.parent.iterdir()))
    return DataError("no such file", where=shown(path), nearest=near and shown(path.parent / near))


@contextmanager
def opened(path: Any) -> Iterator[BinaryIO]:
    """The decompressed bytes of a file. Raises `DataError` when they cannot be had."""
    path = Path(path)
    try:
        with _OPENERS.get(path.suffix.lower(), open)(path, "rb") as stream:
            yield stream
    except FileNotFoundError:
        raise missing_file(path) from None
    except IsADirectoryError:
        raise DataError("is a folder, not a file", where=shown(path), next=f"name its files: {shown(path)}/*") from None
    except PermissionError:
        raise DataError("no permission to read the file", where=shown(path)) from None
    except EOFError:
        raise DataError("the compressed file is cut off: it ends too early", where=shown(path)) from None
    except (OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot be read: {error}", where=shown(path)) from None
    except (
        RuntimeError,
        NotImplementedError,
    ) as error:  # zipfile's, for a password and for methods that it does not know
        locked = "password" in str(error)
        what = (
            "the archive is locked with a password"
            if locked
            else f"the archive is packed in a way unknown here: {error}"
        )
        cure = "unzip -P PASSWORD" if locked else "unzip (or 7z x)"
        raise DataError(what, where=shown(path), next=f"unpack it first: {cure} {path.name}") from None


def utf8_blocks(path: Any, encoding: str = "utf-8", *, step: str = _ENCODING_STEP) -> Generator[bytes]:
    """The file's text as UTF-8, block by block. A block may end inside a character.

    `step` is the next step that the error of a wrong encoding gives; `{encoding}` in it becomes the encoding that fits.
    Raises `DataError` with line and byte offset for bytes that are no text in `encoding`, and for NUL characters.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    plain = codecs.lookup(encoding).name in ("utf-8", "ascii")
    done, lines, first = 0, 0, True
    with opened(path) as stream:
        for block in _until_empty(stream):
            pending = len(decoder.getstate()[0])
            if first and plain:
                _refuse_boms(path, block, step)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                line = lines + error.object[: error.start].count(b"\n") + 1
                raise _undecodable(path, error, done - pending + error.start, line, step) from None
            if "\0" in text:
                raise _nul(path, lines + text[: text.index("\0")].count("\n") + 1)
            out = block if plain else text.encode("utf-8", "surrogatepass")
            if first:
                out = out.removeprefix(codecs.BOM_UTF8)
            done, lines, first = done + len(block), lines + text.count("\n"), False
            if out:
                yield out


def _until_empty(stream: BinaryIO) -> Iterator[bytes]:
    """Blocks, and at last an empty one, which tells the decoder that the file ends."""
    while block := stream.read(BLOCK):
        yield block
    yield b""


def _refuse_boms(path: Any, block: bytes, step: str) -> None:
    for bom, encoding in _BOMS.items():
        if block.startswith(bom):
            raise DataError(
                f"the file is {encoding}, not UTF-8", where=shown(path), next=step.format(encoding=encoding)
            )


def _undecodable(path: Any, error: UnicodeDecodeError, offset: int, line: int, step: str) -> DataError:
    if error.reason == "unexpected end of data":
        return DataError(
            "the file is cut off: it ends inside a character", where=f"{shown(path)}, line {line}, byte {offset}"
        )
    around = error.object[error.start : error.start + 4096]
    likely = "cp1252" if any(0x80 <= b < 0xA0 for b in around) else "latin-1"
    return DataError(
        f"byte 0x{error.object[error.start]:02x} is not valid {error.encoding}; the file may be {likely}",
        where=f"{shown(path)}, line {line}, byte {offset}",
        next=step.format(encoding=likely),
    )


def _nul(path: Any, line: int) -> DataError:
    return DataError(
        "a NUL character: this is not plain text, or the file was damaged while it was written",
        where=f"{shown(path)}, line {line}",
    )


class BlockFile(io.RawIOBase):
    """A readable file made of blocks of bytes, for libraries that want one."""

    def __init__(self, blocks: Generator[bytes]) -> None:
        self._blocks, self._left = blocks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        """Also what the blocks come from."""
        if not self.closed:
            self._blocks.close()
        super().close()

    def readinto(self, target: Any) -> int:
        while not self._left:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._left = memoryview(block)
        size = min(len(target), len(self._left))
        target[:size] = self._left[:size]
        self._left = self._left[size:]
        return size
