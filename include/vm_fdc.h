// vm-fdc: the Intel 82077AA floppy disk controller of a PC, its drives and its DMA controllers, for VM monitors.
//
// A machine (`vm_fdc_t`) is the floppy subsystem of a VM: the VM monitor forwards the port accesses of the guest to it.
// A drive handle (`vm_fdc_drive_t`) is for the manager of media, who attaches and releases images.
//
// Outcomes. Every function returns an HRESULT, `vm_fdc_result_t`, and writes other results to the memory that its
// arguments point to. A function returns VM_FDC_E_POINTER for a null pointer, unless its description allows null, and
// VM_FDC_E_INVALIDARG for a number without a meaning. `vm_fdc_drive_last_error` returns the message of the last failure
// of a drive handle. `vm_fdc_last_error` returns the message of the last failure of any function on the calling thread.
//
// Threads. One thread at a time may use a machine, and it need not be the same thread each time: a VM monitor with
// several vCPUs protects the machine with a lock. A call that overlaps another call with the same machine returns
// VM_FDC_E_INVALIDARG and does nothing. Any number of threads may use drive handles at the same time, with or without
// that lock, while the guest runs: no call with a drive handle makes the guest wait for a disk of the host.
//
// Callbacks. The library calls the callbacks of the configuration within functions of the machine, and observers of
// media within functions that change what is attached, within functions of the machine if the guest may reformat an
// image, and within `vm_fdc_free`, on the thread of the caller. A callback
// must not call functions of a machine and must not change what is attached to a drive: these calls return
// VM_FDC_E_INVALIDARG. An observer may query drives. A callback must not leave by longjmp. A C++ exception that leaves
// a callback ends the process.
//
// Lifetimes. The contexts of callbacks and the RAM of the configuration must exist until `vm_fdc_free` returns. A drive
// handle may be used and freed after that. What was freed must not be used or freed again.


#ifndef VM_FDC_H
#define VM_FDC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The function succeeded. Where it is a question, the answer is yes.
#define VM_FDC_S_OK 0x00000000

// The function succeeded. The answer is no, or there is nothing to return.
#define VM_FDC_S_FALSE 0x00000001

// The virtual machine of the drive no longer exists.
#define VM_FDC_VM_E_VM_UNKNOWN 0xA0040207

// Writes of the guest could not be saved to the file or drive of the host.
#define VM_FDC_VM_E_MEDIA_UNMOUNT_FAIL 0xA0040508

// The image could not be attached: it is missing, unreadable, not a floppy image, or in use.
#define VM_FDC_VM_E_IMAGE_CAPTURE_FAIL 0xA0040650

// Nothing is attached to the drive.
#define VM_FDC_VM_E_NO_MEDIA_CAPTURED 0xA0040652

// An image or a host drive is already attached to the drive.
#define VM_FDC_VM_E_DRIVE_IN_USE 0xA0040727

// The release of a host drive was requested, but an image is attached, or the reverse.
#define VM_FDC_VM_E_MEDIA_WRONG_TYPE 0xA0040728

// An argument is null.
#define VM_FDC_E_POINTER 0x80004003

// An argument is not usable, or the function must not be called from where it was called.
#define VM_FDC_E_INVALIDARG 0x80070057

// The host is out of memory.
#define VM_FDC_E_OUTOFMEMORY 0x8007000E

// The path is too long, or the buffer for a text is too small.
#define VM_FDC_ERROR_BUFFER_OVERFLOW 0x8007006F

// The path contains a character that the host does not allow.
#define VM_FDC_ERROR_INVALID_NAME 0x8007007B

// The path is empty.
#define VM_FDC_ERROR_BAD_PATHNAME 0x800700A1

// Any other failure. After a defect of the library (a panic), all functions return this code for the handle of that
// call. Free the handle.
#define VM_FDC_DISP_E_EXCEPTION 0x80020009

// The machine has no drive of this number.
#define VM_FDC_DISP_E_BADINDEX 0x8002000B

// No drive.
#define VM_FDC_DRIVE_NONE 0

// 5.25" drive, 360K, without a change line. The numbers of the drive types are those of the CMOS of a PC.
#define VM_FDC_DRIVE_360K 1

// 5.25" drive, 1.2M.
#define VM_FDC_DRIVE_1200K 2

// 3.5" drive, 720K.
#define VM_FDC_DRIVE_720K 3

// 3.5" drive, 1.44M.
#define VM_FDC_DRIVE_1440K 4

// 3.5" drive, 2.88M.
#define VM_FDC_DRIVE_2880K 5

// Register set of a PC/AT.
#define VM_FDC_INTERFACE_AT 0

