"""A comparison from its folder: what is to be run, and what came out. The runs are made up, their files are real."""

import json
import statistics

import pytest

from tests.report.document import report_runs
from tests.search import runs
from tf_proxyless.app import comparison as comparison_lib
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import flags
from tf_proxyless.app import models
from tf_proxyless.app import options
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app.commands import compare
from tf_proxyless.cost import counting
from tf_proxyless.cost import equal_cost
from tf_proxyless.cost import mobilenets
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import regression
from tf_proxyless.derive import candidates as candidates_lib
from tf_proxyless.infra import files
from tf_proxyless.search import run_directory
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import schema

SEARCH = flags.from_flagfile([*runs.TINY, '--stage_filters=8,16', '--stage_blocks=3,2', '--stage_strides=1,2'], config_lib.SearchConfig)
TRAIN = flags.from_flagfile(['--dataset=digits', '--epochs=2', '--validation_images=0.2'], config_lib.TrainConfig)
SPACE = problem_lib.make_space(SEARCH.space, 10)
TARGETS = ('50%', '30%')


def design(targets=TARGETS, optimizers=('reinforce', 'gradient'), seeds=2, random_networks=3, training_seeds=1):
  return comparison_lib.Design(targets, optimizers, seeds, random_networks, training_seeds)


def make(folder, table=None, **arguments):
  made = comparison_lib.Comparison(folder, design(**arguments), SEARCH, TRAIN, SPACE, table)
  made.create()
  return made


def accuracy(architecture):
  """Made up: a share of the thousandths that its weights say."""
  return 0.9 + counting.count_network(architecture.network).parameters % 97 / 1000


class Runner:
  """Does what the commands would do, at once."""

  def __init__(self, comparison):
    self.comparison, self.names = comparison, []

  def run(self, count=10**6, finds=None):
    """Some jobs; a search finds a network of the space drawn by its seed, or the one of a path."""
    while count and (jobs := self.comparison.next_jobs()):
      self.finish(jobs[0], finds)
      self.comparison.add_time(jobs[0], 30.0 if 'search' in jobs[0].command else 10.0)
      self.names.append(jobs[0].name)
      count -= 1
    return self

  def finish(self, job, finds):
    job.folder.mkdir(parents=True, exist_ok=True)
    given = dict(argument[2:].split('=', 1) for argument in job.command if argument.startswith('--'))
    run = run_directory.RunDirectory(job.folder)
    if 'search' in job.command:
      config = flags.read(given['flagfile'], config_lib.SearchConfig)
      assert config.run_dir == str(job.folder)
      limit = config.target.target_macs
      path = finds or equal_cost.draw(self.comparison.cost_model, 0.9 * limit, limit, 9, 9)[config.seed]
      genotype = schema.genotype(SPACE, path)
      io.save_architecture(io.Architecture(schema.resolve(SPACE, genotype), genotype), run.architecture)
      run.append_history({'epoch': 0, 'seconds': 25.0})
    elif 'train' in job.command:
      config = flags.read(given['flagfile'], config_lib.TrainConfig)
      found = accuracy(io.load_architecture(config.network.architecture)) + 0.001 * config.seed
      results = {'test_top1': found, 'validation_top1': found - 0.01, 'test_images': 360}
      files.write_json(job.folder / 'results.json', models.RESULTS, results)
      run.append_history({'epoch': 0, 'seconds': 8.0})
    else:
      scores = {name: accuracy(io.load_architecture(name)) / 2 for name in given['networks'].split(',')}
      files.write_json(given['output'], 'network_scores', {'accuracies': scores})
      return
    run.write_status('finished')


