"""Energy by the counters of a device, in the formats that kernels give them, and by the log of an external meter."""

import pathlib
import subprocess
import sys
import threading
import time

import pytest

from android_benchmark import benchmark_model
from android_benchmark import device as device_lib
from android_benchmark import errors
from android_benchmark import host
from android_benchmark import launchers
from android_benchmark import output
from android_benchmark import power
from android_benchmark import power_log
from android_benchmark import summary
from tests.android_benchmark import measuring

RAPL = '/sys/class/powercap/intel-rapl:0'
BATTERY = 'class/power_supply/battery'


def rails(milliseconds, **microwatt_seconds):
  """Of a Pixel 6's two meters, that of the processor, as the driver prints it."""
  lines = [f'CH{index}(T={milliseconds})[{rail}], {energy}' for index, (rail, energy) in enumerate(microwatt_seconds.items())]
  return '\n'.join(['/sys/bus/iio/devices/iio:device0/energy_value', f't={milliseconds}', *lines, ''])


class Shell(host.HostDevice):
  """This machine, but for what commands print."""

  def __init__(self, **answers):
    super().__init__()
    self._answers = answers

  def run(self, command, timeout_s=60):
    for part, (stdout, stderr) in self._answers.items():
      if part in command:
        return device_lib.CommandResult(0, stdout, stderr)
    return device_lib.CommandResult(1, '', '')


def test_rails_are_added_by_the_clock_of_their_meter():
  meter = power.find(Shell(energy_value=(rails(349894, S2M_VDD_CPUCL2=30203502, S1M_VDD_MIF=21091363), '')))
  assert (meter.name, meter.period_s) == ('2 power rails', None)
  after = rails(351894, S2M_VDD_CPUCL2=30203502 + 3_000_000, S1M_VDD_MIF=21091363 + 500_000)
  assert meter.power_w([rails(349894, S2M_VDD_CPUCL2=30203502, S1M_VDD_MIF=21091363), after]) == pytest.approx(1.75)
  for last, message in ((rails(351894, S2M_VDD_CPUCL2=30203502, S1M_VDD_MIF=21091363), 'the power rails did not move'),
                        (rails(349894, S2M_VDD_CPUCL2=30203502, S1M_VDD_MIF=21091363), 'the power rails did not move'),
                        (rails(50, S2M_VDD_CPUCL2=5, S1M_VDD_MIF=2), 'the power rails were set back meanwhile'),
                        (rails(351894, S2M_VDD_CPUCL2=30203502), 'the power rails could not be read'), ('', 'could not be read')):
    with pytest.raises(errors.BenchmarkError, match=message):
      meter.power_w([rails(349894, S2M_VDD_CPUCL2=30203502, S1M_VDD_MIF=21091363), last])
  with pytest.raises(errors.BenchmarkError, match='1 readings of the meter instead of 2'):
    meter.power_w([after])


def rapl(seconds, package, memory, most=262143328850):
  rows = (('package-0', package, ''), ('core', package - 5, ':0'), ('dram', memory, ':1'))
  return '\n'.join([f'{seconds:.2f} 1.00', *(f'{RAPL}{place} {name} {energy} {most}' for name, energy, place in rows), ''])


def test_rapl_begins_again_at_its_end():
  meter = power.find(Shell(powercap=(rapl(1000, 262143000000, 50), '')))
  assert meter.name == 'RAPL of 2 zones'  # cores are part of the package
  assert meter.power_w([rapl(1000, 100, 50), rapl(1002, 8_000_100, 1_000_050)]) == pytest.approx(4.5)
  wrapped = 7_671_150  # 8 J after 262143000000
  assert meter.power_w([rapl(1000, 262143000000, 50), rapl(1002, wrapped, 1_000_050)]) == pytest.approx(4.5)


def test_one_line_says_what_was_looked_for():
  with pytest.raises(ValueError) as caught:
    power.find(Shell(powercap=('1000.00 1.00\n', 'cat: energy_uj: Permission denied')))
  text = str(caught.value)
  assert text.isprintable() and text.startswith('host does not show what it draws: /sys/bus/iio/devices/*/energy_value cannot be read; ')
  assert '/sys/class/powercap/intel-rapl:*/energy_uj cannot be read without root; no battery in /sys/class/power_supply/*' in text
  assert text.endswith('--power_log')


@pytest.fixture
def sysfs(tmp_path):
  """A folder like /sys, with a battery that is discharging."""
  for name, value in (('type', 'Battery'), ('status', 'Discharging'), ('current_now', '-400000'), ('voltage_now', '4000000')):
    path = tmp_path / 'sys' / BATTERY / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{value}\n')
  (tmp_path / 'sys/class/power_supply/usb').mkdir()
  (tmp_path / 'sys/class/power_supply/usb/type').write_text('USB\n')
  return tmp_path / 'sys'


