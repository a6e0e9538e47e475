"""A folder and a few programs that stand for Android's userland: commands in it are executed for real, on this machine.

Paths below /data/local/tmp, /sys and /proc/sys in a command are those of the device and become paths below `root`, as do those of the
former two in a script that `sh FILE` runs; in what the command prints and writes they become those of the device again. On the PATH are
only commands that Android 8 has too, and small substitutes for those that only Android has. What they set lies in files below `root`:

  settings/global/NAME, props/NAME, sys/devices/system/cpu/..., dumpsys/battery, dumpsys/thermalservice, launches (a line each taskset).
"""

from __future__ import annotations

import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import uuid

from tests.android_benchmark import android_programs

PROPERTIES = {
    'ro.product.model': 'Pixel 2', 'ro.product.name': 'walleye', 'ro.product.device': 'walleye', 'ro.serialno': 'FA7AX1A00123',
    'ro.board.platform': 'msm8998', 'ro.hardware': 'walleye', 'ro.build.version.release': '11', 'ro.build.id': 'RP1A.201005.004.A1',
    'init.svc.thermal-engine': 'running', 'init.svc.perfd': 'running',
}
SETTINGS = {'global': {'airplane_mode_on': '0', 'stay_on_while_plugged_in': '0'},
            'system': {'screen_brightness': '120', 'screen_brightness_mode': '1'}}
BATTERY = '''Current Battery Service state:
  AC powered: false
  USB powered: true
  status: 2
  health: 2
  present: true
  level: 87
  scale: 100
  voltage: 4211
  temperature: 291
  technology: Li-ion
'''
THERMAL = '''IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 1
Thermal Status: 0
Cached temperatures:
\tTemperature{mValue=55.0, mType=0, mName=cpu0, mStatus=0}
HAL Ready: true
HAL connection:
\tThermalHAL 2.0 connected: yes
Current temperatures from HAL:
\tTemperature{mValue=33.4, mType=0, mName=cpu0, mStatus=0}
\tTemperature{mValue=36.1, mType=0, mName=cpu4, mStatus=0}
\tTemperature{mValue=29.1, mType=2, mName=battery, mStatus=0}
\tTemperature{mValue=38.0, mType=3, mName=skin, mStatus=0}
Current cooling devices from HAL:
\tCoolingDevice{mValue=0, mType=1, mName=fan}
'''
RAILS = '''t=349894
CH0(T=349894)[S10M_VDD_TPU], 5578756
CH3(T=349894)[S2M_VDD_CPUCL2], 30203502
'''
# kHz of the Snapdragon 835's silver (cpu0 to cpu3) and gold cores (cpu4 to cpu7).
CLOCKS = {'policy0': (range(4), 300000, 1900800), 'policy4': (range(4, 8), 300000, 2457600)}

_DEVICE_PATH = re.compile(r'(?<![\w./-])/(data/local/tmp|sys|proc/sys)(?![\w.-])')


