"""tools/compare.py as a user runs it; its runs are searches and trainings on digits."""

import functools
import json
import signal

import pytest

from tests.search import runs
from tf_proxyless.app import comparison as comparison_lib
from tf_proxyless.app import jobs
from tf_proxyless.app.commands import compare
from tf_proxyless.infra import errors
from tf_proxyless.infra import locking
from tf_proxyless.infra import shutdown

start = functools.partial(runs.start_tool, 'compare')
run = functools.partial(runs.tool, 'compare', kind='light')

SPACE = ('--stage_filters=8,16', '--stage_blocks=3,2', '--stage_strides=1,2')  # 1,176 networks of 0.04 to 0.86 M multiply-adds


@pytest.fixture
def flagfiles(tmp_path):
  """Flags of the command with two flagfiles of seconds."""
  search, train = tmp_path / 'search.flags', tmp_path / 'train.flags'
  search.write_text('\n'.join([*runs.TINY, *SPACE]))
  train.write_text('--dataset=digits\n--epochs=1\n--batch_size=64\n--learning_rate=0.1\n')
  return {'flagfile_search': str(search), 'flagfile_train': str(train)}


def refused(tmp_path, **values):
  with pytest.raises(errors.UserError) as caught:
    compare.main(compare.Config(work_dir=str(tmp_path / 'work'), **values))
  assert '\n' not in str(caught.value) and not (tmp_path / 'work' / 'settings.json').exists()
  return str(caught.value)


@pytest.mark.parametrize('values, message', [
    ({'targets': ('1000',)}, '--targets=1000 is below the smallest network of the space'),
    ({'targets': ('50%', '50%')}, '--targets=50%,50%: the same stands there twice'),
    ({'optimizers': ('gradient', 'gradient')}, '--optimizers=gradient,gradient: the same stands there twice'),
    ({'random_networks': 1000}, '--random_networks=1000: only '),
    ({'flagfile_search': 'nothing.flags'}, "flagfile 'nothing.flags' is neither a file nor one of those shipped"),
    ({'flagfile_train': 'train/nothing.flags'}, "flagfile 'train/nothing.flags' is neither a file nor"),
    ({'flagfile_train': 'train/imagenet.flags'}, 'train/imagenet.flags is for imagenet2012, '),
    ({'flagfile_search': 'train/cluttered_digits.flags'}, 'train/cluttered_digits.flags: Unknown command line flag'),
])
def test_mistakes(tmp_path, flagfiles, values, message):
  assert message in refused(tmp_path, **{**flagfiles, **values})


@pytest.mark.parametrize('name, lines, message', [
    ('search', ('--batch_size=0',), 'search.flags: flag --batch_size=0: must be an integer, at least 1'),
    ('search', ('--objective=penalty_log',), '--objective=penalty_log serves --architecture_optimizer=gradient'),
    ('search', ('--target_latency_ms=3',), 'give exactly one of'),
    ('search', ('--latency_table=nothing',), 'is for a latency, not for --target_macs'),
    ('search', ('--designer=genetic', '--evaluator=runs/other'), 'search.flags has a --designer; what is compared'),
    ('train', ('--init=model.keras',), 'train.flags: networks are trained from scratch'),
    ('train', ('--resolution=32',), 'train.flags: networks are trained from scratch'),
])
def test_flagfiles_that_do_not_fit(tmp_path, flagfiles, name, lines, message):
  path = tmp_path / f'{name}.flags'
  path.write_text('\n'.join([*path.read_text().splitlines(), *lines]))
  assert message in refused(tmp_path, **flagfiles)


def test_mistakes_end_in_a_line(tmp_path, flagfiles):
  flags = [f'--{name}={value}' for name, value in flagfiles.items()]
  runs.check_mistake(run(*flags, '--seeds=0', f'--work_dir={tmp_path / "work"}'), '--seeds', 'at least 1')
  runs.check_mistake(run(*flags, '--targets=1000', f'--work_dir={tmp_path / "work"}'), '--targets=1000 is below the smallest')


def test_what_is_to_be_run_is_said_first(tmp_path, flagfiles, capsys):
  config = compare.Config(work_dir=str(tmp_path / 'work'), dry_run=True, targets=('50%', '30%'), optimizers=('reinforce', 'gradient'),
                          seeds=3, random_networks=4, training_seeds=2, **flagfiles)
  assert compare.main(config) == 0
  assert capsys.readouterr().out.startswith('runs: 6 searches by reinforce, 6 searches by gradient, 44 trainings\n')


def test_a_comparison_with_other_settings_is_not_continued(tmp_path, flagfiles):
  config = compare.Config(work_dir=str(tmp_path / 'work'), random_networks=3, **flagfiles)
  compare.prepare(config)
  compare.prepare(config)
  with open(flagfiles['flagfile_train'], 'a') as file:
    file.write('--epochs=2\n')
  with pytest.raises(ValueError, match='holds a comparison with other settings of the train: epochs was 1, is now 2; restore them'):
    compare.prepare(config)


