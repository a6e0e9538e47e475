"""Whole measurements on a phone, through the genuine adb client, while things go wrong. Nothing measured before is lost."""

import signal

import pytest

from tests import suites
from tests.android_benchmark import measuring

_MODELS, _ROUNDS = 3, 2
_BLOCK = _MODELS + 2  # launches
_FLAGS = (f'--rounds={_ROUNDS}', '--timeout_s=20', '--reconnect_s=20')


@pytest.fixture
def output(tmp_path):
  return tmp_path / 'measurements.json'


@pytest.fixture
def models(tmp_path):
  return measuring.write_models(tmp_path / 'models', **{f'model{index}': f'latency_us={1000 + index}' for index in range(_MODELS)})


@pytest.fixture
def run(models, output):
  return lambda *flags, device='adb': measuring.run(models, output, *_FLAGS, *flags, device=device)


def _check(output, phone):
  """All was measured, and the phone is as it was."""
  measured = measuring.load(output)
  assert {name: figures['median_ms'] for name, figures in measured['models'].items()} == {
      f'model{index}': (1000 + index) / 1000 for index in range(_MODELS)}
  assert [len(figures['launches']) for figures in measured['models'].values()] == [_ROUNDS] * _MODELS
  assert phone.android.read('settings/global/airplane_mode_on') == '0'
  assert not list(output.parent.glob('*.partial')) and not list(output.parent.glob('*.restore'))
  return measured


def _launches(phone):
  """How many launches of models the phone saw."""
  return sum('--graph=' in line for line in phone.android.read('launches').splitlines())


def test_a_whole_measurement_on_a_phone(run, phone, output):
  exit_code, messages = run()
  assert exit_code == 0, messages
  measured = _check(output, phone)
  assert (measured['device']['model'], measured['device']['soc']) == ('Pixel 2', 'msm8998')
  assert measured['settings']['core_mask'] == '10'
  assert measured['health'][0]['battery_percent'] == 87
  assert _launches(phone) == _ROUNDS * _BLOCK
  assert len(phone.pushed) == 1  # one archive
  assert not phone.android.map_path('/data/local/tmp/tf_proxyless/benchmark').exists()


@pytest.mark.parametrize('on, kind, match, after_bytes', suites.few([
    ('shell', 'drop', 'round.sh', 0),
    ('push', 'drop', 'staged', 1000),
    ('pull', 'drop', 'block.log', 500),
    ('push', 'reboot', 'staged', 1000),
], 1))
def test_a_connection_that_drops_is_waited_for(run, phone, output, on, kind, match, after_bytes):
  fault = phone.fault(on, kind, match=match, after_bytes=after_bytes)
  exit_code, messages = run(device=f'adb:{phone.serial}')
  assert exit_code == 0, messages
  assert fault.happened == 1
  assert 'waiting up to 20 s' in messages
  _check(output, phone)


@pytest.mark.parametrize('kind', [pytest.param('drop', marks=pytest.mark.long), 'reboot'])
def test_a_cable_pulled_out_or_a_restart_in_the_middle_costs_one_block(run, phone, output, kind):
  phone.fault_at_launch(kind, match='--graph', skip=_BLOCK + 2)
  exit_code, messages = run(device=f'adb:{phone.serial}')
  assert exit_code == 0, messages
  _check(output, phone)
  assert len(phone.pushed) == (2 if kind == 'reboot' else 1)  # the restart wiped it
  assert _launches(phone) <= (_ROUNDS + 1) * _BLOCK


@pytest.mark.long  # the settings are not given up before half a minute
def test_a_phone_that_does_not_come_back_is_told_and_the_same_command_continues(run, phone, output):
  phone.fault_at_launch('drop', match='--graph', skip=_BLOCK + 2)
  original_drop, phone.drop = phone.drop, lambda: (setattr(phone, '_away_until', float('inf')), original_drop())
  exit_code, messages = run('--reconnect_s=1', device=f'adb:{phone.serial}')
  assert exit_code == 4
  assert 'the same command continues' in messages
  assert len(measuring.blocks(output)) == 1
  phone.drop, phone._away_until = original_drop, 0
  exit_code, messages = run(device=f'adb:{phone.serial}')
  assert exit_code == 0, messages
  assert 'continuing after 1 blocks' in messages
  _check(output, phone)


@pytest.mark.parametrize('kind, reason', [
    ('139', 'SIGSEGV'), *(pytest.param(*fate, marks=pytest.mark.long) for fate in (
        ('1', 'exit code 1'), ('134', 'SIGABRT'), ('137', 'SIGKILL'), ('truncate', 'no line')))])
def test_a_model_that_fails_on_the_phone_is_named(run, phone, output, kind, reason):
  phone.fault_at_launch(kind, match='model1.tflite', times=9, output_bytes=100)
  exit_code, messages = run()
  assert exit_code == 3, messages
  measured = measuring.load(output)
  assert list(measured['failed']) == ['model1']
  assert reason in measured['failed']['model1']
  assert len(measured['models']) == _MODELS - 1


@pytest.mark.long
def test_a_hung_benchmark_is_ended_and_launched_again(run, phone, output):
  phone.fault_at_launch('hang', match='model1.tflite')
  exit_code, messages = run('--timeout_s=2')
  assert exit_code == 0, messages
  assert _check(output, phone)['warnings'] == ['model1 failed once and then ran: did not end within 2 s']


def test_a_full_disk_is_told_and_the_same_command_continues(run, phone, output):
  phone.android.free_bytes = 2048
  exit_code, messages = run()
  assert exit_code == 4
  assert 'Traceback' not in messages
  phone.android.free_bytes = None
  exit_code, messages = run()
  assert exit_code == 0, messages
  _check(output, phone)


@pytest.mark.parametrize('number, exit_code', [
    (signal.SIGKILL, -9), *(pytest.param(*case, marks=pytest.mark.long) for case in ((signal.SIGINT, 130), (signal.SIGTERM, 143)))])
def test_whatever_ends_the_session_the_phone_is_given_back_and_what_was_measured_is_kept(models, run, phone, output, number, exit_code):
  phone.fault_at_launch('hang', match='--graph', skip=_BLOCK + 2)  # in the second block
  process = measuring.start(models, output, *_FLAGS, '--timeout_s=2', device='adb')
  while 'blocks' not in process.stderr.readline():
    assert process.poll() is None
  assert phone.android.read('settings/global/airplane_mode_on') == '1'
  process.send_signal(number)
  process.communicate(timeout=60)
  assert process.returncode == exit_code
  if number != signal.SIGKILL:
    assert phone.android.read('settings/global/airplane_mode_on') == '0'
  assert len(measuring.blocks(output)) == 1
  code, messages = run('--timeout_s=2')
  assert code == 0, messages
  assert 'continuing after 1 blocks' in messages
  _check(output, phone)


def test_without_a_usable_phone_there_is_one_line(run, output, start_phone):
  exit_code, messages = run()
  assert exit_code == 2
  assert 'no device is connected' in messages
  start_phone(connect=True), start_phone(connect=True)
  exit_code, messages = run()
  assert exit_code == 2
  assert 'several devices are connected' in messages
