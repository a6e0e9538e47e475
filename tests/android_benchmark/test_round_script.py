import pathlib
import subprocess
import threading

import pytest

from android_benchmark import errors
from android_benchmark import host
from android_benchmark import round_script
from tests.android_benchmark import measuring


@pytest.fixture
def device(tmp_path):
  with host.HostDevice(tmp_path / 'device') as device:
    (tmp_path / 'device' / round_script.NAME).write_text(round_script.SCRIPT)
    yield device


def _run(device, models, mask=None, limit_s=1, log='block.log'):
  script = f'{device.folder}/{round_script.NAME}'
  command = round_script.command(script, f'{device.folder}/{log}', limit_s, mask, ['--num_runs=20'], str(measuring.BINARY), models)
  return device.run(command)


def _sections(device):
  with open(f'{device.folder}/block.log') as log:
    return round_script.parse_log(log.read())


def test_every_launch_has_its_section_and_its_own_fate(device, tmp_path):
  fates = {'ok': 0, 'fails': 1, 'abort': 134, 'kill': 137, 'segv': 139, 'hang': 124, 'truncated': 0}
  folder = measuring.write_models(tmp_path / 'models', **{fate: f'behaviour={fate}' for fate in fates})
  paths = [f'{folder}/{fate}.tflite' for fate in fates]
  assert _run(device, paths, mask='1').exit_code == 0
  sections = _sections(device)
  assert [(section.path, section.exit_code) for section in sections] == list(zip(paths, fates.values()))
  assert 'Inference timings in us' in sections[0].text
  assert 'ERROR: Failed to allocate tensors!' in sections[1].text  # stderr is there too


def test_paths_may_hold_what_a_shell_would_take_apart(device, tmp_path):
  folder = measuring.write_models(tmp_path / "a $b 'c'", model='latency_us=5')
  _run(device, [f'{folder}/model.tflite'])
  assert _sections(device)[0].path == f'{folder}/model.tflite'
  assert _sections(device)[0].exit_code == 0


def test_a_script_that_outlived_its_connection_never_runs_beside_the_next(device, tmp_path):
  folder = measuring.write_models(tmp_path / 'models', slow='seconds=0.5')
  first = []
  thread = threading.Thread(target=lambda: first.append(_run(device, [f'{folder}/slow.tflite'] * 9, limit_s=9)))
  thread.start()
  while not pathlib.Path(f'{device.folder}/block.log').exists():
    pass
  second = _run(device, [f'{folder}/slow.tflite'])
  thread.join()
  assert first[0].exit_code == 75
  assert second.exit_code == 0
  assert [section.exit_code for section in _sections(device)] == [0]


def test_a_stale_process_number_is_waited_for_no_longer_than_it_is_a_script(device, tmp_path):
  pathlib.Path(f'{device.folder}/block.log.running').write_text('1\n')  # after a restart it may be anybody's
  folder = measuring.write_models(tmp_path / 'models', model='latency_us=5')
  assert _run(device, [f'{folder}/model.tflite']).exit_code == 0


def test_the_script_is_posix(device):
  dash = ['sh', '-n', f'{device.folder}/{round_script.NAME}']
  assert subprocess.run(dash, capture_output=True).stderr == b''


_LOG = '''=== begin a b
INFO: one

=== end a b exit=0
=== begin c
two
=== end a b exit=1
=== end c exit=134
'''


def test_a_log_is_read_as_far_as_it_goes():
  whole = (round_script.Section('a b', 0, 'INFO: one'), round_script.Section('c', 134, 'two\n=== end a b exit=1'))
  assert round_script.parse_log(_LOG) == whole
  assert round_script.parse_log(_LOG.replace('\n', '\r\n')) == whole
  for length in range(len('=== begin a'), len(_LOG)):
    finished = [section for section in round_script.parse_log(_LOG[:length]) if section.exit_code is not None]
    assert finished == list(whole[:len(finished)])
  assert round_script.parse_log('') == ()


def test_what_is_no_log_is_refused():
  with pytest.raises(errors.BenchmarkError, match='No such file'):
    round_script.parse_log('sh: round.sh: No such file or directory\n')
