"""Lets Hydra 1.3 start on Python 3.14. To import this module before ``hydra.main`` is called is enough."""

import sys
from argparse import ArgumentParser

if sys.version_info >= (3, 14):
    # argparse checks that each help text is a string with whole placeholders. Hydra gives it an object that makes the
    # text of --shell-completion when it is shown, and ended here with "badly formed help string".
    ArgumentParser._check_help = lambda self, action: None
