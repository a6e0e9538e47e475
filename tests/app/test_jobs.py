"""Commands as child processes, several at a time."""

import json
import os
import signal
import time

import pytest

from tf_proxyless.app import jobs
from tf_proxyless.infra import locking

# Notes when it begins and ends; ends by itself after some seconds, asked to after writing so.
_PROGRAM = '''
import os, pathlib, signal, sys, time
folder, seconds, code, stubborn = pathlib.Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == 'True'
def stop(number, frame):
  (folder / 'saved').write_text(str(number))
  stubborn or sys.exit(0)
(folder / 'pid').write_text(str(os.getpid()))
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGTERM, stop)
(folder / 'began').write_text(repr(time.time()))
time.sleep(seconds)
(folder / 'ended').write_text(repr(time.time()))
print('error: too small' if code == 2 else 'said')
sys.exit(code)
'''


def job(folder, name, seconds=0.0, code=0, stubborn=False):
  return jobs.Job(name, 'kind', ('-c', _PROGRAM, str(folder / name), str(seconds), str(code), str(stubborn)), folder / name)


class Work:
  """Runs jobs once each, and notes how they ended."""

  def __init__(self, folder, *planned):
    self.folder, self.planned, self.began, self.ended = folder, planned, [], []

  def next_jobs(self):
    return [each for each in self.planned if each.name not in dict(self.ended)]

  def on_end(self, each, seconds, code):
    assert seconds > 0
    self.ended.append((each.name, code))

  def run(self, processes=1, stop_signal=lambda: None):
    with locking.take(self.folder) as lock:
      jobs.run(self.next_jobs, lambda each: self.began.append(each.name), self.on_end, stop_signal, processes, lock)


def times(folder, name):
  return [float((folder / name / moment).read_text()) for moment in ('began', 'ended')]


def test_one_after_the_other_in_order(tmp_path):
  work = Work(tmp_path, *(job(tmp_path, name) for name in 'abc'))
  work.run()
  assert work.began == ['a', 'b', 'c'] and work.ended == [('a', 0), ('b', 0), ('c', 0)]
  assert times(tmp_path, 'a')[1] <= times(tmp_path, 'b')[0] and work.planned[2].output.read_text() == 'said\n'


def test_several_at_a_time_share_the_cores(tmp_path, monkeypatch):
  monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: set(range(7)))
  say = ('-c', 'import json, os; print(json.dumps({n: os.environ.get(n) for n in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")}))')
  work = Work(tmp_path, job(tmp_path, 'a', 1.0), job(tmp_path, 'b', 1.0), jobs.Job('c', 'kind', say, tmp_path / 'c'))
  work.run(processes=2)
  (a, a_end), (b, b_end) = times(tmp_path, 'a'), times(tmp_path, 'b')
  assert max(a, b) < min(a_end, b_end) and work.ended[-1] == ('c', 0)
  assert json.loads((tmp_path / 'c' / 'output.txt').read_text()) == {'TF_NUM_INTRAOP_THREADS': '3', 'OMP_NUM_THREADS': '3'}
  alone = Work(tmp_path, jobs.Job('d', 'kind', say, tmp_path / 'd'))
  alone.run()
  assert json.loads((tmp_path / 'd' / 'output.txt').read_text()) == {name: os.environ.get(name) for name in
                                                                   ('TF_NUM_INTRAOP_THREADS', 'OMP_NUM_THREADS')}


def wait_for(*paths):
  deadline = time.monotonic() + 60
  while not all(path.exists() for path in paths):
    assert time.monotonic() < deadline
    time.sleep(0.01)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_all_save_and_no_other_begins(tmp_path, number):
  work = Work(tmp_path, *(job(tmp_path, name, 60.0) for name in 'abc'))
  work.run(2, lambda: number if (tmp_path / 'a' / 'began').exists() and (tmp_path / 'b' / 'began').exists() else None)
  assert sorted(work.ended) == [('a', 0), ('b', 0)]
  assert [(tmp_path / name / 'saved').read_text() for name in 'ab'] == [str(int(number))] * 2 and not (tmp_path / 'c').exists()


def test_after_a_failure_the_others_save(tmp_path):
  work = Work(tmp_path, job(tmp_path, 'a', 60.0), job(tmp_path, 'b', 0.5, 3))

  def on_end(each, seconds, code):
    deadline = time.monotonic() + 60
    while not (tmp_path / 'a' / 'began').exists() and time.monotonic() < deadline:
      time.sleep(0.01)
    raise ValueError(jobs.explain(each, code))

  work.on_end = on_end
  with pytest.raises(ValueError, match='b ended with exit code 3, see .*/b/output.txt; the same command continues'):
    work.run(2)
  assert (tmp_path / 'a' / 'saved').exists() and not (tmp_path / 'a' / 'ended').exists()


def test_a_second_interrupt_ends_them_at_once(tmp_path):
  work = Work(tmp_path, job(tmp_path, 'a', 60.0, stubborn=True))

  def stop_signal():
    if (tmp_path / 'a' / 'saved').exists():  # and goes on
      raise KeyboardInterrupt
    return signal.SIGINT if (tmp_path / 'a' / 'began').exists() else None

  with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
    sleep = time.sleep
    patch.setattr(jobs.time, 'sleep', lambda seconds: (sleep(seconds), stop_signal()))  # where Ctrl-C is noticed
    work.run(1, stop_signal)
  with pytest.raises(ProcessLookupError):
    os.kill(int((tmp_path / 'a' / 'pid').read_text()), 0)


def test_why_a_job_failed(tmp_path):
  (tmp_path / 'a').mkdir()
  (tmp_path / 'a' / 'output.txt').write_text('a warning\nerror: `x` is too\tsmall\n')
  assert jobs.explain(job(tmp_path, 'a'), 2) == 'a: `x` is too small'
  assert jobs.explain(job(tmp_path, 'a'), -9).startswith('a ended with signal 9, see ')
  (tmp_path / 'a' / 'output.txt').write_text('')
  assert jobs.explain(job(tmp_path, 'a'), 2).startswith('a ended with exit code 2, see ')
