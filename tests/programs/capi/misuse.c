/* Mistakes of a caller and the codes that they return: null pointers, invalid numbers, structures of other versions, calls
 * within callbacks and from two threads, and drives whose machine is destroyed. Prints each check that fails, and exits with
 * a failure if there was one. The arguments are a 1.44M image and a directory for files. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "vm_fdc.h"

static uint8_t ram[1 << 16];

static vm_fdc_config_t config_of(uint32_t drive)
{
    vm_fdc_config_t config;
    memset(&config, 0xAA, sizeof config);
    IS(VM_FDC_S_OK, vm_fdc_config_init(&config, sizeof config));
    config.drives[0] = drive;
    config.ram = ram;
    config.ram_length = sizeof ram;
    return config;
}

static vm_fdc_t *machine_of(const vm_fdc_config_t *config)
{
    vm_fdc_t *vm = NULL;
    IS(VM_FDC_S_OK, vm_fdc_new(config, &vm));
    if (!vm)
        exit(EXIT_FAILURE);
    return vm;
}

static vm_fdc_drive_t *drive_of(vm_fdc_t *vm)
{
    vm_fdc_drive_t *drive = NULL;
    IS(VM_FDC_S_OK, vm_fdc_drive(vm, 0, &drive));
    if (!drive)
        exit(EXIT_FAILURE);
    return drive;
}

static uint32_t observer(void *context, uint32_t event, uint32_t drive, const char *path)
{
    (void)context, (void)event, (void)drive, (void)path;
    return 1;
}

static void null_pointers(const char *image)
{
    vm_fdc_config_t config = config_of(VM_FDC_DRIVE_1440K);
    vm_fdc_t *vm = machine_of(&config), *none = (vm_fdc_t *)&config;
    vm_fdc_drive_t *drive = drive_of(vm), *no_drive = drive;
    vm_fdc_layout_t layout;
    uint64_t time;
    uint32_t number;
    uint8_t byte;
    size_t needed = 0;
    char text[256];

    IS(VM_FDC_E_POINTER, vm_fdc_config_init(NULL, sizeof config));
    IS(VM_FDC_E_POINTER, vm_fdc_new(&config, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_new(NULL, &none));
    TRUE(none == NULL);
    IS(VM_FDC_S_OK, vm_fdc_last_error(text, sizeof text, NULL));
    TRUE(strcmp(text, "config is null") == 0);
    IS(VM_FDC_S_OK, vm_fdc_free(NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_read(NULL, 0x3F4, &byte, 1));
    IS(VM_FDC_E_POINTER, vm_fdc_read(vm, 0x3F4, NULL, 1));
    IS(VM_FDC_E_POINTER, vm_fdc_write(NULL, 0x3F4, &byte, 1));
    IS(VM_FDC_E_POINTER, vm_fdc_write(vm, 0x3F4, NULL, 1));
    IS(VM_FDC_E_POINTER, vm_fdc_read_string(NULL, 0x3F5, 1, &byte, 1));
    IS(VM_FDC_E_POINTER, vm_fdc_read_string(vm, 0x3F5, 1, NULL, 1));
    IS(VM_FDC_E_POINTER, vm_fdc_write_string(NULL, 0x3F5, 1, &byte, 1));
    IS(VM_FDC_E_POINTER, vm_fdc_write_string(vm, 0x3F5, 1, NULL, 1));
    IS(VM_FDC_E_POINTER, vm_fdc_advance(NULL, 1));
    IS(VM_FDC_E_POINTER, vm_fdc_next_event(NULL, &time));
    IS(VM_FDC_E_POINTER, vm_fdc_next_event(vm, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_reset(NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_service_dma(NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_interrupt_level(NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_count(NULL, &number));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_count(vm, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive(NULL, 0, &no_drive));
    IS(VM_FDC_E_POINTER, vm_fdc_drive(vm, 0, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_clone(NULL, &no_drive));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_clone(drive, NULL));
    IS(VM_FDC_S_OK, vm_fdc_drive_free(NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_last_error(NULL, text, sizeof text, &needed));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_last_error(drive, NULL, 1, &needed));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_last_error(drive, NULL, 0, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_last_error(NULL, 1, &needed));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_number(NULL, &number));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_number(drive, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_type(NULL, &number));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_type(drive, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_attachment(NULL, &number));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_attachment(drive, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_image_type(NULL, &number));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_image_type(drive, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_layout(NULL, &layout));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_layout(drive, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_image_file(NULL, text, sizeof text, &needed));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_image_file(drive, NULL, 1, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_host_drive(NULL, text, sizeof text, &needed));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_host_drive(drive, NULL, 1, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_attach_image(NULL, image, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_attach_image(drive, NULL, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_release_image(NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_attach_host_drive(NULL, image, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_attach_host_drive(drive, NULL, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_release_host_drive(NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_check_host_drive(NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_swap_image(NULL, image, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_swap_image(drive, NULL, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_flush(NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_force_release(NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_save_image(NULL, image, VM_FDC_IF_EXISTS_FAIL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_save_image(drive, NULL, VM_FDC_IF_EXISTS_FAIL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_observe(NULL, observer, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_observe(drive, NULL, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_layout_of(VM_FDC_DRIVE_1440K, 1474560, NULL));
    IS(VM_FDC_E_POINTER, vm_fdc_create_image(image, NULL, 0, NULL, VM_FDC_IF_EXISTS_FAIL));
    IS(VM_FDC_S_OK, vm_fdc_layout_of(VM_FDC_DRIVE_1440K, 1474560, &layout));
    IS(VM_FDC_E_POINTER, vm_fdc_create_image(NULL, &layout, 0, NULL, VM_FDC_IF_EXISTS_FAIL));

    IS(VM_FDC_S_OK, vm_fdc_drive_free(drive));
    IS(VM_FDC_S_OK, vm_fdc_free(vm));
}

static void refused(const vm_fdc_config_t *config)
{
    vm_fdc_t *vm = (vm_fdc_t *)config;
    char text[256];
    IS(VM_FDC_E_INVALIDARG, vm_fdc_new(config, &vm));
    TRUE(vm == NULL);
    IS(VM_FDC_S_OK, vm_fdc_last_error(text, sizeof text, NULL));
    TRUE(strlen(text) > 0);
}

static void no_read(void *context, uint64_t address, uint8_t *data, size_t length)
{
    (void)context, (void)address, (void)data, (void)length;
}

static vm_fdc_moved_t no_dma(void *context, const uint8_t *data, size_t length)
{
    vm_fdc_moved_t moved = {0, 0};
    (void)context, (void)data, (void)length;
    return moved;
}

static void bad_configurations(void)
{
    const vm_fdc_config_t good = config_of(VM_FDC_DRIVE_1440K);
    vm_fdc_config_t config;
    struct {
        vm_fdc_config_t config;
        char more[64];
    } later;
    vm_fdc_t *vm;

#define BAD(member, value)                                                                                             \
    (config = good, config.member = (value), refused(&config))
    BAD(drives[3], 6);
    BAD(drives[0], UINT32_MAX);
    BAD(interface_mode, 3);
    BAD(timing, 2);
    BAD(empty_drive, 2);
    BAD(end_delay, 3);
    BAD(fifo_after_overrun, 2);
    BAD(power_on, 2);
    BAD(scan_commands, 2);
    BAD(channel, 4);
    BAD(base, 0xFFF9);
    BAD(size, 0);
    BAD(size, sizeof config - 1);
    BAD(size, SIZE_MAX);
    BAD(ram, NULL); /* and no other memory */
    BAD(memory.read, no_read); /* although there is RAM */
    BAD(dma.device_to_memory, no_dma);
    config = good, config.ram = NULL, config.memory.read = no_read; /* without a function to write */
    refused(&config);
    config = good, config.ram = NULL, config.dma.device_to_memory = no_dma;
    refused(&config);

    /* A caller of a later version. */
    memset(&later, 0xAA, sizeof later);
    IS(VM_FDC_S_OK, vm_fdc_config_init(&later.config, sizeof later));
    TRUE(later.config.size == sizeof later && later.more[63] == 0);
    later.config.ram = ram;
    later.config.ram_length = sizeof ram;
    vm = machine_of(&later.config);
    IS(VM_FDC_S_OK, vm_fdc_free(vm));
    later.more[63] = 1;
    refused(&later.config);
    IS(VM_FDC_E_INVALIDARG, vm_fdc_config_init(&config, 8));
}

