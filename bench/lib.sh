# Shared by every bench script. Source it; do not run it.
BENCH=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BUILD=${BUILD:-${TMPDIR:-/tmp}/mail-bench}   # the load programs are built there
BIN=${BIN:-$BUILD/x86_64-unknown-linux-gnu/release}
export WORK=${WORK:-/tmp/perf/fs}    # spool, maildirs: a file system as in production (journalled ext4)
export WORK0=${WORK0:-/tmp/perf}     # unpacked peers
mkdir -p "$WORK" "$WORK/mail"
ulimit -n "$(ulimit -Hn)" 2>/dev/null
[ -x "$BIN/smtpload" ] || (cd "$BENCH/load" && cargo build --release -q --target-dir "$BUILD") || exit 1

# value of key=value in one line of output
get() { local w; for w in $1; do case $w in "$2"=*) echo "${w#*=}"; return;; esac; done; echo nan; }
# "median (min-max)" of the arguments
med() { printf '%s\n' "$@" | sort -g | awk '{a[NR]=$1} END{if(NR==0){print "-";exit} m=(NR%2)?a[(NR+1)/2]:(a[NR/2]+a[NR/2+1])/2; if(NR==1) print m; else printf "%s (%s-%s)\n", m, a[1], a[NR]}'; }
now() { date +%s.%N; }
calc() { awk "BEGIN{printf \"%.${2:-3}f\", $1}"; }

# --- CPU accounting of one server and all its descendants: a cgroup (v1 cpuacct or v2), so that short-lived
# processes count. cg_run NAME CMD...: runs CMD inside. cg_cpu NAME: CPU seconds so far.
cg_dir() {
  if [ -d /sys/fs/cgroup/cpuacct ]; then echo "/sys/fs/cgroup/cpuacct/bench-$1"
  else echo "/sys/fs/cgroup/bench-$1"; fi
}
cg_run() {
  local d; d=$(cg_dir "$1"); shift; mkdir -p "$d"
  bash -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' "$d" "$@"
}
cg_cpu() {
  local d; d=$(cg_dir "$1")
  if [ -f "$d/cpuacct.usage" ]; then awk '{printf "%.3f", $1/1e9}' "$d/cpuacct.usage"
  else awk '/usage_usec/{printf "%.3f", $2/1e6}' "$d/cpu.stat"; fi
}
cg_pids() { cat "$(cg_dir "$1")/cgroup.procs" 2>/dev/null; }
# kB: RSS sum, PSS sum, number of processes
cg_mem() {
  local p; for p in $(cg_pids "$1"); do cat "/proc/$p/smaps_rollup" 2>/dev/null; done |
    awk '/^Rss:/{r+=$2;n++} /^Pss:/{p+=$2} END{printf "rss_kb=%d pss_kb=%d procs=%d", r, p, n}'
}
# end what is left in the cgroup, by pid
cg_end() {
  local p i; for i in 1 2 3 4 5 6; do
    p=$(cg_pids "$1"); [ -z "$p" ] && break
    [ $i -ge 3 ] && kill -TERM $p 2>/dev/null; [ $i -ge 5 ] && kill -KILL $p 2>/dev/null
    sleep 0.5
  done
  rmdir "$(cg_dir "$1")" 2>/dev/null
}
# --- syncs. syncs CG MESSAGES CMD...: runs CMD and prints the syncs that the server made for each of the messages meanwhile.
# Counted by the kernel's tracepoints (perf stat attached to the server's processes): 0.1 us a call, and nobody is stopped. strace stops a
# server at every system call, and where messages share their syncs that changes the number which it counts; it is the way out where perf
# is missing, and says so. The timed rounds run without either: this is a pass of its own.
SYNC_CALLS="fsync fdatasync syncfs sync_file_range msync"
syncs() {
  local cg=$1 n=$2 p out=$WORK/syncs.$$ ev c pid how=; shift 2
  p=$(cg_pids "$cg"); ev=$(for c in $SYNC_CALLS; do printf ',syscalls:sys_enter_%s' "$c"; done)
  if perf stat -x, -o /dev/null -e "${ev#,}" true 2>/dev/null; then
    perf stat -x, -o "$out" -e "${ev#,}" -p "$(paste -sd, <<<"$p")" & pid=$!
    sleep 0.3; "$@"; kill -INT $pid; wait $pid 2>/dev/null
    sed -n 's/^\([0-9]*\),.*sys_enter_\([a-z_]*\),.*/\1 \2/p' "$out" > "$out.n"
  else
    how=" (by strace, which slows the server)"
    strace -q -f -c -e "trace=$(tr ' ' , <<<"$SYNC_CALLS")" -o "$out" $(printf -- '-p %s ' $p) & pid=$!
    sleep 1.5; "$@"; kill -INT $pid; wait $pid 2>/dev/null
    awk '$NF!="total" && $4+0>0 {print $4, $NF}' "$out" > "$out.n"
  fi
  awk -v n="$n" -v how="$how" '{all+=$1} $1>0{t=t sprintf(" %s %.2f", $2, $1/n)} END{printf "syncs per message: %.2f%s%s%s\n", all/n, t==""?"":" =", t, how}' "$out.n"
  rm -f "$out" "$out.n"
}

# --- ledger. balance NAME TOKENS: every message that smtpload saw accepted (--tokens) lies exactly once in queue or Maildirs; asked of the
# plugs that can tell (srv_ledger). A run that does not balance is no run.
balance() {
  declare -F srv_ledger >/dev/null || return 0
  printf '%s ' "$1"; srv_ledger "$2" || { echo "$1: THE LEDGER DOES NOT BALANCE, the run is void" >&2; return 1; }
}
wait_port() { local i; for i in $(seq 100); do (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0; sleep 0.1; done; echo "port $1 not up" >&2; return 1; }
# load a server plug: NAME.sh in $PLUGS (a folder of yours) or in servers/ (see README.md)
plug() { if [ -n "${PLUGS:-}" ] && [ -f "$PLUGS/$1.sh" ]; then . "$PLUGS/$1.sh"; else . "$BENCH/servers/$1.sh"; fi; }
