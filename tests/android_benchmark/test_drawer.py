"""A table measured on several phones of one model at once, through the genuine adb client."""

import pathlib
import signal
import time

import pytest

from android_benchmark import device as device_lib
from android_benchmark import devices
from tests.android_benchmark import drawer
from tests.android_benchmark import measuring
from tests.android_benchmark import transfers

_MODELS = 6
_FLAGS = ('--rounds=3', '--block_models=3', '--reconnect_s=1', '--timeout_s=20')


@pytest.fixture
def output(tmp_path):
  return tmp_path / 'measurements.json'


@pytest.fixture
def models(tmp_path):
  return drawer.write_models(tmp_path / 'models', _MODELS)


@pytest.fixture
def phones(start_phone):
  return drawer.start(start_phone, 3)


@pytest.fixture
def run(models, output):
  return lambda phones, *flags: measuring.run(models, output, *_FLAGS, *flags, device=drawer.device(phones))


def _check(output, phones, scale=1.0):
  """All was measured, and the phones are as they were."""
  measured = measuring.load(output)
  assert {name: figures['median_ms'] for name, figures in measured['models'].items()} == {
      f'model{number:02d}': pytest.approx((10 + number) * scale, rel=2e-3) for number in range(_MODELS)}
  assert [len(figures['launches']) for figures in measured['models'].values()] == [3] * _MODELS
  assert [phone.android.read('settings/global/airplane_mode_on') for phone in phones] == ['0'] * len(phones)
  assert not list(output.parent.glob('*.partial')) and not list(output.parent.glob('*.restore'))
  return measured


def test_phones_share_the_work_and_the_table_is_that_of_all_on_average(run, phones, output):
  for phone, percent in zip(phones, (100, 104, 98)):
    phone.android.write('percent', str(percent))
  exit_code, messages = run(phones)
  assert exit_code == 0, messages
  mean = (1.0 * 1.04 * 0.98)**(1 / 3)
  measured = _check(output, phones, mean)
  assert [(phone['name'], phone['key'], phone['scale']) for phone in measured['phones']] == [
      (f'adb:{phone.serial}', f'SERIAL{number} {number:016x}', pytest.approx(percent / mean, rel=1e-3))
      for number, (phone, percent) in enumerate(zip(phones, (1, 1.04, 0.98)))]
  assert measured['reference']['drift_percent'] < 0.1 and measured['warnings'] == []
  assert sum(phone['blocks'] for phone in measured['phones']) == len(measured['health']) == 6
  known = {phone['name'] for phone in measured['phones']}
  assert {launch['phone'] for figures in measured['models'].values() for launch in figures['launches']} == known
  assert {health['phone'] for health in measured['health']} == known
  assert min(drawer.launches(phone) for phone in phones) >= 5, 'each had a share'
  assert [transfers.files(phone) for phone in phones] == [[]] * 3
  assert all(f'adb:{phone.serial}: ' in messages for phone in phones)


def test_a_model_on_which_a_phone_is_different_is_named(run, phones, output):
  phones[1].android.write('percent_model05', '130')  # the largest is one of those that all measure
  exit_code, messages = run(phones)
  assert exit_code == 3
  off = measuring.load(output)['phones'][1]
  assert (off['worst_model'], off['worst_percent']) == ('model05', pytest.approx(30, abs=0.1))
  assert f'adb:{phones[1].serial} takes 30.0 % longer than the other phones on model05, beyond their usual difference' in messages


@pytest.mark.parametrize('kind', ['hot', pytest.param('unplug', marks=pytest.mark.by_hand)])  # settings are not given up before 30 s
def test_a_phone_that_dies_costs_its_share_only(run, phones, output, kind):
  dead = phones[2]
  if kind == 'hot':
    dead.android.write('dumpsys/battery', 'level: 87\n  temperature: 502')
  else:
    dead.fault_at_launch('unplug', match='--graph', skip=2)
  exit_code, messages = run(phones, '--cool_down_s=0')
  assert exit_code == 0, messages
  if kind == 'unplug':
    dead.plug_in()
    journal, = output.parent.glob('*.restore')
    assert journal.name == 'measurements.json.SERIAL2_0000000000000002.restore'
    journal.unlink()
    dead.android.write('settings/global/airplane_mode_on', '0')
  measured = _check(output, phones)
  assert [phone['key'][:7] for phone in measured['phones']] == ['SERIAL0', 'SERIAL1']
  warning, = measured['warnings']
  assert warning.startswith(f'adb:{dead.serial} was left out after 0 blocks, and its share went to adb:{phones[0].serial} and '
                            f'adb:{phones[1].serial}: ')
  assert ('still hotter than' if kind == 'hot' else 'connection lost') in warning and warning in messages


