"""Latency and energy together: which table is the target's and which limits, and the best network within both, against brute force."""

import itertools

import numpy as np
import pytest

from tests import suites
from tests.search import runs
from tests.space import spaces
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import design_search
from tf_proxyless.app import flags
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app import tables
from tf_proxyless.app.commands import describe
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.derive import solver
from tf_proxyless.report.document import document
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import proxyless
from tf_proxyless.space import schema

NAMES = {'ms': 'latency_table', 'mJ': 'energy_table'}


def make_table(space, unit, seed=0):
  """What costs time here need not cost energy: the numbers are drawn."""
  generator = np.random.default_rng([seed, len(unit), ord(unit[1])])
  entries = tuple(table_lib.Entry(signature, table_lib.LatencyStats('measured', median_ms=float(generator.uniform(0.5, 3.0))))
                  for signature in network_lib.op_signatures(space))
  return table_lib.LatencyTable(f'of {unit}', table_lib.Runtime('Pixel 9', 'int8', 'builtin'), entries,
                                calibration=table_lib.Calibration(1.5, 0.25, 5), unit=unit)


@pytest.fixture
def space():
  return spaces.widths()


@pytest.fixture
def files(space, tmp_path):
  """Flags of a space and its two tables."""
  io.save_search_space(space, tmp_path / 'space.json')
  for unit in NAMES:
    table_lib.save(make_table(space, unit), tmp_path / f'{unit}.json')
  return {'space': f'--search_space={tmp_path / "space.json"}',
          **{name: f'--{name}={tmp_path / unit}.json' for unit, name in NAMES.items()}}


def parse(*arguments):
  return flags.from_flagfile(['--dataset=digits', '--run_dir=run', *arguments], config_lib.SearchConfig)


def all_paths(space):
  decisions = schema.decisions(space)
  every = itertools.product(*(range(len(each.choices)) for each in decisions))
  return np.array(sorted({schema.canonical(decisions, path) for path in every}))


def value_of(values, paths):
  """The sum of what the choices are worth, of a space in which all decisions count always."""
  return sum(row[np.asarray(paths)[..., i]] for i, row in enumerate(values))


class Predictor:
  """Knows the accuracy of each network."""

  def __init__(self, values):
    self._values, self.paths = values, np.zeros((0, len(values)), np.int32)

  def predict(self, paths):
    return 0.5 + 0.01 * value_of(self._values, paths), np.zeros(len(paths))


@pytest.mark.parametrize('main', suites.few(['mJ', 'ms', 'macs'], 1))
def test_the_best_network_within_milliseconds_and_millijoules(space, files, main, monkeypatch):
  """By the solver, as derivation finds it, and by the genetic designer; the target is in ms, in mJ or in MACs, the others limit."""
  models = {unit: model_lib.from_latency_table(space, make_table(space, unit)) for unit in NAMES}
  models['macs'] = model_lib.from_macs(space)
  paths = all_paths(space)
  most = {unit: float(np.quantile(model.costs(paths), 0.5)) for unit, model in models.items()}
  options = {'ms': 'latency_ms', 'mJ': 'energy_mj', 'macs': 'macs'}
  limits = [f'--max_{options[unit]}={most[unit]!r}' for unit in NAMES if unit != main]
  config = parse(*files.values(), f'--target_{options[main]}={most[main]!r}', *limits)
  config.check()
  problem = problem_lib.SearchProblem.from_config(config, space)
  assert problem.cost_model.unit == main and {each.cost.unit for each in problem.others} == set(NAMES) - {main}
  assert problem.table == (None if main == 'macs' else make_table(space, main))
  units = [main, *(unit for unit in NAMES if unit != main)]
  within = paths[np.all([models[unit].costs(paths) <= most[unit] for unit in units], axis=0)]
  assert 0 < len(within) < len(paths) / 2
  decisions = schema.decisions(space)
  constraints = (solver.Constraint(problem.cost_model, problem.target), *problem.others)
  for seed in range(2):
    values = [np.random.default_rng([seed, i]).normal(size=len(each.choices)) for i, each in enumerate(decisions)]
    best = value_of(values, within).max()
    assert value_of(values, solver.solve(values, constraints)) == pytest.approx(best)
  monkeypatch.setattr(design_search, '_PREDICTIONS', 300)
  (_, architecture), = design_search.derive(Predictor(values), problem, [problem.target], 0)
  assert value_of(values, schema.path_of(space, architecture.genotype)) == pytest.approx(best)
  network = schema.resolve(space, architecture.genotype)
  assert architecture.cost.predicted_ms == model_lib.from_latency_table(network, make_table(space, 'ms')).fixed
  assert architecture.cost.predicted_mj == model_lib.from_latency_table(network, make_table(space, 'mJ')).fixed
  assert architecture.energy_table.sha256 == make_table(space, 'mJ').sha256


