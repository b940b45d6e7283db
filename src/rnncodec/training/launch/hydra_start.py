"""What train.py and evaluate.py need around Hydra. To import this module lets Hydra 1.3 start on Python 3.14."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import CompactHydraException

from rnncodec.errors import RnncodecError, from_system
from rnncodec.terminal import printable

if sys.version_info >= (3, 14):
    # argparse checks that each help text is a string with whole placeholders. Hydra gives it an object that makes the
    # text of --shell-completion when it is shown, and ended here with "badly formed help string".
    ArgumentParser._check_help = lambda self, action: None


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Inside the block, errors that a user can mend become the one of Hydra that is shown without a traceback."""
    try:
        yield
    except RnncodecError as error:
        raise CompactHydraException(printable(str(error))) from None
    except OSError as error:  # a full disk, or a file that may not be read
        raise CompactHydraException(printable(str(from_system(error)))) from None
