"""Finds the latency table that a search names: a file, a shipped one, an estimate, or one of this machine, measured on first use."""

from __future__ import annotations

import hashlib
import importlib.metadata
import pathlib
import platform
import re
import sys

from tf_proxyless.app import config as config_lib
from tf_proxyless.cost import named_tables
from tf_proxyless.cost import pixel2
from tf_proxyless.cost import regression
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import files
from tf_proxyless.infra import locking
from tf_proxyless.infra import resources
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.measure import table_builder
from tf_proxyless.measure import validation as validation_lib
from tf_proxyless.search import run_directory
from tf_proxyless.space import network as network_lib

HOST = 'host'
_VERSION = 2  # of how this machine is measured; another one means new measurements

# Enough for sums that are good to a percent, in well under a minute for a small space. Of several short launches one is undisturbed.
_ROUNDS, _OPTIONS = 4, ('--min_secs=0.03', '--warmup_secs=0.015', '--max_repeats=1')
_CALIBRATION_NETWORKS, _VALIDATION_NETWORKS = 5, 8


def is_ready(config: config_lib.SearchConfig, space: network_lib.Network | None) -> bool:
  """Whether `load` can be called: the table must not be measured first, and does not depend on a space not known yet.

  Args:
    config: Configuration of the search.
    space: The search space, None while the dataset's number of classes is not known.
  """
  if config.target.latency_table in pixel2.NAMES:
    return space is not None
  if config.target.latency_table == HOST:
    return space is not None and _host_path(config, space).exists()
  return True


def load(config: config_lib.SearchConfig, space: network_lib.Network | None) -> dict[str, table_lib.LatencyTable]:
  """The tables of a search, by the option that names each.

  Args:
    config: Configuration of the search.
    space: The search space, if it is known already; a table is then checked to cover it.

  Raises:
    ValueError: There is no such table, it is of another unit or runtime than is expected, lacks entries, or holds estimates although
      none are allowed.
    OSError: A file cannot be read.
  """
  return {name: _load(config, name, space) for name in config_lib.TABLES if getattr(config.target, name)}


def _load(config: config_lib.SearchConfig, option: str, space: network_lib.Network | None) -> table_lib.LatencyTable:
  target = config.target
  name = getattr(target, option)
  if name == HOST and option == 'latency_table' and space is not None:
    table = table_lib.load(_host_path(config, space))
  else:
    table = named_tables.find(name, space, besides=(HOST,)) if option == 'latency_table' else table_lib.load(name)
  try:
    table.check_unit(config_lib.TABLES[option])
  except ValueError as error:
    raise ValueError(f'`{option}={name}`: {error}') from error
  expected = {'device': target.expected_device, 'precision': target.expected_precision, 'kernels': target.expected_kernels}
  table.check_runtime(**{field: value for field, value in expected.items() if value is not None})
  if space is not None:
    table = _complete(table, space, config.target.allow_estimates)
  if 'estimated' in table.provenance and not config.target.allow_estimates:
    raise ValueError(f'{table} is not measured ({table.provenance}); add `allow_estimates` if that will do')
  return table


def _complete(table: table_lib.LatencyTable, space: network_lib.Network, allow_estimates: bool) -> table_lib.LatencyTable:
  """The table with estimates for what it lacks, if they are allowed."""
  if allow_estimates:
    return regression.fill(table, network_lib.op_signatures(space)).table
  try:
    table.check_covers(space)
  except ValueError as error:
    raise ValueError(f'{error}; measure a table of this space with tf-proxyless build-table, or add `allow_estimates` to have '
                     'the missing entries estimated from the others') from error
  return table


def find(config: config_lib.SearchConfig, space: network_lib.Network) -> dict[str, table_lib.LatencyTable]:
  """`load`, after this machine was measured for the space if it has to be, which takes TensorFlow."""
  if not is_ready(config, space):
    print(f'measuring the operations of the search space on this machine, once; kept in {cache_directory(config)}', file=sys.stderr)
    stderr_lib.load_tensorflow()
    measure_host(config, space)
  return load(config, space)


def measure_host(config: config_lib.SearchConfig, space: network_lib.Network) -> table_lib.LatencyTable:
  """Measures this machine for a space, proves the table, and keeps it for the next search.

  Needs TensorFlow, and for a small space some 30 seconds; a large one takes minutes.

  Raises:
    UserError: The measurement was broken off.
    ValueError: What was measured does not fit together.
  """
  return measure(space, *_host_runtime(config), _cache_path(config, space))


def measure(space: network_lib.Network, precision: str, kernels: str, path: pathlib.Path) -> table_lib.LatencyTable:
  """The same, kept in a file."""
  work = path.with_suffix('')
  work.mkdir(parents=True, exist_ok=True)
  setup = table_builder.Setup(HOST, precision, kernels, rounds=_ROUNDS, options=_OPTIONS)
  with locking.take(work):
    table = validation_lib.measure(space, setup, work, _CALIBRATION_NETWORKS, _VALIDATION_NETWORKS, path)
    table_builder.discard_cache(work)
  return table


def find_proof(config: config_lib.SearchConfig, space: network_lib.Network) -> pathlib.Path | None:
  """Where the proof of the target's table lies; None if it was not proven, or was proven elsewhere.

  Args:
    config: Configuration of a search with a table that `load` finds.
    space: The search space.
  """
  name = getattr(config.target, config.target.table) if config.target.table else None
  if name is None or name in pixel2.NAMES:
    return None
  path = _host_path(config, space) if name == HOST else resources.latency_table(name)
  proof = validation_lib.path_for(path)
  return proof if proof.is_file() else None


def cache_directory(config: config_lib.SearchConfig) -> pathlib.Path:
  """Where tables of this machine are kept."""
  return _cache_folder(config.target.cache_dir)


def _cache_folder(cache_dir: files.PathLike | None) -> pathlib.Path:
  return pathlib.Path(cache_dir or files.cache_folder())


def _host_path(config: config_lib.SearchConfig, space: network_lib.Network) -> pathlib.Path:
  """Where the table of this machine lies, or will: a run that continues has its own copy, which nothing can change."""
  run = run_directory.RunDirectory(config.run_dir or '')
  return run.latency_table if run.identity.exists() and run.latency_table.exists() else _cache_path(config, space)


def _host_runtime(config: config_lib.SearchConfig) -> tuple[str, str]:
  """Precision and kernels that this machine is measured with."""
  return config.target.expected_precision or 'int8', config.target.expected_kernels or 'builtin'


def _cache_path(config: config_lib.SearchConfig, space: network_lib.Network) -> pathlib.Path:
  return host_path(space, *_host_runtime(config), config.target.cache_dir)


def host_path(space: network_lib.Network, precision: str, kernels: str, cache_dir: files.PathLike | None = None) -> pathlib.Path:
  """Where a table of this machine is kept, by all that its numbers depend on."""
  identity = [_VERSION, platform.node(), _processor(), importlib.metadata.version('ai-edge-litert'), precision, kernels,
              sorted(map(str, network_lib.op_signatures(space)))]
  digest = hashlib.sha256(repr(identity).encode('utf-8')).hexdigest()[:16]
  return _cache_folder(cache_dir) / f'host_{precision}_{kernels}_{digest}.json'


def _processor() -> str:
  """The processor's name."""
  try:
    text = pathlib.Path('/proc/cpuinfo').read_text(encoding='utf-8')
  except FileNotFoundError:  # not Linux
    return platform.processor()
  match = re.search(r'^model name\s*:\s*(.+)$', text, re.MULTILINE)
  return match[1] if match else platform.processor()
