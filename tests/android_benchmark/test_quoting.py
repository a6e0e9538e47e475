"""Names that a shell would take for commands, on their whole way through the genuine adb client: none of them is run."""

import pathlib
import shlex

import pytest

from android_benchmark import adb
from android_benchmark import benchmark_model
from android_benchmark import launchers
from android_benchmark import settings
from android_benchmark import staging
from tests import suites
from tests.android_benchmark import measuring

HOSTILE = ['a b;$(touch owned)\'"', '`touch owned`', "'; touch owned; '", '-rf', 'a&&touch owned', '*', '$HOME', 'a\\', '#', '~',
           'ü', '!!', '{a,b}']
TMP = '/data/local/tmp'


def no_file_of_that_name(*folders: pathlib.Path) -> None:
  assert not [path for folder in folders for path in folder.rglob('owned')]


@pytest.mark.parametrize('name', suites.few(HOSTILE, 4))
def test_pushed_staged_pulled_and_removed_through_adb(phone, tmp_path, name):
  local = tmp_path / name
  local.write_bytes(b'content')
  with adb.AdbDevice(phone.serial, folder=f'{TMP}/{name}') as opened:
    opened.push(local, f'{opened.folder}/{name}')
    assert phone.android.map_path(f'{TMP}/{name}/{name}').read_bytes() == b'content'
    opened.pull(f'{opened.folder}/{name}', tmp_path / 'back')
    assert (tmp_path / 'back').read_bytes() == b'content'
    assert staging.stage(opened, {'x.tflite': local}, opened.folder) == 1
    assert staging.stage(opened, {'x.tflite': local}, opened.folder) == 0
    assert opened.run(f'cat {shlex.quote(name)}; echo {shlex.quote(name)}').stdout.endswith(f'{name}\n')
    staging.remove(opened, opened.folder)
  assert not phone.android.map_path(f'{TMP}/{name}').exists()
  no_file_of_that_name(tmp_path, phone.android.root, pathlib.Path.cwd() / 'tests')


@pytest.mark.parametrize('name', HOSTILE[:4])
def test_launched_through_adb(phone, tmp_path, name):
  folder = tmp_path / 'models'
  models = {name: next(measuring.write_models(folder, x='').iterdir())}
  with adb.AdbDevice(phone.serial, folder=f'{TMP}/{name}') as opened:
    launcher = launchers.ScriptLauncher(opened, measuring.BINARY, models, benchmark_model.Settings(), push_binary=True)
    launcher.prepare()
    section, = launcher.launch([name])
    assert section.path == f'{opened.folder}/benchmark/{name}.tflite' and section.exit_code == 0
    benchmark_model.read(section.exit_code, section.text, benchmark_model.Settings())
  no_file_of_that_name(tmp_path, phone.android.root)


@pytest.mark.parametrize('restore', [
    'reboot', 'settings put system screen_brightness 1; reboot', 'settings put system screen_brightness $(reboot)',
    'settings put system screen_brightness', 'settings put global adb_enabled 0', "su -c 'start perfd; reboot'", "su -c 'start adbd'",
    "su -c 'echo 1 > /sys/devices/system/cpu/cpu0/cpufreq/../../cpu1/online'",
    "sh -c 'echo $(reboot) > /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor'",
    'settings delete system font_scale', 'cmd connectivity airplane-mode enable && reboot', "settings put system screen_brightness 'a", ''])
def test_no_other_command_of_a_journal_is_run(restore):
  with pytest.raises(ValueError, match='not a command that restores a setting'):
    settings.from_journal({'name': 'x', 'change': 'y', 'restore': restore})
