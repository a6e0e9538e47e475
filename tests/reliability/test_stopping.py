"""Ends that come early, two processes in one folder, and children of mains: real processes and real signals."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.search import runs
from tf_proxyless.app.commands import quickstart
from tf_proxyless.infra import child_processes
from tf_proxyless.infra import errors
from tf_proxyless.infra import locking
from tf_proxyless.infra import run_directory

ASKED = {signal.SIGTERM: 143, signal.SIGINT: 130}


def python(code, *arguments):
  return subprocess.Popen([sys.executable, '-c', code, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=runs.environment())


def wait_for(reached):
  deadline = time.monotonic() + 300
  while not reached():
    assert time.monotonic() < deadline
    time.sleep(0.01)


def says(path, content):
  """Whether a file is there with that content; a file that another process writes is there before its content is."""
  return path.exists() and path.read_text() == content


WORKER = '''
import pathlib, sys, time
from tf_proxyless.infra import shutdown
stop = shutdown.StopRequest(lambda: pathlib.Path(sys.argv[1]).write_text('late'), deadline_s=0.2)
{first}
print('ready', flush=True)
{then}
'''


# The second stays in native code, as an operation of TensorFlow does.
@pytest.mark.parametrize('busy', ['while True: time.sleep(100)', 'import hashlib; hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)'])
def test_sigterm_ends_what_does_not_come_to_ask(tmp_path, busy):
  process = python(WORKER.format(first='', then=busy), tmp_path / 'status')
  assert process.stdout.readline() == 'ready\n'
  process.send_signal(signal.SIGTERM)
  process.send_signal(signal.SIGTERM)
  _, errors = process.communicate(timeout=300)
  assert (process.returncode, (tmp_path / 'status').read_text()) == (0, 'late')
  assert errors == '\nstopped without saving, for lack of time; the same command continues from the last checkpoint\n'


def test_who_has_saved_has_time(tmp_path):
  """Settled before it is asked, since no machine is too busy for that; the second is five times the deadline."""
  worker = WORKER.format(first='stop.settle()', then='while not stop(): time.sleep(0.01)\ntime.sleep(1)\nsys.exit(stop.exit_code)')
  process = python(worker, tmp_path / 'status')
  assert process.stdout.readline() == 'ready\n'
  process.send_signal(signal.SIGTERM)
  assert process.communicate(timeout=300) == ('', '') and process.returncode == 0
  assert not (tmp_path / 'status').exists()


def test_a_second_ctrl_c_ends_at_once():
  code = ('import time\nfrom tf_proxyless.infra import shutdown\nstop = shutdown.StopRequest()\nprint("ready", flush=True)\n'
          'while not stop(): time.sleep(0.01)\nprint("asked", flush=True)\nwhile True: time.sleep(100)')
  process = python(code)
  for said in ('ready\n', 'asked\n'):
    assert process.stdout.readline() == said
    process.send_signal(signal.SIGINT)
  _, errors = process.communicate(timeout=300)
  assert process.returncode == -signal.SIGINT and 'KeyboardInterrupt' in errors


@pytest.mark.parametrize('number', ASKED)
@pytest.mark.parametrize('child_code', [0, 7])
def test_signals_reach_a_child_once_and_end_the_parent_too(tmp_path, number, child_code):
  """Also where the child has saved and ends well."""
  child = ('import pathlib, signal, sys, time\nlog = pathlib.Path(sys.argv[1])\n'
           'def note(number, frame):\n  log.write_text(log.read_text() + str(number))\n  time.sleep(0.3)\n  sys.exit(int(sys.argv[2]))\n'
           'signal.signal(15, note)\nsignal.signal(2, note)\nlog.write_text("x")\nwhile True: time.sleep(100)')
  parent = python('import sys\nfrom tf_proxyless.infra import child_processes, errors\n'
                  'try:\n  sys.exit(child_processes.run(["-c", *sys.argv[1:]]))\nexcept KeyboardInterrupt:\n  sys.exit(errors.INTERRUPTED)',
                  child, tmp_path / 'log', child_code)
  wait_for(lambda: says(tmp_path / 'log', 'x'))
  parent.send_signal(number)
  assert parent.communicate(timeout=300) == ('', '')
  assert parent.returncode == ASKED[number] and (tmp_path / 'log').read_text() == f'x{int(number)}'


@pytest.mark.parametrize('number, error', [(2, KeyboardInterrupt), (15, SystemExit)])
def test_a_child_that_somebody_else_asked_to_end_ends_the_parent(number, error):
  with pytest.raises(error):
    child_processes.run(['-c', f'import os; os.kill(os.getpid(), {number}); import time; time.sleep(9)'], stderr=subprocess.DEVNULL)


@pytest.mark.skipif(sys.platform != 'linux', reason='needs PR_SET_PDEATHSIG')
def test_a_child_does_not_outlive_a_parent_that_is_killed(tmp_path):
  child = ('import os, pathlib, signal, sys, time\nlog = pathlib.Path(sys.argv[1])\n'
           'signal.signal(15, lambda *_: (log.write_text("asked"), sys.exit()))\nlog.write_text("x")\nwhile True: time.sleep(100)')
  parent = python('import sys\nfrom tf_proxyless.infra import child_processes\nchild_processes.run(["-c", *sys.argv[1:]])', child,
                  tmp_path / 'log')
  wait_for(lambda: says(tmp_path / 'log', 'x'))
  parent.kill()
  parent.communicate()
  wait_for(lambda: says(tmp_path / 'log', 'asked'))


def test_a_folder_has_one_process(tmp_path):
  with locking.take(tmp_path):
    with pytest.raises(ValueError, match=rf'{tmp_path} is in use by process {os.getpid()} on \S+ since 20\S+; wait for its end'):
      locking.take(tmp_path)
  locking.take(tmp_path).close()


def test_a_lock_of_a_process_that_was_killed_is_none(tmp_path):
  code = 'import sys, time\nfrom tf_proxyless.infra import locking\nlock = locking.take(sys.argv[1])\nprint(1, flush=True)\ntime.sleep(100)'
  process = python(code, tmp_path)
  process.stdout.readline()
  with pytest.raises(ValueError, match=f'in use by process {process.pid} '):
    locking.take(tmp_path)
  process.kill()
  process.wait()
  assert json.loads((tmp_path / locking.NAME).read_text())['pid'] == process.pid
  locking.take(tmp_path).close()


def test_a_second_search_is_refused(tmp_path):
  run = run_directory.RunDirectory(tmp_path)
  run.create()
  with locking.take(run.path):
    result = runs.run(*runs.TINY, f'--run_dir={tmp_path}')
  runs.check_mistake(result, f'in use by process {os.getpid()}')


@pytest.mark.parametrize('state', ['interrupted', 'running', None])
def test_a_stage_of_the_quickstart_that_saved_and_ended_is_not_finished(tmp_path, state):
  """SIGTERM to the stage alone: exit code 0, but its status says that there is more to do."""
  run = run_directory.RunDirectory(tmp_path / 'search')
  run.create()
  stage = quickstart.Stage('search', ('-c', ''), run)
  if state is not None:
    run.write_status(state)
  for _ in range(2):
    with pytest.raises(errors.UserError, match='search was stopped; the same command continues'):
      quickstart.Pipeline(tmp_path).run(stage)
  run.write_status('finished')
  quickstart.Pipeline(tmp_path).run(stage)
  assert json.loads((tmp_path / 'stages.json').read_text())['finished'] == {'search': ['-c', '']}
