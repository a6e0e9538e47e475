"""tools/derive.py on a finished search, as a user runs it."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import shutil

import pytest

from tests.search import runs
from tf_proxyless.cost import counting
from tf_proxyless.cost import memory
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import schema


derive = functools.partial(runs.tool, 'derive')


@pytest.fixture(scope='module')
def finished(tmp_path_factory, data_dir):
  """The run directory of a finished search by the gradient rule, which scored 100 networks."""
  directory = tmp_path_factory.mktemp('runs') / 'tiny'
  result = runs.run(*runs.TINY, f'--run_dir={directory}', f'--data_dir={data_dir}', '--architecture_optimizer=gradient')
  assert result.returncode == 0, result.stderr
  return directory


def is_worse(first, second):
  """Whether evidence and, where there is one, validation are both against it."""
  return all(first[name] is None or first[name] < second[name] for name in ('validation_accuracy', 'estimate'))


@pytest.mark.long
def test_the_search_left_an_architecture_within_its_target(finished):
  architecture = io.load_architecture(finished / 'architecture.json')
  space = io.load_search_space(finished / 'search_space.json')
  assert architecture.network == schema.resolve(space, architecture.genotype)
  assert architecture.cost.macs == counting.count_network(architecture.network).macs <= 3e5
  assert architecture.derivation.by == 'validation' and architecture.derivation.budget == 3e5
  record = json.loads((finished / 'derivation.json').read_text())
  assert all(candidate['cost'] <= 3e5 for candidate in record['candidates'])
  chosen, *others = record['candidates']
  assert all(record[name] == chosen[name] for name in ('validation_accuracy', 'estimate'))
  assert all(other['cost'] <= chosen['cost'] for other in others if is_worse(chosen, other))  # those that cannot be told from the best


@pytest.mark.long
@pytest.mark.parametrize('by', [pytest.param('probability', marks=pytest.mark.long), 'evidence'])
def test_another_budget_without_the_dataset(finished, tmp_path, by):
  output = tmp_path / 'small.json'
  result = derive(f'--run_dir={finished}', '--max_macs=100000', f'--by={by}', f'--output={output}', '--data_dir=/nowhere')
  assert result.returncode == 0, result.stderr
  found = io.load_architecture(output)
  assert counting.count_network(found.network).macs <= 100_000
  assert found.derivation.by == by and found.derivation.budget == 100_000
  assert re.search(r'^by probability .*estimated', result.stdout, re.MULTILINE)
  assert re.search(r'^by evidence .*\+- ', result.stdout, re.MULTILINE)


@pytest.mark.long
def test_limits_on_memory_and_size(finished, tmp_path):
  space = io.load_search_space(finished / 'search_space.json')
  size = model_lib.from_file_bytes(space)
  max_size = int((size.smallest + size.largest) / 2)
  output = tmp_path / 'small.json'
  free, limited = (derive(f'--run_dir={finished}', '--by=probability', f'--output={output}', *limits) for limits in (
      (), ('--max_memory=4.2kB', f'--max_size={max_size}')))
  assert limited.returncode == free.returncode == 0, limited.stderr
  network = io.load_architecture(output).network
  assert memory.plan(network).bytes <= 4200 and model_lib.from_file_bytes(network).fixed <= max_size
  for limits, message in [(('--max_memory=1kB',), '--max_memory=1000: each network of the space needs'),
                          (('--max_size=2kB',), '--max_size=2000: the smallest network of the space takes about'),
                          (('--max_memory=3 apples',), "--max_memory=3 apples must be a number of bytes, or one with kB")]:
    runs.check_mistake(derive(f'--run_dir={finished}', *limits, '--data_dir=/nowhere'), message)


@pytest.mark.long
def test_a_limit_on_energy_after_a_search_without(finished, tmp_path):
  space = io.load_search_space(finished / 'search_space.json')
  entries = tuple(table_lib.Entry(signature, table_lib.LatencyStats('measured', 1.0 + i % 5))
                  for i, signature in enumerate(network_lib.op_signatures(space)))
  table = table_lib.LatencyTable('energy', table_lib.Runtime('Pixel 8', 'int8'), entries, unit='mJ')
  table_lib.save(table, tmp_path / 'energy.json')
  table_lib.save(dataclasses.replace(table, unit='ms'), tmp_path / 'latency.json')
  model = model_lib.from_latency_table(space, table)
  limit, output = (2 * model.smallest + model.largest) / 3, tmp_path / 'small.json'
  flags = (f'--run_dir={finished}', '--by=probability', '--data_dir=/nowhere', f'--output={output}')
  result = derive(*flags, '--max_macs=250000', f'--energy_table={tmp_path / "energy.json"}', f'--max_energy_mj={limit}')
  assert result.returncode == 0, result.stderr
  found = io.load_architecture(output)
  assert found.cost.predicted_mj == model.cost(found.genotype) <= limit and found.cost.macs <= 250_000
  assert found.energy_table.sha256 == table.sha256
  assert result.stdout.splitlines()[-2].endswith(f', {found.cost.predicted_mj:.2f} mJ')
  for more, message in (
      ((f'--max_energy_mj={limit}',), 'the search had no energy table; use --max_macs, or give an --energy_table'),
      ((f'--energy_table={tmp_path / "energy.json"}', '--max_energy_mj=1'), '--max_energy_mj=1: the smallest network of the space takes'),
      ((f'--energy_table={tmp_path / "energy.json"}',), '--energy_table is for a limit of --max_energy_mj'),
      ((f'--energy_table={tmp_path / "latency.json"}', '--max_energy_mj=9'), "latency table 'energy' is in ms; one in mJ is needed"),
      ((f'--energy_table={tmp_path / "energy.json"}', '--max_energy_mj=50,60'), '--max_energy_mj=50,60 is a limit besides the budget')):
    runs.check_mistake(derive(*flags, *more), message)


@pytest.mark.long
@pytest.mark.parametrize('by', [pytest.param('evidence', marks=pytest.mark.long), 'validation'])
def test_several_budgets_give_a_front_which_the_report_shows(finished, by):
  limits = (100_000, 250_000, 180_000)
  result = derive(f'--run_dir={finished}', f'--max_macs={",".join(map(str, limits))}', f'--by={by}')
  assert result.returncode == 0, result.stderr
  front = json.loads((finished / 'front' / 'front.json').read_text())
  assert (front['by'], front['unit'], [point['limit'] for point in front['points']]) == (by, 'macs', list(limits))
  lines = result.stdout.splitlines()
  assert lines[0].split() == ['limit', 'cost', 'estimated', 'validation', 'network']
  for point, line, limit in zip(front['points'], lines[1:], limits):
    found = io.load_architecture(finished / 'front' / point['architecture'])
    assert counting.count_network(found.network).macs == found.cost.macs == point['cost'] <= limit
    assert (found.derivation.budget, found.derivation.estimate, found.derivation.standard_error) == (
        limit, point['estimate'], point['standard_error'])
    assert f'{100 * point["estimate"]:.2f} +- {100 * point["standard_error"]:.2f} %' in line
    assert line.endswith(str(finished / 'front' / point['architecture']))
    assert (point['validation_accuracy'] is None) == (by == 'evidence')
  smallest, largest, middle = front['points']
  assert not is_worse(middle, smallest) and not is_worse(largest, middle)
  assert all(f'warning: {line}' in lines for line in front['warnings'])
  assert 'derived for 0.180 M MACs' in (finished / 'report.html').read_text()


@pytest.mark.long
def test_a_front_may_lie_elsewhere(finished, tmp_path):
  result = derive(f'--run_dir={finished}', '--max_macs=1e5,2e5', '--by=probability', f'--output={tmp_path / "front"}')
  assert result.returncode == 0, result.stderr
  assert sorted(file.name for file in (tmp_path / 'front').iterdir()) == ['100000_macs.json', '200000_macs.json', 'front.json']


@pytest.mark.long
def test_by_validation_repeats_what_the_search_derived(finished, tmp_path):
  output = tmp_path / 'again.json'
  result = derive(f'--run_dir={finished}', f'--output={output}')
  assert result.returncode == 0, result.stderr
  assert output.read_bytes() == (finished / 'architecture.json').read_bytes()


@pytest.mark.long
def test_mistakes(finished, tmp_path):
  runs.check_mistake(derive('--run_dir=/nowhere'), '/nowhere is not the directory of a search')
  runs.check_mistake(derive(), '--run_dir is required')
  runs.check_mistake(derive(f'--run_dir={finished}', '--max_macs=10', '--by=probability'),
                     '--max_macs=10 is below the smallest network of the space, 0.03 M MACs (30880)')
  for limits, message in [('1e5,10', '--max_macs=10 is below the smallest'), ('1e5,5e9', '--max_macs=5e+09 is above the dearest network'),
                          ('1e5,2e5,1e5', '--max_macs has 100000 twice'), ('1e5,many', '--max_macs=1e5,many: must be numbers with commas'),
                          ('1e5,nan', '--max_macs=1e5,nan: must be a finite number')]:
    runs.check_mistake(derive(f'--run_dir={finished}', f'--max_macs={limits}', '--data_dir=/nowhere'), message)
  runs.check_mistake(derive(f'--run_dir={finished}', '--max_macs=1e5,2e5', f'--output={finished / "flags.txt"}'), 'must be a folder for 2')
  runs.check_mistake(derive(f'--run_dir={finished}', '--max_latency_ms=5'), 'had no latency table; use --max_macs')
  runs.check_mistake(derive(f'--run_dir={finished}', '--max_latency_ms=5', '--max_macs=5'), 'at most one of')
  empty = tmp_path / 'empty'
  empty.mkdir()
  for name in ('flags.txt', 'search_space.json'):
    shutil.copy(finished / name, empty / name)
  runs.check_mistake(derive(f'--run_dir={empty}', '--by=probability'), 'holds no checkpoint; run the search first')
