"""Every shipped flagfile is a search or a training that could start; those for ImageNet and CIFAR-10 run on few images in their format."""

import json
import math
import re

import pytest

from tests.data import cifar_archive
from tests.search import runs
from tools import fit_pixel2_estimate
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import flagfiles
from tf_proxyless.app import flags
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app import tables
from tf_proxyless.cost import counting
from tf_proxyless.cost import features
from tf_proxyless.cost import mobilenets
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import pixel2
from tf_proxyless.cost import table as table_lib
from tf_proxyless.data import names as dataset_names
from tf_proxyless.data import sources
from tf_proxyless.infra import resources
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import proxyless
from tf_proxyless.space import published
from tf_proxyless.space import schema

FILES, TRAININGS = (sorted((runs.ROOT / 'configs').glob(pattern)) for pattern in ('*.flags', 'train/*.flags'))  # base/ has parts of these
NAMES = [path.stem for path in FILES]

# Makes a search of 96 images of ImageNet or 100 of CIFAR-10 short: 4 weight steps an epoch, an update in each of two epochs.
FEW_STEPS = ('--validation_images=8', '--validation_batch_size=8', '--batch_size=22', '--warmup_epochs=1', '--search_epochs=1',
             '--frozen_epochs=0', '--weight_steps_per_update=2', '--reinforce_networks=2', '--scored_networks=10')
_CIFAR = ('--validation_images=10', '--validation_batch_size=10')  # one of each class
SMALLER = {'cifar_tree': ('--stage_blocks=1,1,1', '--target_macs=80e6')}
FEW_IMAGES = {'cifar10': _CIFAR, 'cifar_tree': (*_CIFAR, *SMALLER['cifar_tree'])}


def parse(name, *overrides):
  """The flags of a shipped search, as its main would have them."""
  arguments = flagfiles.expand([f'--flagfile={name}.flags', *overrides])
  return flags.from_flagfile(arguments, config_lib.SearchConfig)


def parse_training(name, *overrides):
  return flags.from_flagfile(flagfiles.expand([f'--flagfile=train/{name}.flags', *overrides]), config_lib.TrainConfig)


def make_problem(name, *overrides):
  """Its problem; for the table of this machine, which a search measures first, one of the same space and runtime stands in."""
  config = parse(name, *overrides)
  classes = dataset_names.classes(config.data.dataset)
  table = {'latency_table': invent_table(config, classes)} if config.target.latency_table == tables.HOST else None
  return problem_lib.SearchProblem.from_config(config, problem_lib.make_space(config.space, classes), table)


