"""Files that are whole or absent, whatever stops the process or the machine.

A folder is sealed: its files reach the disk, and `sha256.json` says what they
hold.
"""

import errno
import hashlib
import json
import os
import pathlib
import re

CHECKSUMS = "sha256.json"


def write_json(path, content):
    """Writes `content` and waits until it is on the disk."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())


def replace_marked_json(path, content):
    """Replaces a small file, which is never half of one, by a dict.

    `"sha256"` is added to it, the checksum of the rest.
    """
    scratch = path.with_name(f".{path.name}")
    write_json(scratch, {**content, "sha256": _digest(content)})
    os.replace(scratch, path)
    sync_folder(path.parent)


def read_marked_json(path):
    """The dict that was written.

    Raises:
        ValueError: if it is not what was written.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        saved = content.pop("sha256")
        if saved == _digest(content):
            return content
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise ValueError(f"{path} is not what was saved.")


def _digest(content):
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def sync_folder(folder):
    """Waits until the names in `folder` are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reserve(folder, num_bytes):
    """Raises unless a file of `num_bytes` fits into `folder`.

    HDF5 kills the process (a segmentation fault) when the disk is full while
    it writes a file with many arrays; so there must be room before it starts.
    """
    path = pathlib.Path(folder) / "reserved"
    with open(path, "wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, max(num_bytes, 1))
        except OSError as error:
            # A file system that cannot reserve is not full.
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
        finally:
            path.unlink()


def seal(folder):
    """Writes the checksums and waits until all of `folder` is on the disk."""
    checksums = {}
    folders = [folder]
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            folders.append(path)
            continue
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        checksums[path.relative_to(folder).as_posix()] = digest
    write_json(folder / CHECKSUMS, checksums)
    for path in folders:
        sync_folder(path)


def find_damage(folder, names=None):
    """The first file that is not what was sealed.

    Args:
        folder: path of a sealed folder. Files that were added do not matter.
        names: the files to look at, paths below `folder`. Defaults to all.

    Returns:
        The file's path below `folder`, or None.
    """
    try:
        saved = json.loads((folder / CHECKSUMS).read_text("utf-8"))
        saved = dict(saved.items())
    except (FileNotFoundError, ValueError, AttributeError):
        return CHECKSUMS
    # Only what stands in the folder is opened, whatever the list says.
    found = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file()
    }
    for name in saved if names is None else names:
        if name not in saved or name not in found:
            return name
        with open(found[name], "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != saved[name]:
            return name
    return None


def write_failure(error):
    """Why a file could not be written: (errno, reason).

    HDF5 raises some of these as a RuntimeError. (None, None) is for errors
    that say something else.
    """
    if isinstance(error, RuntimeError):
        match = re.search(r"errno = (\d+)", str(error))
        number = int(match[1]) if match else None
    elif isinstance(error, OSError):
        number = error.errno
        if number is None:
            return None, str(error).partition("\n")[0] or type(error).__name__
    else:
        number = None
    return number, None if number is None else os.strerror(number)


def os_error(number, message):
    """An OSError that prints as its message alone."""
    error = OSError(message)
    error.errno = number
    return error