static void bad_numbers(const char *image, const char *directory)
{
    vm_fdc_config_t config = config_of(VM_FDC_DRIVE_1440K);
    vm_fdc_t *vm = machine_of(&config);
    vm_fdc_drive_t *drive = drive_of(vm), *none;
    vm_fdc_image_options_t options = {0};
    vm_fdc_layout_t layout = {0}, found;
    uint8_t bytes[8];
    uint32_t number;
    char path[1024], longest[1 << 17], text[1024];
    static const uint32_t numbers[] = {1, 3, 4, 255, 256, UINT32_MAX};
    size_t i, needed;

    for (i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        none = drive;
        IS(VM_FDC_DISP_E_BADINDEX, vm_fdc_drive(vm, numbers[i], &none));
        TRUE(none == NULL);
    }
    IS(VM_FDC_S_OK, vm_fdc_drive_count(vm, &number));
    TRUE(number == 1);

    for (i = 0; i < 9; i++)
        if (i != 1 && i != 2 && i != 4) {
            IS(VM_FDC_E_INVALIDARG, vm_fdc_read(vm, 0x3F0, bytes, i));
            IS(VM_FDC_E_INVALIDARG, vm_fdc_write(vm, 0x3F0, bytes, i));
            IS(VM_FDC_E_INVALIDARG, vm_fdc_read_string(vm, 0x3F5, i, bytes, 0));
        }
    IS(VM_FDC_E_INVALIDARG, vm_fdc_read_string(vm, 0x3F5, 4, bytes, SIZE_MAX / 4 + 2));
    IS(VM_FDC_E_INVALIDARG, vm_fdc_write_string(vm, 0x3F5, 1, bytes, SIZE_MAX));
    IS(VM_FDC_S_FALSE, vm_fdc_read_string(vm, 0x3F5, 1, bytes, 0));
    IS(VM_FDC_S_FALSE, vm_fdc_read(vm, 0x3F6, bytes, 1));
    TRUE(bytes[0] == 0xFF);
    memset(bytes, 0, sizeof bytes);
    IS(VM_FDC_S_FALSE, vm_fdc_read(vm, 0xFFFF, bytes, 4)); /* beyond the last port */
    TRUE(bytes[0] == 0xFF && bytes[3] == 0xFF && bytes[4] == 0);
    IS(VM_FDC_S_OK, vm_fdc_advance(vm, UINT64_MAX));

#define BAD_OPTION(member, value)                                                                                      \
    (memset(&options, 0, sizeof options), options.size = sizeof options, options.member = (value),                     \
     is(VM_FDC_E_INVALIDARG, vm_fdc_drive_attach_image(drive, image, &options), #member, __LINE__),                    \
     is(VM_FDC_E_INVALIDARG, vm_fdc_drive_attach_host_drive(drive, image, &options), #member, __LINE__),               \
     is(VM_FDC_E_INVALIDARG, vm_fdc_drive_swap_image(drive, image, &options), #member, __LINE__))
    BAD_OPTION(access, 4);
    BAD_OPTION(backing, 2);
    BAD_OPTION(durability, 3);
    BAD_OPTION(length, 4);
    BAD_OPTION(lock, 3);
    IS(VM_FDC_E_INVALIDARG, vm_fdc_drive_set_write_protected(drive, 2));
    IS(VM_FDC_VM_E_NO_MEDIA_CAPTURED, vm_fdc_drive_set_write_protected(drive, 1));
    IS(VM_FDC_S_FALSE, vm_fdc_drive_is_write_protected(drive));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_set_write_protected(NULL, 1));
    IS(VM_FDC_E_POINTER, vm_fdc_drive_is_write_protected(NULL));
    BAD_OPTION(boot_sector_geometry, 2);
    BAD_OPTION(reformat, 2);
    BAD_OPTION(layout.kind, 4);
    BAD_OPTION(layout.kind, VM_FDC_LAYOUT_REGULAR); /* of 0 cylinders */
    BAD_OPTION(size, 0);
    BAD_OPTION(size, sizeof options - 1);
    BAD_OPTION(size, SIZE_MAX);

    IS(VM_FDC_E_INVALIDARG, vm_fdc_layout_of(VM_FDC_DRIVE_NONE, 1474560, &found));
    IS(VM_FDC_E_INVALIDARG, vm_fdc_layout_of(6, 1474560, &found));
    IS(VM_FDC_E_INVALIDARG, vm_fdc_layout_of(VM_FDC_DRIVE_1440K, 1474561, &found));
    IS(VM_FDC_E_INVALIDARG, vm_fdc_layout_of(VM_FDC_DRIVE_1200K, 409600, &found)); /* 400K and RX50 */
    IS(VM_FDC_S_OK, vm_fdc_layout_of(VM_FDC_DRIVE_1440K, 80 * 2 * 23 * 512, &found));
    TRUE(found.kind == VM_FDC_LAYOUT_XDF);
    IS(VM_FDC_S_OK, vm_fdc_layout_of(VM_FDC_DRIVE_1200K, 80 * 2 * 19 * 512, &found));
    TRUE(found.kind == VM_FDC_LAYOUT_XDF_5_25 && found.form_factor == VM_FDC_FORM_5_25);
    IS(VM_FDC_S_OK, vm_fdc_layout_of(VM_FDC_DRIVE_1440K, 1474560, &found));
    TRUE(found.kind == VM_FDC_LAYOUT_REGULAR && found.cylinders == 80 && found.heads == 2 && found.sectors == 18
         && found.size_code == 2 && found.rate == VM_FDC_RATE_500 && found.form_factor == VM_FDC_FORM_3_5);

    snprintf(path, sizeof path, "%s/new.img", directory);
    IS(VM_FDC_E_INVALIDARG, vm_fdc_create_image(path, &layout, 0xF6, NULL, VM_FDC_IF_EXISTS_FAIL)); /* without a size */
    IS(VM_FDC_E_INVALIDARG, vm_fdc_create_image(path, &found, 0x100, NULL, VM_FDC_IF_EXISTS_FAIL));
    IS(VM_FDC_E_INVALIDARG, vm_fdc_create_image(path, &found, 0xF6, NULL, 2));
    IS(VM_FDC_E_INVALIDARG, vm_fdc_create_image(path, &found, 0xF6, "\xFF", VM_FDC_IF_EXISTS_FAIL));
    IS(VM_FDC_ERROR_BAD_PATHNAME, vm_fdc_create_image("", &found, 0xF6, NULL, VM_FDC_IF_EXISTS_FAIL));
    layout = found, layout.rate = 4;
    IS(VM_FDC_E_INVALIDARG, vm_fdc_create_image(path, &layout, 0xF6, NULL, VM_FDC_IF_EXISTS_FAIL));
    layout = found, layout.form_factor = 2;
    IS(VM_FDC_E_INVALIDARG, vm_fdc_create_image(path, &layout, 0xF6, NULL, VM_FDC_IF_EXISTS_FAIL));
    IS(VM_FDC_S_OK, vm_fdc_create_image(path, &found, 0xF6, NULL, VM_FDC_IF_EXISTS_FAIL));
    IS(VM_FDC_DISP_E_EXCEPTION, vm_fdc_create_image(path, &found, 0xF6, NULL, VM_FDC_IF_EXISTS_FAIL)); /* it exists */

    /* A disk that was never formatted. */
    snprintf(path, sizeof path, "%s/blank.img", directory);
    IS(VM_FDC_E_POINTER, vm_fdc_create_unformatted_image(NULL, VM_FDC_IF_EXISTS_FAIL));
    IS(VM_FDC_E_INVALIDARG, vm_fdc_create_unformatted_image(path, 2));
    IS(VM_FDC_S_OK, vm_fdc_create_unformatted_image(path, VM_FDC_IF_EXISTS_FAIL));
    IS(VM_FDC_DISP_E_EXCEPTION, vm_fdc_create_unformatted_image(path, VM_FDC_IF_EXISTS_FAIL));
    IS(VM_FDC_VM_E_IMAGE_CAPTURE_FAIL, vm_fdc_drive_attach_image(drive, path, NULL));
    memset(&options, 0, sizeof options), options.size = sizeof options, options.reformat = 1;
    IS(VM_FDC_E_INVALIDARG, vm_fdc_drive_attach_host_drive(drive, path, &options));
    options.backing = VM_FDC_BACKING_MAPPED;
    IS(VM_FDC_VM_E_IMAGE_CAPTURE_FAIL, vm_fdc_drive_attach_image(drive, path, &options));
    options.backing = VM_FDC_BACKING_MEMORY;
    IS(VM_FDC_S_OK, vm_fdc_drive_attach_image(drive, path, &options));
    IS(VM_FDC_S_FALSE, vm_fdc_drive_layout(drive, &found));
    IS(VM_FDC_S_OK, vm_fdc_drive_release_image(drive));
    snprintf(path, sizeof path, "%s/new.img", directory);

    /* Outcomes of the drive layer. */
    IS(VM_FDC_ERROR_BAD_PATHNAME, vm_fdc_drive_attach_image(drive, "", NULL));
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    IS(VM_FDC_ERROR_BUFFER_OVERFLOW, vm_fdc_drive_attach_image(drive, longest, NULL));
    IS(VM_FDC_VM_E_IMAGE_CAPTURE_FAIL, vm_fdc_drive_attach_image(drive, "missing", NULL));
    IS(VM_FDC_E_INVALIDARG, vm_fdc_drive_attach_host_drive(drive, directory, NULL));
    IS(VM_FDC_VM_E_NO_MEDIA_CAPTURED, vm_fdc_drive_release_image(drive));
    IS(VM_FDC_VM_E_NO_MEDIA_CAPTURED, vm_fdc_drive_release_host_drive(drive));
    IS(VM_FDC_VM_E_NO_MEDIA_CAPTURED, vm_fdc_drive_flush(drive));
    IS(VM_FDC_VM_E_NO_MEDIA_CAPTURED, vm_fdc_drive_force_release(drive));
    IS(VM_FDC_VM_E_NO_MEDIA_CAPTURED, vm_fdc_drive_save_image(drive, path, VM_FDC_IF_EXISTS_REPLACE));
    IS(VM_FDC_E_INVALIDARG, vm_fdc_drive_save_image(drive, path, 2));
    IS(VM_FDC_S_FALSE, vm_fdc_drive_check_host_drive(drive));
    IS(VM_FDC_S_FALSE, vm_fdc_drive_layout(drive, &layout));
    IS(VM_FDC_S_FALSE, vm_fdc_drive_image_file(drive, text, sizeof text, &needed));
    TRUE(needed == 1 && text[0] == 0);
    IS(VM_FDC_S_OK, vm_fdc_drive_attach_image(drive, path, NULL));
    IS(VM_FDC_VM_E_DRIVE_IN_USE, vm_fdc_drive_attach_image(drive, path, NULL));
    IS(VM_FDC_VM_E_MEDIA_WRONG_TYPE, vm_fdc_drive_release_host_drive(drive));
    IS(VM_FDC_S_OK, vm_fdc_drive_flush(drive));

    /* Texts and the sizes of their buffers. */
    IS(VM_FDC_S_OK, vm_fdc_drive_image_file(drive, NULL, 0, &needed));
    TRUE(needed == strlen(path) + 1);
    IS(VM_FDC_ERROR_BUFFER_OVERFLOW, vm_fdc_drive_image_file(drive, text, 0, NULL));
    IS(VM_FDC_ERROR_BUFFER_OVERFLOW, vm_fdc_drive_image_file(drive, text, 1, NULL));
    TRUE(text[0] == 0);
    memset(text, 'x', sizeof text);
    IS(VM_FDC_ERROR_BUFFER_OVERFLOW, vm_fdc_drive_image_file(drive, text, strlen(path), NULL));
    TRUE(strlen(text) == strlen(path) - 1 && strncmp(text, path, strlen(text)) == 0);
    IS(VM_FDC_S_OK, vm_fdc_drive_image_file(drive, text, strlen(path) + 1, NULL));
    TRUE(strcmp(text, path) == 0);
    IS(VM_FDC_S_FALSE, vm_fdc_drive_host_drive(drive, text, sizeof text, NULL));
    IS(VM_FDC_ERROR_BUFFER_OVERFLOW, vm_fdc_drive_last_error(drive, text, 8, &needed));
    TRUE(needed > 8 && strcmp(text, "drive 0") == 0); /* the last failure, not the one of the small buffer */

    IS(VM_FDC_S_OK, vm_fdc_drive_force_release(drive));
    IS(VM_FDC_S_OK, vm_fdc_drive_free(drive));
    IS(VM_FDC_S_OK, vm_fdc_free(vm));
}

/* A machine whose callbacks make calls that are not allowed. */
struct reentry {
    vm_fdc_t *vm;
    vm_fdc_drive_t *drive;
    const char *image;
    unsigned interrupts, transfers, events;
};

static void on_interrupt(void *context, uint8_t irq, bool high)
{
    struct reentry *it = context;
    uint8_t byte;
    (void)high;
    it->interrupts++;
    TRUE(irq == 7);
    IS(VM_FDC_E_INVALIDARG, vm_fdc_read(it->vm, 0x3F4, &byte, 1));
    IS(VM_FDC_E_INVALIDARG, vm_fdc_free(it->vm));
    IS(VM_FDC_E_INVALIDARG, vm_fdc_drive_release_image(it->drive));
}

static vm_fdc_moved_t on_read(void *context, const uint8_t *data, size_t length)
{
    struct reentry *it = context;
    vm_fdc_moved_t moved = {SIZE_MAX, 1}; /* more than was offered */
    uint32_t number;
    (void)data;
    it->transfers++;
    TRUE(length > 0);
    IS(VM_FDC_E_INVALIDARG, vm_fdc_service_dma(it->vm));
    IS(VM_FDC_E_INVALIDARG, vm_fdc_drive_attachment(it->drive, &number)); /* the transfer holds the drive */
    IS(VM_FDC_E_INVALIDARG, vm_fdc_drive_flush(it->drive));
    return moved;
}

static vm_fdc_moved_t on_write(void *context, uint8_t *data, size_t length)
{
    return on_read(context, data, length);
}

static uint32_t on_media(void *context, uint32_t event, uint32_t drive, const char *path)
{
    struct reentry *it = context;
    uint32_t number;
    vm_fdc_drive_t *copy = NULL;
    it->events++;
    TRUE(drive == 0 && path != NULL);
    IS(VM_FDC_S_OK, vm_fdc_drive_attachment(it->drive, &number));
    TRUE(number == (event == VM_FDC_MEDIA_INSERTED ? VM_FDC_ATTACHMENT_IMAGE : VM_FDC_ATTACHMENT_NONE));
    IS(VM_FDC_E_INVALIDARG, vm_fdc_drive_attach_image(it->drive, it->image, NULL));
    IS(VM_FDC_E_INVALIDARG, vm_fdc_drive_release_image(it->drive));
    IS(VM_FDC_E_INVALIDARG, vm_fdc_drive_observe(it->drive, observer, NULL));
    IS(VM_FDC_E_INVALIDARG, vm_fdc_free(it->vm));
    IS(VM_FDC_S_OK, vm_fdc_drive_clone(it->drive, &copy));
    IS(VM_FDC_S_OK, vm_fdc_drive_free(copy));
    return it->events < 3;
}

static void command(vm_fdc_t *vm, const uint8_t *bytes, size_t count)
{
    size_t i;
    for (i = 0; i < count; i++)
        IS(VM_FDC_S_OK, vm_fdc_write(vm, 0x375, &bytes[i], 1));
}

static void calls_from_within_callbacks(const char *image)
{
    static const uint8_t read[] = {0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF};
    struct reentry it = {0};
    vm_fdc_config_t config = config_of(VM_FDC_DRIVE_1440K);
    vm_fdc_image_options_t options = {0};
    uint8_t byte = 0x1C;
    int i;

    config.ram = NULL;
    config.dma.context = &it;
    config.dma.device_to_memory = on_read;
    config.dma.memory_to_device = on_write;
    config.interrupt = on_interrupt;
    config.interrupt_context = &it;
    config.base = 0x370;
    config.irq = 7;
    it.vm = machine_of(&config);
    it.drive = drive_of(it.vm);
    it.image = image;
    options.size = sizeof options;
    options.access = VM_FDC_ACCESS_PRIVATE;
    IS(VM_FDC_S_OK, vm_fdc_drive_observe(it.drive, on_media, &it));
    for (i = 0; i < 2; i++) {
        IS(VM_FDC_S_OK, vm_fdc_drive_attach_image(it.drive, image, &options));
        if (i == 0)
            IS(VM_FDC_S_OK, vm_fdc_drive_release_image(it.drive));
    }
    TRUE(it.events == 3); /* the observer ended the observation */

    IS(VM_FDC_S_FALSE, vm_fdc_write(it.vm, 0x0A, &byte, 1)); /* the library does not own the DMA controller */
    IS(VM_FDC_S_OK, vm_fdc_write(it.vm, 0x372, &byte, 1));
    byte = 0;
    IS(VM_FDC_S_OK, vm_fdc_write(it.vm, 0x377, &byte, 1));
    command(it.vm, read, sizeof read);
    TRUE(it.transfers == 1 && it.interrupts > 0);
    for (i = 0; i < 7; i++)
        IS(VM_FDC_S_OK, vm_fdc_read(it.vm, 0x375, &byte, 1));
    IS(VM_FDC_S_OK, vm_fdc_reset(it.vm));
    IS(VM_FDC_S_OK, vm_fdc_free(it.vm));
    TRUE(it.events == 3);
    IS(VM_FDC_S_OK, vm_fdc_drive_free(it.drive));
}

/* A second thread that calls during another call. */
static void *intrude(void *vm)
{
    uint8_t byte;
    IS(VM_FDC_E_INVALIDARG, vm_fdc_read(vm, 0x3F4, &byte, 1));
    IS(VM_FDC_E_INVALIDARG, vm_fdc_free(vm));
    return NULL;
}

static void intruded(void *context, uint8_t irq, bool high)
{
    pthread_t thread;
    (void)irq, (void)high;
    TRUE(pthread_create(&thread, NULL, intrude, *(vm_fdc_t **)context) == 0 && pthread_join(thread, NULL) == 0);
}

static void two_threads(void)
{
    vm_fdc_config_t config = config_of(VM_FDC_DRIVE_1440K);
    vm_fdc_t *vm = NULL;
    uint8_t byte = 0x0C;
    config.interrupt = intruded;
    config.interrupt_context = &vm;
    vm = machine_of(&config);
    IS(VM_FDC_S_OK, vm_fdc_write(vm, 0x3F2, &byte, 1)); /* out of reset: it interrupts */
    IS(VM_FDC_S_OK, vm_fdc_interrupt_level(vm));
    IS(VM_FDC_S_OK, vm_fdc_free(vm));
}

static void a_drive_without_its_machine(const char *image)
{
    vm_fdc_config_t config = config_of(VM_FDC_DRIVE_2880K);
    vm_fdc_t *vm = machine_of(&config);
    vm_fdc_drive_t *drive = drive_of(vm), *copy = NULL;
    vm_fdc_image_options_t options = {0};
    uint32_t number = 99;
    char text[256];

    options.size = sizeof options;
    options.access = VM_FDC_ACCESS_READ_ONLY;
    IS(VM_FDC_S_FALSE, vm_fdc_drive_last_error(drive, text, sizeof text, NULL)); /* nothing has failed yet */
    IS(VM_FDC_S_OK, vm_fdc_drive_attach_image(drive, image, &options));
    IS(VM_FDC_S_OK, vm_fdc_free(vm));

    IS(VM_FDC_S_OK, vm_fdc_drive_number(drive, &number));
    TRUE(number == 0);
    IS(VM_FDC_S_OK, vm_fdc_drive_type(drive, &number));
    TRUE(number == VM_FDC_DRIVE_2880K);
    IS(VM_FDC_S_OK, vm_fdc_drive_attachment(drive, &number));
    TRUE(number == VM_FDC_ATTACHMENT_NONE);
    IS(VM_FDC_S_OK, vm_fdc_drive_image_type(drive, &number));
    TRUE(number == VM_FDC_IMAGE_UNKNOWN);
    IS(VM_FDC_S_FALSE, vm_fdc_drive_image_file(drive, text, sizeof text, NULL));
    IS(VM_FDC_VM_E_VM_UNKNOWN, vm_fdc_drive_attach_image(drive, image, &options));
    IS(VM_FDC_VM_E_VM_UNKNOWN, vm_fdc_drive_attach_host_drive(drive, image, &options));
    IS(VM_FDC_VM_E_VM_UNKNOWN, vm_fdc_drive_release_image(drive));
    IS(VM_FDC_VM_E_VM_UNKNOWN, vm_fdc_drive_release_host_drive(drive));
    IS(VM_FDC_VM_E_VM_UNKNOWN, vm_fdc_drive_swap_image(drive, image, &options));
    IS(VM_FDC_VM_E_VM_UNKNOWN, vm_fdc_drive_flush(drive));
    IS(VM_FDC_VM_E_VM_UNKNOWN, vm_fdc_drive_force_release(drive));
    IS(VM_FDC_VM_E_VM_UNKNOWN, vm_fdc_drive_save_image(drive, "saved.img", VM_FDC_IF_EXISTS_FAIL));
    IS(VM_FDC_VM_E_VM_UNKNOWN, vm_fdc_drive_check_host_drive(drive));
    IS(VM_FDC_S_OK, vm_fdc_drive_last_error(drive, text, sizeof text, NULL));
    TRUE(strcmp(text, "drive 0: its virtual machine is gone; use a drive of another one") == 0);
    IS(VM_FDC_S_OK, vm_fdc_drive_clone(drive, &copy));
    IS(VM_FDC_S_OK, vm_fdc_drive_free(drive));
    IS(VM_FDC_VM_E_VM_UNKNOWN, vm_fdc_drive_flush(copy));
    IS(VM_FDC_S_OK, vm_fdc_drive_free(copy));
}

/* Writes the first sector of drive 0 with DMA from address 0. */
static void write_sector(vm_fdc_t *vm)
{
    static const uint16_t accesses[][2] = {
        {0x0A, 6},    {0x0C, 0},    {0x0B, 0x4A}, {0x04, 0},    {0x04, 0},    {0x81, 0},  {0x05, 0xFF}, {0x05, 1},
        {0x0A, 2},    {0x3F2, 0x1C}, {0x3F7, 0},  {0x3F5, 0x45}, {0x3F5, 0},  {0x3F5, 0}, {0x3F5, 0},  {0x3F5, 1},
        {0x3F5, 2},   {0x3F5, 18},  {0x3F5, 0x1B}, {0x3F5, 0xFF}};
    size_t i;
    for (i = 0; i < sizeof accesses / sizeof *accesses; i++) {
        uint8_t value = (uint8_t)accesses[i][1];
        IS(VM_FDC_S_OK, vm_fdc_write(vm, accesses[i][0], &value, 1));
    }
}

/* The writes of the guest cannot be saved, because another program truncated the file. */
static void what_cannot_be_saved(const char *directory)
{
    vm_fdc_config_t config = config_of(VM_FDC_DRIVE_1440K);
    vm_fdc_layout_t layout;
    vm_fdc_t *vm;
    vm_fdc_drive_t *drive;
    char path[1024], text[1024];
    uint32_t number;
    int forced;

    snprintf(path, sizeof path, "%s/cut.img", directory);
    IS(VM_FDC_S_OK, vm_fdc_layout_of(VM_FDC_DRIVE_1440K, 1474560, &layout));
    for (forced = 0; forced < 2; forced++) {
        IS(VM_FDC_S_OK, vm_fdc_create_image(path, &layout, 0xF6, NULL, VM_FDC_IF_EXISTS_REPLACE));
        vm = machine_of(&config);
        drive = drive_of(vm);
        IS(VM_FDC_S_OK, vm_fdc_drive_attach_image(drive, path, NULL));
        fclose(fopen(path, "wb"));
        write_sector(vm);
        IS(VM_FDC_VM_E_MEDIA_UNMOUNT_FAIL, vm_fdc_drive_release_image(drive));
        IS(VM_FDC_S_OK, vm_fdc_drive_attachment(drive, &number));
        TRUE(number == VM_FDC_ATTACHMENT_IMAGE);
        if (forced) {
            IS(VM_FDC_S_FALSE, vm_fdc_drive_force_release(drive));
            IS(VM_FDC_S_OK, vm_fdc_drive_last_error(drive, text, sizeof text, NULL));
            TRUE(strstr(text, "512 bytes") != NULL);
            IS(VM_FDC_S_OK, vm_fdc_free(vm));
        } else {
            IS(VM_FDC_VM_E_MEDIA_UNMOUNT_FAIL, vm_fdc_free(vm));
            IS(VM_FDC_S_OK, vm_fdc_last_error(text, sizeof text, NULL));
            TRUE(strstr(text, "cut.img") != NULL);
        }
        IS(VM_FDC_VM_E_VM_UNKNOWN, vm_fdc_drive_flush(drive));
        IS(VM_FDC_S_OK, vm_fdc_drive_free(drive));
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return EXIT_FAILURE;
    alarm(300); /* ends a call that waits for itself */
    null_pointers(argv[1]);
    bad_configurations();
    bad_numbers(argv[1], argv[2]);
    calls_from_within_callbacks(argv[1]);
    two_threads();
    a_drive_without_its_machine(argv[1]);
    what_cannot_be_saved(argv[2]);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
