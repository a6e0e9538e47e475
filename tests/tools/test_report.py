"""tools/report.py as a user runs it, on searches in every state."""

import functools
import shutil
import signal

import pytest

from tests.report.document import report_runs
from tests.search import runs
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import flags
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.report.document import document as document_lib
from tf_proxyless.search import run_directory


report = functools.partial(runs.tool, 'report', kind='light')


def check(run, *arguments, warnings=''):
  """Writes a report and returns its page."""
  result = report(f'--run_dir={run.path}', *arguments)
  assert (result.returncode, result.stderr) == (0, warnings), result.stderr
  assert result.stdout.splitlines()[0] == f'report                 {run.report}'
  return run.report.read_text(encoding='utf-8')


def test_finished_and_interrupted_side_by_side(tmp_path):
  one = report_runs.write(tmp_path / 'mobile')
  two = report_runs.write(tmp_path / 'gradient', epochs=4, state='interrupted')
  page = check(one, f'--compare={two.path}')
  assert page.lower().startswith('<!doctype html>') and 'mobile' in page and 'gradient' in page
  assert str(tmp_path) not in page


@pytest.mark.parametrize('epochs', [0, 1])
def test_running(tmp_path, epochs):
  assert 'phone' in check(report_runs.write(tmp_path / 'phone', epochs=epochs, state='running'))


def test_almost_empty(tmp_path):
  run = run_directory.RunDirectory(tmp_path / 'begun')
  run.create()
  assert 'begun' in check(run)


def test_a_corrupt_history_is_named(tmp_path):
  run = report_runs.write(tmp_path / 'phone')
  report_runs.damage_history(run, 4, b'{"epoch": 3, "lo')
  problem = 'history.jsonl:4: not JSON, or truncated'
  result = report(f'--run_dir={run.path}', f'--output={tmp_path / "page.html"}')
  assert result.returncode == 0 and result.stderr.startswith(f'warning: phone: {problem}') and result.stderr.count('\n') == 1
  assert problem in (tmp_path / 'page.html').read_text(encoding='utf-8') and not run.report.exists()


def test_mistakes(tmp_path):
  run = report_runs.write(tmp_path / 'phone')
  given = f'--run_dir={run.path}'
  runs.check_mistake(report('--run_dir='), '--run_dir is required')
  runs.check_mistake(report(f'--run_dir={tmp_path}'), 'is not the directory of a search')
  runs.check_mistake(report(given, '--compare=/nowhere'), "there is no folder '/nowhere'")
  runs.check_mistake(report(given, '--model_cards=/no/card.json'), "there is no file '/no/card.json'")
  runs.check_mistake(report(given, f'--output={tmp_path / "none" / "page.html"}'), '--output: there is no folder')
  assert not run.report.exists()


def write_table(path, arguments):
  """A proven table of the space of a search, beside which its proof lies."""
  config = flags.from_flagfile(arguments, config_lib.SearchConfig)
  table = report_runs.make_table(problem_lib.make_space(config.space, 10))
  table_lib.save(table, path)
  report_runs.make_proof(table, path.with_name(f'{path.stem}_proof.json'))


@pytest.fixture
def search(tmp_path, data_dir):
  """Flags of a tiny search for milliseconds, and where it runs."""
  arguments = [argument for argument in runs.TINY if 'target' not in argument]
  write_table(tmp_path / 'phone.json', arguments)
  return run_directory.RunDirectory(tmp_path / 'tiny'), (
      *arguments, f'--run_dir={tmp_path / "tiny"}', f'--data_dir={data_dir}', f'--latency_table={tmp_path / "phone.json"}',
      '--target_latency_fraction=0.5', '--allow_estimates')


def read(run):
  return document_lib.document(run.path)['runs'][0]


@pytest.mark.long
def test_a_search_keeps_its_report_and_the_proof_of_its_table(search):
  """The page is there once the search runs, and says so when it was interrupted."""
  run, arguments = search
  seen = []

  def reached():
    if run.report.exists() and not seen:
      seen.append(run.report.stat().st_mtime_ns)
    return bool(run.history.exists() and run.history.read_text())

  result = runs.stop_when(runs.start(*arguments), reached, signal.SIGINT)
  assert result.returncode == 130, result.stderr
  assert seen and run.report.stat().st_mtime_ns > seen[0]
  found = read(run)
  assert (found['state'], found['problems'], len(found['table']['proof'])) == ('interrupted', [], 3)
  page = run.report.read_text(encoding='utf-8')
  assert 'interrupted' in page and 'tiny' in page
  run.report.unlink()
  check(run)


@pytest.mark.long
def test_a_search_ends_with_its_report(search, tmp_path):
  run, arguments = search
  result = runs.run(*arguments)
  assert result.returncode == 0 and f'report                 {run.report}' in result.stdout, result.stderr
  found = read(run)
  assert (found['state'], found['problems'], found['history']['epoch']) == ('finished', [], [0, 1, 2, 3, 4])
  assert found['network'] and found['samples']['count'] > 0 and sum(candidate['chosen'] for candidate in found['candidates']) == 1
  shutil.rmtree(tmp_path / 'tiny' / 'checkpoints')  # reports do without
  check(run, f'--figures={tmp_path / "figures"}', f'--animation={tmp_path / "history.gif"}')
  assert (tmp_path / 'history.gif').read_bytes().startswith(b'GIF8') and list((tmp_path / 'figures').glob('*.svg'))