// Register set of a PS/2.
#define VM_FDC_INTERFACE_PS2 1

// Register set of a PS/2 Model 30.
#define VM_FDC_INTERFACE_MODEL30 2

// Commands take no time: each ends within the access that gives it its last byte, as far as the host moves its data.
#define VM_FDC_TIMING_IMMEDIATE 0

// Commands take the time of a real drive. `vm_fdc_advance` advances it.
#define VM_FDC_TIMING_AUTHENTIC 1

// A data command without a rotating disk fails at once.
#define VM_FDC_EMPTY_DRIVE_FAIL 0

// A data command without a rotating disk waits until a disk rotates or the controller is reset.
#define VM_FDC_EMPTY_DRIVE_HANG 1

// Each command ends within an access.
#define VM_FDC_END_DELAY_NONE 0

// READ ID and transfers without DMA end with a delay, which Windows 98 and Linux need.
#define VM_FDC_END_DELAY_KNOWN_GUESTS 1

// All commands that seek or have an execution phase end with a delay.
#define VM_FDC_END_DELAY_ALL 2

// The bytes in the FIFO are discarded after an overrun.
#define VM_FDC_FIFO_AFTER_OVERRUN_DISCARDED 0

// The host has to take the bytes in the FIFO after an overrun.
#define VM_FDC_FIFO_AFTER_OVERRUN_KEPT 1

// At power-on the controller is held in reset, as after a hardware reset.
#define VM_FDC_POWER_ON_IN_RESET 0

// At power-on the controller is ready for a command, as firmware leaves it.
#define VM_FDC_POWER_ON_RUNNING 1

// Nothing is attached.
#define VM_FDC_ATTACHMENT_NONE 0

// An image is attached.
#define VM_FDC_ATTACHMENT_IMAGE 1

// A floppy drive of the host is attached, with or without a disk in it.
#define VM_FDC_ATTACHMENT_HOST_DRIVE 2

// A disk of none of the types below, or no disk.
#define VM_FDC_IMAGE_UNKNOWN 0

// 3.5", 720K.
#define VM_FDC_IMAGE_LOW_DENSITY 1

// 3.5", 1.44M.
#define VM_FDC_IMAGE_HIGH_DENSITY 2

// 3.5", 1.68M: the distribution media format (DMF) of Microsoft.
#define VM_FDC_IMAGE_DMF 3

// 3.5", 360K: single-sided, 80 cylinders.
#define VM_FDC_IMAGE_LOW_DENSITY_SINGLE_SIDED 4

// 5.25", 1.2M.
#define VM_FDC_IMAGE_MEDIUM_DENSITY 5

// Tracks with sectors of several sizes: XDF.
#define VM_FDC_IMAGE_HIGH_DENSITY_MSS 6

// `OnMediaInsert`: an image was attached, or a disk was inserted into the attached host drive.
#define VM_FDC_MEDIA_INSERTED 1

// `OnMediaEject`: an image was released, or the disk was ejected from the attached host drive.
#define VM_FDC_MEDIA_EJECTED 2

// The guest has formatted the disk in another layout, which `vm_fdc_drive_layout` returns. The disk is still in the drive.
// Only for images with the option `reformat`.
#define VM_FDC_MEDIA_REFORMATTED 3

// Writes of the guest change the file. The file is locked against every other use.
#define VM_FDC_ACCESS_READ_WRITE 0

// The disk is write-protected. Others may read the file.
#define VM_FDC_ACCESS_READ_ONLY 1

// Writes of the guest are visible to the guest only and never change the file. Others may read the file.
#define VM_FDC_ACCESS_PRIVATE 2

// As `VM_FDC_ACCESS_READ_WRITE` if the host permits the process to write the file, and as `VM_FDC_ACCESS_READ_ONLY` if
// it does not.
#define VM_FDC_ACCESS_READ_WRITE_IF_PERMITTED 3

// The bytes of an attached image are in memory of the library. No use of the file by others can end the process.
#define VM_FDC_BACKING_MEMORY 0

// The file of an attached image is mapped into memory. Only for a file that nobody else writes or truncates while it
// is attached: a read of the guest beyond the end of a truncated file ends the process (SIGBUS).
#define VM_FDC_BACKING_MAPPED 1

// Each command that writes hands its sectors to the operating system of the host before it ends. The release brings
// them to the disk of the host.
#define VM_FDC_DURABILITY_AT_RELEASE 0

// Each command that writes waits until its sectors are on the disk of the host.
#define VM_FDC_DURABILITY_EVERY_COMMAND 1

// Nothing is handed to the host before a flush or the release.
#define VM_FDC_DURABILITY_ON_FLUSH 2

