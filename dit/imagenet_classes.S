// The bytes of imagenet_classes.txt; see imagenet_classes.h.
    .section .rodata
    .global switchyard_imagenet_classes_begin
    .global switchyard_imagenet_classes_end
switchyard_imagenet_classes_begin:
    .incbin SWITCHYARD_IMAGENET_CLASSES
switchyard_imagenet_classes_end:
    .byte 0
    .section .note.GNU-stack, "", @progbits
