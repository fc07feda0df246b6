#!/usr/bin/env bash
# Boots one kernel in QEMU: qemu-runner.sh ELF [kernel command line words...] [QEMU arguments...]
#
# The first argument that begins with - and all behind it are QEMU's. So `-serial file:x` gives the
# machine a second serial port, over which the kernel sends packets if it has no virtio ports:
# `relayctl cat x` reads them.
#
# The only file that knows QEMU's command line. Configured by the environment:
#   RELAY_SMP        number of CPUs, 1..255 (default 8)
#   RELAY_MEMORY     memory in MiB (default 256)
#   RELAY_ACCEL      tcg (default), kvm, or icount (tcg, whose clock counts instructions)
#   RELAY_SEED       with icount: what QEMU's random numbers depend on (default 1)
#   RELAY_INITRD     file that the kernel gets as its ramdisk
#   RELAY_SERIAL     QEMU chardev behind COM1 (default stdio; none: there is no COM1)
#   RELAY_SERIAL_SOCKET  path of a unix socket that QEMU connects COM2 to
#   RELAY_QMP        path of a unix socket on which QEMU serves QMP
#   RELAY_PORTS      number of virtio-console ports relay.0, relay.1, ..., 0..30 (default 0);
#                    with them comes relay.panic, which the kernel keeps for panics
#   RELAY_PORTS_SOCKET  path of the unix socket that QEMU connects each of them to, in order,
#                    relay.panic last
#   RELAY_PORTS_FOLDER  instead: a folder, in which QEMU writes what each of them sends to a file
#                    port0, port1, ...; the panic's last
#   RELAY_CTL_SOCKET  with RELAY_PORTS: path of a unix socket that QEMU connects relay.ctl to, the port
#                    that the kernel is asked through
#   RELAY_SYSLOG_SOCKET  with RELAY_PORTS: path of a unix socket that QEMU connects relay.syslog to,
#                    the port of the program that speaks syslog
#   RELAY_GDB        1: wait for gdb on tcp:1234
#   RELAY_BIOS       firmware image (default: qboot.rom where QEMU has it, else QEMU's own default)
#   RELAY_QEMU       QEMU binary (default qemu-system-x86_64)
#   RELAY_QEMU_ARGS  further QEMU arguments, one per line
#   RELAY_EXEC       1: become QEMU; its exit status is passed on unchanged
#
# Exit: 0 the kernel reported a pass, 1 it reported a failure, 3 anything else
# (2, a usage error, is left to callers: a wrong setting here is an infrastructure error).
set -u

die() {
    printf 'qemu-runner.sh: %s\n' "$1" >&2
    exit 3
}

# number NAME VALUE LOW HIGH: VALUE is a decimal number in LOW..HIGH, or the script ends.
number() {
    if ! [[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || (($2 < $3 || $2 > $4)); then
        die "$1 must be a number from $3 to $4, not '$2'"
    fi
}

# flag NAME VALUE: VALUE is empty, 0 or 1, or the script ends; true for 1.
flag() {
    case $2 in
        '' | 0) return 1 ;;
        1) return 0 ;;
        *) die "$1 must be 0 or 1, not '$2'" ;;
    esac
}

# Ends the script unless FILE is an x86-64 ELF executable at fixed addresses.
check_kernel() {
    [[ -f $1 ]] || die "no such kernel: '$1'"
    [[ -r $1 ]] || die "cannot read the kernel '$1'"
    local bytes
    read -ra bytes <<<"$(od -An -v -tx1 -w20 -N20 -- "$1")"
    [[ ${bytes[*]:0:4} == '7f 45 4c 46' ]] ||
        die "'$1' is not an ELF file; build the kernel with 'cargo build -p kernel --target x86_64-unknown-none'"
    [[ ${bytes[*]:4:2} == '02 01' && ${bytes[*]:18:2} == '3e 00' ]] ||
        die "'$1' is not a 64-bit x86 ELF file; build it with '--target x86_64-unknown-none'"
    case ${bytes[*]:16:2} in
        '02 00') ;;
        '03 00') die "'$1' is position-independent (ET_DYN), but QEMU needs fixed addresses (ET_EXEC): it was linked for the host or without the kernel's linker script" ;;
        *) die "'$1' is not an executable ELF file (ET_EXEC)" ;;
    esac
}

