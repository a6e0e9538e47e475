"""A phone for tests: speaks the protocol of Android's adbd over TCP to the genuine adb client, and does for real what it is told.

Written from Android's own documents of the protocol (protocol.txt, SYNC.TXT and SERVICES.TXT of its adb). Faults are injected by
`Phone.fault`, `Phone.fault_at_launch` and `Phone.android.free_bytes`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import queue
import socket
import struct
import subprocess
import threading
import time

from tests.android_benchmark import android

VERSION, MAX_DATA = 0x01000001, 1 << 20
SYNC_MAX = 64 * 1024
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)  # ids of the shell protocol's packets


class Dropped(Exception):
  """The connection is gone, by a fault or by the other side."""


@dataclasses.dataclass
class Fault:
  """Something that goes wrong.

  Attributes:
    on: 'push', 'pull' or 'shell'.
    kind: 'drop' (the connection), 'hang' (no answer any more), 'exit' (shell: ends with `exit_code` in place of running the command),
      'disk_full' (push), 'reboot' (drops, kills everything and wipes /data/local/tmp).
    match: What the path or the command must contain.
    after_bytes: Of the file, or of the command's output, that still pass.
    exit_code: For 'exit'.
    times: How often it happens.
    happened: How often it happened.
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
    folder: Its files; see android.py.
    rooted: Whether `su` works.
    state: 'device', 'unauthorized' (never accepts a key), 'asking' (accepts a key it has not seen before), 'offline' (does not answer).
    features: Of its adbd; without shell_v2 it passes no exit codes.
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
        `output_bytes`, exit code 0); 'drop', 'reboot' (of the connection, the phone; before the program starts).
      match: What the command line must contain.
      skip: So many matching launches are spared first.
      times: So many then are not.
      output_bytes: See 'truncate'.
    """
    deeds = {
        'hang': 'sleep 600',
        'truncate': f'"$@" 2>&1 | head -c {output_bytes}; exit 0',
        'drop': ': > "$ANDROID/event_drop"; while [ -e "$ANDROID/event_drop" ]; do sleep 0.01; done',
        'reboot': ': > "$ANDROID/event_reboot"; sleep 600',
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

  def unplug(self, seconds: float) -> None:
    """Is away for a while."""
    self._away_until = time.monotonic() + seconds
    self.drop()

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
    drop, reboot = self.android.root / 'event_drop', self.android.root / 'event_reboot'
    while self._listener.fileno() >= 0:
      if drop.exists():
        self.drop()
        drop.unlink()
      if reboot.exists():
        reboot.unlink()
        self.reboot()
      time.sleep(0.01)


class Connection:
  """One client's connection: packets, and the streams within it."""

  def __init__(self, phone: Phone, peer: socket.socket):
    self.phone = phone
    self._peer = peer
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # otherwise each small packet waits for the one before
    self._lock = threading.Lock()
    self._streams: dict[int, Stream] = {}
    self._version, self.max_data = VERSION, MAX_DATA

  def serve(self):
    try:
      while True:
        command, first, second, length, _, magic = struct.unpack('<6I', self._read(24))
        payload = self._read(length)
        if magic != command ^ 0xffffffff:
          raise Dropped('bad magic')
        self._handle(struct.pack('<I', command), first, second, payload)
    except (Dropped, OSError):
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
      raise Dropped(str(error)) from error

  def forget(self, number: int):
    self._streams.pop(number, None)

  def _read(self, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
      part = self._peer.recv(size - len(data))
      if not part:
        raise Dropped('end of file')
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
      number = max(self._streams, default=0) + 1
      stream = Stream(self, number, first)
      self._streams[number] = stream
      threading.Thread(target=stream.serve, args=(payload.rstrip(b'\0').decode(),), daemon=True).start()
    elif command in (b'OKAY', b'WRTE', b'CLSE') and second in self._streams:
      self._streams[second].receive(command, payload)

  def _greet(self):
    if self.phone.state in ('unauthorized', 'asking'):
      self.send(b'AUTH', 1, 0, os.urandom(20))
    elif self.phone.state == 'device':
      self._welcome()

  def _welcome(self):
    properties = ''.join(f'{name}={self.phone.android.read("props/" + name)};'
                         for name in ('ro.product.name', 'ro.product.model', 'ro.product.device'))
    self.send(b'CNXN', self._version, MAX_DATA, f'device::{properties}features={self.phone.features}'.encode())


class Stream:
  """A service that the client opened: bytes both ways, of which each message is acknowledged before the next."""

  def __init__(self, connection: Connection, number: int, peer_number: int):
    self._connection, self._number, self._peer_number = connection, number, peer_number
    self.phone = connection.phone
    self._incoming: queue.SimpleQueue = queue.SimpleQueue()
    self._acknowledged = threading.Semaphore(0)
    self._buffer = bytearray()
    self._ended = False

  def serve(self, service: str):
    try:
      self._connection.send(b'OKAY', self._number, self._peer_number)
      name, _, argument = service.partition(':')
      if name.split(',')[0] == 'shell':
        _Shell(self, v2=name.startswith('shell,v2')).serve(argument)
      elif name == 'exec':
        _Shell(self, v2=False).serve(argument)
      elif name == 'sync':
        _Sync(self).serve()
      elif name == 'reboot':
        self.phone.reboot(wipe=False)
      if not self._ended:
        self._connection.send(b'CLSE', self._number, self._peer_number)
    except Dropped:
      pass
    finally:
      self._connection.forget(self._number)

  def receive(self, command: bytes, payload: bytes):
    if command == b'OKAY':
      self._acknowledged.release()
    elif command == b'WRTE':
      self._incoming.put(payload)
    else:
      self.end()

  def end(self):
    """The other side is gone."""
    self._ended = True
    self._incoming.put(None)
    self._acknowledged.release()

  def write(self, data: bytes):
    for start in range(0, len(data), self._connection.max_data):
      if self._ended:
        raise Dropped('stream closed')
      self._connection.send(b'WRTE', self._number, self._peer_number, data[start:start + self._connection.max_data])
      self._acknowledged.acquire()

  def read_some(self) -> bytes:
    """The next message; empty at the end."""
    data = self._incoming.get()
    if data is None:
      return b''
    self._connection.send(b'OKAY', self._number, self._peer_number)
    return data

  def read(self, size: int) -> bytes:
    while len(self._buffer) < size:
      data = self.read_some()
      if not data:
        raise Dropped('stream closed')
      self._buffer += data
    data, self._buffer = bytes(self._buffer[:size]), self._buffer[size:]
    return data

  def fail(self, fault: Fault):
    """Lets a fault that ends the conversation happen."""
    if fault.kind == 'reboot':
      self.phone.reboot()
    elif fault.kind == 'drop':
      self.phone.drop()
    elif fault.kind == 'hang':
      while not self._ended:
        time.sleep(0.01)
    raise Dropped(fault.kind)


class _Shell:
  """Runs a command; by the shell_v2 protocol, with exit code and separate standard error, or without."""

  def __init__(self, stream: Stream, v2: bool):
    self._stream, self._v2 = stream, v2

  def serve(self, command: str):
    phone = self._stream.phone
    phone.commands.append(command)
    fault = phone.take_fault('shell', command)
    if fault is not None and fault.kind == 'exit':
      self._write(EXIT, bytes([fault.exit_code]))
      return
    started = time.time()
    stderr = subprocess.PIPE if self._v2 else subprocess.STDOUT
    process = phone.android.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)
    threading.Thread(target=self._feed, args=(process,), daemon=True).start()
    errors = threading.Thread(target=self._copy, args=(process.stderr, STDERR), daemon=True)
    if self._v2:
      errors.start()
    try:
      if fault is not None and fault.after_bytes == 0:  # it has begun, and says nothing
        process.stdout.close()
        self._stream.fail(fault)
      self._copy(process.stdout, STDOUT, fault)
    finally:
      code = process.wait()
      phone.android.finish(started)
    if self._v2:
      errors.join()
      self._write(EXIT, bytes([code if code >= 0 else 0x80 | -code]))

  def _copy(self, pipe, kind: int, fault: Fault | None = None):
    """Passes output on by the line, up to a fault."""
    passed = 0
    with contextlib.suppress(Dropped), pipe:  # the command goes on, until it writes to the closed pipe
      for line in pipe:
        data = self._stream.phone.android.unmap(line)
        if fault is not None and passed + len(data) > fault.after_bytes:
          data = data[:fault.after_bytes - passed]
          fault_due = True
        else:
          fault_due = False
        self._write(kind, data)
        passed += len(data)
        if fault_due:
          self._stream.fail(fault)

  def _feed(self, process):
    """Standard input; the shell protocol says when it ends."""
    with contextlib.suppress(Dropped, OSError, ValueError):
      while not self._v2 and (data := self._stream.read_some()):
        process.stdin.write(data)
        process.stdin.flush()
      while self._v2:
        kind, length = struct.unpack('<BI', self._stream.read(5))
        data = self._stream.read(length)
        if kind == STDIN:
          process.stdin.write(data)
          process.stdin.flush()
        elif kind == CLOSE_STDIN:
          process.stdin.close()

  def _write(self, kind: int, data: bytes):
    if self._v2:
      self._stream.write(struct.pack('<BI', kind, len(data)) + data)
    elif kind != EXIT:
      self._stream.write(data)


