// The bytes of the embedded model; see embedded_model.h.
    .section .rodata
    .global switchyard_embedded_model_begin
    .global switchyard_embedded_model_end
    .balign 64
switchyard_embedded_model_begin:
    .incbin SWITCHYARD_EMBEDDED_MODEL
switchyard_embedded_model_end:
    .byte 0
    .section .note.GNU-stack, "", @progbits