@pytest.mark.long
def test_nobody_waits_for_a_lost_phone_when_all_is_measured(run, phones, output):
  phones[2].fault_at_launch('unplug', match='--graph', skip=2)
  exit_code, messages = run(phones, '--reconnect_s=600')
  assert exit_code == 0, messages
  assert 'waiting up to 600 s' in messages and 'is lost. The next run with' in messages
  measured = measuring.load(output)
  assert len(measured['phones']) == 2
  warning, = measured['warnings']
  assert warning.startswith(f'adb:{phones[2].serial} was left out after ') and 'connection lost' in warning


@pytest.mark.long
def test_ctrl_c_while_a_phone_cools_down(models, phones, output):
  for phone in phones:
    phone.android.write('dumpsys/battery', 'level: 87\n  temperature: 502')
  process = measuring.start(models, output, *_FLAGS, device=drawer.device(phones))
  for _ in phones:
    assert 'cooling down' in process.stderr.readline()
  process.send_signal(signal.SIGINT)
  messages = process.communicate(timeout=60)[1]
  assert process.returncode == 130
  assert messages == 'interrupted; what was measured is kept, the same command continues\n'
  assert [phone.android.read('settings/global/airplane_mode_on') for phone in phones] == ['0'] * 3


@pytest.mark.long
def test_a_phone_far_from_two_others_is_left_out_and_of_two_nobody_knows(run, phones, output):
  phones[1].android.write('percent', '125')
  exit_code, messages = run(phones[:2])
  assert exit_code == 2
  last = messages.splitlines()[-1]
  assert f'adb:{phones[1].serial} takes 25.0 % longer than adb:{phones[0].serial} on the same 5 models (25.0 % on model' in last
  assert 'measure with one of them, or add a third phone' in last
  exit_code, messages = run(phones)  # continues
  assert exit_code == 0, messages
  measured = _check(output, phones)
  assert [phone['key'][:7] for phone in measured['phones']] == ['SERIAL0', 'SERIAL2']
  assert f'adb:{phones[1].serial} takes 25.0 % longer than the other phones' in measured['warnings'][0]


@pytest.mark.long
def test_what_fails_on_one_phone_is_measured_on_another(run, phones, output):
  phones[0].fault_at_launch('139', match='model04.tflite', times=99)  # one of those that all measure
  exit_code, messages = run(phones[:2])
  assert exit_code == 0, messages
  measured = _check(output, phones)
  assert len([text for text in measured['warnings'] if f'model04 failed on adb:{phones[0].serial} and ran elsewhere: ' in text]) == 1


@pytest.mark.long
@pytest.mark.parametrize('number, exit_code', [(signal.SIGINT, 130), (signal.SIGKILL, -9), (signal.SIGTERM, 143)])
def test_whatever_ends_it_every_phone_is_given_back_and_any_of_them_continue(models, run, phones, output, number, exit_code):
  for phone in phones:
    phone.fault_at_launch('hang', match='--graph', skip=10, times=99)  # in the second or third block
  process = measuring.start(models, output, *_FLAGS, device=drawer.device(phones))
  for _ in range(3):
    assert 'blocks' in process.stderr.readline()
  assert [phone.android.read('settings/global/airplane_mode_on') for phone in phones] == ['1'] * 3
  process.send_signal(number)
  messages = process.communicate(timeout=60)[1]
  assert process.returncode == exit_code, messages
  if number != signal.SIGKILL:
    assert [phone.android.read('settings/global/airplane_mode_on') for phone in phones] == ['0'] * 3
    assert not list(output.parent.glob('*.restore'))
  known = measuring.blocks(output)
  for phone in phones:
    for fault in (phone.android.root / 'faults').iterdir():
      fault.unlink()
  code, messages = run(phones[:2])
  assert code == 0, messages
  assert f'continuing after {len(known)} blocks' in messages
  if number == signal.SIGKILL:
    code, messages = run(phones)  # which restores the third
    assert code == 0, messages
  assert len(_check(output, phones)['phones']) == 3


@pytest.mark.long
def test_a_phone_alone_is_joined_by_others(models, run, phones, output):
  phones[0].fault_at_launch('hang', match='--graph', skip=10)
  process = measuring.start(models, output, *_FLAGS, device=drawer.device(phones[:1]))
  for _ in range(2):
    assert 'blocks' in process.stderr.readline()
  process.send_signal(signal.SIGINT)
  process.communicate(timeout=60)
  next((phones[0].android.root / 'faults').iterdir()).unlink()
  code, messages = run(phones)
  assert code == 0, messages
  assert 'continuing after 2 blocks' in messages
  assert len(_check(output, phones)['phones']) == 3


