// The typeface of the pictures: Inter (SIL Open Font License), two weights, each from _begin to _end.
    .section .rodata
    .macro font name, file
    .global switchyard_font_\name\()_begin
    .global switchyard_font_\name\()_end
    .balign 16
switchyard_font_\name\()_begin:
    .incbin "\file"
switchyard_font_\name\()_end:
    .byte 0
    .endm
    font regular, SWITCHYARD_FONT_REGULAR
    font semibold, SWITCHYARD_FONT_SEMIBOLD
    .section .note.GNU-stack, "", @progbits
