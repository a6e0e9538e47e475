"""The script that launches a block of models on the device, and the log that it writes.

The log of a block, which the runner for this machine prints too, is for each model:

  === begin PATH
  (what benchmark_model prints)
  === end PATH exit=CODE
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import re
import shlex

from android_benchmark import errors
from android_benchmark import power

NAME = 'round.sh'
NO_SPACE = 74

# Needs a POSIX shell, and of Android's toybox: cat, grep, kill, sleep, taskset, timeout, tr. A script that outlived its connection ends
# after its launch once another one has started; that one waits for it, because two benchmarks at a time would disturb each other.
SCRIPT = r"""# round.sh LOG LIMIT_S MASK FLAGS BINARY METER PERIOD MODEL...; an empty MASK leaves the cores to the system. METER is shell
# that reads a meter, or empty; a PERIOD repeats it during launches; the model idle=SECONDS is none.
log=$1 limit=$2 mask=$3 flags=$4 binary=$5 meter=$6 period=$7
shift 7
read_meter() {
  echo && echo "=== meter" && eval "$meter"
  echo "=== metered"
}
old=$(cat "$log.running" 2>/dev/null)
echo $$ > "$log.newest" || exit 74
while [ -n "$old" ] && [ "$old" != $$ ] && tr '\0' ' ' 2>/dev/null < "/proc/$old/cmdline" | grep -q 'round[.]sh'; do sleep 1; done
echo $$ > "$log.running" || exit 74
for model; do
  [ "$(cat "$log.newest")" = $$ ] || exit 75
  echo "=== begin $model" || exit 74
  [ -z "$meter" ] || read_meter
  if [ -n "$period" ]; then
    while kill -0 $$ 2>/dev/null; do sleep "$period"; read_meter; done > "$log.meter" &
    sampler=$!
  fi
  case $model in
    idle=*) sleep "${model#idle=}" ;;
    *) timeout -k 5 "$limit" ${mask:+taskset "$mask"} "$binary" --graph="$model" $flags 2>&1 ;;
  esac
  code=$?
  [ -z "$period" ] || { kill $sampler; wait $sampler 2>/dev/null; cat "$log.meter"; }
  [ -z "$meter" ] || read_meter
  echo && echo "=== end $model exit=$code" || exit 74
done > "$log" || exit 74
"""

_BEGIN = re.compile(r'^=== begin (.+)$', re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Section:
  """A launch in a log.

  Attributes:
    path: Path of the model.
    exit_code: 128 + n where signal n ended it; None where the log ends first.
    text: Output of the launch.
    readings: What a meter showed before, during and after it.
  """

  path: str
  exit_code: int | None
  text: str
  readings: tuple[str, ...] = ()


def command(script: str, log: str, limit_s: float, core_mask: str | None, flags: Sequence[str], binary: str,
            models: Sequence[str], meter: power.Meter | None = None) -> str:
  """The line of shell that runs a block."""
  metered = ('', '') if meter is None else (meter.command, f'{meter.period_s:g}' if meter.period_s else '')
  return shlex.join(('sh', script, log, f'{limit_s:g}', core_mask or '', ' '.join(flags), binary, *metered, *models))


def parse_log(text: str) -> tuple[Section, ...]:
  """Reads a log, which may end anywhere.

  Raises:
    BenchmarkError: It begins with something else.
  """
  text = text.replace('\r', '')
  begins = list(_BEGIN.finditer(text))
  ends = [begin.start() for begin in begins[1:]] + [len(text)]
  sections = []
  for begin, end in zip(begins, ends):
    body = text[begin.end():end]
    closing = re.search(rf'^=== end {re.escape(begin[1])} exit=(\d{{1,9}})\n', body, re.MULTILINE)
    readings, rest = power.split(body[:closing.start()] if closing else body)
    sections.append(Section(begin[1], int(closing[1]) if closing else None, rest.strip('\n'), readings))
  if text.strip() and not sections:
    raise errors.BenchmarkError(f'not the log of a block: {text.strip().splitlines()[-1][:200]!r}')
  return tuple(sections)
