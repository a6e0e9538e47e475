"""The report of a running search: when it is written, and that it ends no search."""

import re
import signal
import subprocess
import sys
import types

import pytest

from tests.report.document import report_runs
from tests.search import runs
from tf_proxyless.infra import files
from tf_proxyless.report.document import writer


class Clock:
  """A clock that advances by a fixed time for each report."""

  def __init__(self, seconds_a_report):
    self.now, self.step = 0.0, seconds_a_report

  def __call__(self):
    self.now += self.step  # RunReport looks once before a report and once after
    return self.now


@pytest.fixture
def run(tmp_path):
  return report_runs.write(tmp_path / 'run', epochs=2, state='running')


def is_written(run, refresh):
  run.report.unlink(missing_ok=True)
  refresh()
  return run.report.exists()


def test_a_search_gives_a_twentieth_of_its_time_to_reports(run):
  clock = Clock(1.0)
  report = writer.RunReport(run, clock=clock)
  assert is_written(run, report.refresh)
  end, clock.step = clock.now, 0.0
  for after, expected in ((0.0, False), (10.0, False), (19.9, False), (20.1, True)):
    clock.now = end + after
    assert is_written(run, report.refresh) == expected


def test_a_state_is_told_at_once(run):
  clock = Clock(100.0)
  report = writer.RunReport(run, clock=clock)
  for state in ('running', 'interrupted', 'failed'):
    assert is_written(run, lambda state=state: report.write_status(state, reason='none'))
    assert files.read_json(run.status, 'status') == {'state': state, 'reason': 'none'}


def test_a_report_that_cannot_be_written_is_one_warning(run, caplog):
  run.report.mkdir()
  report = writer.RunReport(run, clock=Clock(0.0))
  for _ in range(3):
    report.refresh()
  report.write_status('finished')
  assert [record.getMessage() for record in caplog.records] == [f'{run.report} cannot be written: Is a directory']
  assert files.read_json(run.status, 'status')['state'] == 'finished'
  assert not [file for file in run.path.iterdir() if file.name.startswith('.')]  # nothing half written stays


def test_a_defect_of_the_report_is_told_with_its_traceback_and_ends_no_search(run, caplog):
  broken = types.SimpleNamespace(path=3, report=run.report, writes=True, write_status=run.write_status)  # no path
  report = writer.RunReport(broken, clock=Clock(0.0))
  for _ in range(2):
    report.refresh()
  report.write_status('finished')
  message, = caplog.records
  assert 'please report this' in message.getMessage()
  assert message.exc_info[0] is TypeError
  assert files.read_json(run.status, 'status')['state'] == 'finished'


LATE = '''
import sys, time
from tf_proxyless.infra import locking, shutdown
from tf_proxyless.report.document import writer
from tf_proxyless.search import run_directory
run = run_directory.RunDirectory(sys.argv[1])
with locking.take(run.path):
  report = writer.RunReport(run)
  stop = shutdown.StopRequest(report.on_deadline, deadline_s=0.2)
  if sys.argv[2] == 'running':
    report.write_status('running')
  print('ready', flush=True)
  time.sleep(100)
'''


def state(page):
  return re.search(r'<span class="pill (\w+)">', page)[1]


@pytest.mark.parametrize('before', ['running', 'preparing'])
def test_a_search_that_does_not_stop_in_time_was_interrupted_in_its_report_too(run, before):
  process = subprocess.Popen([sys.executable, '-c', LATE, str(run.path), before], stdout=subprocess.PIPE, text=True,
                             env=runs.environment())
  assert process.stdout.readline() == 'ready\n'
  if before == 'running':
    assert state(run.report.read_text(encoding='utf-8')) == 'running'
  run.history.unlink()  # of a disk that is slow, nothing is read any more
  process.send_signal(signal.SIGTERM)
  process.communicate(timeout=60)
  assert (process.returncode, files.read_json(run.status, 'status')) == (0, {'state': 'interrupted'})
  if before == 'running':
    page = run.report.read_text(encoding='utf-8')
    assert state(page) == 'interrupted' and 'id="reload"' not in page and '2 epochs' in page
  else:
    assert not run.report.exists()