def test_phones_of_different_models_are_refused_and_named(run, phones, start_phone):
  other = start_phone(connect=True, properties={'ro.product.model': 'Pixel 3', 'ro.board.platform': 'sdm845'})
  exit_code, messages = run([phones[0], other])
  assert exit_code == 2
  assert messages == (f'error: --device: phones that share a table must be of one model: adb:{phones[0].serial} is a Pixel 2 (msm8998), '
                      f'adb:{other.serial} is a Pixel 3 (sdm845)\n')
  assert [phone.android.read('settings/global/airplane_mode_on') for phone in (phones[0], other)] == ['0', '0']


@pytest.mark.parametrize('text', ['adb:', 'adb:A,', 'adb:A,,B', 'adb:A,A', 'host,host', 'adb,adb', 'tv'])
def test_lists_that_are_none(text):
  with pytest.raises(ValueError, match="a device is 'host'|names 'A' twice"):
    devices.parse_devices(text)


@pytest.mark.parametrize('text', ['adb:A,usb:1-4.2,transport_id:7', 'adb:A, adb:usb:1-4.2,adb:transport_id:7'])
def test_lists_of_selectors(text):
  assert [device.serial for device in devices.parse_devices(text)] == ['A', 'usb:1-4.2', 'transport_id:7']


def test_one_phone_by_two_names_is_refused(models, output, phone):
  exit_code, messages = measuring.run(models, output, *_FLAGS, device=f'adb:{phone.serial},model:Pixel_2')
  assert exit_code == 2
  assert f'adb:{phone.serial} and adb:{phone.serial} are one phone, or nothing tells them apart: ' in messages


@pytest.mark.parametrize('known', [True, pytest.param(False, marks=pytest.mark.long)])
def test_twins_measure_together(models, output, twins, known):
  """By whatever tells them apart: their android_id, or else their places."""
  for number, phone in enumerate(twins):
    phone.android.write('percent', '100')
    if known:
      phone.android.write('settings/secure/android_id', f'{number:016x}')
  exit_code, messages = measuring.run(models, output, *_FLAGS, device='adb:transport_id:7,usb:1-4.2')
  assert exit_code == 0, messages
  keys = [phone['key'] for phone in _check(output, twins)['phones']]
  assert keys == [f'FA7AX1A00123 {number:016x}' if known else f'FA7AX1A00123 adb:usb:1-4.{number + 1}' for number in range(2)]


@pytest.mark.long
def test_a_twin_does_not_continue_what_another_has_begun(models, output, twins):
  for number, phone in enumerate(twins):
    phone.android.write('percent', '100')
    phone.android.write('settings/secure/android_id', f'{number:016x}')
  twins[0].fault_at_launch('hang', match='--graph', skip=7)
  process = measuring.start(models, output, *_FLAGS, device='adb:usb:1-4.1')
  assert 'blocks' in process.stderr.readline()
  process.send_signal(signal.SIGKILL)
  process.communicate(timeout=60)
  assert twins[0].android.read('settings/global/airplane_mode_on') == '1'
  exit_code, messages = measuring.run(models, output, *_FLAGS, device='adb:usb:1-4.2')
  assert exit_code == 2
  assert ('holds what FA7AX1A00123 0000000000000000 measured, and this is FA7AX1A00123 0000000000000001 (serial number, android_id): '
          'take that phone, or both by --device=adb:ONE,OTHER, or remove the file') in messages.splitlines()[-1]
  assert twins[1].android.read('settings/global/airplane_mode_on') == '0'
  pathlib.Path(f'{output}.partial').unlink()
  exit_code, messages = measuring.run(models, output, *_FLAGS, device='adb:usb:1-4.2')
  assert exit_code == 0
  assert f'{output}.FA7AX1A00123_0000000000000000.restore says how to restore a phone that is not here' in messages


def test_a_key_is_what_stays():
  assert device_lib.Description('Pixel 2').key == ''
  assert device_lib.Description('Pixel 2', 'X', android_id='ab', boot_id='cd').key == 'X ab'


@pytest.mark.by_hand
def test_three_phones_are_nearly_three_times_as_fast(start_phone, tmp_path):
  """Prints the seconds of one phone and of three; launches sleep, as phones compute on their own."""
  phones = drawer.start(start_phone, 3)
  models = drawer.write_models(tmp_path / 'models', 60, seconds=0.3)
  seconds = {}
  for count in (1, 3):
    process = measuring.start(models, pathlib.Path(tmp_path, f'{count}.json'), '--rounds=3', device=drawer.device(phones[:count]))
    began = time.monotonic()
    messages = process.communicate(timeout=600)[1]
    seconds[count] = time.monotonic() - began
    assert process.returncode == 0, messages
  print(f'{seconds[1]:.1f} s on one phone, {seconds[3]:.1f} s on three: {seconds[1] / seconds[3]:.2f} times as fast')
