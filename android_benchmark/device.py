"""What a measurement needs of a device, whatever it is connected by."""

from __future__ import annotations

import abc
import dataclasses
import pathlib


@dataclasses.dataclass(frozen=True)
class CommandResult:
  """Result of a command on a device.

  Attributes:
    exit_code: Exit code of the command; 128 + n where signal n killed it.
    stdout, stderr: Output of the command.
  """

  exit_code: int
  stdout: str
  stderr: str

  @property
  def last_words(self) -> str:
    """The end of what it printed, in one line; of standard error, if there is any."""
    return ' '.join((self.stderr.strip() or self.stdout).split())[-300:]


@dataclasses.dataclass(frozen=True)
class Description:
  """Identity of a device; None where it is not known.

  Attributes:
    model: Product name, for instance 'Pixel 2'.
    serial: The maker's serial number, which stays the same whatever the device is connected by; None on this machine.
    soc: System on chip, or the processor's name.
    system: Operating system and version, for instance 'Android 11 (RP1A.201005.004.A1)'.
    cores: Number of processor cores.
    android_id: Android's own number of this phone, which stays until it is reset; clones of a serial number have different ones.
    boot_id: Number of its present run, which no two phones share and which ends with a restart.
  """

  model: str
  serial: str | None = None
  soc: str | None = None
  system: str | None = None
  cores: int | None = None
  android_id: str | None = None
  boot_id: str | None = None

  @property
  def key(self) -> str:
    """What tells this phone from others for good, whatever it is connected by; '' where nothing does."""
    return ' '.join(filter(None, (self.serial, self.android_id)))


@dataclasses.dataclass(frozen=True)
class Health:
  """State that changes latencies, where it is readable. None is not readable.

  Attributes:
    battery_percent: Charge of the battery.
    battery_temperature_c: Temperature of the battery, degrees Celsius.
    thermal_status: Android's: 0 none, 1 light, 2 moderate, 3 severe, 4 critical, 5 emergency, 6 shutdown.
    cpu_temperature_c: The hottest processor sensor, degrees Celsius.
    cpu_khz: Current clock of each core in kHz, in their order.
    load: Runnable processes, averaged over a minute; of this machine only.
  """

  battery_percent: float | None = None
  battery_temperature_c: float | None = None
  thermal_status: int | None = None
  cpu_temperature_c: float | None = None
  cpu_khz: tuple[int, ...] | None = None
  load: float | None = None


class Device(abc.ABC):
  """A machine with a shell that runs benchmarks.

  A device is opened, used and closed: `with devices.parse_device('adb') as device:`. Every call has a time limit. Every call raises
  `DeviceError`, or its `ConnectionLost` where another try may help.
  """

  name: str  # for messages, for instance 'adb:FA7AX1A00123' or 'host'
  folder: str  # where files may be put and executed on it; exists from open() to close()
  is_shared = False  # whether other programs run on it at the same time: the fastest launch then counts, not the median

  @abc.abstractmethod
  def open(self) -> None:
    """Finds the device and makes `folder`."""

  @abc.abstractmethod
  def close(self) -> None:
    """Lets go of it. Files stay in the folder of a phone, so that another run need not push them again."""

  def __enter__(self) -> Device:
    self.open()
    return self

  def __exit__(self, *_: object) -> None:
    self.close()

  @abc.abstractmethod
  def push(self, source: pathlib.Path, target: str) -> None:
    """Copies a local file to an absolute path on the device, whose folder is made. The file is there whole or not at all.

    Raises:
      TransferError: The device takes it not: its disk is full, say.
    """

  @abc.abstractmethod
  def pull(self, source: str, target: pathlib.Path) -> None:
    """Copies a file of the device here. The file is here whole or not at all.

    Raises:
      TransferError: There is no such file.
    """

  @abc.abstractmethod
  def run(self, command: str, timeout_s: float = 60) -> CommandResult:
    """Runs a line of POSIX shell on the device and waits for it. Its standard input is empty.

    Raises:
      ConnectionLost: Also after `timeout_s` seconds; what the command started is then ended as far as it can be.
    """

  @abc.abstractmethod
  def describe(self) -> Description:
    """Identity of the device."""

  @abc.abstractmethod
  def health(self) -> Health:
    """Its state now."""

  @abc.abstractmethod
  def reconnect(self, timeout_s: float) -> bool:
    """Waits until a lost device answers again; whether it does."""