def test_everything_is_run_once_and_judged(tmp_path):
  runner = Runner(make(tmp_path, random_networks=6)).run()
  counts = runner.comparison.counts()
  assert counts == {'searches by reinforce': (4, 0), 'searches by gradient': (4, 0), 'trainings': (22, 0), 'scorings': (8, 0)}
  assert len(set(runner.names)) == len(runner.names)
  assert runner.names[0] == 'search reinforce 0 for 50%' and runner.comparison.next_jobs() == []
  results = runner.comparison.results()
  for target in results['targets']:
    tests = [each['test'] for each in target['random']]
    assert len(tests) == 6 and all(0.99 * target['cost'] <= each['cost'] <= 1.01 * target['cost'] for each in target['random'])
    for row in target['optimizers']:
      assert [search['seed'] for search in row['searches']] == [0, 1]
      assert row['over_these']['mean'] == pytest.approx(row['mean'] - statistics.fmean(tests))
      merits = candidates_lib.merits([test / 2 for test in tests], [each['macs'] for each in target['random']])
      assert all(search['trainings'] == 3 and search['estimates'] == merits.tolist() for search in row['searches'])
      assert row['tau']['tau'] > 0.9  # some accuracies are equal
    assert target['standard']['cost'] <= target['cost'] and target['standard']['name'].startswith('mobilenet_v2 x ')
  assert json.loads(json.dumps(results))['targets'][0]['target'] == '50%'


def test_networks_too_few_to_be_ranked_are_not_scored(tmp_path):
  runner = Runner(make(tmp_path, targets=('50%',), random_networks=5)).run()
  assert runner.comparison.counts()['scorings'] == (0, 0) and not any('score' in name for name in runner.names)
  assert all(row['tau'] is None for row in runner.comparison.results()['targets'][0]['optimizers'])
  assert {'score by reinforce 0 for 50%'} <= set(Runner(make(tmp_path, targets=('50%',), random_networks=6)).run().names)


def test_what_is_finished_is_not_run_again(tmp_path):
  some = {'targets': ('50%',), 'optimizers': ('reinforce',)}
  first = Runner(make(tmp_path, **some)).run(5)
  second = Runner(make(tmp_path, **some)).run()
  assert not set(first.names) & set(second.names)
  whole = Runner(make(tmp_path / 'whole', **some)).run()
  assert set(whole.names) == {*first.names, *second.names}
  assert whole.comparison.results() == make(tmp_path, **some).results()
  assert Runner(make(tmp_path, **some)).run().names == []


def test_more_of_everything_adds_to_what_is_there(tmp_path):
  Runner(make(tmp_path, targets=('50%',), optimizers=('reinforce',))).run()
  more = Runner(make(tmp_path, targets=('50%', '30%'), seeds=3, random_networks=6, training_seeds=2)).run(65)
  new = {'search reinforce 0 for 50%', 'train random 0 for 50%, seed 0', 'train found by reinforce 1 for 50%, seed 0'}
  assert not new & set(more.names)
  assert {'search reinforce 2 for 50%', 'search gradient 0 for 50%', 'train random 0 for 50%, seed 1', 'train random 3 for 50%, seed 0',
          'score by reinforce 0 for 50%'} <= set(more.names)
  assert more.comparison.results()['targets'][0]['between_trainings']['tau'] == pytest.approx(1.0)


def test_a_network_that_is_found_is_no_random_one(tmp_path):
  before = make(tmp_path, targets=('50%',), optimizers=('reinforce',), seeds=1)
  target, = before.targets
  first, second, third, fourth = target.drawn
  assert before.random(target) == [first, second, third]
  after = Runner(before).run(1, finds=schema.path_of(SPACE, second.architecture.genotype)).comparison
  assert after.found(after.searches[0]) == second and after.random(target) == [first, third, fourth]


def test_searches_differ_in_target_optimizer_and_seed_only(tmp_path):
  comparison = make(tmp_path)
  found = {}
  for job in comparison.next_jobs():
    if 'search' in job.command:
      config = flags.read(job.command[-1].partition('=')[2], config_lib.SearchConfig)
      found[config.target.target_macs, config.optimizer.architecture_optimizer, config.seed] = options.replace(
          config, target_macs=1.0, architecture_optimizer='reinforce', seed=0, run_dir=None)
  assert sorted(key[1:] for key in found if key[0] == comparison.targets[0].cost) == [
      ('gradient', 0), ('gradient', 1), ('reinforce', 0), ('reinforce', 1)]
  assert len(found) == 8 and set(found.values()) == {options.replace(SEARCH, target_macs=1.0)}


