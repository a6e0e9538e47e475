"""Every shipped flagfile is a search that could start, and the one for a phone runs on data in ImageNet's own format."""

import json
import re

import pytest

from tests.search import runs
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import flagfiles
from tf_proxyless.app import flags
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app import tables
from tf_proxyless.cost import counting
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.data import names as dataset_names
from tf_proxyless.infra import resources
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import proxyless
from tf_proxyless.space import published
from tf_proxyless.space import schema

FILES = sorted((runs.ROOT / 'configs').glob('*.flags'))  # those in configs/base are parts of these
NAMES = [path.stem for path in FILES]

# Makes a search of ImageNet short: 88 images in 4 weight steps an epoch, an update in each of two epochs.
FEW_STEPS = ('--validation_images=8', '--validation_batch_size=8', '--batch_size=22', '--warmup_epochs=1', '--search_epochs=1',
             '--frozen_epochs=0', '--weight_steps_per_update=2', '--reinforce_networks=2', '--scored_networks=10')


def parse(name, *overrides):
  """The flags of a shipped search, as its main would have them."""
  arguments = flagfiles.expand([f'--flagfile={name}.flags', *overrides])
  return flags.from_flagfile(arguments, config_lib.SearchConfig)


def make_problem(name):
  """Its problem; for the table of this machine, which a search measures first, one of the same space and runtime stands in."""
  config = parse(name)
  classes = dataset_names.classes(config.data.dataset)
  table = invent_table(config, classes) if config.target.latency_table == tables.HOST else None
  return problem_lib.SearchProblem.from_config(config, problem_lib.make_space(config.space, classes), table)


def invent_table(config, classes):
  """A millisecond for each million of multiply-adds."""
  signatures = network_lib.op_signatures(problem_lib.make_space(config.space, classes))
  runtime = table_lib.Runtime('here', config.target.expected_precision, config.target.expected_kernels)
  return table_lib.LatencyTable('invented', runtime, tuple(
      table_lib.Entry(signature, table_lib.LatencyStats('measured', median_ms=1e-6 * counting.count(signature).macs))
      for signature in signatures))


def header(path):
  """The comment at the top, by the word that begins each of its paragraphs."""
  lines = []
  for line in path.read_text().splitlines():
    if not line.startswith('#'):
      break
    lines.append(line.removeprefix('#'))
  paragraphs = re.findall(r'^ (\w+) +(\S.*(?:\n {6,}\S.*)*)', '\n'.join(lines[2:]), re.MULTILINE)
  return {word: ' '.join(text.split()) for word, text in paragraphs}


def test_the_experiments_are_there():
  assert {'quickstart', 'quickstart_gradient', 'mobile', 'mobile_gradient', 'mobile_reward', 'mobile_penalty', 'gpu', 'cpu',
          'macs_300m', 'cifar10'} <= set(NAMES)


@pytest.mark.parametrize('path', FILES, ids=NAMES)
def test_header_says_how_to_run_it(path):
  words = header(path)
  assert words['command'].startswith(f'python -m tf_proxyless.search --flagfile={path.name}')
  assert {'source', 'expect', 'cost'} <= set(words)


@pytest.mark.parametrize('name', NAMES)
def test_flags_make_a_plan(name):
  """Parsed by the flags of the search itself; the table covers the space, and the target lies within it and constrains."""
  config = parse(name)
  config.check()
  problem = make_problem(name)
  assert problem.cost_model.smallest < problem.target < problem.cost_model.largest
  assert problem.constrained
  assert config.run_dir == f'runs/{name}'
  assert not config.data.download


def test_mobile_is_the_official_search():
  """The official code's defaults (imagenet_arch_search.py), on the space that the published table covers."""
  config = parse('mobile')
  problem = make_problem('mobile')
  assert problem.space == proxyless.proxyless()
  assert (config.target.target_latency_ms, problem.table.provenance) == (80.0, 'published')
  assert (config.data.batch_size, config.data.validation_batch_size, config.data.validation_images) == (256, 1000, 50000)
  assert (config.weights.warmup_epochs, config.weights.search_epochs, config.optimizer.frozen_epochs) == (40, 120, 1)
  assert (config.weights.warmup_learning_rate, config.weights.search_learning_rate) == (0.05, 0.025)
  assert (config.weights.momentum, config.weights.weight_decay, config.weights.label_smoothing) == (0.9, 4e-5, 0.1)
  assert (1281167 - 50000) // 256 // config.optimizer.weight_steps_per_update == 300


