"""A folder and a few programs that stand for Android's userland: commands in it are executed for real, on this machine.

Paths below /data/local/tmp and /sys in a command, and in a script that `sh FILE` runs, are those of the device and become paths below
`root`; paths in data files stay as they are, so scripts do well to `cd` and to name files relative to that. On the PATH are only commands
that Android 8 has too, and small substitutes for those that only Android has. What they set lies in files:

  settings/global/NAME, props/NAME, sys/devices/system/cpu/..., dumpsys/battery, dumpsys/thermalservice, launches (a line each taskset).
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import signal
import subprocess

# Of what toybox and grep of Android 8 offer, the part that is of use here.
TOYBOX = '''basename cat chmod cksum cmp comm cp cut date dd df dirname du echo env expr false find grep head kill ln ls md5sum mkdir
mkfifo mktemp mv nice nl nohup od paste pgrep pidof pkill printf ps pwd readlink realpath rm rmdir sed seq setsid sha1sum sha256sum sleep
sort split stat sync tail tar tee test time timeout touch tr true uname uniq uptime usleep wc which whoami xargs yes'''.split()

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
# kHz of the Snapdragon 835's silver (cpu0 to cpu3) and gold cores (cpu4 to cpu7).
CLOCKS = {'policy0': (range(4), 300000, 1900800), 'policy4': (range(4, 8), 300000, 2457600)}

# Programs that only Android has. $ANDROID is the device's root, /bin/sh this machine's shell.
PROGRAMS = {
    # The paths in a script are the device's too. $0 stays what it is.
    'sh': '''
case "$1" in
  -*|'') exec /bin/sh "$@" ;;
  *) [ -f "$1" ] || { echo "sh: $1: No such file or directory" >&2; exit 127; }
     exec /bin/sh -c "$("$ANDROID/bin/map_paths" < "$1")" "$@" ;;
esac''',
    'map_paths': '''
exec sed -E -e "s#(^|[^A-Za-z0-9_./-])/(data/local/tmp|sys)(/|[^A-Za-z0-9_.-]|\\$)#\\1$ANDROID/\\2\\3#g"''',
    'getprop': 'cat "$ANDROID/props/$1" 2>/dev/null || echo',
    'settings': '''
file="$ANDROID/settings/$2/$3"
case "$1" in
  get) cat "$file" 2>/dev/null || echo null ;;
  put) echo "$4" > "$file" ;;
  delete) rm -f "$file" ;;
  *) echo "settings: unknown command $1" >&2; exit 255 ;;
esac''',
    'svc': '''
[ "$1 $2" = "power stayon" ] || { echo "svc: unknown $*" >&2; exit 1; }
case "$3" in true) value=7 ;; false) value=0 ;; usb) value=2 ;; ac) value=1 ;; *) exit 1 ;; esac
echo $value > "$ANDROID/settings/global/stay_on_while_plugged_in"''',
    'cmd': '''
case "$*" in
  'connectivity airplane-mode enable') echo 1 > "$ANDROID/settings/global/airplane_mode_on" ;;
  'connectivity airplane-mode disable') echo 0 > "$ANDROID/settings/global/airplane_mode_on" ;;
  *) echo "cmd: Can't find service: $1" >&2; exit 20 ;;
esac''',
    'dumpsys': 'cat "$ANDROID/dumpsys/$1" 2>/dev/null || { echo "Can\'t find service: $1"; exit 0; }',
    'am': 'echo "Security exception: Permission Denial: not allowed to send broadcast" >&2; exit 255',
    'input': 'exit 0',
    'id': '''
[ "$ANDROID_UID" = 0 ] && name=root || name=shell
case "$1" in -u) echo "$ANDROID_UID" ;; *) echo "uid=$ANDROID_UID($name) gid=$ANDROID_UID($name) context=u:r:$name:s0" ;; esac''',
    'su': '''
[ -e "$ANDROID/rooted" ] || { echo 'sh: su: inaccessible or not found' >&2; exit 127; }
[ "$1" = -c ] || { echo 'su: only -c COMMAND' >&2; exit 1; }
ANDROID_UID=0 exec /bin/sh -c "$2"''',
    'stop': '''
[ "$ANDROID_UID" = 0 ] || { echo "Must be root" >&2; exit 1; }
[ -e "$ANDROID/props/init.svc.$1" ] && echo stopped > "$ANDROID/props/init.svc.$1"; exit 0''',
    'start': '''
[ "$ANDROID_UID" = 0 ] || { echo "Must be root" >&2; exit 1; }
[ -e "$ANDROID/props/init.svc.$1" ] && echo running > "$ANDROID/props/init.svc.$1"; exit 0''',
    # Cores are those of the device. A launch may be sent to its fate by files that phone.Phone.fault_at_launch lays down.
    'taskset': '''
case "$1" in ''|*[!0-9a-fA-F]*) echo "taskset: bad mask '$1'" >&2; exit 1 ;; esac
[ $((0x$1)) -gt 0 ] && [ $((0x$1)) -lt 256 ] || { echo "taskset: failed to set pid $$'s affinity: Invalid argument" >&2; exit 1; }
echo "$*" >> "$ANDROID/launches"
shift
for fault in "$ANDROID"/faults/*; do
  [ -e "$fault" ] || continue
  . "$fault"
done
exec "$@"''',
}


class Android:
  """The device's files and shell.

  Attributes:
    root: The folder that holds all of it.
    free_bytes: What a file may grow to, None is without limit: a full disk.
  """

  def __init__(self, root: pathlib.Path, rooted: bool = False, properties: dict[str, str] | None = None):
    self.root = pathlib.Path(root)
    self.free_bytes: int | None = None
    self._groups: set[int] = set()  # process groups of running commands
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
    """Starts a shell command as adbd does: in a session of its own."""
    prefix = f'ulimit -f {self.free_bytes // 512}; trap "" XFSZ; ' if self.free_bytes is not None else ''
    mapped = re.sub(r'(?<![\w./-])/(data/local/tmp|sys)(?![\w.-])', lambda found: f'{self.root}/{found[1]}', command)
    environment = {'PATH': str(self.root / 'bin'), 'ANDROID': str(self.root), 'ANDROID_UID': '2000',
                   'TMPDIR': str(self.root / 'data/local/tmp')}
    process = subprocess.Popen(['/bin/sh', '-c', prefix + mapped], cwd=self.root, env=environment, start_new_session=True, **streams)
    self._groups.add(process.pid)
    return process

  def kill_all(self) -> None:
    """Ends every command that was started, with all that it started."""
    for group in tuple(self._groups):
      try:
        os.killpg(group, signal.SIGKILL)
      except ProcessLookupError:
        pass
    self._groups.clear()

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
    for name in TOYBOX:
      if (found := shutil.which(name)) is not None and name not in PROGRAMS:
        (folder / name).symlink_to(found)
    for name, text in PROGRAMS.items():
      (folder / name).write_text(f'#!/bin/sh\n{text.strip()}\n')
      (folder / name).chmod(0o755)
