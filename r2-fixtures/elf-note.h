/* A note by which a kernel tells Xen of itself, for assembler sources: xen/include/public/elfnote.h. */
.macro elf_note type, desc:vararg
    .pushsection .note.Xen, "a", @note
    .balign 4
    .long 4, 2f - 1f, \type
    .asciz "Xen"
1:  \desc
2:  .balign 4
    .popsection
.endm