class Android:
  """The device's files and shell.

  Attributes:
    root: The folder that holds all of it.
    free_bytes: Maximum size of a file, as on a full disk; None is without limit.
    greeting: What each shell prints before the command's output.
  """

  def __init__(self, root: pathlib.Path, rooted: bool = False, properties: dict[str, str] | None = None):
    self.root = pathlib.Path(root)
    self._prefix = str(self.root).encode()
    self.free_bytes: int | None = None
    self.greeting = ''
    self._sessions: set[int] = set()  # of running commands
    for folder in ('data/local/tmp', 'bin', 'props', 'settings/global', 'settings/system', 'settings/secure', 'dumpsys', 'faults'):
      (self.root / folder).mkdir(parents=True, exist_ok=True)
    if rooted:
      (self.root / 'rooted').touch()
    for namespace, values in SETTINGS.items():
      for name, value in values.items():
        self.write(f'settings/{namespace}/{name}', value)
    self.write('dumpsys/battery', BATTERY)
    self.write('dumpsys/thermalservice', THERMAL)
    self._boot({**PROPERTIES, **(properties or {})})
    self._install()

  def read(self, path: str) -> str:
    """Content of a file below root, without the newline at its end."""
    return (self.root / path).read_text().rstrip('\n')

  def write(self, path: str, text: str) -> None:
    (self.root / path).write_text(f'{text}\n')

  def map_path(self, path: str) -> pathlib.Path:
    """Where a path of the device lies on this machine."""
    return self.root / path.lstrip('/')

  def start(self, command: str, **streams) -> subprocess.Popen:
    """Starts a shell command as adbd does, in a session of its own; `finish` must follow its end."""
    prefix = f'printf %s {shlex.quote(self.greeting)}; ' if self.greeting else ''
    prefix += f'ulimit -f {self.free_bytes // 512}; trap "" XFSZ; ' if self.free_bytes is not None else ''
    mapped = _DEVICE_PATH.sub(lambda found: f'{self.root}/{found[1]}', command)
    environment = {'PATH': str(self.root / 'bin'), 'ANDROID': str(self.root), 'ANDROID_UID': '2000',
                   'TMPDIR': str(self.root / 'data/local/tmp')}
    process = subprocess.Popen(['/bin/sh', '-c', prefix + mapped], cwd=self.root, env=environment, start_new_session=True, **streams)
    self._sessions.add(process.pid)
    return process

  def finish(self, started: float) -> None:
    """Makes the paths in files that a command wrote since `started`, a time.time(), those of the device again."""
    for path in (self.root / 'data/local/tmp').rglob('*'):
      try:
        if path.is_file() and path.stat().st_mtime >= started - 1 and self._prefix in (content := path.read_bytes()):
          path.write_bytes(self.unmap(content))
      except FileNotFoundError:
        pass  # removed meanwhile

  def unmap(self, text: bytes) -> bytes:
    """Makes paths of this machine those of the device again."""
    return text.replace(self._prefix + b'/data/local/tmp', b'/data/local/tmp').replace(self._prefix + b'/sys', b'/sys')

  def kill_all(self) -> None:
    """Ends every command that was started, with all that it started."""
    for path in pathlib.Path('/proc').glob('[0-9]*'):
      try:
        if os.getsid(int(path.name)) in self._sessions:
          os.kill(int(path.name), signal.SIGKILL)
      except ProcessLookupError:
        pass  # ended meanwhile

  def add_rails(self, idle_mw: int, busy_mw: int) -> None:
    """Power rails as of a Pixel 6, by a clock of their own: `sleep` passes at once, and they move on. A sleep of a second and more is the
    idle phone's, others are of a launch; `advance SECONDS MILLIWATTS` says it."""
    path = self.root / 'sys/bus/iio/devices/iio:device0/energy_value'
    path.parent.mkdir(parents=True)
    path.write_text(RAILS)
    for name in ('sleep', 'advance'):
      program = self.root / 'bin' / name
      program.unlink(missing_ok=True)
      program.write_text(f'#!{sys.executable}\n{android_programs.ADVANCE.format(path=path, idle=idle_mw, busy=busy_mw)}')
      program.chmod(0o755)

  def reboot(self, wipe: bool) -> None:
    """What a restart does to processes, clocks and services; settings stay. `wipe` empties /data/local/tmp too."""
    self.kill_all()
    self._boot({name: 'running' for name in ('init.svc.thermal-engine', 'init.svc.perfd')})
    if wipe:
      shutil.rmtree(self.root / 'data/local/tmp', ignore_errors=True)
      (self.root / 'data/local/tmp').mkdir()

  def _boot(self, properties: dict[str, str]) -> None:
    for name, value in properties.items():
      self.write(f'props/{name}', value)
    (self.root / 'proc/sys/kernel/random').mkdir(parents=True, exist_ok=True)
    self.write('proc/sys/kernel/random/boot_id', str(uuid.uuid4()))
    cpu = self.root / 'sys/devices/system/cpu'
    (cpu / 'cpufreq').mkdir(parents=True, exist_ok=True)
    (cpu / 'possible').write_text('0-7\n')
    for policy, (cores, low, high) in CLOCKS.items():
      folder = cpu / 'cpufreq' / policy
      folder.mkdir(exist_ok=True)
      for name, value in (('scaling_governor', 'schedutil'), ('scaling_min_freq', low), ('scaling_max_freq', high),
                          ('cpuinfo_min_freq', low), ('cpuinfo_max_freq', high), ('scaling_cur_freq', low),
                          ('scaling_available_governors', 'schedutil powersave performance')):
        (folder / name).write_text(f'{value}\n')
      for core in cores:
        (cpu / f'cpu{core}').mkdir(exist_ok=True)
        if not (cpu / f'cpu{core}/cpufreq').exists():
          (cpu / f'cpu{core}/cpufreq').symlink_to(folder)
    for index, (kind, value) in enumerate((('tsens_tz_sensor4', 345), ('pm8998_tz', 37000), ('msm_therm', 35))):
      zone = self.root / f'sys/class/thermal/thermal_zone{index}'
      zone.mkdir(parents=True, exist_ok=True)
      (zone / 'type').write_text(f'{kind}\n')
      (zone / 'temp').write_text(f'{value}\n')

  def _install(self) -> None:
    folder = self.root / 'bin'
    for name in android_programs.TOYBOX:
      if (found := shutil.which(name)) is not None and name not in android_programs.PROGRAMS:
        (folder / name).symlink_to(found)
    for name, text in android_programs.PROGRAMS.items():
      (folder / name).write_text(f'#!/bin/sh\n{text.strip()}\n')
      (folder / name).chmod(0o755)
