"""The examples of docs/extend.md: what each promises, and each as a search that a user starts."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests.search import runs
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import options
from tf_proxyless.cost import counting
from tf_proxyless.cost import model as model_lib
from tf_proxyless.space import io
from tf_proxyless.space import ops
from tf_proxyless.space import schema

FOLDER = pathlib.Path(__file__).parents[2] / 'docs' / 'examples'
EXAMPLES = ['first_kernel_space', 'hinge_objective', 'leave_one_out_optimizer']


def loaded(name):
  """An example as a module."""
  spec = importlib.util.spec_from_file_location(name, FOLDER / f'{name}.py')
  module = importlib.util.module_from_spec(spec)
  sys.modules[name] = module
  spec.loader.exec_module(module)
  return module


@pytest.fixture(scope='module')
def space_example():
  return loaded('first_kernel_space')


@pytest.fixture(scope='module')
def hinge_example():
  return loaded('hinge_objective')


@pytest.fixture(scope='module')
def optimizer_example():
  return loaded('leave_one_out_optimizer')


def test_every_example_is_here():
  assert sorted(EXAMPLES) == sorted(path.stem for path in FOLDER.glob('*.py'))


def test_the_space_has_the_choices_that_it_names(space_example):
  space = space_example.from_config(config_lib.SpaceConfig(
      resolution=32, stem_strides=1, stage_filters=(24, 40), stage_blocks=(2, 1), stage_strides=(1, 2)), 7)
  decisions = dict(schema.walk(space))
  assert [len(decision.choices) for decision in decisions.values()] == [3, 6, 7, 6]
  assert schema.cardinality(space) == 3 * 6 * 7 * 6
  assert space.classes == 7
  assert all(op.kernel_size < 7 for path, decision in decisions.items() if 'block_0' not in path
             for op in decision.choices if isinstance(op, ops.MBConv))
  assert model_lib.from_macs(space).cost(dict.fromkeys(decisions, 0)) == counting.count_network(
      schema.resolve(space, dict.fromkeys(decisions, 0))).macs


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


def test_the_hinge_serves_both_optimizers(hinge_example):
  from tf_proxyless.app import build_search

  for name in ('reinforce', 'gradient'):
    config = options.make(config_lib.SearchConfig, {'architecture_optimizer': name})
    methods = build_search.Methods.from_config(config, objective=hinge_example.HingeConfig(3.0))
    objective = methods.objective.build(300e6, 1.0, 1.0, updates=100)
    assert float(objective.loss(0.0, 450e6)) == pytest.approx(3 * 0.5)


def test_leave_one_out_learns_the_better_choice(optimizer_example):
  """Accuracy is a sum of known gains, so the most likely network must become the best one; costs are all equal."""
  from tf_proxyless.search import objectives
  from tf_proxyless.search import policy as policy_lib

  gains = np.array([[0.0, 0.05, 0.1], [0.2, 0.0, 0.1]], np.float32)
  cost_model = model_lib.additive('ms', ('first', 'second'), 0.0, ((1.0,) * 3, (1.0,) * 3))
  parameters = policy_lib.Policy([3, 3], exploration=0.1)
  score = lambda paths, batch: gains[[0, 1], paths].sum(axis=1)
  optimizer = optimizer_example.LeaveOneOut(parameters, cost_model, objectives.Objective(), score, learning_rate=0.05, networks=8)
  for _ in range(150):
    scored = optimizer.update()
  assert scored.paths.shape == (8, 2) and scored.accuracies.shape == (8,)
  assert parameters.mode().numpy().tolist() == [2, 0]
  assert int(optimizer.updates) == 150


def test_leave_one_out_needs_others(optimizer_example):
  with pytest.raises(ValueError, match='at least 2 networks'):
    optimizer_example.LeaveOneOut(None, None, None, None, 0.1, networks=1)


def test_leave_one_out_learns_from_rewards(optimizer_example):
  from tf_proxyless.app import build_search
  from tf_proxyless.search import objectives

  with pytest.raises(ValueError, match='learns from a reward, PenaltyLogConfig is for a loss'):
    build_search.Methods(optimizer_example.OptimizerConfig(), objectives.PenaltyLogConfig())


@pytest.mark.long
@pytest.mark.parametrize('name', EXAMPLES)
def test_search_as_the_document_starts_it(name, tmp_path, data_dir):
  """Each example is a main: it searches, resumes its own run directory, and keeps the budget."""
  command = [sys.executable, str(FOLDER / f'{name}.py'), *runs.TINY, f'--run_dir={tmp_path}', f'--data_dir={data_dir}']
  result = subprocess.run(command, capture_output=True, text=True, env=runs.environment(), timeout=300)
  assert result.returncode == 0, result.stderr[-3000:]
  assert {'problem', 'methods'} & set(json.loads((tmp_path / 'identity.json').read_text())['identity'])
  architecture = io.load_architecture(tmp_path / 'architecture.json')
  assert architecture.cost.macs <= 3e5
  assert architecture.network == schema.resolve(io.load_search_space(tmp_path / 'search_space.json'), architecture.genotype)
  assert json.loads((tmp_path / 'status.json').read_text())['state'] == 'finished'
