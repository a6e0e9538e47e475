"""tools/derive.py on a finished search, as a user runs it."""

from __future__ import annotations

import functools
import json
import re
import shutil

import pytest

from tests.search import runs
from tf_proxyless.cost import counting
from tf_proxyless.space import io
from tf_proxyless.space import schema


derive = functools.partial(runs.tool, 'derive')


@pytest.fixture(scope='module')
def finished(tmp_path_factory, data_dir):
  """The run directory of a finished search by the gradient rule, which scored 100 networks."""
  directory = tmp_path_factory.mktemp('runs') / 'tiny'
  result = runs.run(*runs.TINY, f'--run_dir={directory}', f'--data_dir={data_dir}', '--architecture_optimizer=gradient')
  assert result.returncode == 0, result.stderr
  return directory


def test_the_search_left_an_architecture_within_its_target(finished):
  architecture = io.load_architecture(finished / 'architecture.json')
  space = io.load_search_space(finished / 'search_space.json')
  assert architecture.network == schema.resolve(space, architecture.genotype)
  assert architecture.cost.macs == counting.count_network(architecture.network).macs <= 3e5
  assert architecture.derivation.by == 'validation' and architecture.derivation.budget == 3e5
  record = json.loads((finished / 'derivation.json').read_text())
  assert all(candidate['cost'] <= 3e5 for candidate in record['candidates'])
  best = max(candidate['validation_accuracy'] for candidate in record['candidates'])
  assert record['validation_accuracy'] == best


@pytest.mark.parametrize('by', ['probability', 'evidence'])
def test_another_budget_without_the_dataset(finished, tmp_path, by):
  output = tmp_path / 'small.json'
  result = derive(f'--run_dir={finished}', '--max_macs=100000', f'--by={by}', f'--output={output}', '--data_dir=/nowhere')
  assert result.returncode == 0, result.stderr
  found = io.load_architecture(output)
  assert counting.count_network(found.network).macs <= 100_000
  assert found.derivation.by == by and found.derivation.budget == 100_000
  assert re.search(r'^by probability .*estimated', result.stdout, re.MULTILINE)
  assert re.search(r'^by evidence .*\+- ', result.stdout, re.MULTILINE)


def test_by_validation_repeats_what_the_search_derived(finished, tmp_path):
  output = tmp_path / 'again.json'
  result = derive(f'--run_dir={finished}', f'--output={output}')
  assert result.returncode == 0, result.stderr
  assert output.read_bytes() == (finished / 'architecture.json').read_bytes()


def test_mistakes(finished, tmp_path):
  runs.check_mistake(derive('--run_dir=/nowhere'), '/nowhere is not the directory of a search')
  runs.check_mistake(derive(), '--run_dir is required')
  runs.check_mistake(derive(f'--run_dir={finished}', '--max_macs=10', '--by=probability'), 'smallest network costs 30880')
  runs.check_mistake(derive(f'--run_dir={finished}', '--max_latency_ms=5'), 'had no latency table; use --max_macs')
  runs.check_mistake(derive(f'--run_dir={finished}', '--max_latency_ms=5', '--max_macs=5'), 'at most one of')
  empty = tmp_path / 'empty'
  empty.mkdir()
  for name in ('flags.txt', 'search_space.json'):
    shutil.copy(finished / name, empty / name)
  runs.check_mistake(derive(f'--run_dir={empty}', '--by=probability'), 'holds no checkpoint; run the search first')
