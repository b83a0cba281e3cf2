# bongsu plug. Modes: accept (queued for relay, the outbound switch off), maildir (delivered), default (POP3).
# It runs with the settings that `bongsu init` writes; added are only what the bench is about: its ports, its domain, and that the load's
# address is exempt from the limits for one address; for POP3 also, that a verified login is remembered for as long as the bench runs. env: BONGSU the binary (built in release where unset).
SMTP_PORT=${SMTP_PORT:-21026}; POP_PORT=${POP_PORT:-21111}; CG=bongsu; BGD=$WORK/bongsu
POPBASE=${POPBASE:-$WORK/mail/pop}
MAILDIR_PATTERN="$BGD/data/mail/perf.test/user%d/Maildir/new"
BONGSU=${BONGSU:-$BENCH/../target/x86_64-unknown-linux-gnu/release/bongsu}
[ -x "$BONGSU" ] || (cd "$BENCH/.." && cargo build --release -q -p bongsu) || exit 1
VERSION=$("$BONGSU" --version 2>/dev/null)
# A password hash takes its time, so one account is added, the others are copies of its two lines, and all are kept for the next start.
bg_accounts() {
  local at=$WORK/bongsu-accounts names file
  [ -f "$at/done" ] && return
  rm -rf "$at"; "$BONGSU" init --domain perf.test --config "$at/etc/bongsu.toml" --data "$at/data" >/dev/null || return 1
  echo secret | "$BONGSU" account add user0@perf.test --config "$at/etc/bongsu.toml" --data "$at/data" >/dev/null || return 1
  names=$(seq -f user%g 1 199; seq -f s%g 0 399; seq -f u%g 0 999; seq -f m%g 0 9; seq -f l%g 0 1; seq -f b%g 0 15)
  for file in "$at/data/state/accounts/accounts" "$at/data/state/secrets/passwords"; do
    awk -v names="$names" 'NR==1{print;next} {print | "sort"} /"user0@/{n=split(names, name, "\n"); for(i=1;i<=n;i++){line=$0; sub("user0@", name[i] "@", line); print line | "sort"}}' "$file" > "$at/new"
    cat "$at/new" > "$file" && rm "$at/new"
  done
  touch "$at/done"
}
srv_start() {
  local mode=$1 u
  bg_accounts || return 1
  if [ ! -d "$BGD/data" ]; then mkdir -p "$BGD"; cp -a "$WORK/bongsu-accounts/etc" "$WORK/bongsu-accounts/data" "$BGD/"; fi
  # The settings file is the one that init wrote; the listeners stand behind it, all else comes by the environment.
  cp "$WORK/bongsu-accounts/etc/bongsu.toml" "$BGD/etc/bongsu.toml"
  printf '\n[[listen]]\nname = "%s"\naddress = "127.0.0.1"\nport = %s\nrole = "%s"\ntls = "starttls"\n' mx "$SMTP_PORT" mx pop3 "$POP_PORT" pop3 >> "$BGD/etc/bongsu.toml"
  export BONGSU_EXEMPT_NETWORKS='["127.0.0.0/8"]'
  unset BONGSU_RELAY__ENABLED BONGSU_SMTP__RELAY_NETWORKS
  if [ "$mode" = accept ]; then export BONGSU_RELAY__ENABLED=false BONGSU_SMTP__RELAY_NETWORKS='["127.0.0.0/8"]'; fi
  unset BONGSU_AUTH__REMEMBER
  if [ "$mode" = default ] || [ "$mode" = fast ]; then
    export BONGSU_AUTH__REMEMBER=1h   # a minute as shipped: what a session costs beside the password hash is measured
    mkdir -p "$BGD/data/mail/perf.test"
    for u in "$POPBASE"/*; do
      u=$(basename "$u"); [ -e "$BGD/data/mail/perf.test/$u" ] || { mkdir -p "$BGD/data/mail/perf.test/$u"; cp -a "$POPBASE/$u/Maildir" "$BGD/data/mail/perf.test/$u/"; }
    done
    chown -R "$(id -u):$(id -g)" "$BGD/data/mail"
  fi
  cg_run $CG env -u BONGSU "$BONGSU" up --config "$BGD/etc/bongsu.toml" --data "$BGD/data" > "$BGD/log" 2>&1 &
  disown
  wait_port $SMTP_PORT && wait_port $POP_PORT
}
srv_stop() { kill -TERM "$(cg_pids $CG | head -1)" 2>/dev/null; cg_end $CG; }
srv_clean() { rm -rf "$BGD"; }
srv_queue_count() { find "$BGD/data/spool/relay" "$BGD/data/spool/local" -type f 2>/dev/null | wc -l; }
srv_ledger() { "$BIN/ledger" --tokens "$1" --spool "$BGD/data/spool" --dirs "$MAILDIR_PATTERN" --n 200 --limit 10; }
srv_mailq() { "$BONGSU" mailq --config "$BGD/etc/bongsu.toml" --data "$BGD/data"; }
