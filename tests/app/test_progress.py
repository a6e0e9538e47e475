"""Bars are shown to people only; TensorBoard has the names of history.jsonl."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

from absl import logging
import pytest
import tensorflow as tf

from tf_proxyless.app import progress

SHOW = '''
import sys, time
from absl import logging
from tf_proxyless.infra import progress
logging.set_verbosity(int(sys.argv[1]))
for _ in progress.over(range(3), 'counting', 3, 'thing'):
  time.sleep(0.12)
with progress.working('thinking'):
  time.sleep(2.5)
update = progress.counter('drawing')
for done in (1, 2):
  update(done, 2)
with progress.bar('starting late', 10, done=4) as bar:
  time.sleep(0.12)
  bar.update()
'''


@pytest.fixture(scope='module')
def shown():
  """What the example writes: to a terminal, to one with little verbosity, to pipes."""
  command = [sys.executable, '-c', SHOW]
  terminals = [_on_terminal([*command, str(verbosity)]) for verbosity in (logging.WARNING, logging.ERROR)]
  piped = subprocess.Popen([*command, str(logging.INFO)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
  return [*map(_read, terminals), ''.join(piped.communicate(timeout=60))]


def _on_terminal(command):
  """Starts a command whose stderr is a terminal; the terminal's other end."""
  ours, theirs = pty.openpty()
  fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 100, 0, 0))
  subprocess.Popen(command, stderr=theirs)
  os.close(theirs)
  return ours


def _read(terminal):
  chunks = []
  while True:
    try:
      chunk = os.read(terminal, 4096)
    except OSError:  # Linux says so when the other end is closed
      break
    if not chunk:
      break
    chunks.append(chunk)
  os.close(terminal)
  return b''.join(chunks).decode('utf-8')


def test_terminals_get_bars_with_the_time_left_and_are_clean_again(shown):
  text = shown[0]
  assert 'counting:' in text and '2/3' in text and '<00:0' in text and 'thing/s' in text
  assert 'thinking: 00:01' in text
  assert 'drawing:' in text
  assert '4/10' in text
  assert not text.rstrip('\r').endswith(tuple('0123456789]'))  # bars are wiped away


def test_neither_low_verbosity_nor_files_and_pipes_show_any(shown):
  assert shown[1:] == ['', '']


def test_scalars_are_the_numbers_of_an_entry_by_name():
  entry = {'epoch': 3, 'phase': 'joint', 'loss': 1.5, 'updates': 7, 'whole': True, 'none': None,
           'probabilities': {'blocks/block_1/op': [0.25, 0.75]}}
  assert progress.scalars(entry) == {'epoch': 3.0, 'loss': 1.5, 'updates': 7.0, 'probabilities/blocks/block_1/op/0': 0.25,
                                     'probabilities/blocks/block_1/op/1': 0.75}


def logged(folder):
  """(step, value) by name of what TensorBoard finds."""
  found = {}
  for file in sorted(folder.glob('events*')):
    for event in tf.compat.v1.train.summary_iterator(str(file)):
      for value in event.summary.value:
        found[value.tag] = (event.step, float(tf.make_ndarray(value.tensor)))
  return found


def test_tensorboard_has_the_names_of_the_history_of_a_search(tmp_path):
  entry = {'epoch': 3, 'phase': 'joint', 'loss': 1.5, 'accuracy': 0.5, 'most_likely_accuracy': 0.25, 'most_likely_cost': 2.0,
           'expected_cost': 3.0, 'updates': 7, 'probabilities': {'op': [0.25, 0.75]}}
  shown = progress.SearchProgress(tmp_path, '{:g} ms'.format)
  shown.on_epoch(entry)
  expected = {name: (3, value) for name, value in progress.scalars(entry).items() if name != 'epoch'}
  assert logged(tmp_path) == expected and 'probabilities/op/1' in expected and 'updates' in expected


def test_tensorboard_has_the_names_of_the_history_of_a_training(tmp_path):
  shown = progress.TrainingProgress('training', tmp_path, 10, 0)
  shown.on_steps(5, {'loss': 1.0, 'accuracy': 0.5})
  shown.on_epoch({'epoch': 0, 'loss': 1.5, 'accuracy': 0.5, 'evaluation_top1': 0.25})
  shown.close()
  assert logged(tmp_path) == {'loss': (0, 1.5), 'accuracy': (0, 0.5), 'evaluation_top1': (0, 0.25)}


@pytest.mark.parametrize('method', ['on_epoch', 'on_steps'])
def test_workers_without_a_log_write_nothing(method, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  shown = progress.TrainingProgress('training', None, 10, 0)
  arguments = {'on_epoch': ({'epoch': 0, 'loss': 1.5, 'accuracy': 0.5},), 'on_steps': (1, {'loss': 1.0, 'accuracy': 0.5})}[method]
  getattr(shown, method)(*arguments)
  shown.close()
  assert not list(tmp_path.iterdir())