// The file is locked. A file that cannot be locked is refused.
#define VM_FDC_LOCK_REQUIRED 0

// The file is locked if its file system can lock files.
#define VM_FDC_LOCK_IF_SUPPORTED 1

// The file is not locked. The caller sees to it that nobody else writes the file.
#define VM_FDC_LOCK_NONE 2

// A file that is shorter or longer than its disk is refused.
#define VM_FDC_LENGTH_EXACT 0

// What a short file does not have reads as zeros. The file becomes longer when the guest writes there.
#define VM_FDC_LENGTH_PAD 1

// What follows the disk in a long file is ignored, and stays as it is.
#define VM_FDC_LENGTH_TRUNCATE 2

// As `VM_FDC_LENGTH_TRUNCATE` for a long file, and as `VM_FDC_LENGTH_PAD` for a short one. Without a layout, the disk
// is the usual one for the drive.
#define VM_FDC_LENGTH_FIT 3

// If the file exists, nothing is created and the function fails.
#define VM_FDC_IF_EXISTS_FAIL 0

// If the file exists, the new file replaces it.
#define VM_FDC_IF_EXISTS_REPLACE 1

// The size of the file determines the layout.
#define VM_FDC_LAYOUT_BY_SIZE 0

// All tracks have the same layout, which the other members of the structure describe.
#define VM_FDC_LAYOUT_REGULAR 1

// The XDF layout of IBM on 5.25" disks. The other members of the structure are ignored.
#define VM_FDC_LAYOUT_XDF_5_25 3

// The XDF layout of IBM on 3.5" disks. The other members of the structure are ignored.
#define VM_FDC_LAYOUT_XDF 2

// 500 kb/s: 1.2M and 1.44M disks. The numbers of the rates are those of the controller.
#define VM_FDC_RATE_500 0

// 300 kb/s: 360K and 720K disks in a 1.2M drive.
#define VM_FDC_RATE_300 1

// 250 kb/s: 360K and 720K disks.
#define VM_FDC_RATE_250 2

// 1 Mb/s: 2.88M disks.
#define VM_FDC_RATE_1000 3

// 5.25" disk.
#define VM_FDC_FORM_5_25 0

// 3.5" disk.
#define VM_FDC_FORM_3_5 1

// As the container says, or that of most disks with such tracks. Only for `vm_fdc_drive_attach_container`.
#define VM_FDC_FORM_OF_FILE 2

// Handle of a drive, for the manager of its media. Any number of threads can use a handle at the same time, while the
// guest runs. A handle can outlive its machine: functions that need the machine then return `VM_FDC_VM_E_VM_UNKNOWN`.
//
// `vm_fdc_drive` and `vm_fdc_drive_clone` create handles. Free each with `vm_fdc_drive_free`.
typedef struct vm_fdc_drive_t vm_fdc_drive_t;

// Floppy subsystem of a machine: the controller, its drives, and the DMA controllers of a PC unless the VM monitor has
// a DMA controller. `vm_fdc_new` creates it and `vm_fdc_free` frees it.
typedef struct vm_fdc_t vm_fdc_t;

// Outcome of a function: an HRESULT. Bit 31 is set if the function failed. A function that failed changed nothing,
// unless its description says otherwise.
typedef uint32_t vm_fdc_result_t;

// Called when the level of the interrupt line changes. `irq` is that of the configuration and `high` the new level.
typedef void (*vm_fdc_interrupt_t)(void *context, uint8_t irq, bool high);

// Guest memory by guest-physical address. The library calls both functions within calls with the machine, on the
// thread of the caller.
typedef struct vm_fdc_memory_t {
  // First argument of both functions.
  void *context;
  // Reads `length` bytes from `address` on into `data`. Bytes at addresses that have no memory must be set to 0xFF.
  void (*read)(void *context, uint64_t address, uint8_t *data, size_t length);
  // Writes `length` bytes from `data` to `address` on. Bytes at addresses that have no memory must be dropped.
  void (*write)(void *context, uint64_t address, const uint8_t *data, size_t length);
} vm_fdc_memory_t;

// Result of a transfer of a DMA channel.
typedef struct vm_fdc_moved_t {
  // Number of bytes that the channel moved, 0 to the `length` that it was offered.
  size_t bytes;
  // Not 0: terminal count was signalled with the last of these bytes. Ignored if `bytes` is 0.
  uint32_t terminal_count;
} vm_fdc_moved_t;

