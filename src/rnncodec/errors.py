"""Errors that a user can cause and mend. Each message says which input is wrong, why, and what to do."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager


class RnncodecError(Exception):
    """The base of all errors that rnncodec raises on purpose. ``exit_code`` is the exit code of the command line."""

    exit_code = 1


class ConfigurationError(RnncodecError, ValueError):
    """An option has a value that cannot work."""

    exit_code = 2


class PackageError(ConfigurationError):
    """A network needs a package that is not allowed, or is not there."""


class ImageError(RnncodecError):
    """An image cannot be read."""

    exit_code = 3


class DataError(RnncodecError):
    """Training data is missing or unusable."""

    exit_code = 2


class ModelError(RnncodecError):
    """Weights cannot be found or read."""

    exit_code = 4


class FormatError(RnncodecError):
    """A file is not an ``.rnnc`` file, or this version cannot read it."""

    exit_code = 5


class WrongModelError(RnncodecError):
    """A file was written with other weights."""

    exit_code = 6


class InputError(RnncodecError):
    """An input file cannot be read."""

    exit_code = 3


class OutputError(RnncodecError):
    """An output cannot be written."""

    exit_code = 7


def from_system(error: OSError) -> RnncodecError:
    """What the operating system refuses (a file that may not be read, a full disk), as an error with a message for
    users: the name of the file or folder, and the reason."""
    reason = error.strerror or str(error)
    message = reason if error.filename is None else f"{os.fsdecode(error.filename)}: {reason}"
    unwritable = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
    return OutputError(message) if error.errno in unwritable else InputError(message)


@contextmanager
def extra(name: str, purpose: str = "this") -> Iterator[None]:
    """Wraps imports of optional packages for a ``purpose``: if one is missing, the error names the extra that installs
    it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{purpose} needs more packages ({error}): pip install 'rnncodec[{name}]'") from None


def first_line(error: Exception) -> str:
    """The first line of the message of ``error``; the name of its class if it has no message."""
    return str(error).strip().split("\n")[0] or type(error).__name__


class TrainingError(RnncodecError):
    """A process of a training run ended with an error."""


class BusyError(TrainingError):
    """Another process trains the run already."""
