# SPDX-License-Identifier: Apache-2.0
"""A Parquet file that has its name only when it is complete."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from typing import Any, Union

from . import settings
from ._optional import need


def place(path: str) -> tuple[str, int | None]:
    """Where the file will be, and the permissions of the one that is there; raises where none can be written."""
    if not path:
        raise ValueError("the path is empty; name a file")
    target, mode = os.path.realpath(path), None
    with contextlib.suppress(FileNotFoundError):
        info = os.stat(target)
        if stat.S_ISDIR(info.st_mode):
            raise ValueError(f"{path} is a folder; name a file in it")
        if not stat.S_ISREG(info.st_mode):
            raise ValueError(
                f"{path} is no regular file: a Parquet file appears only when it is complete, which a pipe or device "
                f"cannot show; name a file"
            )
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        mode = stat.S_IMODE(info.st_mode) & 0o777
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "its folder is not there", path)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "no file can be made in its folder", path)
    return target, mode


class ParquetFile:
    """Grows under a temporary name in the folder of ``path``; `finish` gives it the name, `abort` removes it.

    What was there under the name stays until then. Where the name is a link, what it points to is replaced.

    Raises
    ------
    ValueError
        Where ``path`` is a folder, a pipe or a device.
    OSError
        Where no file can be written there.
    """

    def __init__(self, path: Union[str, os.PathLike[str]], schema: Any, compression: str) -> None:
        pq = need("pyarrow.parquet", "arrow")
        if not hasattr(pq.ParquetWriter, "add_key_value_metadata"):
            cure = "pip install -U 'adesieve[arrow]' brings it"
            raise ImportError(f"this needs pyarrow 17 or a later one; {cure}", name="pyarrow")
        self.path = os.fsdecode(settings.path("the path", path))
        self.rows = 0
        self.finished = False  #: whether it has its name; known once `finish` or `abort` is through
        self._target, mode = place(self.path)
        folder = os.path.dirname(self._target)
        self.existed = mode is not None
        # By chance: what a process that was killed has left may bear this one's number.
        self._temporary = os.path.join(folder, f".adesieve-{secrets.token_hex(8)}.part")
        try:
            number = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise type(error)(error.errno, f"no file can be made in its folder ({error.strerror})", self.path) from None
        self._file = open(number, "wb")  # noqa: SIM115  # closed by finish or abort
        self._writer: Any = None
        self._over = False
        try:
            if mode is not None:
                os.chmod(number, mode)  # a replaced file keeps its permissions
            self._writer = pq.ParquetWriter(self._file, schema, compression=compression)
        except BaseException:
            self.abort()
            raise

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Errors name the file by the name that the caller knows."""
        try:
            yield
        except OSError as error:
            why = f"cannot be written ({error.strerror or error})"
            raise type(error)(error.errno or errno.EIO, why, self.path) from error

    def write(self, batch: Any) -> None:
        """Adds a row group."""
        with self._named():
            self._writer.write_batch(batch, row_group_size=max(batch.num_rows, 1))
        self.rows += int(batch.num_rows)

    def finish(self, metadata: Mapping[str, str]) -> None:
        """Adds the key-value metadata, brings all to the disk, and gives the file its name."""
        try:
            with self._named():
                self._writer.add_key_value_metadata(dict(metadata))
                self._writer.close()
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
                os.replace(self._temporary, self._target)
            self.finished = True
        except BaseException:
            self.abort()
            raise
        # The rename has to reach the disk, too. A folder that cannot be opened or synced is no reason to fail.
        with contextlib.suppress(OSError):
            folder = os.open(os.path.dirname(self._target), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def abort(self) -> None:
        """Removes what was written. After `finish`, nothing."""
        if self._over:
            return
        self._over = True
        if self._writer is not None:
            with contextlib.suppress(Exception):
                self._writer.close()  # else its finalizer would write into a closed file
        with contextlib.suppress(Exception):
            self._file.close()
        try:
            os.unlink(self._temporary)
        except FileNotFoundError:  # finished; or an interrupt came right behind the new name
            self.finished = True