// A channel of a DMA controller of the VM monitor. A channel that is masked, not programmed, or programmed for the
// other direction moves 0 bytes. Call `vm_fdc_service_dma` after each guest access to the DMA controller: the bytes
// that were not moved are then offered again.
typedef struct vm_fdc_dma_t {
  // First argument of all functions.
  void *context;
  // Moves bytes from the device to memory, from the start of `data`: a read of the disk.
  struct vm_fdc_moved_t (*device_to_memory)(void *context, const uint8_t *data, size_t length);
  // Moves bytes from memory to the device, to the start of `data`: a write to the disk. It must not change bytes of
  // `data` beyond those that it reports as moved.
  struct vm_fdc_moved_t (*memory_to_device)(void *context, uint8_t *data, size_t length);
  // Sets the level of the DREQ line. Called when the level changed at the end of an access or event; a request that
  // begins and ends within one is not reported. May be null.
  void (*set_request)(void *context, bool asserted);
} vm_fdc_dma_t;

// Configuration of the floppy subsystem of a machine. Initialize it with `vm_fdc_config_init`, change members, and
// pass it to `vm_fdc_new`, which does not keep the pointer.
//
// Guest memory is given in exactly one of three ways: `ram`, `memory` or `dma`.
typedef struct vm_fdc_config_t {
  // Size of this structure in bytes, as the caller was compiled. Later versions of the library add members at the
  // end and use the defaults for members that the caller does not have.
  size_t size;
  // Types of the drives 0 to 3: `VM_FDC_DRIVE_NONE` (default) or another `VM_FDC_DRIVE_` number.
  uint32_t drives[4];
  // Cylinders of the heads at power-on, one for each drive. Default: 0.
  uint8_t head_at[4];
  // First of the eight ports of the controller, 0 to 0xFFF8. Default: 0x3F0. A second controller has 0x370.
  uint16_t base;
  // Number that `interrupt` gets. Default: 6.
  uint8_t irq;
  // DMA channel of the floppy controller, 0 to 3. Default: 2.
  uint8_t channel;
  // Register set: a `VM_FDC_INTERFACE_` number. Default: `VM_FDC_INTERFACE_AT`.
  uint32_t interface_mode;
  // Duration of commands: a `VM_FDC_TIMING_` number. Default: `VM_FDC_TIMING_IMMEDIATE`.
  uint32_t timing;
  // Outcome of a data command without a rotating disk: a `VM_FDC_EMPTY_DRIVE_` number. Default:
  // `VM_FDC_EMPTY_DRIVE_FAIL`.
  uint32_t empty_drive;
  // 1: the SCAN commands execute, as on an 8272A. 0 (default): they are invalid commands.
  uint32_t scan_commands;
  // Called when the level of the interrupt line changes. May be null: `vm_fdc_interrupt_level` returns the level.
  vm_fdc_interrupt_t interrupt;
  // First argument of `interrupt`.
  void *interrupt_context;
  // Guest RAM from guest-physical address 0 on. The library reads and writes it within calls with the machine, while
  // vCPUs can access it. It must exist until `vm_fdc_free` returns.
  void *ram;
  // Size of `ram` in bytes.
  size_t ram_length;
  // Guest memory behind two functions: both null or none.
  struct vm_fdc_memory_t memory;
  // DMA channel of a DMA controller of the VM monitor: the first two functions are both null or none. The library
  // then claims no ports of a DMA controller.
  struct vm_fdc_dma_t dma;
  // Nanoseconds by which the end of READ ID is delayed, and with `VM_FDC_END_DELAY_ALL` that of each command that
  // seeks or moves data by DMA. At most 1 s. Default: 1 ms.
  uint64_t command_delay;
  // Nanoseconds by which the end of a transfer without DMA is delayed. At most 1 s. Default: 50 us.
  uint64_t transfer_delay;
  // Commands whose end is delayed: a `VM_FDC_END_DELAY_` number. Default: `VM_FDC_END_DELAY_KNOWN_GUESTS`. A VM
  // monitor that does not follow `vm_fdc_next_event` chooses `VM_FDC_END_DELAY_NONE`.
  uint32_t end_delay;
  // What becomes of the FIFO after an overrun in a read without DMA: a `VM_FDC_FIFO_AFTER_OVERRUN_` number.
  // Default: `VM_FDC_FIFO_AFTER_OVERRUN_DISCARDED`.
  uint32_t fifo_after_overrun;
  // State at power-on: a `VM_FDC_POWER_ON_` number. Default: `VM_FDC_POWER_ON_IN_RESET`.
  uint32_t power_on;
} vm_fdc_config_t;

