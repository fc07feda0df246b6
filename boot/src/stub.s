# From the PVH entry (32-bit, paging off) to `boot_entry` in the high half.
#
# PVH ("x86/HVM direct boot ABI", xen/docs/misc/pvh.pandoc) enters with EBX = physical address of
# hvm_start_info, CR0.PE set, paging off, flat 32-bit segments, IF and DF undefined, no stack.
#
# The scaffold page tables built here map
#   PML4[0]    0 .. 4 GiB, identity, 2 MiB pages (RWX)
#   PML4[511]  0xffffffff80000000 .. +1 GiB: physical 0 .. 1 GiB (shares the first page directory)
#              0xffffffffc0000000: unmapped guard page, then the scaffold stack
# and are replaced by the final tables before the kernel is entered.

.set START_INFO_MAGIC, 0x336ec578
.set COM1, 0x3f8
.set DEBUG_EXIT, 0xf4
.set SCAFFOLD_STACK_PAGES, 32
.set SCAFFOLD_STACK_VIRT, 0xffffffffc0000000

# ELF note "Xen" 18 = XEN_ELFNOTE_PHYS32_ENTRY; QEMU reads an 8-byte descriptor from an ELF64.
.section .note.pvh, "a", @note
.balign 4
    .long 4, 8, 18
    .asciz "Xen"
    .balign 4
    .quad boot_pvh_start

.section .boot.text, "ax", @progbits
.code32
.global boot_pvh_start
.type boot_pvh_start, @function
boot_pvh_start:
    cli
    cld
    rdtsc
    movl %eax, boot_ticks
    movl %edx, boot_ticks + 4
    movl $boot_stack_end, %esp
    movl %ebx, %ebp

    movl $boot_message_magic, %esi
    cmpl $START_INFO_MAGIC, (%ebp)
    jne boot_fail

    # Long mode and no-execute: CPUID.80000001H:EDX[29] and [20] (Intel SDM Vol. 2A, CPUID).
    movl $boot_message_long_mode, %esi
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb boot_fail
    movl $0x80000001, %eax
    cpuid
    btl $29, %edx
    jnc boot_fail
    movl $boot_message_nx, %esi
    btl $20, %edx
    jnc boot_fail

    # Page directories: 2048 entries of 2 MiB, present, writable, page size.
    xorl %ecx, %ecx
1:  movl %ecx, %eax
    shll $21, %eax
    orl $0x83, %eax
    movl %eax, boot_pd(, %ecx, 8)
    movl $0, boot_pd + 4(, %ecx, 8)
    incl %ecx
    cmpl $2048, %ecx
    jne 1b

    movl $boot_pd + 0x0003, boot_pdpt_low
    movl $boot_pd + 0x1003, boot_pdpt_low + 8
    movl $boot_pd + 0x2003, boot_pdpt_low + 16
    movl $boot_pd + 0x3003, boot_pdpt_low + 24
    movl $boot_pd + 0x0003, boot_pdpt_high + 510 * 8
    movl $boot_pd_stack + 3, boot_pdpt_high + 511 * 8
    movl $boot_pt_stack + 3, boot_pd_stack
    movl $boot_pdpt_low + 3, boot_pml4
    movl $boot_pdpt_high + 3, boot_pml4 + 511 * 8

    # The stack's pages follow the guard page (entry 0, not present).
    movl $1, %ecx
    movl $boot_stack + 3, %eax
2:  movl %eax, boot_pt_stack(, %ecx, 8)
    addl $4096, %eax
    incl %ecx
    cmpl $SCAFFOLD_STACK_PAGES + 1, %ecx
    jne 2b

    # Intel SDM Vol. 3A, 9.8.5 "Initializing IA-32e Mode": PAE, CR3, LME (and NXE), PG (and WP).
    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x900, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80010001, %eax
    movl %eax, %cr0
    lgdt boot_gdt_low_pointer
    ljmp $0x08, $boot_long_mode

# Prints the zero-terminated text at ESI on COM1 and ends the machine. This stub is the only code
# that may do so: nothing that could take a record exists yet. The exit value is neither pass
# (0x10) nor fail (0x11): the machine cannot run the kernel at all.
boot_fail:
    movl $COM1 + 5, %edx
3:  inb %dx, %al
    testb $0x20, %al
    jz 3b
    lodsb
    testb %al, %al
    jz 4f
    movl $COM1, %edx
    outb %al, %dx
    jmp boot_fail
4:  movl $DEBUG_EXIT, %edx
    movl $0x12, %eax
    outl %eax, %dx
5:  cli
    hlt
    jmp 5b

.code64
boot_long_mode:
    movw $0x10, %ax
    movw %ax, %ss
    movw %ax, %ds
    movw %ax, %es
    xorl %eax, %eax
    movw %ax, %fs
    movw %ax, %gs
    movl %ebp, %edi
    movq boot_ticks, %rsi
    movabsq $SCAFFOLD_STACK_VIRT + (SCAFFOLD_STACK_PAGES + 1) * 4096, %rsp
    movabsq $boot_high, %rax
    jmp *%rax

boot_message_magic:
    .asciz "!! boot: not started through PVH: EBX does not point to an hvm_start_info; use qemu -kernel\n"
boot_message_long_mode:
    .asciz "!! boot: this CPU has no 64-bit mode; use qemu-system-x86_64 -cpu max\n"
boot_message_nx:
    .asciz "!! boot: this CPU has no no-execute pages (NX); use qemu-system-x86_64 -cpu max\n"

# Flat 64-bit code and data, accessed bits set so that the CPU never writes to them.
.balign 8
boot_gdt_low:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdt_low_pointer:
    .word 23
    .long boot_gdt_low

.section .boot.data, "aw", @progbits
.balign 8
boot_ticks:
    .quad 0

.section .boot.bss, "aw", @nobits
.balign 4096
boot_pml4:       .skip 4096
boot_pdpt_low:   .skip 4096
boot_pdpt_high:  .skip 4096
boot_pd:         .skip 4096 * 4
boot_pd_stack:   .skip 4096
boot_pt_stack:   .skip 4096
boot_stack:      .skip 4096 * SCAFFOLD_STACK_PAGES
boot_stack_end:

# The first code in the high half: a GDT that stays valid when the identity map goes.
.section .text.boot_high, "ax", @progbits
.code64
.type boot_high, @function
boot_high:
    lgdt boot_gdt_high_pointer(%rip)
    xorl %ebp, %ebp
    call {boot_entry}
    ud2

.section .rodata.boot_gdt, "a", @progbits
.balign 8
boot_gdt_high:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdt_high_pointer:
    .word 23
    .quad boot_gdt_high

.section .text