# Prints the path of qboot.rom in the data directories of QEMU, or fails.
find_qboot() {
    local directory
    for directory in /usr/share/qemu /usr/local/share/qemu; do
        [[ -r $directory/qboot.rom ]] && printf '%s\n' "$directory/qboot.rom" && return
    done
    while IFS= read -r directory; do
        [[ -r $directory/qboot.rom ]] && printf '%s\n' "$directory/qboot.rom" && return
    done < <("$qemu" -L help 2>/dev/null)
    return 1
}

[[ $# -ge 1 ]] || die "usage: qemu-runner.sh ELF [kernel command line words...] [QEMU arguments...]"
kernel=$1
shift
check_kernel "$kernel"
words=()
while [[ $# -gt 0 && $1 != -* ]]; do
    words+=("$1")
    shift
done

qemu=${RELAY_QEMU:-qemu-system-x86_64}
command -v -- "$qemu" >/dev/null ||
    die "QEMU is not installed: no '$qemu' (Debian, Ubuntu: apt-get install qemu-system-x86)"

smp=${RELAY_SMP:-8}
memory=${RELAY_MEMORY:-256}
number RELAY_SMP "$smp" 1 255
number RELAY_MEMORY "$memory" 16 16777216

arguments=(-M q35 -cpu max -smp "$smp" -m "${memory}M" -kernel "$kernel"
    -display none -nodefaults -no-reboot
    -serial "${RELAY_SERIAL:-stdio}"
    -device "isa-debug-exit,iobase=0xf4,iosize=4")

case ${RELAY_ACCEL:-tcg} in
    tcg) arguments+=(-accel "tcg,thread=multi") ;;
    kvm) arguments+=(-accel kvm) ;;
    icount)
        [[ ${RELAY_SEED:-1} =~ ^[0-9]{1,20}$ ]] ||
            die "RELAY_SEED must be a number, not '$RELAY_SEED'"
        # Nothing of the host's time or chance reaches the guest.
        arguments+=(-accel "tcg,thread=single" -icount "shift=0,sleep=off"
            -rtc "base=2000-01-01,clock=vm" -seed "${RELAY_SEED:-1}")
        ;;
    *) die "RELAY_ACCEL must be tcg, kvm or icount, not '$RELAY_ACCEL'" ;;
esac
if [[ -n ${RELAY_BIOS:-} ]]; then
    [[ -r $RELAY_BIOS ]] || die "RELAY_BIOS: cannot read '$RELAY_BIOS'"
    arguments+=(-bios "$RELAY_BIOS")
elif qboot=$(find_qboot); then
    arguments+=(-bios "$qboot")
