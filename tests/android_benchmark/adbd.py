"""A phone for tests: an adbd server over TCP for the real adb client, which runs the commands it receives.

Written from Android's own documents of the protocol (protocol.txt, SYNC.TXT and SERVICES.TXT of its adb). Faults are injected by
`Phone.fault`, `Phone.fault_at_launch` and `Phone.android.free_bytes`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import pathlib
import socket
import struct
import sys
import threading
import time

from tests.android_benchmark import adbd_services as services
from tests.android_benchmark import android

VERSION, MAX_DATA = 0x01000001, 1 << 20


@dataclasses.dataclass
class Fault:
  """Something that goes wrong.

  Attributes:
    on: 'push', 'pull' or 'shell'.
    kind: 'drop' (the connection), 'hang' (no answer any more), 'exit' (shell: ends with `exit_code` in place of running the command),
      'disk_full' (push), 'reboot' (drops, kills everything and wipes /data/local/tmp).
    match: Text that the path or the command must contain.
    after_bytes: Bytes of the file, or of the command's output, that still pass.
    exit_code: Exit code of 'exit'.
    times: Maximum number of times that it happens.
    happened: Number of times that it happened.
  """

  on: str
  kind: str
  match: str = ''
  after_bytes: int = 0
  exit_code: int = 1
  times: int = 1
  happened: int = 0


class Phone:
  """An Android device on a free port of this machine.

  Args:
    folder: Folder with the files of the phone; see android.py.
    rooted: True if `su` works.
    state: 'device', 'unauthorized' (never accepts a key), 'asking' (accepts a key it has not seen before), 'offline' (does not
      answer), 'recovery'.
    features: Features of the daemon; without shell_v2 it passes no exit codes.
    properties: Replacing or adding to those of getprop.
  """

  def __init__(self, folder, rooted=False, state='device', features='shell_v2,cmd,stat_v2', properties=None):
    self.android = android.Android(pathlib.Path(folder), rooted, properties)
    self.state, self.features = state, features
    self.faults: list[Fault] = []
    self.commands: list[str] = []  # every shell command that arrived
    self.pushed: list[str] = []  # path of every file that arrived whole
    self._connections: set[Connection] = set()
    self._away_until = 0.0
    self._listener = socket.create_server(('127.0.0.1', 0))
    self.port = self._listener.getsockname()[1]
    self.serial = f'127.0.0.1:{self.port}'
    threading.Thread(target=self._accept, daemon=True).start()
    threading.Thread(target=self._watch, daemon=True).start()

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self._listener.shutdown(socket.SHUT_RDWR)  # close alone does not wake accept, and the port would stay open
    self._listener.close()
    self.drop()
    self.android.kill_all()

  def fault(self, on: str, kind: str, **details) -> Fault:
    """Injects a fault; see `Fault`."""
    self.faults.append(Fault(on, kind, **details))
    return self.faults[-1]

  def fault_at_launch(self, kind: str, match: str = '', skip: int = 0, times: int = 1, output_bytes: int = 0) -> None:
    """Sends launches of programs by `taskset` to their fate.

    Args:
      kind: 'hang'; an exit code as text, such as '1', or '134', '137', '139' (then by the real signal); 'truncate' (its output ends after
        `output_bytes`, exit code 0); 'drop' (the connection), 'unplug' (until plug_in()), 'reboot'; these before the program starts.
      match: Text that the command line must contain.
      skip: So many matching launches are spared first.
      times: So many then are not.
      output_bytes: Bytes of output that 'truncate' leaves.
    """
    deeds = {
        'hang': 'sleep 600',
        'truncate': f'"$@" 2>&1 | head -c {output_bytes}; exit 0',
        **{event: f': > "$ANDROID/event_{event}"; while [ -e "$ANDROID/event_{event}" ]; do sleep 0.01; done'
           for event in ('drop', 'unplug', 'reboot')},
    }
    if kind.isdigit():
      deed = f'kill -{int(kind) - 128} $$' if int(kind) > 128 else f'exit {kind}'
    else:
      deed = deeds[kind]
    faults = self.android.root / 'faults'
    name = f'{len(list(faults.glob("*.sh"))):03d}'
    script = f'''case "$*" in *"{match}"*)
  echo >> "$fault.count"; n=$(wc -l < "$fault.count")
  if [ "$n" -gt {skip} ] && [ "$n" -le {skip + times} ]; then {deed}; fi ;;
esac
'''
    (faults / f'{name}.sh').write_text(script)

  def drop(self) -> None:
    """Cuts every connection; commands go on, as on a phone."""
    for connection in tuple(self._connections):
      connection.close()

  def unplug(self, seconds: float = float('inf')) -> None:
    """Is away for a while, or until plug_in()."""
    self._away_until = time.monotonic() + seconds
    self.drop()

  def plug_in(self) -> None:
    """Ends unplug()."""
    self._away_until = 0.0

  def reboot(self, wipe: bool = True, seconds: float = 0) -> None:
    """Restarts."""
    self.unplug(seconds)
    self.android.reboot(wipe)

  def take_fault(self, on: str, text: str) -> Fault | None:
    """The fault that is due, which then has happened."""
    for fault in self.faults:
      if fault.on == on and fault.match in text and fault.happened < fault.times:
        fault.happened += 1
        return fault
    return None

  def _accept(self):
    with contextlib.suppress(OSError):  # the listener is closed at the end
      while True:
        peer, _ = self._listener.accept()
        if time.monotonic() < self._away_until:
          peer.close()
          continue
        connection = Connection(self, peer)
        self._connections.add(connection)
        threading.Thread(target=connection.serve, daemon=True).start()

  def _watch(self):
    """Does what programs on the device ask for by files; see fault_at_launch."""
    while self._listener.fileno() >= 0:
      for event in ('drop', 'unplug', 'reboot'):
        path = self.android.root / f'event_{event}'
        if path.exists():
          getattr(self, event)()
          path.unlink()
      time.sleep(0.01)


class Connection:
  """One client's connection: packets, and the streams within it."""

  def __init__(self, phone: Phone, peer: socket.socket):
    self.phone = phone
    self._peer = peer
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # otherwise each small packet waits for the one before
    self._lock = threading.Lock()
    self._streams: dict[int, services.Stream] = {}
    self._numbers = itertools.count(1)
    self._version, self.max_data = VERSION, MAX_DATA

  def serve(self):
    try:
      while True:
        command, first, second, length, _, magic = struct.unpack('<6I', self._read(24))
        payload = self._read(length)
        if magic != command ^ 0xffffffff:
          raise services.Dropped('bad magic')
        self._handle(struct.pack('<I', command), first, second, payload)
    except (services.Dropped, OSError):
      self.close()

  def close(self):
    with contextlib.suppress(OSError):
      self._peer.shutdown(socket.SHUT_RDWR)
    self._peer.close()
    for stream in tuple(self._streams.values()):
      stream.end()
    self.phone._connections.discard(self)

  def send(self, command: bytes, first: int, second: int, payload: bytes = b''):
    number = struct.unpack('<I', command)[0]
    check = sum(payload) & 0xffffffff if self._version < VERSION else 0
    header = struct.pack('<6I', number, first, second, len(payload), check, number ^ 0xffffffff)
    try:
      with self._lock:
        self._peer.sendall(header + payload)
    except OSError as error:
      raise services.Dropped(str(error)) from error

  def forget(self, number: int):
    self._streams.pop(number, None)

  def _read(self, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
      part = self._peer.recv(size - len(data))
      if not part:
        raise services.Dropped('end of file')
      data += part
    return bytes(data)

  def _handle(self, command: bytes, first: int, second: int, payload: bytes):
    if command == b'CNXN':
      self._version, self.max_data = min(first, VERSION), min(second, MAX_DATA)
      self._greet()
    elif command == b'AUTH':
      # 2: a signature by a key, 3: the public key, for the user to accept.
      if first == 3 and self.phone.state == 'asking':
        self._welcome()
      elif first == 2:
        self.send(b'AUTH', 1, 0, os.urandom(20))
    elif command == b'OPEN':
      number = next(self._numbers)  # never used again: the other side may still close the one that had it
      stream = services.Stream(self, number, first)
      self._streams[number] = stream
      threading.Thread(target=stream.serve, args=(payload.rstrip(b'\0').decode(),), daemon=True).start()
    elif command in (b'OKAY', b'WRTE', b'CLSE') and second in self._streams:
      self._streams[second].receive(command, payload)

  def _greet(self):
    if self.phone.state in ('unauthorized', 'asking'):
      self.send(b'AUTH', 1, 0, os.urandom(20))
    elif self.phone.state in ('device', 'recovery'):
      self._welcome()

  def _welcome(self):
    properties = ''.join(f'{name}={self.phone.android.read("props/" + name)};'
                         for name in ('ro.product.name', 'ro.product.model', 'ro.product.device'))
    kind = 'recovery' if self.phone.state == 'recovery' else 'device'
    self.send(b'CNXN', self._version, MAX_DATA, f'{kind}::{properties}features={self.phone.features}'.encode())


if __name__ == '__main__':  # python -m tests.android_benchmark.adbd FOLDER: prints where it is, and is there until its standard input ends
  with Phone(sys.argv[1]) as started:
    print(started.serial, flush=True)
    sys.stdin.read()