def test_variants_of_mobile_differ_in_what_they_are_named_for():
  mobile, gradient, reward, penalty = (options.identity(parse(name)) for name in (
      'mobile', 'mobile_gradient', 'mobile_reward', 'mobile_penalty'))

  def changed(config, base):
    return {name: config[name] for name in config if config[name] != base[name]}

  assert changed(gradient, mobile) == {'architecture_optimizer': 'gradient', 'validation_batch_size': 256,
                                       'weight_steps_per_update': 5, 'scored_networks': 10000}
  published = {'exploration': 0.0, 'architecture_learning_rate': 1e-3}
  assert changed(reward, mobile) == {'objective': 'reward_power', **published}
  assert changed(penalty, gradient) == {'objective': 'penalty_log', 'penalty_weight': 0.2, **published}


@pytest.mark.parametrize('name', ['gpu', 'cpu'])
def test_published_networks_meet_their_target_exactly(name):
  problem = make_problem(name)
  space, genotype = published.published(f'proxyless_{name}')
  assert problem.cost_model.cost(genotype) == problem.target == counting.count_network(schema.resolve(space, genotype)).macs
  assert list(schema.walk(problem.space)) == list(schema.walk(space))


def test_quickstart_by_gradients_is_the_quickstart():
  first, second = (options.identity(parse(name)) for name in ('quickstart', 'quickstart_gradient'))
  assert {name for name in first if first[name] != second[name]} == {'architecture_optimizer', 'constraint_gain'}


def test_mobile_is_built_and_makes_a_step(imagenet_data_dir, tmp_path):
  """The real supernet of the default space, on a batch of ImageNet's format."""
  from tf_proxyless.app import build_search
  from tf_proxyless.search import loop
  from tf_proxyless.search import run_directory

  config = parse('mobile', *FEW_STEPS, '--batch_size=2', f'--data_dir={imagenet_data_dir}', f'--run_dir={tmp_path}')
  run = run_directory.RunDirectory(config.run_dir)
  run.create()
  source = build_search.open_source(config.data)
  problem = problem_lib.SearchProblem.from_config(config, problem_lib.make_space(config.space, source.classes))
  assert not build_search.write_inputs(config, problem, run)
  losses = []
  observer = loop.Observer(on_step=lambda loss, accuracy, state: losses.append((loss, state)), should_stop=lambda: True)
  components = build_search.build_search(config, problem, source, run, observer)
  components.search.prepare()
  assert not components.search.run()
  (loss, state), = losses
  assert loss == pytest.approx(6.9, abs=1.5)  # ln 1000 and what a random start adds
  assert state['expected_cost'] == pytest.approx(114.0, abs=0.1)  # the mean network of the table


@pytest.mark.long
@pytest.mark.parametrize('name', ['mobile', 'mobile_penalty'])
def test_mobile_runs_on_imagenet(name, imagenet_data_dir, tmp_path):
  """The whole command, from another directory, to an architecture under its budget; for both optimizers."""
  result = runs.run(f'--flagfile={name}.flags', f'--data_dir={imagenet_data_dir}', '--run_dir=run', *FEW_STEPS, cwd=tmp_path)
  assert result.returncode == 0, result.stderr
  run = tmp_path / 'run'
  phases = [json.loads(line)['phase'] for line in (run / 'history.jsonl').read_text().splitlines()]
  assert phases == ['warmup', 'joint']
  architecture = io.load_architecture(run / 'architecture.json')
  problem = make_problem('mobile')
  assert architecture.network == schema.resolve(problem.space, architecture.genotype)
  assert architecture.cost.predicted_ms == model_lib.from_latency_table(architecture.network, problem.table).fixed <= 80.0
  assert architecture.latency_table.sha256 == problem.table.sha256
  assert architecture.network.classes == 1000


def test_shipped_names_are_these_files():
  assert {resources.flagfile(f'{name}.flags') for name in NAMES} == set(FILES)