// Layout of a disk: how its sectors are arranged.
typedef struct vm_fdc_layout_t {
  // A `VM_FDC_LAYOUT_` number. The other members are used only for `VM_FDC_LAYOUT_REGULAR`.
  uint32_t kind;
  // Number of cylinders, 1 to 86.
  uint8_t cylinders;
  // Number of heads, 1 or 2.
  uint8_t heads;
  // Number of sectors on a track, 1 to 63.
  uint8_t sectors;
  // Size code of the sectors, 0 to 7: a sector has `128 << size_code` bytes. 2 is 512 bytes.
  uint8_t size_code;
  // Data rate: a `VM_FDC_RATE_` number.
  uint32_t rate;
  // Form factor: a `VM_FDC_FORM_` number.
  uint32_t form_factor;
} vm_fdc_layout_t;

// Options to open an image. Set `size` and clear all other members, then set the members that differ from their
// defaults: 0 is the default of each. A null pointer instead of the structure selects all defaults.
typedef struct vm_fdc_image_options_t {
  // Size of this structure in bytes, as in `vm_fdc_config_t`.
  size_t size;
  // Access to the file: a `VM_FDC_ACCESS_` number. Default: `VM_FDC_ACCESS_READ_WRITE`.
  uint32_t access;
  // Place of the bytes of the image: a `VM_FDC_BACKING_` number. Default: `VM_FDC_BACKING_MEMORY`.
  uint32_t backing;
  // Time at which writes reach the disk of the host: a `VM_FDC_DURABILITY_` number. Default:
  // `VM_FDC_DURABILITY_AT_RELEASE`.
  uint32_t durability;
  // Treatment of a file that is shorter or longer than its disk: a `VM_FDC_LENGTH_` number. Default:
  // `VM_FDC_LENGTH_EXACT`.
  uint32_t length;
  // Lock of the file: a `VM_FDC_LOCK_` number. Default: `VM_FDC_LOCK_REQUIRED`.
  uint32_t lock;
  // 1: if several formats have the size of the file, or none, the numbers of the BIOS parameter block in the first
  // sector select the layout. Note that a guest can write that sector. 0 (default): such a file is refused without a
  // `layout`.
  uint32_t boot_sector_geometry;
  // 1: the guest can format the disk in another layout that the drive can write, as `FORMAT A: /F:720` does with a disk
  // of 1.44M, and a file of 0 bytes is a blank disk that gets its layout from its first format. With the last track of
  // the format the image is the new disk, and observers get `VM_FDC_MEDIA_REFORMATTED`; the file gets its length. A
  // release fails while the guest has written to tracks of a format that is not complete. Not for a mapped file, a host
  // drive, or a file that is longer than its disk. 0 (default): a format in another layout fails.
  uint32_t reformat;
  // Layout of the disk. Default: the layout that the size of the file determines, `VM_FDC_LAYOUT_BY_SIZE`.
  struct vm_fdc_layout_t layout;
} vm_fdc_image_options_t;

// Called after a medium was inserted into drive `drive` or ejected from it, or was reformatted by the guest. `event` is
// `VM_FDC_MEDIA_INSERTED`, `VM_FDC_MEDIA_EJECTED` or `VM_FDC_MEDIA_REFORMATTED`. `path` is the absolute path of the image or the host drive, null for a medium without a
// path; it is valid until the function returns. Returns 0 to get no more events, any other value to get more.
typedef uint32_t (*vm_fdc_media_observer_t)(void *context, uint32_t event, uint32_t drive, const char *path);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Writes the defaults and `size` to `config`. `size` is `sizeof *config`.
vm_fdc_result_t vm_fdc_config_init(struct vm_fdc_config_t *config, size_t size);

// Creates the floppy subsystem that `config` describes, as at power-on, and writes its handle to `vm`. Writes a null
// pointer if the function fails.
vm_fdc_result_t vm_fdc_new(const struct vm_fdc_config_t *config, struct vm_fdc_t **vm);

// Frees the machine: saves and releases what is attached to its drives, and calls their observers. Handles of the
// drives stay valid; their functions return `VM_FDC_VM_E_VM_UNKNOWN`. No callback is called afterwards. A null pointer
// is ignored. The behaviour is undefined if a machine is freed twice.
//
// Returns `VM_FDC_VM_E_MEDIA_UNMOUNT_FAIL` if writes of a guest could not be saved. The machine is freed nevertheless
// and these writes are lost: to keep them, release the drives before. Returns `VM_FDC_E_INVALIDARG`, and does not free
// the machine, if another call uses the machine or the thread executes a callback.
vm_fdc_result_t vm_fdc_free(struct vm_fdc_t *vm);

