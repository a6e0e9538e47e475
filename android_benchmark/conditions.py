"""Keeps a phone measurable, and gives it back as it was: also after Ctrl-C, a lost connection, or the end of this process."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import functools
import pathlib
import time

from android_benchmark import device as device_lib
from android_benchmark import errors
from android_benchmark import processes
from android_benchmark import reading
from android_benchmark import settings as settings_lib
from android_benchmark import writing

_RECONNECT_S = 30
_POLL_S = 5


class Conditions:
  """A context in which a phone stays awake and undisturbed: airplane mode, screen on and dark, and with root the clocks.

  Every original value is in the journal before the first one is changed. Whatever ends the context restores them; if the process is killed,
  the next context with the same journal does so first.

  Args:
    device: Opened device.
    core_mask: Cores that benchmarks run on, hexadecimal as for taskset; None or empty are all. Only their clocks are locked.
    lock_clocks: True keeps those cores of a rooted phone at their highest clock and stops services that lower it.
    journal: File for the original values; removed once they are restored.
    report: Takes a line for the user.
  """

  def __init__(self, device: device_lib.Device, core_mask: str | None, lock_clocks: bool, journal: pathlib.Path,
               report: Callable[[str], None]):
    self._device = device
    self._core_mask = core_mask
    self._lock_clocks = lock_clocks
    self._journal = journal
    self._report = report
    self._settings: tuple[settings_lib.Setting, ...] = ()

  def __enter__(self) -> Conditions:
    if self._journal.exists():
      self._report(f'{self._device.name}: restoring what an earlier run left changed')
      self._settings = self._load()
      if not self._restore():
        raise errors.ConnectionLost(f'{self._device.name}: lost while it was restored from {self._journal}')
    self._settings = settings_lib.read(self._device, self._core_mask, self._lock_clocks, self._report)
    self._save()
    with contextlib.ExitStack() as stack:
      stack.callback(self._restore)
      self.apply()
      stack.pop_all()  # what is applied stays until __exit__
    return self

  def __exit__(self, *_: object) -> None:
    self._restore()

  def apply(self) -> None:
    """Changes the settings. To be called again after the phone was lost: a restart undoes some.

    Raises:
      ConnectionLost: The phone is lost again.
    """
    for setting in self._settings:
      done = self._device.run(setting.change)
      if done.exit_code:
        self._report(f'{self._device.name}: {setting.name} cannot be set, so it stays as it is: {done.last_words}')

  def _restore(self) -> bool:
    """Puts every original value back; if the phone is lost and does not come back, says which remain and returns False."""
    remaining = list(self._settings)
    try:
      self._put_back(remaining)
    except errors.DeviceError:
      if self._device.reconnect(_RECONNECT_S):
        with contextlib.suppress(errors.DeviceError):  # what remains is said below
          self._put_back(remaining)
    if not remaining:
      self._journal.unlink(missing_ok=True)
      return True
    self._report(f'{self._device.name} is lost. The next run with {self._journal} restores it; or in its shell:')
    for setting in remaining:
      self._report(f'  {setting.restore}')
    return False

  def _put_back(self, remaining: list[settings_lib.Setting]) -> None:
    """Restores settings, the last one first, and takes them off the list."""
    while remaining:
      done = self._device.run(remaining[-1].restore)
      if done.exit_code:
        self._report(f'{self._device.name}: {remaining[-1].name} was not restored ({done.last_words}); '
                     f'in its shell: {remaining[-1].restore}')
      remaining.pop()

  def _save(self) -> None:
    """Writes the journal so that it survives a crash of this machine."""
    phone = self._device.describe()
    content = {'serial': phone.serial, 'android_id': phone.android_id, 'settings': [vars(setting) for setting in self._settings]}
    writing.write_json(self._journal, content)

  def _load(self) -> tuple[settings_lib.Setting, ...]:
    phone = self._device.describe()
    name = functools.partial(reading.optional, reading.text)
    try:
      content = reading.fields({'android_id': None, **reading.parse_object(self._journal.read_bytes())}, serial=name, android_id=name,
                               settings=lambda value: tuple(reading.sequence(settings_lib.from_journal, value)))
    except ValueError as error:
      raise errors.DeviceError(f'{self._journal} is not the journal of an earlier run ({error}): look at it and remove it') from error
    if content['serial'] != phone.serial:
      raise errors.DeviceError(f'{self._journal} says how to restore the phone {reading.shorten(content["serial"])}, this is '
                               f'{phone.serial}: connect that one and run again, or remove the file')
    if content['android_id'] != phone.android_id and None not in (content['android_id'], phone.android_id):
      raise errors.DeviceError(f'{self._journal} says how to restore another phone of the serial number {phone.serial}, that with the '
                               f'android_id {reading.shorten(content["android_id"])}, and this has {phone.android_id}: connect that one '
                               'and run again, or remove the file')
    return content['settings']


def wait_until_cool(device: device_lib.Device, max_temperature_c: float, timeout_s: float, report: Callable[[str], None],
                    poll_s: float = _POLL_S) -> bool:
  """Waits while a phone is hot: its battery above a temperature, or Android's thermal status above none.

  Args:
    device: Opened device. One that shows neither is not waited for.
    max_temperature_c: Highest temperature of the battery, degrees Celsius.
    timeout_s: Maximum waiting time, seconds.
    report: Takes a line for the user, when waiting begins and every minute.
    poll_s: Seconds from one reading to the next.

  Returns:
    Whether it is cool.
  """
  begin = time.monotonic()
  reported = None
  while True:
    health = device.health()
    temperature, status = health.battery_temperature_c, health.thermal_status
    if (temperature is None or temperature <= max_temperature_c) and not status:
      return True
    waited = time.monotonic() - begin
    if waited > timeout_s:
      return False
    if reported is None or waited - reported >= 60:
      report(f'{device.name}: battery {temperature} C (at most {max_temperature_c:g}), thermal status {status}: cooling down')
      reported = waited
    processes.sleep(min(poll_s, timeout_s))