fi
[[ ${#words[@]} -eq 0 ]] || arguments+=(-append "${words[*]}")
if [[ -n ${RELAY_INITRD:-} ]]; then
    [[ -r $RELAY_INITRD ]] || die "RELAY_INITRD: cannot read '$RELAY_INITRD'"
    arguments+=(-initrd "$RELAY_INITRD")
fi
if [[ -n ${RELAY_SERIAL_SOCKET:-} ]]; then
    [[ -S $RELAY_SERIAL_SOCKET ]] ||
        die "RELAY_SERIAL_SOCKET: no unix socket that somebody listens on: '$RELAY_SERIAL_SOCKET'"
    arguments+=(-chardev "socket,id=line,path=${RELAY_SERIAL_SOCKET//,/,,}" -serial chardev:line)
fi
[[ -z ${RELAY_QMP:-} ]] || arguments+=(-qmp "unix:$RELAY_QMP,server=on,wait=off")
ports=${RELAY_PORTS:-0}
if [[ $ports != 0 ]]; then
    number RELAY_PORTS "$ports" 1 30
    # Port 0 of the device is kept for a console. The ports for panics and for control need no
    # interrupts.
    most=$((ports + 2))
    vectors=$((ports + 2))
    [[ -z ${RELAY_CTL_SOCKET:-} ]] || most=$((ports + 3))
    [[ -z ${RELAY_SYSLOG_SOCKET:-} ]] || ((most = ports + 4, vectors++))
    device="virtio-serial-pci,max_ports=$most,vectors=$vectors"
    if [[ -n ${RELAY_PORTS_FOLDER:-} ]]; then
        [[ -d $RELAY_PORTS_FOLDER ]] ||
            die "RELAY_PORTS_FOLDER: no such folder: '$RELAY_PORTS_FOLDER'"
        # The CPU that tells the device of a packet writes it: no other thread of QEMU does.
        device+=,ioeventfd=off
    else
        [[ -S ${RELAY_PORTS_SOCKET:-} ]] ||
            die "RELAY_PORTS needs RELAY_PORTS_SOCKET, a unix socket that somebody listens on, not '${RELAY_PORTS_SOCKET:-}', or RELAY_PORTS_FOLDER"
    fi
    arguments+=(-device "$device")
    for ((port = 0; port <= ports; port++)); do
        name=relay.$port
        ((port < ports)) || name=relay.panic
        # QEMU wants a comma in a value doubled.
        if [[ -n ${RELAY_PORTS_FOLDER:-} ]]; then
            chardev="file,id=relay$port,path=${RELAY_PORTS_FOLDER//,/,,}/port$port"
        else
            chardev="socket,id=relay$port,path=${RELAY_PORTS_SOCKET//,/,,}"
        fi
        arguments+=(-chardev "$chardev"
            -device "virtserialport,chardev=relay$port,name=$name,nr=$((port + 1))")
    done
    if [[ -n ${RELAY_CTL_SOCKET:-} ]]; then
        [[ -S $RELAY_CTL_SOCKET ]] ||
            die "RELAY_CTL_SOCKET: no unix socket that somebody listens on: '$RELAY_CTL_SOCKET'"
        arguments+=(-chardev "socket,id=ctl,path=${RELAY_CTL_SOCKET//,/,,}"
            -device "virtserialport,chardev=ctl,name=relay.ctl,nr=$((ports + 2))")
    fi
    if [[ -n ${RELAY_SYSLOG_SOCKET:-} ]]; then
        [[ -S $RELAY_SYSLOG_SOCKET ]] ||
            die "RELAY_SYSLOG_SOCKET: no unix socket that somebody listens on: '$RELAY_SYSLOG_SOCKET'"
        arguments+=(-chardev "socket,id=syslog,path=${RELAY_SYSLOG_SOCKET//,/,,}"
            -device "virtserialport,chardev=syslog,name=relay.syslog,nr=$((ports + 3))")
    fi
fi
if flag RELAY_GDB "${RELAY_GDB:-}"; then
    printf 'qemu-runner.sh: waiting for gdb: gdb %q -ex "target remote :1234"\n' "$kernel" >&2
    arguments+=(-s -S)
fi
if [[ -n ${RELAY_QEMU_ARGS:-} ]]; then
    mapfile -t extra <<<"$RELAY_QEMU_ARGS"
    for argument in "${extra[@]}"; do
        [[ -z $argument ]] || arguments+=("$argument")
    done
fi

arguments+=("$@")

if flag RELAY_EXEC "${RELAY_EXEC:-}"; then
    exec "$qemu" "${arguments[@]}"
fi

# In the background, so that a signal to this script ends QEMU too; stdin stays connected.
"$qemu" "${arguments[@]}" <&0 &
pid=$!
trap 'kill "$pid" 2>/dev/null' INT TERM HUP
status=0
wait "$pid" || status=$?
# A trapped signal interrupts the wait: QEMU is ending, collect it.
while kill -0 "$pid" 2>/dev/null; do
    wait "$pid" || status=$?
done

# isa-debug-exit ends QEMU with (value << 1) | 1: 0x10 is a pass, 0x11 a failure.
case $status in
    33) exit 0 ;;
    35) exit 1 ;;
    *)
        printf 'qemu-runner.sh: the kernel reported no result (QEMU ended with status %d)\n' "$status" >&2
        exit 3
        ;;
esac
