#!/usr/bin/env bash
# What a serial port of QEMU carries for a Linux guest, to set relay's beside it:
#
#     tests/linux-serial.sh [CPUS [BACKEND]]      such as 8 file:/tmp/line, null, unix:PATH
#
# Downloads Debian's cloud kernel and a static busybox, installs neither, and boots them with 2 MiB of
# random bytes for the second port: by cat, by dd with blocks of 64 KiB, and by a loop of outb, which
# is the port's limit. relay's own number is that of scenario drain over the same backend
# (docs/PERFORMANCE.md). Needs QEMU, gcc with a static libc, and apt-get.
set -euo pipefail

readonly cpus=${1:-1} backend=${2:-null} bytes=2097152
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

image=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: //p' | head -1)
apt-get download -qq "$image" busybox-static cpio >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
mkdir -p guest/{bin,proc,dev}
cp root/bin/busybox guest/bin/
head -c "$bytes" /dev/urandom >guest/blob
cat >outb.c <<'C'
#include <sys/io.h>
int main(void) {
    if (iopl(3)) return 1;
    for (int i = 0; i < 2097152; i++) outb(i, 0x2f8);
}
C
gcc -O2 -static outb.c -o guest/bin/outb
cat >guest/init <<'INIT'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc p /proc; $b mount -t devtmpfs d /dev
exec >/dev/ttyS0 2>&1
sent() { $b sed -n 's/^1:.* tx:\([0-9]*\).*/\1/p' /proc/tty/driver/serial; }
now() { read -r up _ </proc/uptime; echo "$up"; }
$b stty -F /dev/ttyS1 115200 raw -echo
exec 3>/dev/ttyS1
for how in 'cat /blob' 'dd if=/blob bs=64k'; do
    begin=$(now); before=$(sent)
    $b $how >&3 2>/dev/null
    while [ $(($(sent) - before)) -lt 2097152 ]; do $b usleep 20000; done
    $b awk "BEGIN { printf \"%s: %.2f MB/s\n\", \"$how\", 2.097152 / ($(now) - $begin) }"
done
exec 3>&-
begin=$(now)
/bin/outb
$b awk "BEGIN { printf \"outb: %.2f MB/s\n\", 2.097152 / ($(now) - $begin) }"
$b reboot -f
INIT
chmod +x guest/init
(cd guest && find . | ../root/bin/cpio -o -H newc --quiet | gzip -1 >../initrd)
timeout 180 qemu-system-x86_64 -M q35 -accel tcg,thread=multi -m 256 -smp "$cpus" -display none \
    -no-reboot -kernel root/boot/vmlinuz* -initrd initrd \
    -append 'console=ttyS0 quiet tsc=reliable' -serial stdio -serial "$backend" | grep MB/s
