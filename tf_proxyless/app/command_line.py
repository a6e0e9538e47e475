"""Runs a command: its flags become its configuration, and a user's mistakes one line, before TensorFlow is loaded.

Exit codes are 0, also after --help, 2 for a mistake, and 130 after Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
import sys
import traceback
from typing import Any, Protocol

from absl import app
from absl import logging

from tf_proxyless.app import flags
from tf_proxyless.app import options
from tf_proxyless.infra import errors


class Command(Protocol):
  """A module that is a command; its docstring says what it does and how it is started.

  Attributes:
    Config: Dataclass of its options.
  """

  Config: type[options.Config]

  def main(self, config: Any) -> int | None:
    """Runs it and returns an exit code or None.

    Raises:
      UserError: For mistakes; any other exception is a defect and keeps its traceback. With --verbosity=1 mistakes show theirs too.
    """


def run(command: Command, argv: Sequence[str] | None = None) -> None:
  """Parses the command line, runs a command and exits.

  Args:
    command: The module.
    argv: Name of the program and its arguments; by default those of the process.

  Raises:
    SystemExit: Always, with the exit code.
  """
  os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')  # TensorFlow then loads no Keras 3 beside tf_keras, which takes a third of its time
  try:
    app.run(command.main, list(sys.argv if argv is None else argv), lambda argv: flags.parse(command.Config, argv, command.__doc__ or ''))
  except errors.UserError as error:
    if logging.get_verbosity() > logging.INFO:
      traceback.print_exc()
    names = options.options(command.Config)
    print(f'error: {flags.names_as_flags(errors.one_line(error), names)}', file=sys.stderr)
    sys.exit(errors.MISTAKE)
  except KeyboardInterrupt:
    sys.exit(errors.INTERRUPTED)
  except BrokenPipeError:  # the reader of stdout, for instance head, has seen enough
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(errors.PIPE_CLOSED)
