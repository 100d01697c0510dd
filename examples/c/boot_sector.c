/* Reads the boot sector of a floppy image through the registers of the controller, as a BIOS does, swaps the image for a new
 * one while the machine runs, and releases it. Prints each outcome, each event, and the message of each failure.
 *
 *     cargo rustc --release --lib --crate-type staticlib --features capi
 *     cc -Iinclude examples/c/boot_sector.c target/release/libvm_fdc.a -lpthread -ldl -lm -o boot_sector
 *     ./boot_sector fixtures/dos-1440k.img /tmp/blank.img
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm_fdc.h"

enum { SECTOR = 512, LOAD = 0x7C00, RAM = 1 << 20 };

/* Ends the program if a condition is false. `what` describes the condition. */
static void expect(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "failed: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

static void on_interrupt(void *context, uint8_t irq, bool high)
{
    unsigned *interrupts = context;
    (void)irq;
    *interrupts += high;
}

static uint32_t on_media(void *context, uint32_t event, uint32_t drive, const char *path)
{
    const char *name = path ? strrchr(path, '/') : NULL;
    (void)context;
    printf("event: %s drive %u: %s\n", event == VM_FDC_MEDIA_INSERTED ? "inserted in" : "ejected from", (unsigned)drive,
           name ? name + 1 : "?");
    return 1; /* continue the observation */
}

static void out(vm_fdc_t *vm, uint16_t port, uint8_t value)
{
    expect(vm_fdc_write(vm, port, &value, sizeof value) == VM_FDC_S_OK, "a port of the floppy subsystem is written");
}

static uint8_t in(vm_fdc_t *vm, uint16_t port)
{
    uint8_t value = 0;
    expect(vm_fdc_read(vm, port, &value, sizeof value) == VM_FDC_S_OK, "a port of the floppy subsystem is read");
    return value;
}

/* Performs READ DATA of the first sector to LOAD, by DMA. */
static void read_boot_sector(vm_fdc_t *vm)
{
    static const uint8_t dma[][2] = {
        {0x0A, 0x06},                             /* mask channel 2 */
        {0x0C, 0x00}, {0x0B, 0x46},               /* mode: single, to memory */
        {0x04, LOAD & 0xFF}, {0x04, LOAD >> 8}, {0x81, 0x00}, /* address */
        {0x05, 0xFF}, {0x05, 0x01},               /* count: 512 bytes */
        {0x0A, 0x02},                             /* unmask channel 2 */
    };
    static const uint8_t command[] = {0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF};
    uint8_t result[7];
    size_t i;

    for (i = 0; i < sizeof dma / sizeof *dma; i++)
        out(vm, dma[i][0], dma[i][1]);
    out(vm, 0x3F2, 0x1C); /* out of reset, motor on, drive 0 selected */
    out(vm, 0x3F7, 0x00); /* 500 kb/s */
    for (i = 0; i < sizeof command; i++)
        out(vm, 0x3F5, command[i]);
    expect(vm_fdc_interrupt_level(vm) == VM_FDC_S_OK, "the command raises the interrupt line");
    for (i = 0; i < sizeof result; i++)
        result[i] = in(vm, 0x3F5);
    expect((result[0] & 0xC0) == 0, "the command ends normally");
}

/* Prints one line if a file is shorter or longer than its disk. */
static void print_length(const vm_fdc_drive_t *drive, long file)
{
    vm_fdc_layout_t layout;
    long disk;

    expect(vm_fdc_drive_layout(drive, &layout) == VM_FDC_S_OK && layout.kind == VM_FDC_LAYOUT_REGULAR, "there is a layout");
    disk = ((long)layout.cylinders * layout.heads * layout.sectors * 128) << layout.size_code;
    if (file < disk)
        printf("length: %ld of %ld bytes; the rest reads as zeros\n", file, disk);
    else if (file > disk)
        printf("length: %ld bytes; those after %ld are ignored\n", file, disk);
}

/* Prints the outcome of a call, and the message of a failure. */
static vm_fdc_result_t report(const char *what, vm_fdc_result_t result, const vm_fdc_drive_t *drive)
{
    char message[1024];
    printf("%s: 0x%08X\n", what, (unsigned)result);
    if (result & 0x80000000u) {
        expect(vm_fdc_drive_last_error(drive, message, sizeof message, NULL) == VM_FDC_S_OK, "there is a message");
        printf("  %s\n", message);
    }
    return result;
}

int main(int argc, char **argv)
{
    static uint8_t ram[RAM], expected[SECTOR];
    unsigned interrupts = 0;
    uint32_t attachment = 99, image_type = 99;
    size_t needed = 0;
    vm_fdc_image_options_t read_only = {0};
    vm_fdc_config_t config;
    vm_fdc_layout_t layout;
    vm_fdc_drive_t *drive = NULL;
    vm_fdc_t *vm = NULL;
    FILE *file;
    long length;
    char *path;

    if (argc != 3) {
        fprintf(stderr, "usage: %s IMAGE NEW-IMAGE\n", argv[0]);
        return EXIT_FAILURE;
    }
    file = fopen(argv[1], "rb");
    expect(file && fread(expected, 1, SECTOR, file) == SECTOR, "the image can be read");
    expect(fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) > 0, "the image has a length");
    fclose(file);

    /* A PC with one 1.44M drive. */
    expect(vm_fdc_config_init(&config, sizeof config) == VM_FDC_S_OK, "there is a configuration");
    config.drives[0] = VM_FDC_DRIVE_1440K;
    config.interrupt = on_interrupt;
    config.interrupt_context = &interrupts;
    config.ram = ram;
    config.ram_length = sizeof ram;
    expect(vm_fdc_new(&config, &vm) == VM_FDC_S_OK, "there is a machine");
    expect(vm_fdc_drive(vm, 0, &drive) == VM_FDC_S_OK, "there is a drive 0");
    expect(vm_fdc_drive_observe(drive, on_media, NULL) == VM_FDC_S_OK, "an observer is added");

    /* The manager of the media. */
    read_only.size = sizeof read_only;
    read_only.access = VM_FDC_ACCESS_READ_ONLY;
    read_only.length = VM_FDC_LENGTH_FIT; /* nothing can be lost: the file is only read */
    report("attach what is not there", vm_fdc_drive_attach_image(drive, "no such file.img", NULL), drive);
    expect(report("attach the image", vm_fdc_drive_attach_image(drive, argv[1], &read_only), drive) == VM_FDC_S_OK,
           "the image is attached");
    print_length(drive, length);
    expect(vm_fdc_drive_attachment(drive, &attachment) == VM_FDC_S_OK && attachment == VM_FDC_ATTACHMENT_IMAGE,
           "an image is attached");
    expect(vm_fdc_drive_image_type(drive, &image_type) == VM_FDC_S_OK && image_type == VM_FDC_IMAGE_HIGH_DENSITY,
           "it is of 1.44M");
    expect(vm_fdc_drive_image_file(drive, NULL, 0, &needed) == VM_FDC_S_OK && needed > 1, "its path has a length");
    path = malloc(needed);
    expect(path && vm_fdc_drive_image_file(drive, path, needed, NULL) == VM_FDC_S_OK, "it has a path");
    expect(strlen(path) + 1 == needed, "the path has the length that was returned");
    free(path);

    /* The guest. */
    read_boot_sector(vm);
    expect(memcmp(ram + LOAD, expected, SECTOR) == 0, "the boot sector equals that of the file");
    expect(interrupts > 0, "the interrupt line was raised");
    printf("read the boot sector: %02X %02X at its end\n", ram[LOAD + 510], ram[LOAD + 511]);

    /* Another disk. */
    expect(vm_fdc_layout_of(VM_FDC_DRIVE_1440K, 1474560, &layout) == VM_FDC_S_OK, "there is a disk of 1.44M");
    expect(vm_fdc_create_image(argv[2], &layout, 0xF6, NULL, VM_FDC_IF_EXISTS_REPLACE) == VM_FDC_S_OK,
           "a blank disk is created");
    expect(report("swap it for a blank one", vm_fdc_drive_swap_image(drive, argv[2], NULL), drive) == VM_FDC_S_OK,
           "the image is swapped");
    read_boot_sector(vm);
    expect(ram[LOAD] == 0xF6 && ram[LOAD + 511] == 0xF6, "the new disk is blank");

    expect(report("release", vm_fdc_drive_release_image(drive), drive) == VM_FDC_S_OK, "the image is released");
    expect(report("release again", vm_fdc_drive_release_image(drive), drive) == VM_FDC_VM_E_NO_MEDIA_CAPTURED,
           "nothing is attached any more");
    expect(vm_fdc_free(vm) == VM_FDC_S_OK, "the machine is freed");
    expect(report("attach to no machine", vm_fdc_drive_attach_image(drive, argv[1], NULL), drive) == VM_FDC_VM_E_VM_UNKNOWN,
           "the machine of the drive does not exist any more");
    expect(vm_fdc_drive_free(drive) == VM_FDC_S_OK, "the handle is freed");
    return EXIT_SUCCESS;
}
