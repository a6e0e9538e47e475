"""Tuning of hyper-parameters: what is varied, and who this process is among several. Loads no TensorFlow; `oracles` does."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import math
import os
import re
from typing import Any

from tf_proxyless.infra import files

_FORM = "must be NAME=LOW:HIGH, NAME=LOW:HIGH:log, NAME=LOW:HIGH:integer or NAME=A|B|..., for instance 'learning_rate=0.01:0.4:log'"
TUNER_ID, ORACLE_IP, ORACLE_PORT = 'KERASTUNER_TUNER_ID', 'KERASTUNER_ORACLE_IP', 'KERASTUNER_ORACLE_PORT'


@dataclasses.dataclass(frozen=True)
class Hyperparameter:
  """A flag that is varied.

  Attributes:
    name: Name of the flag.
    low, high: Bounds, both included; None if there are choices.
    scale: 'linear', 'log' or 'integer'.
    choices: Values instead of bounds.
  """

  name: str
  low: float | None = None
  high: float | None = None
  scale: str = 'linear'
  choices: tuple[str, ...] = ()

  def register(self, space: Any) -> None:
    """Adds it to keras-tuner's HyperParameters."""
    if self.choices:
      space.Choice(self.name, list(self.choices))
    elif self.scale == 'integer':
      space.Int(self.name, *self.ends)
    else:
      space.Float(self.name, *self.ends, sampling=self.scale)

  @property
  def ends(self) -> tuple[Any, ...]:
    """The bounds, or all choices, as keras-tuner has them."""
    if self.low is None or self.high is None:
      return self.choices
    return (int(self.low), int(self.high)) if self.scale == 'integer' else (self.low, self.high)

  def text(self, value: Any) -> str:
    """The flag's text for a value of keras-tuner's; numbers to four digits."""
    return str(value) if self.choices or self.scale == 'integer' else f'{value:.4g}'


def parse(text: str) -> Hyperparameter:
  """A hyper-parameter from the command line, in one of the forms of the error.

  Raises:
    ValueError: It has another form, or bounds that are none.
  """
  shown = files.shorten(text, 200)
  wrong = ValueError(f'a hyper-parameter {_FORM}, got {shown}')
  match = re.fullmatch(r'([a-z]\w*)=(.+)', text, re.ASCII)
  if not match:
    raise wrong
  name, values = match.groups()
  if '|' in values:
    choices = tuple(values.split('|'))
    if not all(choices) or len(set(choices)) != len(choices):
      raise ValueError(f'choices must differ and not be empty, got {shown}')
    return Hyperparameter(name, choices=choices)
  match = re.fullmatch(r'([^:]+):([^:]+)(?::(linear|log|integer))?', values)
  if not match:
    raise wrong
  scale = match[3] or 'linear'
  try:
    low, high = (float(int(bound) if scale == 'integer' else bound) for bound in match.groups()[:2])
  except (ValueError, OverflowError) as error:
    raise wrong from error
  if not (math.isfinite(low) and math.isfinite(high) and low < high and (scale != 'log' or low > 0)):
    raise ValueError(f'bounds must be finite, the first below the second, and above 0 for log; got {shown}')
  return Hyperparameter(name, low, high, scale)


@dataclasses.dataclass(frozen=True)
class Role:
  """What a process is among those that tune together.

  Attributes:
    tuner_id: Its name.
    address: Where the chief listens, IP:PORT; None if it is alone.
  """

  tuner_id: str = 'tuner0'
  address: str | None = None

  @property
  def is_chief(self) -> bool:
    """Whether it asks the oracle for the others, and runs no trial."""
    return self.address is not None and 'chief' in self.tuner_id

  @property
  def is_worker(self) -> bool:
    """Whether it asks a chief."""
    return self.address is not None and not self.is_chief


def role(variables: Mapping[str, str] = os.environ) -> Role:
  """What the environment variables of keras-tuner say, by its rules: without an address a process is alone.

  Raises:
    ValueError: One is missing, or is not what it should be.
  """
  if not variables.get(ORACLE_IP):
    if variables.get(ORACLE_PORT):
      raise ValueError(f'{ORACLE_PORT} is set, but {ORACLE_IP} is not; set it to the address of the chief')
    return Role()
  missing = [name for name in (ORACLE_PORT, TUNER_ID) if not variables.get(name)]
  if missing:
    raise ValueError(f'{ORACLE_IP} is set, but {missing[0]} is not; a chief has "chief" in its id, and each worker an id of its own')
  port, tuner_id = variables[ORACLE_PORT], variables[TUNER_ID]
  if not (port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
    raise ValueError(f'{ORACLE_PORT} must be a port from 1 to 65535, got {files.shorten(port)}')
  if not re.fullmatch(r'\w[\w.-]{0,99}', tuner_id, re.ASCII):
    raise ValueError(f'{TUNER_ID} must be letters, digits, ".", "-" and "_", got {files.shorten(tuner_id)}')
  return Role(tuner_id, f'{variables[ORACLE_IP]}:{port}')