class _Sync:
  """File transfer."""

  def __init__(self, stream: Stream):
    self._stream, self._phone = stream, stream.phone

  def serve(self):
    while True:
      kind, length = struct.unpack('<4sI', self._stream.read(8))
      if kind == b'QUIT':
        return
      path = self._stream.read(length).decode()
      {b'STAT': self._stat, b'STA2': self._stat2, b'LST2': self._stat2, b'SEND': self._receive_file, b'RECV': self._send_file}[kind](path)

  def _stat(self, path: str):
    try:
      found = os.stat(self._phone.android.map_path(path))
      self._stream.write(struct.pack('<4s3I', b'STAT', found.st_mode, found.st_size, int(found.st_mtime)))
    except OSError:
      self._stream.write(struct.pack('<4s3I', b'STAT', 0, 0, 0))

  def _stat2(self, path: str):
    fields = '<4sI2Q4IQ3q'
    try:
      f = os.stat(self._phone.android.map_path(path))
      self._stream.write(struct.pack(fields, b'STA2', 0, f.st_dev, f.st_ino, f.st_mode, f.st_nlink, 2000, 2000, f.st_size,
                                     int(f.st_atime), int(f.st_mtime), int(f.st_ctime)))
    except OSError as error:
      self._stream.write(struct.pack(fields, b'STA2', error.errno, *[0] * 10))

  def _receive_file(self, path_and_mode: str):
    path, _, mode = path_and_mode.rpartition(',')
    fault = self._phone.take_fault('push', path)
    limit = self._phone.android.free_bytes
    if fault is not None and fault.kind == 'disk_full':
      limit = fault.after_bytes
    target = self._phone.android.map_path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    received, full = 0, False
    with open(target, 'wb') as file:
      while True:
        kind, length = struct.unpack('<4sI', self._stream.read(8))
        if kind == b'DONE':  # the length is the time of modification
          break
        data = self._stream.read(length)
        received += len(data)
        full = full or limit is not None and received > limit
        if not full:  # as adbd does: after an error the rest is read and thrown away
          file.write(data)
        if fault is not None and fault.kind != 'disk_full' and received > fault.after_bytes:
          file.flush()
          self._stream.fail(fault)
    if full:
      target.unlink()
      self._fail('couldn\'t write: No space left on device')
      return
    target.chmod(int(mode) & 0o777)
    self._phone.pushed.append(path)
    self._stream.write(struct.pack('<4sI', b'OKAY', 0))

  def _send_file(self, path: str):
    fault = self._phone.take_fault('pull', path)
    try:
      data = self._phone.android.map_path(path).read_bytes()
    except OSError as error:
      self._fail(f'open failed: {error.strerror}')
      return
    for start in range(0, len(data), SYNC_MAX):
      part = data[start:start + SYNC_MAX]
      if fault is not None and start + len(part) > fault.after_bytes:
        self._stream.write(struct.pack('<4sI', b'DATA', len(part)) + part[:fault.after_bytes - start])
        self._stream.fail(fault)
      self._stream.write(struct.pack('<4sI', b'DATA', len(part)) + part)
    self._stream.write(struct.pack('<4sI', b'DONE', 0))

  def _fail(self, message: str):
    self._stream.write(struct.pack('<4sI', b'FAIL', len(message)) + message.encode())