@pytest.mark.parametrize('arguments, message', [
    (('--target_energy_mj=5',), '`target_energy_mj` needs an `energy_table`'),
    (('--target_macs=1e6', '--max_energy_mj=5'), '`max_energy_mj` needs an `energy_table`'),
    (('--target_energy_mj=5', 'energy_table', '--max_energy_mj=5'), 'give `target_energy_mj` or `max_energy_mj`, not both'),
    (('--target_latency_ms=5', 'latency_table', 'energy_table'),
     '`energy_table` is for an energy, not for `target_latency_ms`; for a limit besides that, add `max_energy_mj`'),
    (('--target_macs=1e6', 'latency_table'), '`latency_table` is for a latency, not for `target_macs`'),
    (('--target_latency_fraction=0.5', '--max_latency_ms=3', 'latency_table'), '`target_latency_fraction` needs a `latency_table`'),
    (('--target_latency_fraction=0.5', 'latency_table', 'energy_table'),
     '`energy_table` is for an energy, not for `target_latency_fraction`'),
])
def test_options_that_do_not_fit(files, arguments, message):
  with pytest.raises(ValueError) as caught:
    parse(*(files.get(argument, argument) for argument in arguments)).check()
  assert message in str(caught.value)


def test_tables_that_are_not_of_what_they_are_for(space, files):
  swapped = files['latency_table'].removeprefix('--latency_table='), files['energy_table'].removeprefix('--energy_table=')
  for arguments, message in (
      (('--target_energy_mj=5', f'--energy_table={swapped[0]}'), "`energy_table=.*: latency table 'of ms' is in ms; one in mJ is needed"),
      (('--target_latency_ms=5', f'--latency_table={swapped[1]}'), "`latency_table=.*: energy table 'of mJ' is in mJ; one in ms is needed"),
      (('--target_latency_ms=50', files['latency_table'], files['energy_table'], '--max_energy_mj=0.5'),
       '`max_energy_mj=0.5`: the smallest network of the space takes [0-9.]+ mJ')):
    with pytest.raises(ValueError, match=message):
      problem_lib.SearchProblem.from_config(parse(files['space'], *arguments), space)


def test_which_table_is_the_targets(files):
  for arguments, table in (((), None), (('latency_table',), 'latency_table'), (('energy_table',), 'energy_table'),
                           (('latency_table', 'energy_table', '--max_energy_mj=5'), 'latency_table'),
                           (('latency_table', 'energy_table', '--max_latency_ms=5'), 'energy_table')):
    config = parse('--targets=30%,60%', '--designer=genetic', '--evaluator=run', *(files.get(argument, argument) for argument in arguments))
    config.check()
    assert config.target.table == table
    assert list(tables.load(config, None)) == [name for name in NAMES.values() if name in arguments]


def test_description(space):
  """Both are in it, and add up but for the calibrations' offsets."""
  network = schema.resolve(space, schema.genotype(space, (0,) * len(schema.decisions(space))))
  known = {unit: make_table(space, unit) for unit in NAMES}
  found = describe.describe(network, known)
  for name, unit in (('latency_ms', 'ms'), ('energy_mj', 'mJ')):
    assert found[name] == model_lib.from_latency_table(network, known[unit]).fixed
    assert sum(block[name] for block in found['blocks']) == pytest.approx(found[name] - 0.25)
  lines = describe.to_text(found, known).splitlines()
  assert lines[0].split()[-2:] == ['ms', 'mJ']
  assert lines[-1] == f'{found["energy_mj"]:.4g} mJ by of mJ (measured; Pixel 9, int8, kernels builtin)'
  assert describe.describe(network, {})['energy_mj'] is None


@pytest.mark.long
def test_a_search_for_energy_within_a_latency(tmp_path, data_dir):
  """As a user runs it; its report is in millijoules, its directory derives other budgets, and does not need the tables any more."""
  space = proxyless.proxyless(stem_filters=8, stem_strides=1, first_block_filters=8, stage_filters=(8,), stage_blocks=(2,),
                              stage_strides=(1,), head_filters=16, resolution=8, classes=10)
  known = {unit: make_table(space, unit) for unit in NAMES}
  models = {unit: model_lib.from_latency_table(space, table) for unit, table in known.items()}
  for unit, table in known.items():
    table_lib.save(table, tmp_path / f'{unit}.json')
  middle = {unit: (model.smallest + model.largest) / 2 for unit, model in models.items()}
  tiny = [flag for flag in runs.TINY if not flag.startswith('--target_macs')]
  run = tmp_path / 'run'
  result = runs.run(*tiny, f'--run_dir={run}', f'--data_dir={data_dir}', f'--energy_table={tmp_path / "mJ.json"}',
                    f'--target_energy_mj={middle["mJ"]}', f'--latency_table={tmp_path / "ms.json"}', f'--max_latency_ms={middle["ms"]}')
  assert result.returncode == 0, result.stderr
  found = io.load_architecture(run / 'architecture.json')
  assert found.cost.predicted_mj <= middle['mJ'] and found.cost.predicted_ms <= middle['ms']
  shown = document.document(run)['runs'][0]
  assert not shown['problems']
  assert (shown['cost']['unit'], shown['table']['unit']) == ('mJ', 'mJ')
  assert shown['cost']['target'] == pytest.approx(middle['mJ'], rel=1e-5)
  assert shown['network']['cost'] == pytest.approx(found.cost.predicted_mj, rel=1e-5)
  for unit in NAMES:
    (tmp_path / f'{unit}.json').unlink()
  less = (models['mJ'].smallest + middle['mJ']) / 2
  result = runs.tool('derive', f'--run_dir={run}', '--by=evidence', f'--max_energy_mj={less}', f'--output={tmp_path / "less.json"}')
  assert result.returncode == 0, result.stderr
  derived = io.load_architecture(tmp_path / 'less.json')
  assert derived.cost.predicted_mj <= less and derived.cost.predicted_ms <= middle['ms']
