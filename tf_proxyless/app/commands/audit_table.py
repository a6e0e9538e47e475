"""Compares two latency tables: what they were measured on, their entries, and whether they order the networks of a space alike.

  tf-proxyless audit-table pixel1_tflite_float pixel2.json
  tf-proxyless audit-table monday.json friday.json --width_multiplier=0.5 --json

Ratios are second / first. Networks are those of the search space that the flags name; both tables must cover it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import dataclasses
import json
from typing import Any

import numpy as np

from tf_proxyless.app import config as config_lib
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.cost import calibration
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import named_tables
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import errors
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import sampling
from tf_proxyless.space import schema


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  first_table: str = options.option('', 'File or name of a table.', positional=True)
  second_table: str = options.option('', 'File or name of another.', positional=True)
  classes: int | None = options.option(None, 'Outputs of the classifier; by default those of a file, or 1000.', low=1)
  networks: int = options.option(1000, 'Random networks whose latencies are compared.', low=3)
  seed: int = options.option(0, 'Seed of the choice of networks.', low=0)
  json: bool = options.option(False, 'Prints one JSON object instead of text.')
  space: config_lib.SpaceConfig = options.group('Search space', config_lib.SpaceConfig)


_WORST = 10


def compare_entries(first: table_lib.LatencyTable, second: table_lib.LatencyTable) -> dict[str, Any]:
  """Compares entries that both have, not calibrated.

  Raises:
    ValueError: They have fewer than three in common.
  """
  others = {entry.signature: entry.latency.latency_ms for entry in second.entries}
  pairs = {entry.signature: (entry.latency.latency_ms, others[entry.signature]) for entry in first.entries if entry.signature in others}
  if len(pairs) < 3:
    raise ValueError(f'latency tables {first.name!r} and {second.name!r} have {len(pairs)} entries in common; nothing to compare')
  ratios = {signature: b / a for signature, (a, b) in pairs.items()}
  median = float(np.median(list(ratios.values())))
  deviating = sorted(ratios, key=lambda signature: -abs(np.log(ratios[signature] / median)))
  return {
      'common': len(pairs),
      'only_first': [str(entry.signature) for entry in first.entries if entry.signature not in pairs],
      'only_second': [str(signature) for signature in others if signature not in pairs],
      'ratio': _summary(ratios.values()),
      'spearman': _spearman(*zip(*pairs.values())),
      'deviating_most': [{'signature': str(signature), 'first_ms': pairs[signature][0], 'second_ms': pairs[signature][1],
                          'ratio': ratios[signature]} for signature in deviating[:_WORST]],
      'by_kernel_size': _grouped(ratios, 'kernel_size'),
      'by_expand_ratio': _grouped(ratios, 'expand_ratio'),
      'by_input_height': _grouped(ratios, 'input_height'),
  }


def compare_networks(first: table_lib.LatencyTable, second: table_lib.LatencyTable, space: network_lib.Network, count: int,
                     seed: int) -> dict[str, Any]:
  """Compares latencies of random networks, calibrated.

  Returns:
    Their ratios; `rms_percent`, what is left of the differences after one scale and offset; and their rank correlation.

  Raises:
    ValueError: A table does not cover the space.
  """
  models = [model_lib.from_latency_table(space, table) for table in (first, second)]
  genotypes = sampling.spread(space, min(count, schema.cardinality(space)), seed)
  latencies = [[model.cost(genotype) for genotype in genotypes] for model in models]
  line = calibration.fit(*latencies, [f'network {i}' for i in range(len(genotypes))])
  predicted = line.offset_ms + line.scale * np.array(latencies[0])
  return {
      'networks': len(genotypes),
      'ratio': _summary(b / a for a, b in zip(*latencies)),
      'rms_percent': float(100 * np.sqrt(np.mean((predicted / latencies[1] - 1)**2))),
      'spearman': _spearman(*latencies),
  }


def audit(first: table_lib.LatencyTable, second: table_lib.LatencyTable, space: network_lib.Network, count: int,
          seed: int) -> dict[str, Any]:
  """All of it; `networks` is None where `networks_missing` says what keeps them from being compared.

  Raises:
    ValueError: The tables are of different units.
  """
  second.check_unit(first.unit)
  result: dict[str, Any] = {'unit': first.unit}
  for name, table in (('first', first), ('second', second)):
    result[name] = {'name': table.name, 'provenance': table.provenance, 'entries': len(table.entries),
                    'estimate_error_percent': table.estimate_error_percent,
                    'runtime': dataclasses.asdict(table.runtime), 'calibration': dataclasses.asdict(table.calibration),
                    'validation': table.validation and dataclasses.asdict(table.validation)}
  result['entries'] = compare_entries(first, second)
  try:
    result['networks'], result['networks_missing'] = compare_networks(first, second, space, count, seed), None
  except ValueError as error:
    result['networks'], result['networks_missing'] = None, str(error)
  return result


def _grouped(ratios: dict[network_lib.OpSignature, float], by: str) -> dict[str, dict[str, float]]:
  """Ratios of inverted bottlenecks by a property."""
  groups: dict[int, list[float]] = {}
  for signature, ratio in ratios.items():
    if hasattr(signature.op, 'expand_ratio'):
      value = signature.input_shape[0] if by == 'input_height' else getattr(signature.op, by)
      groups.setdefault(value, []).append(ratio)
  return {str(value): {'entries': len(groups[value]), **_summary(groups[value])} for value in sorted(groups)}


def _summary(values: Iterable[float]) -> dict[str, float]:
  return dict(zip(('p5', 'median', 'p95'), map(float, np.percentile(list(values), (5, 50, 95)))))


def _spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
  """The rank correlation, None where all values of one side are equal."""
  return calibration.spearman(first, second) if len(set(first)) > 1 and len(set(second)) > 1 else None


def to_text(result: dict[str, Any]) -> str:
  """The comparison for people."""
  first, second, entries, networks = (result[name] for name in ('first', 'second', 'entries', 'networks'))
  lines = [f'first    {_describe(first)}', f'second   {_describe(second)}']
  for name, value in first['runtime'].items():
    if value != second['runtime'][name]:
      lines.append(f'         {name}: {value} against {second["runtime"][name]}')
  only_first, only_second = len(entries['only_first']), len(entries['only_second'])
  lines += ['', f'entries  {entries["common"]} in common, {only_first} only in first, {only_second} only in second',
            f'         second / first {_range(entries["ratio"])}; Spearman {_number(entries["spearman"])}']
  if not calibration.is_usual(entries['ratio']['median']):
    lines.append(f'warning  that is far from 1: are both tables in {result["unit"]}?')
  for text, key in (('kernel', 'by_kernel_size'), ('expansion', 'by_expand_ratio'), ('height', 'by_input_height')):
    for value, group in entries[key].items():
      lines.append(f'         {text} {value}: {_range(group)}, {group["entries"]} entries')
  lines += ['', 'farthest from the median ratio']
  for row in entries['deviating_most']:
    lines.append(f'         {row["signature"]}: {row["first_ms"]:.3f} and {row["second_ms"]:.3f} {result["unit"]}, '
                 f'ratio {row["ratio"]:.2f}')
  lines.append('')
  if networks is None:
    lines.append(f'networks not compared: {result["networks_missing"]}')
  else:
    lines.append(f'networks {networks["networks"]} random ones: second / first {_range(networks["ratio"])}')
    lines.append(f'         after one scale and offset {networks["rms_percent"]:.1f} % apart (rms); '
                 f'Spearman {_number(networks["spearman"])}')
  return '\n'.join(lines)


def _describe(table: dict[str, Any]) -> str:
  runtime, error = table['runtime'], table['estimate_error_percent']
  text = f'{table["name"]}: {runtime["device"]}, {runtime["precision"]}, kernels {runtime["kernels"]}; {table["entries"]} entries'
  return f'{text}, {table["provenance"]}' + ('' if error is None else f' (estimates are off by {error:.0f} %)')


def _range(summary: dict[str, float]) -> str:
  return f'{summary["median"]:.2f} ({summary["p5"]:.2f} to {summary["p95"]:.2f})'


def _number(value: float | None) -> str:
  return 'unknown' if value is None else f'{value:.3f}'


def main(config: Config) -> None:
  with errors.user_errors():
    space = problem_lib.make_space(config.space, config.classes)
    first, second = (named_tables.find(name, space) for name in (config.first_table, config.second_table))
    result = audit(first, second, space, config.networks, config.seed)
  print(json.dumps(result) if config.json else to_text(result))

