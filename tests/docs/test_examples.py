"""The examples of docs/extend.md: what each promises, and each as a search that a user starts."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys

import numpy as np
import pytest

from tests.search import runs
from tests.tools import loading
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app import search_flags
from tf_proxyless.cost import counting
from tf_proxyless.cost import model as model_lib
from tf_proxyless.space import io
from tf_proxyless.space import ops
from tf_proxyless.space import proxyless
from tf_proxyless.space import schema

FOLDER = loading.ROOT / 'docs' / 'examples'
EXAMPLES = {  # file, and the flag that asks for what it adds
    'first_kernel_space': '--search_space=first_kernel',
    'hinge_objective': '--objective=hinge',
    'leave_one_out_optimizer': '--architecture_optimizer=leave_one_out',
}


@contextlib.contextmanager
def loaded(name, *tables):
  """An example as a module; afterwards the tables of names, which it adds to, are as before."""
  before = [table.copy() for table in tables]
  try:
    with loading.loaded_file(f'docs/examples/{name}.py', name) as module:
      yield module
  finally:
    for table, content in zip(tables, before):
      table.clear()
      table.update(content) if isinstance(table, dict) else table.extend(content)


@pytest.fixture
def space_example():
  with loaded('first_kernel_space', search_flags.SEARCH_SPACES, problem_lib._SPACES) as module:
    yield module


@pytest.fixture
def hinge_example():
  from tf_proxyless.app import methods
  with loaded('hinge_objective', search_flags.OBJECTIVES, methods._OBJECTIVES) as module:
    yield module


@pytest.fixture
def optimizer_example():
  from tf_proxyless.app import methods
  with loaded('leave_one_out_optimizer', search_flags.OBJECTIVES, search_flags.ARCHITECTURE_OPTIMIZERS, methods._OPTIMIZERS) as module:
    yield module


def parse(*arguments):
  return search_flags.RUN.from_flagfile(arguments)


def test_every_example_is_here():
  assert sorted(EXAMPLES) == sorted(path.stem for path in FOLDER.glob('*.py'))


def test_the_space_has_the_choices_that_it_names(space_example):
  values = parse('--search_space=first_kernel', '--resolution=32', '--stem_strides=1', '--stage_filters=24,40', '--stage_blocks=2,1',
                 '--stage_strides=1,2')
  space = problem_lib.make_space(values, 7)
  decisions = dict(schema.walk(space))
  assert [len(decision.choices) for decision in decisions.values()] == [3, 6, 7, 6]
  assert schema.cardinality(space) == 3 * 6 * 7 * 6
  assert space.classes == 7
  assert all(op.kernel_size < 7 for path, decision in decisions.items() if 'block_0' not in path
             for op in decision.choices if isinstance(op, ops.MBConv))
  assert model_lib.from_macs(space).cost(dict.fromkeys(decisions, 0)) == counting.count_network(
      schema.resolve(space, dict.fromkeys(decisions, 0))).macs


def test_a_name_is_taken_once(space_example):
  with pytest.raises(ValueError, match="a search space 'proxyless' already"):
    problem_lib.add_search_space('proxyless', lambda values, classes: proxyless.proxyless(classes=classes))


def test_the_hinge_and_its_gradient(hinge_example):
  import tensorflow as tf

  objective = hinge_example.Hinge(target=50.0, weight=2.0)
  cost = tf.constant(60.0)
  with tf.GradientTape() as tape:
    tape.watch(cost)
    loss = objective.loss(tf.constant(1.5), cost)
  assert float(loss) == pytest.approx(1.5 + 2.0 * 0.2)
  assert float(tape.gradient(loss, cost)) == pytest.approx(2.0 / 50.0)
  assert float(objective.loss(tf.constant(1.5), tf.constant(49.0))) == 1.5
  assert float(objective.reward(tf.constant([0.7]), cost)[0]) == pytest.approx(0.7)


def test_the_hinge_by_its_name(hinge_example):
  from tf_proxyless.app import methods

  assert search_flags.OBJECTIVES['hinge'] == ('reinforce', 'gradient')
  values = parse('--dataset=digits', '--run_dir=x', '--target_macs=300e6', '--objective=hinge', '--penalty_weight=3')
  problem_lib.check_flags(values)
  objective = methods.make_objective(values, problem_lib.make(values, 1000), updates=100)
  assert float(objective.loss(0.0, 450e6)) == pytest.approx(3 * 0.5)
  with pytest.raises(ValueError, match="an objective 'hinge' already"):
    methods.add_objective('hinge', ('gradient',), hinge_example.from_flags)


def test_leave_one_out_learns_the_better_choice(optimizer_example):
  """Accuracy is a sum of known gains, so the most likely network must become the best one; costs are all equal."""
  from tf_proxyless.search import objectives
  from tf_proxyless.search import policy as policy_lib

  gains = np.array([[0.0, 0.05, 0.1], [0.2, 0.0, 0.1]], np.float32)
  cost_model = model_lib.additive('ms', ('first', 'second'), 0.0, ((1.0,) * 3, (1.0,) * 3))
  parameters = policy_lib.ArchitectureParameters([3, 3], exploration=0.1)
  score = lambda paths, batch: gains[[0, 1], paths].sum(axis=1)
  optimizer = optimizer_example.LeaveOneOut(parameters, cost_model, objectives.Objective(), score, learning_rate=0.05, networks=8)
  for _ in range(150):
    scored = optimizer.update()
  assert scored.paths.shape == (8, 2) and scored.accuracies.shape == (8,)
  assert parameters.most_likely().numpy().tolist() == [2, 0]
  assert int(optimizer.updates) == 150


def test_leave_one_out_needs_others(optimizer_example):
  with pytest.raises(ValueError, match='at least 2 networks'):
    optimizer_example.LeaveOneOut(None, None, None, None, 0.1, networks=1)


def test_leave_one_out_serves_what_reinforce_serves(optimizer_example):
  assert [name for name, serves in search_flags.OBJECTIVES.items() if 'leave_one_out' in serves] == [
      name for name, serves in search_flags.OBJECTIVES.items() if 'reinforce' in serves]


@pytest.mark.long
@pytest.mark.parametrize('name', EXAMPLES)
def test_search_as_the_document_starts_it(name, tmp_path, data_dir):
  """Each example is a main: it searches, resumes its own run directory, and keeps the budget."""
  command = [sys.executable, str(FOLDER / f'{name}.py'), EXAMPLES[name], *runs.TINY, f'--run_dir={tmp_path}', f'--data_dir={data_dir}']
  result = subprocess.run(command, capture_output=True, text=True, env=runs.environment(), timeout=300)
  assert result.returncode == 0, result.stderr[-3000:]
  assert EXAMPLES[name] in (tmp_path / 'flags.txt').read_text().splitlines()
  architecture = io.load_architecture(tmp_path / 'architecture.json')
  assert architecture.cost.macs <= 3e5
  assert architecture.network == schema.resolve(io.load_search_space(tmp_path / 'search_space.json'), architecture.genotype)
  assert json.loads((tmp_path / 'status.json').read_text())['state'] == 'finished'
