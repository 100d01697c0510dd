/* Attaches the disk in a container, lets the guest write to it and saves it, and attaches what is none. Prints each check that
 * fails, and exits with a failure if there was one. The arguments are a Teledisk file of 3 cylinders by 2 heads by 18 sectors
 * of 512 bytes, and a directory for files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "vm_fdc.h"

static uint8_t ram[1 << 16];

static void out(vm_fdc_t *vm, uint16_t port, uint8_t value)
{
    IS(VM_FDC_S_OK, vm_fdc_write(vm, port, &value, 1));
}

/* Performs READ DATA (0x46) or WRITE DATA (0x45) of the first sector, from or to the start of RAM. Returns ST1. */
static uint8_t transfer(vm_fdc_t *vm, uint8_t command)
{
    const uint8_t bytes[] = {command, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF};
    const uint8_t dma[][2] = {{0x0A, 6}, {0x0C, 0}, {0x0B, command == 0x46 ? 0x46 : 0x4A}, {0x04, 0}, {0x04, 0},
                              {0x81, 0}, {0x05, 0xFF}, {0x05, 1}, {0x0A, 2}};
    uint8_t result[7] = {0};
    size_t i;

    out(vm, 0x3F2, 0x1C);
    out(vm, 0x3F7, 0);
    for (i = 0; i < sizeof dma / sizeof *dma; i++)
        out(vm, dma[i][0], dma[i][1]);
    for (i = 0; i < sizeof bytes; i++)
        out(vm, 0x3F5, bytes[i]);
    for (i = 0; i < sizeof result; i++)
        IS(VM_FDC_S_OK, vm_fdc_read(vm, 0x3F5, &result[i], 1));
    return result[1];
}

/* Checks that the message of the last failure of the drive has a text in it. */
static void message_has(const vm_fdc_drive_t *drive, const char *text)
{
    char message[1024];
    IS(VM_FDC_S_OK, vm_fdc_drive_last_error(drive, message, sizeof message, NULL));
    if (!strstr(message, text)) {
        fprintf(stderr, "\"%s\" is not in: %s\n", text, message);
        failures++;
    }
}

static void create(const char *path, const char *head, long length)
{
    FILE *file = fopen(path, "wb");
    TRUE(file && fputs(head, file) >= 0 && fseek(file, length - 1, SEEK_SET) == 0 && fputc(0, file) == 0);
    if (file)
        fclose(file);
}