// Performs a read of the guest: `width` bytes, 1, 2 or 4, from `port` on. Writes them to `data`, the byte of the
// lowest port first. As on the bus, it is one access of a byte to each port. Bytes of ports that are not claimed are
// 0xFF.
//
// Claimed ports: `base` to `base + 5` and `base + 7` of the configuration, and, unless the VM monitor has a DMA
// controller, 0x00 to 0x0F, 0x80 to 0x8F and 0xC0 to 0xDF. In a PC/AT the floppy controller drives bit 7 of `base + 7`
// only; the other bits belong to the hard disk, if there is one.
//
// Returns `VM_FDC_S_FALSE` if no port of the access is claimed.
vm_fdc_result_t vm_fdc_read(struct vm_fdc_t *vm, uint16_t port, void *data, size_t width);

// Performs a write of the guest: `width` bytes, 1, 2 or 4, from `data` to `port` on, in the way of `vm_fdc_read`.
// Bytes for ports that are not claimed are dropped. Returns `VM_FDC_S_FALSE` if no port of the access is claimed.
vm_fdc_result_t vm_fdc_write(struct vm_fdc_t *vm, uint16_t port, const void *data, size_t width);

// Performs a string instruction of the guest (`rep ins`): `count` reads of `width` bytes each, 1, 2 or 4, all at
// `port`. Writes the `width * count` bytes to `data`, which can be guest RAM. For the FIFO, one byte wide, it is much
// faster than single accesses. The result is the same, but the interrupt line does not fall and rise for each byte.
vm_fdc_result_t vm_fdc_read_string(struct vm_fdc_t *vm, uint16_t port, size_t width, void *data, size_t count);

// Performs a string instruction of the guest (`rep outs`): `count` writes of `width` bytes each from `data`, all at
// `port`, in the way of `vm_fdc_read_string`.
vm_fdc_result_t vm_fdc_write_string(struct vm_fdc_t *vm, uint16_t port, size_t width, const void *data, size_t count);

// Advances the time of the machine by the nanoseconds since the last call, or since the machine was created. Call it
// no later than the time that `vm_fdc_next_event` returns. The number of calls that a span of time is divided into
// makes no difference.
vm_fdc_result_t vm_fdc_advance(struct vm_fdc_t *vm, uint64_t nanoseconds);

// Writes the time to the next event to `nanoseconds`. Ask again after each access, `vm_fdc_advance` and
// `vm_fdc_reset`. Writes UINT64_MAX and returns `VM_FDC_S_FALSE` if no event is due.
vm_fdc_result_t vm_fdc_next_event(struct vm_fdc_t *vm, uint64_t *nanoseconds);

// Drives the RESET line of the machine, which is connected to the controller and the DMA controllers of the library.
vm_fdc_result_t vm_fdc_reset(struct vm_fdc_t *vm);

// Continues a command that waits for its DMA channel or its disk. Call it after each guest access to a DMA controller
// of the VM monitor, and, with `VM_FDC_EMPTY_DRIVE_HANG`, after a disk was attached.
vm_fdc_result_t vm_fdc_service_dma(struct vm_fdc_t *vm);

// Returns the level of the interrupt line: `VM_FDC_S_OK` if it is high, `VM_FDC_S_FALSE` if it is low.
vm_fdc_result_t vm_fdc_interrupt_level(struct vm_fdc_t *vm);

// Writes the number of drives of the machine, 0 to 4, to `count`.
vm_fdc_result_t vm_fdc_drive_count(struct vm_fdc_t *vm, uint32_t *count);

// Creates a handle of drive `number`, 0 to 3, and writes it to `drive`. If the machine has no such drive, writes a
// null pointer and returns `VM_FDC_DISP_E_BADINDEX`. One thread at a time may call it, as all functions of a machine.
vm_fdc_result_t vm_fdc_drive(struct vm_fdc_t *vm, uint32_t number, struct vm_fdc_drive_t **drive);

// Creates another handle of the same drive, with its own last error, and writes it to `copy`.
vm_fdc_result_t vm_fdc_drive_clone(const struct vm_fdc_drive_t *drive, struct vm_fdc_drive_t **copy);

// Frees a handle. What is attached to the drive stays attached. A null pointer is ignored. The behaviour is undefined
// if a handle is freed twice, or while another thread uses it.
vm_fdc_result_t vm_fdc_drive_free(struct vm_fdc_drive_t *drive);

// Copies the message of the last failed call with this handle to `buffer`, which has `size` bytes, and terminates it
// with a NUL. The message is in English, for people. Calls that succeed keep the message. If several threads use one
// handle, the message is that of the last failure of any of them: use a handle for each thread.
//
// If `needed` is not null, writes the length of the message in bytes, with its NUL, to it. To get only the length,
// pass a null `buffer` and a `size` of 0. Returns `VM_FDC_ERROR_BUFFER_OVERFLOW` if the buffer is too small; it then
// has as much of the message as fits. Returns `VM_FDC_S_FALSE`, and an empty text, if no call has failed.
vm_fdc_result_t vm_fdc_drive_last_error(const struct vm_fdc_drive_t *drive, char *buffer, size_t size, size_t *needed);