def test_a_fuel_gauge(sysfs, tmp_path):
  with host.HostDevice(tmp_path / 'device') as device:
    meter = power.find(device, sys=str(sysfs))
    assert (meter.name, meter.min_secs) == ('the fuel gauge', 10)
    assert device.run(meter.command).stdout == '-400000 4000000 Discharging\n'
    values = [*([900000] * 3), 400000, 410000, 390000, 400000, 400000, 7]  # it lags first, and the last is of another launch's beginning
    assert meter.power_w([f'{-value} 4000000 Discharging\n' for value in values]) == pytest.approx(1.6)
    for readings, message in ((['-400000 4000000 Discharging\n'] * 9, 'did not move in 5 readings'),
                              ([f'-{400 + i} 4000000 Discharging\n' for i in range(9)], 'shows 0.0016 W: is current_now in microamperes'),
                              (['400000 4000000 Charging\n'] * 9, "shows '400000 4000000 Charging' in place of")):
      with pytest.raises(errors.BenchmarkError, match=message):
        meter.power_w(readings)
    (sysfs / BATTERY / 'status').write_text('Full\n')
    with pytest.raises(ValueError, match='battery is full, and its current no measure of the load'):
      power.find(device, sys=str(sysfs))


@pytest.fixture
def restless(sysfs):
  """The battery's current never stands still."""
  stop = threading.Event()

  def change():
    path = sysfs / BATTERY / 'current_now'
    value = 400_000
    while not stop.is_set():
      value += 1
      (path.parent / 'new').write_text(f'-{value}\n')
      (path.parent / 'new').replace(path)
      time.sleep(0.005)

  thread = threading.Thread(target=change)
  thread.start()
  yield sysfs
  stop.set()
  thread.join()


def test_a_gauge_is_read_all_through_a_launch(restless, tmp_path):
  models = measuring.write_models(tmp_path / 'models', a='latency_us=2000 seconds=0.5', b='behaviour=fails')
  paths = {path.stem: path for path in models.iterdir()}
  with host.HostDevice(tmp_path / 'device') as device:
    meter = power.find(device, sys=str(restless))
    meter = power.Meter(meter.name, meter.command, meter.min_secs, meter.power_w, 0.05)
    settings = benchmark_model.Settings(min_secs=0.5)
    launcher = launchers.ScriptLauncher(device, measuring.BINARY, paths, settings, False, meter)
    launcher.prepare()
    idle, a, b = launcher.launch((launchers.IDLE, 'a', 'b'))
    assert [section.exit_code for section in (idle, a, b)] == [0, 0, 1]
    assert 3 <= len(a.readings) and 3 <= len(idle.readings) and len(b.readings) >= 2
    assert meter.power_w(a.readings) == pytest.approx(1.6, rel=0.01) and meter.power_w(idle.readings) == pytest.approx(1.6, rel=0.01)
    assert benchmark_model.read(a.exit_code, a.text, settings).median_ms == 2.0
    assert not [line for line in subprocess.run(['ps', '-eo', 'args'], capture_output=True, text=True).stdout.splitlines()
                if f'{device.folder}/block.log.meter' in line]


RUNNER = '''
import time
print('=== begin /a\\nfirst', flush=True)
time.sleep(0.3)
print('=== end /a exit=0\\n=== begin /b', flush=True)
time.sleep(0.3)
print('second\\n=== end /b exit=1')
'''


def test_readings_around_the_launches_of_a_runner(tmp_path):
  numbers = iter(range(99))
  launcher = launchers.RunnerLauncher(
      [sys.executable, '-c', RUNNER], {'a': pathlib.Path('/a'), 'b': pathlib.Path('/b')}, benchmark_model.Settings(min_secs=0.01),
      lambda: power.marked(str(next(numbers))))
  idle, a, b, last = launcher.launch(('idle', 'a', 'b', 'idle'))
  assert [(section.exit_code, section.text) for section in (a, b)] == [(0, 'first'), (1, 'second')]
  assert [len(section.readings) for section in (idle, a, b, last)] == [2, 2, 2, 2]
  assert idle.readings == ('0\n', '1\n') and a.readings[0] == '2\n' and a.readings[1] <= b.readings[0] < b.readings[1] < last.readings[0]


def test_a_log_is_integrated_between_two_times(tmp_path, monkeypatch):
  path = tmp_path / 'meter.csv'
  path.write_text('time,power (W)\n' + ''.join(f'{1_800_000_000 + i / 10},{2 if i < 10 else 4}\n' for i in range(21)))
  log = power_log.PowerLog(path)
  assert log.mean_w(1_800_000_000.2, 1_800_000_000.6) == pytest.approx(2)
  assert log.mean_w(1_800_000_000.5, 1_800_000_001.5) == pytest.approx((2 * 0.4 + 3 * 0.1 + 4 * 0.5) / 1.0)
  with open(path, 'a') as file:  # it grows, here by a line that is not whole yet
    file.write('1800000002.1,4\n18000')
  assert log.mean_w(1_800_000_001.5, 1_800_000_002.1) == pytest.approx(4)
  monkeypatch.setattr(power_log, '_WAIT_S', 0)
  for times, message in (((1_800_000_001, 1_800_000_003), 'ends 0.9 s before the launch did: the meter must write it'),
                         ((1_700_000_000, 1_800_000_001), 'has no such time')):
    with pytest.raises(errors.BenchmarkError, match=message):
      log.mean_w(*times)