int main(int argc, char **argv)
{
    const uint32_t form = VM_FDC_FORM_OF_FILE;
    vm_fdc_config_t config;
    vm_fdc_t *vm = NULL;
    vm_fdc_drive_t *drive = NULL;
    uint32_t attachment = 99;
    char path[1024], name[1024];
    uint8_t sector[512];
    FILE *saved;

    if (argc != 3)
        return EXIT_FAILURE;
    IS(VM_FDC_S_OK, vm_fdc_config_init(&config, sizeof config));
    config.drives[0] = VM_FDC_DRIVE_1440K;
    config.ram = ram;
    config.ram_length = sizeof ram;
    IS(VM_FDC_S_OK, vm_fdc_new(&config, &vm));
    IS(VM_FDC_S_OK, vm_fdc_drive(vm, 0, &drive));

    /* Arguments. */
    IS(VM_FDC_E_POINTER, vm_fdc_drive_attach_container(NULL, argv[1], form, 0, 0));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_attach_container(drive, NULL, form, 0, 0));
    IS(VM_FDC_E_INVALIDARG, vm_fdc_drive_attach_container(drive, argv[1], 3, 0, 0));
    IS(VM_FDC_E_INVALIDARG, vm_fdc_drive_attach_container(drive, argv[1], form, 0, 2));
    IS(VM_FDC_ERROR_BAD_PATHNAME, vm_fdc_drive_attach_container(drive, "", form, 0, 0));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_medium_name(NULL, name, sizeof name, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_medium_name(drive, NULL, 1, NULL));
    IS(VM_FDC_S_FALSE, vm_fdc_drive_medium_name(drive, name, sizeof name, NULL));

    /* What cannot be attached. */
    IS(VM_FDC_VM_E_IMAGE_CAPTURE_FAIL, vm_fdc_drive_attach_image(drive, argv[1], NULL));
    message_has(drive, "the file is a Teledisk (TD0) file with advanced compression, not a raw image; attach it as a container");
    IS(VM_FDC_VM_E_IMAGE_CAPTURE_FAIL, vm_fdc_drive_attach_container(drive, "no such file", form, 0, 0));
    message_has(drive, "cannot read the file");
    IS(VM_FDC_VM_E_IMAGE_CAPTURE_FAIL, vm_fdc_drive_attach_container(drive, argv[1], form, 1, 0));
    message_has(drive, "the file has 1 disk, counted from 0, and no disk 1");
    IS(VM_FDC_E_INVALIDARG, vm_fdc_drive_attach_container(drive, argv[1], VM_FDC_FORM_5_25, 0, 0));
    message_has(drive, "cannot hold a 5.25\" disk of 3 cylinders");
    snprintf(path, sizeof path, "%s/a.imd", argv[2]);
    create(path, "IMD 1.18: 01/01/2020 00:00:00\r\n\x1A\x05", 40);
    IS(VM_FDC_VM_E_IMAGE_CAPTURE_FAIL, vm_fdc_drive_attach_container(drive, path, form, 0, 0));
    message_has(drive, "the file is an ImageDisk (IMD) file, damaged at byte");
    snprintf(path, sizeof path, "%s/a.zip", argv[2]);
    create(path, "PK\x03\x04", 100);
    IS(VM_FDC_VM_E_IMAGE_CAPTURE_FAIL, vm_fdc_drive_attach_container(drive, path, form, 0, 0));
    message_has(drive, "a zip archive, which the library does not open; extract the image");

    /* The message names the option as C does, and the path as it is. */
    snprintf(path, sizeof path, "%s/Length::Pad.img", argv[2]);
    create(path, "", 1296384);
    IS(VM_FDC_VM_E_IMAGE_CAPTURE_FAIL, vm_fdc_drive_attach_image(drive, path, NULL));
    message_has(drive, "attach it with the option VM_FDC_LENGTH_PAD or VM_FDC_LENGTH_TRUNCATE");
    message_has(drive, "/Length::Pad.img: 1296384 bytes");

    /* A write-protected disk, and one that the guest writes. */
    IS(VM_FDC_S_OK, vm_fdc_drive_attach_container(drive, argv[1], form, 0, 1));
    IS(VM_FDC_S_OK, vm_fdc_drive_is_write_protected(drive));
    IS(VM_FDC_VM_E_DRIVE_IN_USE, vm_fdc_drive_attach_container(drive, argv[1], form, 0, 0));
    TRUE(transfer(vm, 0x45) == 0x02); /* NW */
    IS(VM_FDC_S_OK, vm_fdc_drive_release_image(drive));
    IS(VM_FDC_S_OK, vm_fdc_drive_attach_container(drive, argv[1], form, 0, 0));
    IS(VM_FDC_S_FALSE, vm_fdc_drive_is_write_protected(drive));
    IS(VM_FDC_S_OK, vm_fdc_drive_attachment(drive, &attachment));
    TRUE(attachment == VM_FDC_ATTACHMENT_IMAGE);
    IS(VM_FDC_S_OK, vm_fdc_drive_medium_name(drive, name, sizeof name, NULL));
    TRUE(strcmp(name, argv[1]) == 0);
    IS(VM_FDC_S_FALSE, vm_fdc_drive_image_file(drive, name, sizeof name, NULL));
    TRUE(transfer(vm, 0x46) == 0);
    TRUE(ram[0] == 1 && ram[1] == 0 && ram[97] == 98);
    memset(ram, 0xA5, sizeof sector);
    TRUE(transfer(vm, 0x45) == 0);
    snprintf(path, sizeof path, "%s/saved.img", argv[2]);
    IS(VM_FDC_S_OK, vm_fdc_drive_save_image(drive, path, VM_FDC_IF_EXISTS_FAIL));
    saved = fopen(path, "rb");
    TRUE(saved && fread(sector, 1, sizeof sector, saved) == sizeof sector && memcmp(sector, ram, sizeof sector) == 0);
    TRUE(saved && fseek(saved, 0, SEEK_END) == 0 && ftell(saved) == 3 * 2 * 18 * 512);
    if (saved)
        fclose(saved);
    IS(VM_FDC_S_OK, vm_fdc_drive_release_image(drive));

    IS(VM_FDC_S_OK, vm_fdc_free(vm));
    IS(VM_FDC_VM_E_VM_UNKNOWN, vm_fdc_drive_attach_container(drive, argv[1], form, 0, 0));
    IS(VM_FDC_S_OK, vm_fdc_drive_free(drive));
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
