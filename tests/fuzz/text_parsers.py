"""Tables as YAML and CSV, flagfiles, environment variables: text that people write; and the scored networks of a search."""

from __future__ import annotations

import os
import pathlib

import numpy as np

from tests.fuzz import harness
from tests.fuzz import json_parsers
from tests.fuzz.harness import put
from tests.fuzz.harness import written
from tf_proxyless.app import command_line
from tf_proxyless.app import search_flags
from tf_proxyless.cost import table as table_lib
from tf_proxyless.cost.importers import official_yaml
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.infra import resources
from tf_proxyless.space import io

calibrate_latency_table = harness.tool('calibrate_latency_table')


def _yaml(content: bytes, folder: pathlib.Path) -> None:
  found = official_yaml.load(put(content, folder, 'table.yaml'), 'x', json_parsers.RUNTIME)
  path = folder / 'again.json'
  with harness.accepted():
    table_lib.save(found, path)
    assert table_lib.load(path) == found, 'another after it was written'


def _csv(content: bytes, folder: pathlib.Path) -> None:
  if not (folder / 'small.json').exists():
    io.save_architecture(json_parsers.architecture(), folder / 'small.json')
  measured = calibrate_latency_table.read_csv(put(content, folder, 'measured.csv'))
  assert all(0 < item.latency_ms < 1e12 for item in measured)


def _flagfile(content: bytes, folder: pathlib.Path) -> None:
  path = put(content, folder, 'some.flags')
  command_line.expand([f'--flagfile={path}'])


def _run_flags(content: bytes, folder: pathlib.Path) -> None:
  search_flags.RUN.read(put(content, folder, 'flags.txt'))


def _samples(content: bytes, folder: pathlib.Path) -> None:
  path = put(content, folder, 'samples.bin')
  file, found = evaluations_lib.load(path)
  with harness.accepted():
    file.truncate(len(found))
    file.append(found[-1:])
    assert len(evaluations_lib.load(path)[1]) == len(found) + min(1, len(found))


def _written_samples() -> bytes:
  counts = (3, 6, 2)
  found = evaluations_lib.ScoredSamples(counts, np.array([[0, 5, 1], [2, 0, 0], [1, 1, 1]], np.uint8),
                                         np.array([0.5, 0.25, 1.0], np.float32),
                                np.array([1.5, 2.0, 2.5]), np.array([0, 0, 1], np.int64))

  def save(value, path):
    file = evaluations_lib.SampleFile(str(path), ('blocks/a/op', 'blocks/b/op', 'blocks/c/op'), counts)
    file.create()
    file.append(value)

  return written(save, found)


def _tf_config(content: bytes, folder: pathlib.Path) -> None:
  from tf_proxyless.train import distribution  # TensorFlow

  os.environ['TF_CONFIG'] = content.decode('utf-8', 'replace').replace('\0', '')
  try:
    distribution.names_workers()
  finally:
    del os.environ['TF_CONFIG']


_FLAGS = b"""# A run.
--dataset=digits
--target_macs=500000  # multiply-adds
--flagfile=quickstart.flags
--nodownload
"""

PARSERS = (
    harness.Parser('official YAML', ('tf_proxyless.cost.importers.official_yaml',), 'text',
                   lambda: [written(official_yaml.save, json_parsers.table(), 'table.yaml')], _yaml),
    harness.Parser('measured networks, CSV', ('tools.calibrate_latency_table',), 'text',
                   lambda: [b'# mine\nproxyless_mobile, 78.5\nsmall.json,1.25\nproxyless_cpu,94\n'], _csv, (ValueError, KeyError, OSError)),
    harness.Parser('flagfile', ('tf_proxyless.app.command_line',), 'text',
                   lambda: [_FLAGS, resources.flagfile('quickstart.flags').read_bytes()], _flagfile),
    harness.Parser("flags of a run", ('tf_proxyless.app.run_flags', 'tools.derive'), 'text',
                   lambda: [b'--dataset=digits\n--target_macs=500000\n--seed=1\n--resolution=32\n'], _run_flags),
    harness.Parser('scored networks', ('tf_proxyless.derive.evaluations',), 'binary', lambda: [_written_samples()], _samples),
)
TENSORFLOW_PARSERS = (
    harness.Parser('TF_CONFIG', ('tf_proxyless.train.distribution',), 'json', lambda: [
        b'{"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": {"type": "worker", "index": 0}}'], _tf_config),
)
