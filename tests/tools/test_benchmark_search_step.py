"""tools/benchmark_search_step.py: its statistics, what it compares, and its output. No timing is asserted."""

import dataclasses
import functools
import json
import math

import numpy as np
import pytest

from tests.nn import spaces
from tests.search import runs
from tools import benchmark_search_step as tool
from tf_proxyless.space import ops
from tf_proxyless.space import schema

run = functools.partial(runs.tool, 'benchmark_search_step')


@pytest.fixture
def setting():
  return tool.Setting(resolution=112, batch_size=2, candidates=7, repetitions=3, paths=2)


def test_ratio_of_medians():
  random = np.random.default_rng(1)
  times = random.uniform(1.0, 2.0, (3, 8))
  assert tool.ratio_of_medians(times, times) == {'ratio': 1.0, 'low': 1.0, 'high': 1.0}
  assert tool.ratio_of_medians(3.0 * times, times) == pytest.approx({'ratio': 3.0, 'low': 3.0, 'high': 3.0})
  # Sums of medians, so that one slow outlier does not count and a slow path counts by its time.
  found = tool.ratio_of_medians(np.array([[2.0, 2.0, 99.0], [6.0, 6.0, 6.0]]), np.array([[1.0, 1.0, 1.0], [4.0, 4.0, 4.0]]))
  assert found['ratio'] == pytest.approx(8 / 5)
  assert found['low'] <= found['ratio'] <= found['high']


def test_candidates_are_the_first_of_the_official_order(setting):
  names = ('k3e3', 'k3e6', 'k5e3', 'k5e6', 'k7e3', 'k7e6', 'zero')
  for count, cardinality in ((2, 2**21), (4, 4**21), (6, 6**21), (7, 6**6 * 7**15)):
    space = tool.make_space(dataclasses.replace(setting, candidates=count))
    assert schema.cardinality(space) == cardinality
    assert [ops.short_name(op) for op in space.blocks[3].op.choices] == list(names[:count])


def test_the_wide_space(setting):
  space = tool.make_space(dataclasses.replace(setting, space='wide', candidates=17))
  assert schema.cardinality(space) == 16**6 * 17**15
  choices = space.blocks[3].op.choices
  assert len(set(choices)) == 17 and choices[-1] == ops.Zero()
  assert choices[3] == dataclasses.replace(choices[0], activation='hard_swish', se_ratio=0.25)


@pytest.mark.parametrize('space, networks', [('fbnet', 9**22), ('cifar_tree', 7**648)])
def test_published_spaces(setting, space, networks):
  assert schema.cardinality(tool.make_space(dataclasses.replace(setting, space=space))) == networks


def test_pairs_of_paths_differ_everywhere(setting):
  for count in (2, 7):
    space = tool.make_space(dataclasses.replace(setting, candidates=count))
    sizes = np.array([len(one_of.choices) for _, one_of in schema.walk(space)])
    paths = tool.sample_paths(space, 5)
    assert paths.shape == (5, 2, 21) and paths.dtype == np.int32
    assert ((paths >= 0) & (paths < sizes)).all() and (paths[:, 0] != paths[:, 1]).all()
    np.testing.assert_array_equal(paths, tool.sample_paths(space, 5))
    np.testing.assert_array_equal(paths[:2], tool.sample_paths(space, 5)[:2])


@pytest.mark.long
def test_every_step_of_every_path_is_timed(setting):
  seconds = tool.measure_steps(spaces.tiny(), setting)
  assert tuple(seconds) == tool.STEPS
  for times in seconds.values():
    assert times.shape == (2, 3) and (times > 0).all()
  summary = tool.summarise_steps({name: np.full((2, 3), i + 1.0) for i, name in enumerate(tool.STEPS)})
  assert summary['seconds'] == dict(zip(tool.STEPS, (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)))
  assert {name: found['ratio'] for name, found in summary['ratios'].items()} == {
      'weight_step': 1 / 2, 'two_path_step': 3 / 1, 'forward': 4 / 5, 'mixture_step': 6 / 1, 'one_path_step': 7 / 1,
      'expected_latency': 8 / 1}
  assert tuple(tool.measure_steps(spaces.tiny(), dataclasses.replace(setting, space='cifar_tree', paths=1))) == tuple(
      name for name in tool.STEPS if name not in ('mixture_step', 'one_path_step'))


@pytest.mark.parametrize('argument, message', [
    ('--candidates=1', 'flag --candidates=1'), ('--candidates=8', '--candidates must be at most 7'),
    ('--candidates=8 --space=fbnet', '--candidates is for the spaces proxyless and wide'),
    ('--batch_size=0', 'flag --batch_size=0'),
    ('--resolution=-1', 'flag --resolution=-1'), ('--paths=0', 'flag --paths=0'), ('--repetitions=x', 'flag --repetitions=x'),
    ('--unknown', 'unknown flag --unknown'), ('stray', "unexpected argument 'stray'")])
def test_mistakes_are_one_line(tmp_path, argument, message):
  result = run(*argument.split(), cwd=tmp_path)
  runs.check_mistake(result, message)


@pytest.mark.by_hand
def test_json_of_a_run(tmp_path):
  result = run('--json', '--resolution=32', '--batch_size=2', '--candidates=2', '--repetitions=2', '--paths=1', cwd=tmp_path)
  assert result.returncode == 0, result.stderr
  found = json.loads(result.stdout)
  assert found['setting'] == {'space': 'proxyless', 'weight_sharing': 'nested', 'resolution': 32, 'batch_size': 2, 'candidates': 2,
                              'repetitions': 2, 'paths': 1, 'precision': 'float32', 'recompute_activations': False}
  assert set(found) == {'setting', 'machine', 'ratios', 'seconds', 'start_up_seconds', 'peak_memory_mb'}
  assert set(found['seconds']) == set(tool.STEPS)
  for name, other in tool.RATIOS.items():
    ratio = found['ratios'][name]
    assert ratio['ratio'] == pytest.approx(found['seconds'][name] / found['seconds'][other])
    assert 0 < ratio['low'] <= ratio['ratio'] <= ratio['high'] < math.inf
  memory = found['peak_memory_mb']
  assert memory['ratio'] == memory['supernet'] / memory['fixed_network'] and memory['fixed_network'] > 100
  assert set(found['start_up_seconds']) == {'all_steps', 'weight_step', 'fixed_network'}
  table = tool.to_text(found)
  for label in ('weight step / fixed network', 'two-path step / weight step', 'forward / fixed network', 'start-up', 'peak memory'):
    assert label in table
