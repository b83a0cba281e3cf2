# bongsu plug. Modes: accept (queued for relay, the outbound switch off), maildir (delivered), default (POP3).
# It runs with the settings that `bongsu init` writes; added are only what the bench is about: its ports, its domain, and that the load's
# address is exempt from the limits for one address. env: BONGSU the binary (built in release where unset).
SMTP_PORT=${SMTP_PORT:-21026}; POP_PORT=${POP_PORT:-21111}; CG=bongsu; BGD=$WORK/bongsu
POPBASE=${POPBASE:-$WORK/mail/pop}
MAILDIR_PATTERN="$BGD/data/mail/perf.test/user%d/Maildir/new"
BONGSU=${BONGSU:-$BENCH/../target/x86_64-unknown-linux-gnu/release/bongsu}
[ -x "$BONGSU" ] || (cd "$BENCH/.." && cargo build --release -q -p bongsu) || exit 1
VERSION=$("$BONGSU" --version 2>/dev/null)
# Accounts take a password hash each, so they are made once and copied.
bg_accounts() {
  local at=$WORK/bongsu-accounts i
  [ -f "$at/done" ] && return
  rm -rf "$at"; "$BONGSU" init --domain perf.test --config "$at/etc/bongsu.toml" --data "$at/data" >/dev/null || return 1
  for i in $(seq 0 199); do echo "user$i@perf.test secret"; done > "$at/list"
  for i in $(seq 0 49); do echo "s$i@perf.test secret"; echo "u$i@perf.test secret"; done >> "$at/list"
  for i in $(seq 0 9); do echo "m$i@perf.test secret"; done >> "$at/list"
  for i in 0 1; do echo "l$i@perf.test secret"; done >> "$at/list"
  for i in $(seq 0 7); do echo "b$i@perf.test secret"; done >> "$at/list"
  while read -r a p; do printf '%s\n' "$p" | "$BONGSU" account add "$a" --config "$at/etc/bongsu.toml" --data "$at/data" >/dev/null || return 1; done < "$at/list"
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
  if [ "$mode" = default ] || [ "$mode" = fast ]; then
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
srv_mailq() { "$BONGSU" mailq --config "$BGD/etc/bongsu.toml" --data "$BGD/data"; }
