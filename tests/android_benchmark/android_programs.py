"""Commands of the Android in android.py."""

# Of what toybox and grep of Android 8 offer, the part that is of use here.
TOYBOX = '''basename cat chmod cksum cmp comm cp cut date dd df dirname du echo env expr false find grep head kill ln ls md5sum mkdir
mkfifo mktemp mv nice nl nohup od paste pgrep pidof pkill printf ps pwd readlink realpath rm rmdir sed seq setsid sha1sum sha256sum sleep
sort split stat sync tail tar tee test time timeout touch tr true uname uniq uptime usleep wc which whoami xargs yes'''.split()

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
[ -e "$ANDROID/props/before_11" ] && { echo 'No shell command implementation.' >&2; exit 255; }
case "$*" in
  'connectivity airplane-mode') case "$(cat "$ANDROID/settings/global/airplane_mode_on")" in 1) echo enabled ;; *) echo disabled ;; esac ;;
  'connectivity airplane-mode enable') echo 1 > "$ANDROID/settings/global/airplane_mode_on" ;;
  'connectivity airplane-mode disable') echo 0 > "$ANDROID/settings/global/airplane_mode_on" ;;
  *) echo "cmd: Can't find service: $1" >&2; exit 20 ;;
esac''',
    'dumpsys': 'cat "$ANDROID/dumpsys/$1" 2>/dev/null || { echo "Can\'t find service: $1"; exit 0; }',
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

ADVANCE = '''
import re, sys
seconds = float(sys.argv[1])
milliwatts = float(sys.argv[2]) if len(sys.argv) > 2 else {idle} if seconds >= 1 else {busy}
text = re.sub(r'(?<=[tT]=)\\d+', lambda found: str(int(found[0]) + round(1000 * seconds)), open('{path}').read())
rail, energy = re.search(r'(\\[S2M_VDD_CPUCL2\\], )(\\d+)', text).groups()
open('{path}', 'w').write(text.replace(rail + energy, rail + str(int(energy) + round(seconds * milliwatts * 1000))))
'''
