"""What can go wrong, by who can do something about it."""


class DeviceError(Exception):
  """The device cannot be used: not there, not authorized, several and none chosen. One line that says what to do."""


class ConnectionLost(DeviceError):
  """The device was there and is gone, or does not answer in time; worth another try once it is back."""


class TransferError(DeviceError):
  """A file could not be copied although the device answers: no space left, no such file, no permission."""


class BenchmarkError(Exception):
  """A benchmark ran and gave no latency that could be believed; says why."""