def invent_table(config, classes):
  """A millisecond for each million of multiply-adds."""
  signatures = network_lib.op_signatures(problem_lib.make_space(config.space, classes))
  runtime = table_lib.Runtime('here', config.target.expected_precision, config.target.expected_kernels)
  return table_lib.LatencyTable('invented', runtime, tuple(
      table_lib.Entry(signature, table_lib.LatencyStats('measured', median_ms=1e-6 * max(1, counting.count(signature).macs)))
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
  assert {'imagenet', 'imagenet_rmsprop', 'cluttered_digits'} <= {path.stem for path in TRAININGS}


@pytest.mark.parametrize('path', [*FILES, *TRAININGS], ids=lambda path: f'{path.parent.name}/{path.stem}')
def test_header_says_how_to_run_it(path):
  words = header(path)
  command = f'train --flagfile=train/{path.name} --architecture=' if path in TRAININGS else f'search --flagfile={path.name}'
  assert words['command'].startswith(f'python -m tf_proxyless.{command}')
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
  assert {name for name in first if first[name] != second[name]} == {'architecture_optimizer'}


@pytest.fixture(scope='session')
def data_dirs(imagenet_data_dir, tmp_path_factory):
  """Where few images of a dataset lie, by the name of a search."""
  cifar = str(tmp_path_factory.mktemp('cifar'))
  cifar_archive.place(cifar, images_per_file=20)
  sources.open_dataset('cifar10', cifar, download=True)
  return {'cifar10': cifar, 'cifar_tree': cifar, **dict.fromkeys(('mobile', 'mobile_penalty', 'tunas'), imagenet_data_dir)}


@pytest.mark.long
@pytest.mark.parametrize('name, classes', [('mobile', 1000), ('cifar10', 10)])
def test_a_search_is_built_and_makes_a_step(name, classes, data_dirs, tmp_path):
  """The real supernet of its space, on a batch of its dataset's format."""
  from tf_proxyless.app import build_search
  from tf_proxyless.app import dataset
  from tf_proxyless.search import loop
  from tf_proxyless.search import run_directory

  config = parse(name, *FEW_STEPS, *FEW_IMAGES.get(name, ()), '--batch_size=2', f'--data_dir={data_dirs[name]}', f'--run_dir={tmp_path}')
  run = run_directory.RunDirectory(config.run_dir)
  run.create()
  source = dataset.open_source(config.data.dataset, config.data)
  problem = problem_lib.SearchProblem.from_config(config, problem_lib.make_space(config.space, source.classes, source.channels))
  assert not build_search.write_inputs(config, problem, source, run)
  losses = []
  observer = loop.Observer(on_step=lambda loss, accuracy, state: losses.append((loss, state)), should_stop=lambda: True)
  components = build_search.build_search(config, problem, source, run, observer)
  components.search.prepare()
  assert not components.search.run()
  (loss, state), = losses
  assert loss == pytest.approx(math.log(classes), abs=1.5)  # and what a random start adds
  assert state['expected_cost'] == pytest.approx(problem.target, rel=1e-3)


@pytest.mark.long
@pytest.mark.parametrize('name', [  # fbnet_v2 takes five minutes and 8 GB
    'mobile', 'cifar10', *(pytest.param(name, marks=pytest.mark.by_hand) for name in ('mobile_penalty', 'cifar_tree', 'tunas'))])
def test_a_search_runs_on_few_images(name, data_dirs, tmp_path):
  """The whole command, from another directory, to an architecture under its budget; for both optimizers."""
  result = runs.run(f'--flagfile={name}.flags', f'--data_dir={data_dirs[name]}', '--run_dir=run', *FEW_STEPS, *FEW_IMAGES.get(name, ()),
                    cwd=tmp_path)
  assert result.returncode == 0, result.stderr
  run = tmp_path / 'run'
  phases = [json.loads(line)['phase'] for line in (run / 'history.jsonl').read_text().splitlines()]
  assert phases == ['warmup', 'joint']
  architecture = io.load_architecture(run / 'architecture.json')
  problem = make_problem(name, *SMALLER.get(name, ()))
  assert architecture.network == schema.resolve(problem.space, architecture.genotype)
  assert architecture.network.classes == problem.space.classes
  if problem.table is None:
    assert architecture.cost.macs == counting.count_network(architecture.network).macs <= problem.target
  else:
    assert architecture.cost.predicted_ms == model_lib.from_latency_table(architecture.network, problem.table).fixed <= problem.target
    assert architecture.latency_table.sha256 == problem.table.sha256


def test_shipped_names_are_these_files(tmp_path, monkeypatch):
  assert {resources.flagfile(f'{name}.flags') for name in NAMES} == set(FILES)
  monkeypatch.chdir(tmp_path)
  assert resources.flagfile('configs/train/cluttered_digits.flags') == resources.flagfile('train/cluttered_digits')
  for name in ('digits.flags', 'other/train/cluttered_digits.flags', 'train/mobile.flags'):
    with pytest.raises(ValueError, match='is neither a file nor one of those shipped'):
      resources.flagfile(name)


# Width, resolution and milliseconds of the published network that the target is taken from.
PIXEL_2 = {'pixel2_int8': (1.0, 224, 48.0), 'lpirc_224_050': (0.5, 224, 31.0), 'lpirc_160_100': (1.0, 160, 35.0)}


@pytest.mark.parametrize('name', PIXEL_2)
def test_searches_for_a_pixel_2_say_what_their_estimate_says(name):
  """The target is a published latency, the header's figures are the estimate's, and the published network lies in the space."""
  width, resolution, target = PIXEL_2[name]
  problem, text = make_problem(name), header(runs.ROOT / 'configs' / f'{name}.flags')['expect']
  published_as = ('mobilenet_v2', 'server') if name == 'pixel2_int8' else ('proxyless_mobile', 'lpirc')
  found = [figure.latency_ms for figure in fit_pixel2_estimate.load_figures()
           if (figure.network, figure.clock, figure.width, figure.resolution) == (*published_as, width, resolution)]
  assert found == [target] == [problem.target] and problem.table.provenance == 'estimated'
  stated = re.search(r'the space holds ([\d.]+) to ([\d.]+) ms', text).groups()
  assert stated == (f'{problem.cost_model.smallest:.1f}', f'{problem.cost_model.largest:.1f}')
  net = mobilenets.proxyless_mobile(width, resolution, classes=1000)
  assert set(network_lib.op_signatures(net)) <= set(network_lib.op_signatures(problem.space))
  stated = re.search(r'the published network(?:, scaled,)? is ([\d.]+) ms', text)
  assert stated is None or stated[1] == f'{model_lib.from_latency_table(net, problem.table).fixed:.1f}'


def test_a_class_for_background_takes_no_time():
  """The challenge wants 1001 classes where the dataset has 1000."""
  signatures = [network_lib.OpSignature(ops.Classifier(classes), (7, 7, 1280)) for classes in (1000, 1001)]
  thousand, more = (pixel2.load_estimate().operation_ms(features.of_signature(signature)) for signature in signatures)
  assert thousand < more < thousand + 0.001


@pytest.mark.parametrize('path', TRAININGS, ids=lambda path: path.stem)
def test_flags_of_a_training_fit_each_other(path, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  config = parse_training(path.stem, '--architecture=proxyless_mobile')
  config.check()
  assert re.fullmatch(r'runs/train_\w+', config.run_dir) and not config.data.download


def test_imagenet_is_the_official_recipe_and_so_are_the_defaults():
  """imagenet_run_exp.py of the official code."""
  config = parse_training('imagenet')
  official = dict(epochs=300, batch_size=256, optimizer='sgd', momentum=0.9, schedule='cosine', weight_decay=4e-5, label_smoothing=0.1,
                  color_jitter='strong', warmup_epochs=0.0, dropout_rate=None, decoupled_weight_decay=False, average_momentum=None)
  defaults = config_lib.TrainConfig()
  for name, value in official.items():
    assert options.flat(config)[name] == options.flat(defaults)[name] == value, name
  assert config.learning_rate == defaults.learning_rate == 0.05


def test_rmsprop_is_mnasnets_for_a_quarter_of_the_images():
  """arXiv 1807.11626, section 5: a learning rate of 0.256 for 4,096 images."""
  config = parse_training('imagenet_rmsprop')
  assert config.learning_rate / config.data.batch_size == 0.256 / 4096
  assert (config.optimizer.optimizer, config.optimizer.rho, config.optimizer.momentum) == ('rmsprop', 0.9, 0.9)
  assert (config.recipe.warmup_epochs, config.recipe.decay_rate, config.recipe.decay_epochs) == (5.0, 0.97, 2.4)
  assert (config.recipe.weight_decay, config.network.dropout_rate) == (1e-5, 0.2)
