"""Copying a warehouse file: at once where the file system shares blocks, quickly where it does not."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path

from publishing.space import human_bytes, no_space, require_space

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
        MallardError: the target's disk has no room for it; the partial target is removed.
        OSError: the source cannot be read.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # A new file, not the old one written over: a process may still have that open.
    target.unlink(missing_ok=True)
    # What a killed run logged for its candidate must not be replayed into the new one.
    target.with_name(f"{target.name}.wal").unlink(missing_ok=True)
    size = source.stat().st_size
    purpose = f"a copy of {source.name} ({human_bytes(size)})"
    try:
        with source.open("rb") as reader, target.open("xb") as writer:
            if _clone(reader.fileno(), writer.fileno()):
                return "reflink"
            require_space(target.parent, size, purpose)
            return _copy(source, reader.fileno(), writer.fileno())
    except OSError as error:
        target.unlink(missing_ok=True)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise no_space(target.parent, size, shutil.disk_usage(target.parent).free, purpose) from error
        raise
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _clone(reader: int, writer: int) -> bool:
    try:
        fcntl.ioctl(writer, FICLONE, reader)
    except OSError as error:
        if error.errno in _NOT_HERE:
            return False
        raise
    return True


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
