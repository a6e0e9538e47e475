"""A tiny training on digits as a user runs it: a process, its output, its exit code and its run directory."""

from __future__ import annotations

import os
import subprocess

from tests import forks
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops

# 11 steps an epoch; checkpoints after the fourth, the eighth and the last.
TINY = ('--dataset=digits', '--batch_size=128', '--epochs=3', '--learning_rate=0.2', '--checkpoint_every_steps=4')


def architecture(path: os.PathLike, classes: int = 10, filters: int = 8) -> os.PathLike:
  """Writes an architecture of every kind of layer, with dropout; returns the path."""
  blocks = (network_lib.Block('stem', ops.ConvBn(filters, 3, 1)), network_lib.Block('block_0', ops.MBConv(8, 5, 2, 2)),
            network_lib.Block('block_1', ops.MBConv(8, 3, 1, 2), residual=True),
            network_lib.Block('classifier', ops.Classifier(classes, dropout_rate=0.2)))
  io.save_architecture(io.Architecture(network_lib.Network('tiny', (8, 8, 3), blocks), {}), path)
  return path


def start(*arguments: str | os.PathLike, environment=None) -> forks.Process:
  """`python -m tf_proxyless.train` with arguments."""
  return forks.start('-m', 'tf_proxyless.train', *arguments, env={**forks.environment(), **(environment or {})})


def run(*arguments: str | os.PathLike, environment=None, limit_s: float = 300) -> subprocess.CompletedProcess:
  """The same, waited for."""
  return forks.run('-m', 'tf_proxyless.train', *arguments, env={**forks.environment(), **(environment or {})}, timeout=limit_s)