def test_two_at_once_are_refused(tmp_path, flagfiles):
  config = compare.Config(work_dir=str(tmp_path / 'work'), random_networks=3, **flagfiles)
  compare.prepare(config)
  with locking.take(tmp_path / 'work'), pytest.raises(errors.UserError, match='is in use by process'):
    compare.main(config)


def session(tmp_path, flagfiles, monkeypatch, *planned):
  """Runs made-up jobs, (name, program), in place of those of a comparison; returns the names of those that ended well."""
  comparison = compare.prepare(compare.Config(work_dir=str(tmp_path / 'work'), random_networks=3, **flagfiles))
  waiting = {name: jobs.Job(name, 'trainings', ('-c', program), tmp_path / 'work' / 'trainings' / name) for name, program in planned}
  ended = []
  monkeypatch.setattr(comparison, 'next_jobs', lambda: [job for name, job in waiting.items() if name not in ended])
  monkeypatch.setattr(comparison, 'add_time', lambda job, seconds: ended.append(job.name))
  monkeypatch.setattr(comparison, 'seconds_taken', lambda kind: [1.0] * len(ended))
  with locking.take(tmp_path) as lock, shutdown.signals_given_back():
    try:
      compare._Session(comparison, 1, shutdown.StopRequest()).run(lock)
    except errors.UserError as error:
      return ended, str(error)
  return ended, ''


_WELL, _WRONG = 'pass', 'import sys; print("error: the loss is NaN"); sys.exit(2)'


def test_the_first_run_of_a_kind_that_fails_ends_all(tmp_path, flagfiles, monkeypatch):
  assert session(tmp_path, flagfiles, monkeypatch, ('a', _WRONG), ('b', _WELL)) == ([], 'a: the loss is NaN')


def test_after_another_one_that_fails_the_others_are_run(tmp_path, flagfiles, monkeypatch, capsys):
  ended, message = session(tmp_path, flagfiles, monkeypatch, ('a', _WELL), ('b', _WRONG), ('c', _WELL))
  assert ended == ['a', 'c'] and message == 'b: the loss is NaN'
  output = capsys.readouterr().out
  assert 'b: failed\n' in output and '\ntarget ' in output and (tmp_path / 'work' / 'compare.html').exists()


@pytest.mark.long
def test_the_whole_way_stopped_and_continued(tmp_path, flagfiles, data_dir):
  work = tmp_path / 'work'
  command = [f'--work_dir={work}', f'--data_dir={data_dir}', '--targets=50%', '--seeds=2', '--random_networks=6',
             *(f'--{name}={value}' for name, value in flagfiles.items())]
  history = work / 'searches' / '50_percent_reinforce_0' / 'history.jsonl'
  stopped = runs.stop_when(start(*command), lambda: history.exists() and history.read_text(), signal.SIGINT)
  assert stopped.returncode == 130 and 'the same command continues' in stopped.stderr, stopped.stderr
  assert json.loads((history.parent / 'status.json').read_text())['state'] == 'interrupted'
  kept = history.read_text()

  killed = runs.stop_when(start(*command), lambda: list(work.glob('trainings/*/status.json')), signal.SIGKILL)
  assert killed.returncode == -signal.SIGKILL
  epochs = history.read_text()
  assert epochs.startswith(kept)
  finished = run(*command, '--processes=2')
  while 'in use by a process that outlived' in finished.stderr:  # the killed one's child saves and ends
    finished = run(*command, '--processes=2')
  assert finished.returncode == 0, finished.stderr
  assert history.read_text() == epochs, 'a finished search was run again'
  assert finished.stdout.splitlines()[0].startswith('runs: 2 searches by reinforce (1 left), 9 trainings, 2 scorings')
  assert 'min left' in finished.stdout and 'points over random networks' in finished.stdout

  results = json.loads((work / 'compare.json').read_text())
  target, = results['targets']
  row, = target['optimizers']
  assert (len(target['random']), len(row['searches']), target['random'][0]['test_images']) == (6, 2, 360)
  assert all(abs(each['cost'] / target['cost'] - 1) <= comparison_lib.TOLERANCE for each in target['random'])
  assert all(len(search['estimates']) == 6 and search['seconds'] > 1 and search['cost'] <= target['cost'] for search in row['searches'])
  assert target['standard']['cost'] <= target['cost']
  page = (work / 'compare.html').read_text(encoding='utf-8')
  assert 'Does the search pay on digits?' in page and row['verdict'].split(':')[0] in page
  again = run(*command)
  assert again.returncode == 0 and '(0 left)' in again.stdout and ' s;' not in again.stdout