def test_results_so_far(tmp_path):
  comparison = make(tmp_path)
  assert comparison.seconds_left() is None
  assert [target['optimizers'] for target in comparison.results()['targets']] == [[], []]
  Runner(comparison).run(12)
  results = comparison.results()
  assert [len(row['searches']) for target in results['targets'] for row in target['optimizers']] == [1, 1, 1, 1]
  assert results['targets'][0]['optimizers'][0]['verdict'].startswith('one seed shows nothing yet')
  left = comparison.counts()
  assert comparison.seconds_left() == pytest.approx(
      30 * (left['searches by reinforce'][1] + left['searches by gradient'][1]) + 10 * (left['trainings'][1] + left['scorings'][1]))
  Runner(comparison).run()
  assert comparison.seconds_left() == 0


def test_a_standard_network_that_the_recipe_cannot_train_is_left_out(tmp_path):
  comparison = make(tmp_path, targets=('50%',), optimizers=('reinforce',), seeds=1)
  target, = comparison.targets
  folder = comparison.training_folder(target.standard, 0)
  folder.mkdir(parents=True)
  run = run_directory.RunDirectory(folder)
  run.write_status('failed', reason='the loss is not finite', repeats=False)
  assert folder in [job.folder for job in comparison.next_jobs()]
  run.write_status('failed', reason='the loss is not finite', repeats=True)
  assert folder not in [job.folder for job in comparison.next_jobs()]
  result, = Runner(comparison).run().comparison.results()['targets']
  assert result['standard'] is None and result['standard_failed'] == f'{target.standard.text}: the loss is not finite'
  assert result['optimizers'][0]['over_standard'] is None
  assert f'no result of {target.standard.text}: the loss is not finite' in compare.to_text(comparison.results())


def test_time_that_was_not_taken_is_that_of_the_epochs(tmp_path):
  some = {'targets': ('50%',), 'optimizers': ('reinforce',), 'seeds': 1}
  runner = Runner(make(tmp_path, **some)).run()
  seconds = lambda comparison: comparison.results()['targets'][0]['optimizers'][0]['searches'][0]['seconds']
  assert seconds(runner.comparison) == 30
  (tmp_path / 'times.json').unlink()
  assert seconds(make(tmp_path, **some)) == 25


def test_a_latency_table_prices_the_standard_network_too(tmp_path):
  table = report_runs.make_table(SPACE)
  comparison = make(tmp_path, table, random_networks=2, targets=('99%', '1.5'))
  most, none = (target.standard for target in comparison.targets)
  assert most.cost <= comparison.targets[0].cost and most.text.endswith(', cost estimated') and none is None
  wider = mobilenets.mobilenet_v2(float(most.text.split()[2].rstrip(',')) + 0.05, 8, 10)
  filled = regression.fill(table, network_lib.op_signatures(wider)).table
  assert model_lib.from_latency_table(wider, filled).fixed > comparison.targets[0].cost
  config = comparison._search_config(comparison.searches[0])
  assert config.target.target_latency_ms == comparison.targets[0].cost and config.target.target_macs is None
  assert config.target.latency_table == str(comparison_lib.table_file(tmp_path))


@pytest.mark.parametrize('arguments, message', [
    ({'targets': ('1000',)}, '`targets=1000` is below the smallest network of the space'),
    ({'targets': ('120%',)}, "a share such as '25%', got '120%'"),
    ({'targets': ('much',)}, "target must be a number in macs, or a share such as '25%', got 'much'"),
    ({'targets': ('1e9',)}, '`random_networks=3`: only 0 networks were found that cost within 1 % of the target 1e9'),
    ({'random_networks': 5000}, '`random_networks=5000`: only '),
])
def test_what_cannot_be_compared(tmp_path, arguments, message, monkeypatch):
  monkeypatch.setattr(equal_cost, '_BATCHES', 3)
  with pytest.raises(ValueError) as caught:
    make(tmp_path, **arguments)
  assert message in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize('content', ['{"a": -1}', '{"a": "1"}', '[]', 'null', '{"a": true}'])
def test_damaged_times_are_refused(tmp_path, content):
  (tmp_path / 'times.json').write_text(f'{{"schema": "tf_proxyless/comparison_times", "version": 1, "seconds": {content}}}')
  with pytest.raises(ValueError, match='times.json: seconds must be an object of numbers'):
    make(tmp_path)
