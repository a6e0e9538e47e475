"""The last second of a process that was asked to end: see also tests/reliability/test_stopping.py."""

import signal
import subprocess
import sys

import pytest

from tests.search import runs
from tf_proxyless.infra import shutdown

WORKER = '''
import time
from tf_proxyless.infra import shutdown
def late():
  {late}
stop = shutdown.StopRequest(late, deadline_s=0.1)
print('ready', flush=True)
time.sleep(100)
'''


def test_is_over_before_a_preemptible_machine_ends_it():
  assert shutdown.DEADLINE_S + shutdown.LATE_S < 10


@pytest.mark.parametrize('late', ['time.sleep(100)', 'raise OSError("no space left")', 'raise TypeError("a defect")'])
def test_nothing_that_is_written_late_keeps_a_process(late):
  process = subprocess.Popen([sys.executable, '-c', WORKER.format(late=late)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env=runs.environment())
  assert process.stdout.readline() == 'ready\n'
  process.send_signal(signal.SIGTERM)
  _, errors = process.communicate(timeout=60)
  assert process.returncode == 0 and 'stopped without saving' in errors
  assert ('Traceback' in errors) == ('TypeError' in late)  # a full disk is no defect