@pytest.mark.parametrize('lines, message', [
    ('a,b\nc,d\n', ':2: expected a time and watts, got c,d'), ('1800000000\n', ':1: expected a time and watts'),
    ('1800000000,-1\n', ':1: watts must be a number from 0'), ('1800000000,nan\n', 'watts must be'),
    ('1800000001,1\n1800000000,1\n', ':2: times must rise, got 1800000000')])
def test_lines_that_are_no_log(tmp_path, lines, message):
  (tmp_path / 'meter.csv').write_text(lines)
  with pytest.raises(ValueError, match=message):
    power_log.PowerLog(tmp_path / 'meter.csv')


@pytest.mark.parametrize('line', ['1800000000500;2,5', '1800000000.5\t2.5', '2027-01-15T08:00:00.500+00:00,2.5'])
def test_forms_of_a_log(tmp_path, line):
  (tmp_path / 'meter.csv').write_text(f'{line}\n{line.replace("2,5", "2,6").replace("00.5", "01.5").replace("00500", "01500")}\n')
  assert power_log.PowerLog(tmp_path / 'meter.csv').mean_w(1_800_000_000.5, 1_800_000_001.5) == pytest.approx(2.5, abs=0.06)


def test_what_is_lost_in_noise_is_left_out_with_its_reason():
  launch = lambda energy: output.Launch(1.0, energy_mj=energy)
  models = {name: summary.statistics_of(list(enumerate(map(launch, energies)))) for name, energies in (
      ('clear', (1.0, 1.1, 1.2)), ('noisy', (0.1, 2.0, 0.1)), ('once', (1.0, None)))}
  assert models['clear']['median_mj'] == 1.1 and models['clear']['std_mj'] == pytest.approx(0.1)
  assert summary._lost_in_noise(models) == {
      'noisy': 'its energy, 0.733 +- 0.63 mJ, cannot be told from that of the idle device: --min_secs can be raised, and --rounds',
      'once': 'its energy was measured once only, so that the error is not known'}


@pytest.fixture
def metered(phone):
  phone.android.add_rails(idle_mw=300, busy_mw=1300)
  return phone


def test_the_energy_of_a_run_on_a_phone_with_power_rails(metered, tmp_path):
  models = tmp_path / 'models'
  models.mkdir()
  for index, (latency_us, milliwatts) in enumerate(((999, 1300), (1999, 1300), (1999, 800), (1999, 200))):
    (models / f'model{index}.tflite').write_text(f'latency_us={latency_us}\nadvance 2 {milliwatts}\n{"#" * index}\n')
  target = tmp_path / 'measurements.json'
  code, messages = measuring.run(models, target, '--unit=mJ', '--rounds=2', '--reference=model0', device=f'adb:{metered.serial}')
  assert code == 3, messages  # the last draws less than the idle phone
  measured = measuring.load(target)
  assert measured['meter'] == '2 power rails' and measured['settings']['min_secs'] == 2
  assert {name: figures['median_mj'] for name, figures in measured['models'].items()} == pytest.approx(
      {'model0': 1.0, 'model1': 2.0, 'model2': 1.0}, rel=1e-6)
  assert all(len(figures['launches']) == 2 and figures['std_mj'] == pytest.approx(0, abs=1e-9) for figures in measured['models'].values())
  assert measured['failed'] == {'model3': 'it draws 0.2 W, not more than the idle device, 0.3 W'}
  assert [block['idle_w'] for block in measured['health']] == pytest.approx([0.3, 0.3])


@pytest.mark.skipif(pathlib.Path('/sys/class/powercap').exists(), reason='this machine may show its energy')
@pytest.mark.parametrize('flags, message', [
    (('--unit=mJ',), 'error: host does not show what it draws: /sys/bus/iio/devices/*/energy_value cannot be read'),
    (('--unit=mJ', '--rounds=1'), '--unit=mJ needs at least 2 --rounds'), (('--power_log=meter.csv',), '--power_log is for --unit=mJ'),
    (('--unit=mJ', '--power_log=meter.csv'), 'No such file or directory'),
    (('--unit=mJ', '--device=adb:ONE,OTHER'), '--unit=mJ is for one phone at a time, got --device=adb:ONE,OTHER')])
def test_mistakes(tmp_path, flags, message):
  models = measuring.write_models(tmp_path / 'models', a='latency_us=7')
  code, messages = measuring.run(models, tmp_path / 'measurements.json', *flags)
  assert code == 2 and message in messages.splitlines()[-1] and 'Traceback' not in messages
