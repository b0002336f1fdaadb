#!/bin/sh
# Installs moonwa from the directory of an unpacked release as a systemd service, or upgrades it: `sudo ./install.sh`.
set -eu
cd "$(dirname "$0")"
[ "$(id -u)" = 0 ] || { echo "run it as root: sudo ./install.sh" >&2; exit 1; }
[ -x moonwa ] || { echo "there is no program moonwa beside install.sh: unpack a release and run it there" >&2; exit 1; }

install -D -m 755 moonwa /usr/local/bin/moonwa
for unit in moonwa.service moonwa-retry.timer moonwa-backup.service moonwa-backup.timer; do
  install -D -m 644 "$unit" "/etc/systemd/system/$unit"
done
install -D -m 644 moonwa.sysusers "/usr/lib/sysusers.d/moonwa.conf"
install -D -m 644 moonwa.tmpfiles "/usr/lib/tmpfiles.d/moonwa.conf"
systemd-sysusers moonwa.conf

file=/etc/moonwa/moonwa.toml
token=
if [ ! -e "$file" ]; then
  # The token of the admin page is shown once, here; the file has its hash only.
  made=$(./moonwa key new admin)
  token=$(printf '%s\n' "$made" | sed -n 's/^  \([^ ]*\)$/\1/p')
  hash=$(printf '%s\n' "$made" | sed -n 's/^token = //p')
  [ -n "$token" ] && [ -n "$hash" ] || { echo "moonwa made no token: $made" >&2; exit 1; }
  install -d -o moonwa -g moonwa -m 750 /etc/moonwa
  (umask 077 && sed -e "s|^# token = \"sha256:.*|token = $hash|" -e 's|^# path = "data"|path = "/var/lib/moonwa"|' moonwa.toml >"$file")
  chown moonwa:moonwa "$file"
  chmod 640 "$file"
fi
systemd-tmpfiles --create moonwa.conf
./moonwa --config "$file" check >/dev/null || { ./moonwa --config "$file" check; exit 78; }

if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  if systemctl is-active --quiet moonwa; then
    systemctl restart moonwa
  else
    systemctl enable --now moonwa
  fi
  systemctl enable --now moonwa-backup.timer
fi
if [ -n "$token" ]; then
  echo "The admin page is at http://127.0.0.1:8080, its token is (shown once):"
  echo
  echo "  $token"
  echo
  echo "From another machine: ssh -L 8080:127.0.0.1:8080 you@this-host, then open that address there."
fi