// Writes the number of the drive, 0 to 3, to `number`. Also succeeds after the machine was freed.
vm_fdc_result_t vm_fdc_drive_number(const struct vm_fdc_drive_t *drive, uint32_t *number);

// Writes the type of the drive, a `VM_FDC_DRIVE_` number, to `drive_type`.
vm_fdc_result_t vm_fdc_drive_type(const struct vm_fdc_drive_t *drive, uint32_t *drive_type);

// Writes what is attached, a `VM_FDC_ATTACHMENT_` number, to `attachment`: `VM_FDC_ATTACHMENT_NONE` if the machine was
// freed.
vm_fdc_result_t vm_fdc_drive_attachment(const struct vm_fdc_drive_t *drive, uint32_t *attachment);

// Writes the type of the attached disk, a `VM_FDC_IMAGE_` number, to `image_type`: `VM_FDC_IMAGE_UNKNOWN` if there is
// none.
vm_fdc_result_t vm_fdc_drive_image_type(const struct vm_fdc_drive_t *drive, uint32_t *image_type);

// Writes the layout of the attached disk to `layout`. Returns `VM_FDC_S_FALSE`, and writes nothing, if there is no
// disk, or if the disk was never formatted.
vm_fdc_result_t vm_fdc_drive_layout(const struct vm_fdc_drive_t *drive, struct vm_fdc_layout_t *layout);

// Copies the absolute path of the attached image to `buffer`, in the way of `vm_fdc_drive_last_error`. Returns
// `VM_FDC_S_FALSE`, and an empty text, if no image is attached.
vm_fdc_result_t vm_fdc_drive_image_file(const struct vm_fdc_drive_t *drive, char *buffer, size_t size, size_t *needed);

// Copies the name of the attached medium in UTF-8 to `buffer`, in the way of `vm_fdc_drive_last_error`: that of a
// container is its path. Returns `VM_FDC_S_FALSE`, and an empty text, if nothing with a name is attached; an image has a
// path instead.
vm_fdc_result_t vm_fdc_drive_medium_name(const struct vm_fdc_drive_t *drive,
                                         char *buffer,
                                         size_t size,
                                         size_t *needed);

// Copies the absolute path of the attached host drive to `buffer`, in the way of `vm_fdc_drive_last_error`. Returns
// `VM_FDC_S_FALSE`, and an empty text, if no host drive is attached.
vm_fdc_result_t vm_fdc_drive_host_drive(const struct vm_fdc_drive_t *drive, char *buffer, size_t size, size_t *needed);

// Attaches the raw floppy image in the file `path`. A relative path starts at the current directory of the process. A
// path has the encoding of the host on Unix, and is UTF-8 on other hosts. `options` may be null.
vm_fdc_result_t vm_fdc_drive_attach_image(const struct vm_fdc_drive_t *drive,
                                          const char *path,
                                          const struct vm_fdc_image_options_t *options);

// Attaches the disk in the file `path` of ImageDisk, Teledisk or D88, which are no raw images. The message of an attach
// of such a file as an image names it. `form_factor` is a `VM_FDC_FORM_` number: `VM_FDC_FORM_OF_FILE`, or another one
// only if the library detects the wrong size. `disk` is the number of the disk in a D88 file of several, from 0.
//
// The disk counts as an image without a file, and `vm_fdc_drive_medium_name` returns the path. The file does not
// change. The writes of the guest are in memory, and lost at the release: save the disk as a raw image before, with
// `vm_fdc_drive_save_image`, or pass 1 for `write_protected`, so that the guest writes nothing.
vm_fdc_result_t vm_fdc_drive_attach_container(const struct vm_fdc_drive_t *drive,
                                              const char *path,
                                              uint32_t form_factor,
                                              uint32_t disk,
                                              uint32_t write_protected);

// Releases the attached image: saves the writes of the guest to the disk of the host, unlocks and closes the file. If
// the writes cannot be saved, the image stays attached. Then release it again, call `vm_fdc_drive_force_release`, or
// save it to another file with `vm_fdc_drive_save_image`.
vm_fdc_result_t vm_fdc_drive_release_image(const struct vm_fdc_drive_t *drive);

// Attaches the floppy drive of the host at `path`, with or without a disk in it: a block device, or a file instead of
// one. `options` may be null.
vm_fdc_result_t vm_fdc_drive_attach_host_drive(const struct vm_fdc_drive_t *drive,
                                               const char *path,
                                               const struct vm_fdc_image_options_t *options);

