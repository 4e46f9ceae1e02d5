#!/usr/bin/env bash
# The outcome store against a real PostgreSQL: one of our own, on loopback, thrown away afterwards.
#
# In: Debian's package `postgresql` (installed with apt-get if it is not there), openssl. Out: the
# tests' own lines; the first that fails ends it with its code. The server is stopped by its own pid.
# OUTAGE_S (default 20) is how long the database stays away under load.
#
# Usage: tests/postgres/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

bin() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1; }
if [ -z "$(bin)" ]; then
    sudo=$([ "$(id -u)" -eq 0 ] || echo sudo)
    # Nothing is to start by itself: Debian would else run a cluster of its own.
    $sudo timeout 300 apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive timeout 600 apt-get install -y -qq --no-install-recommends postgresql >/dev/null
fi
bin=$(bin)

scratch=$(mktemp -d)
# PostgreSQL refuses to run as root; the package made a user for it.
if [ "$(id -u)" -eq 0 ]; then as=(runuser -u postgres --); else as=(); fi
finish() {
    code=$?
    trap - EXIT
    if [ -f "$scratch/data/postmaster.pid" ]; then
        "$scratch/control" thaw || true
        "$scratch/control" stop || true
    fi
    [ "$code" -eq 0 ] || tail -20 "$scratch/data/log" >&2 || true
    rm -rf "$scratch"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

password=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir "$scratch/data"
printf '%s\n' "$password" >"$scratch/password"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=CA:FALSE \
    -keyout "$scratch/server.key" -out "$scratch/server.crt" 2>/dev/null
if [ "$(id -u)" -eq 0 ]; then chown -R postgres: "$scratch"; fi
chmod 711 "$scratch"
chmod 600 "$scratch/password" "$scratch/server.key"

# What the tests do to the server. Freezing leaves its connections open and answers nothing.
cat >"$scratch/control" <<END
#!/usr/bin/env bash
set -euo pipefail
cd "$scratch"
signal() {
    postmaster=\$(head -1 data/postmaster.pid)
    for pid in \$postmaster \$(ps -o pid= --ppid "\$postmaster"); do kill "-\$1" "\$pid" 2>/dev/null || true; done
}
case \$1 in
    start) ${as[*]} "$bin/pg_ctl" -D data -l data/log -w -t 60 -s start ;;
    stop) ${as[*]} "$bin/pg_ctl" -D data -m immediate -w -t 60 -s stop ;;
    freeze) signal STOP ;;
    thaw) signal CONT ;;
esac
END
chmod 755 "$scratch/control"

(cd "$scratch" && "${as[@]}" "$bin/initdb" -D data -U pointsman --pwfile=password -A scram-sha-256 -E UTF8 --locale=C.UTF-8 >/dev/null)
cat >>"$scratch/data/postgresql.conf" <<END
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = ''
ssl = on
ssl_cert_file = '$scratch/server.crt'
ssl_key_file = '$scratch/server.key'
END
"$scratch/control" start

export POINTSMAN_TEST_POSTGRES="postgres://pointsman@127.0.0.1:$port"
export POINTSMAN_TEST_POSTGRES_PASSWORD=$password
export POINTSMAN_TEST_POSTGRES_CONTROL=$scratch/control
export POINTSMAN_TEST_OUTAGE_S=${OUTAGE_S:-20}
cargo test --workspace --locked --quiet --lib outcome::postgres
# One after the other: some of them stop the server.
cargo test --workspace --locked --quiet --test postgres -- --test-threads=1 --nocapture --skip trusted
SSL_CERT_FILE=$scratch/server.crt cargo test --workspace --locked --quiet --test postgres -- --nocapture a_trusted
cargo test --workspace --locked --quiet --test postgres -- --nocapture an_untrusted
