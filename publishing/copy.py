"""Copying a warehouse file: at once where the file system shares blocks, quickly where it does not."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path

# linux/fs.h: _IOW(0x94, 9, int). Makes the target share the source's blocks (btrfs, xfs, bcachefs, overlays of them).
FICLONE = 0x40049409
_NOT_HERE = {
    errno.EOPNOTSUPP,
    errno.ENOTTY,
    errno.EXDEV,
    errno.EINVAL,
    errno.ENOSYS,
    errno.EPERM,
    errno.EBADF,
    errno.ETXTBSY,
}
_CHUNK = 1 << 30


def copy_file(source: Path, target: Path) -> str:
    """Copy the bytes of ``source`` over ``target``, which becomes writable for its owner.

    Not fsynced: a candidate that a crash spoils is made again.

    Returns:
        How it was done: ``reflink``, ``copy_file_range`` or ``copy``.

    Raises:
        OSError: the source cannot be read or the target's disk is full; the partial target is removed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # A new file, not the old one written over: a process may still have that open.
    target.unlink(missing_ok=True)
    try:
        with source.open("rb") as reader, target.open("xb") as writer:
            return _clone(reader.fileno(), writer.fileno()) or _copy(source, reader.fileno(), writer.fileno())
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _clone(reader: int, writer: int) -> str:
    try:
        fcntl.ioctl(writer, FICLONE, reader)
    except OSError as error:
        if error.errno in _NOT_HERE:
            return ""
        raise
    return "reflink"


def _copy(source: Path, reader: int, writer: int) -> str:
    left = os.fstat(reader).st_size
    try:
        while left > 0:
            copied = os.copy_file_range(reader, writer, min(left, _CHUNK))
            if copied == 0:
                break
            left -= copied
    except (AttributeError, OSError) as error:
        # AttributeError: macOS has no such call.
        if isinstance(error, OSError) and error.errno not in _NOT_HERE:
            raise
    if left == 0:
        return "copy_file_range"
    os.lseek(writer, 0, os.SEEK_SET)
    with source.open("rb") as again, os.fdopen(os.dup(writer), "wb") as rest:
        shutil.copyfileobj(again, rest, 1 << 22)
        rest.truncate()
    return "copy"