// Releases the attached host drive, in the way of `vm_fdc_drive_release_image`.
vm_fdc_result_t vm_fdc_drive_release_host_drive(const struct vm_fdc_drive_t *drive);

// Checks whether a disk was inserted into the attached host drive or ejected from it. Call it periodically, about once
// a second. Returns `VM_FDC_S_OK` if a disk is in the drive, and `VM_FDC_S_FALSE` if no disk is in it or no host drive
// is attached. If the disk cannot be used, the function fails and the host drive stays attached without a disk.
vm_fdc_result_t vm_fdc_drive_check_host_drive(const struct vm_fdc_drive_t *drive);

// Releases the attached image and attaches another one. If the new image cannot be opened or the old one cannot be
// released, the old image stays attached.
vm_fdc_result_t vm_fdc_drive_swap_image(const struct vm_fdc_drive_t *drive,
                                        const char *path,
                                        const struct vm_fdc_image_options_t *options);

// Saves the writes of the guest to the disk of the host, and waits until they are there. The guest continues
// meanwhile.
vm_fdc_result_t vm_fdc_drive_flush(const struct vm_fdc_drive_t *drive);

// Protects the disk in the drive against writes of the guest (1), or permits them again (0), as the switch on a disk
// does. The guest sees it at once, and the disk stays in. Fails if writes are to be permitted to an image that is open
// for reads only.
vm_fdc_result_t vm_fdc_drive_set_write_protected(const struct vm_fdc_drive_t *drive, uint32_t write_protected);

// Returns `VM_FDC_S_OK` if the disk in the drive is write protected, and `VM_FDC_S_FALSE` if it is not or if there is
// none.
vm_fdc_result_t vm_fdc_drive_is_write_protected(const struct vm_fdc_drive_t *drive);

// Releases what is attached, even if writes of the guest cannot be saved. Returns `VM_FDC_S_FALSE` in that case: the
// drive is empty, and the message of `vm_fdc_drive_last_error` says what may be lost.
vm_fdc_result_t vm_fdc_drive_force_release(const struct vm_fdc_drive_t *drive);

// Saves the current contents of the attached disk to another file, as a raw image. The complete file is created, or
// none. `if_exists` is a `VM_FDC_IF_EXISTS_` number.
vm_fdc_result_t vm_fdc_drive_save_image(const struct vm_fdc_drive_t *drive, const char *path, uint32_t if_exists);

// Adds an observer of the media of the drive. `observer` is called for each insertion, ejection and reformat until it
// returns 0 or `vm_fdc_free` returns. `context` must exist as long. The call is on the thread that changes the medium,
// after the change, one event at a time for each drive. For a reformat that is the thread which uses the machine, or the
// one that changes what is attached to the drive at the time.
vm_fdc_result_t vm_fdc_drive_observe(const struct vm_fdc_drive_t *drive,
                                     vm_fdc_media_observer_t observer,
                                     void *context);

// Writes to `layout` the layout of the disk for drives of type `drive_type` whose raw image has `bytes` bytes.
// Example: `vm_fdc_layout_of(VM_FDC_DRIVE_1440K, 1474560, &layout)`. `VM_FDC_E_INVALIDARG` if there is no such disk,
// or more than one.
vm_fdc_result_t vm_fdc_layout_of(uint32_t drive_type, uint64_t bytes, struct vm_fdc_layout_t *layout);

// Creates a raw image of a blank disk in the file `path`. The complete file is created, or none. `filler`, 0 to 255,
// is the value of all bytes; 0xF6 is usual for a formatted disk. If `fat_label` is not null, the disk gets a FAT12
// file system with this label, of at most 11 ASCII characters; this requires a library that was built with the feature
// `fat`.
//
// `if_exists` is a `VM_FDC_IF_EXISTS_` number. `layout->kind` must not be `VM_FDC_LAYOUT_BY_SIZE`.
vm_fdc_result_t vm_fdc_create_image(const char *path,
                                    const struct vm_fdc_layout_t *layout,
                                    uint32_t filler,
                                    const char *fat_label,
                                    uint32_t if_exists);

// Creates a file of 0 bytes at `path`: a disk that was never formatted, to be attached with `reformat` in the options.
// `if_exists` is a `VM_FDC_IF_EXISTS_` number.
vm_fdc_result_t vm_fdc_create_unformatted_image(const char *path, uint32_t if_exists);

// Copies the message of the last failed call on this thread to `buffer`, in the way of `vm_fdc_drive_last_error`. It
// covers the functions of machines, drives and images. Calls that succeed keep the message.
vm_fdc_result_t vm_fdc_last_error(char *buffer, size_t size, size_t *needed);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* VM_FDC_H */
