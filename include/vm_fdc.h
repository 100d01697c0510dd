// vm-fdc: the Intel 82077AA floppy disk controller of a PC, its drives and its DMA controllers, for VM monitors.
//
// A machine (`vm_fdc_t`) takes the guest's port accesses; drives (`vm_fdc_drive_t`) take what a manager does with media.
//
// Outcomes. Every function answers with an HRESULT, `vm_fdc_result_t`, and what it was asked for goes to where a pointer
// says. A null pointer is VM_FDC_E_POINTER where it is not said to be allowed, and a number that stands for nothing is
// VM_FDC_E_INVALIDARG. What a failure of a drive has to say, `vm_fdc_drive_last_error` gives; `vm_fdc_last_error` gives what
// one of any function says, for the thread that called it.
//
// Threads. A machine is used by one thread at a time, whichever that is: a monitor with several vCPUs has a lock around it. A
// call that meets another one at work with the same machine answers VM_FDC_E_INVALIDARG and does nothing. Handles of drives
// are used by any number of threads at once, with that lock or without, while the guest runs: no manager makes the guest wait
// for a disk of the host.
//
// Callbacks. They are called on the thread of the function that has cause to: those of the configuration by functions of the
// machine, observers of media by functions that change what is attached, and by `vm_fdc_free`. A callback must not call
// functions of the machine that calls it, nor change what is attached to a drive; both answer VM_FDC_E_INVALIDARG. It can ask
// drives if it is an observer. It must not leave by longjmp; an exception of C++ that leaves it ends the process.
//
// Lifetimes. What a callback is given as context, and RAM, must be there until `vm_fdc_free` has returned. A handle of a drive
// can be used and freed after that. What is freed must not be used again, or freed again.


#ifndef VM_FDC_H
#define VM_FDC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// It worked; where the function asks something, the answer is yes.
#define VM_FDC_S_OK 0

// It worked, and the answer is no, or there is nothing to answer.
#define VM_FDC_S_FALSE 1

// 0xA0040207: the virtual machine of the drive is gone.
#define VM_FDC_VM_E_VM_UNKNOWN 2684617223

// 0xA0040508: what the guest wrote could not be brought to the host's file.
#define VM_FDC_VM_E_MEDIA_UNMOUNT_FAIL 2684617992

// 0xA0040650: the image could not be attached: missing, unreadable, not a floppy image, in use.
#define VM_FDC_VM_E_IMAGE_CAPTURE_FAIL 2684618320

// 0xA0040652: nothing is attached.
#define VM_FDC_VM_E_NO_MEDIA_CAPTURED 2684618322

// 0xA0040727: something is attached already.
#define VM_FDC_VM_E_DRIVE_IN_USE 2684618535

// 0xA0040728: an image is attached where a host drive was to be released, or the other way round.
#define VM_FDC_VM_E_MEDIA_WRONG_TYPE 2684618536

// 0x80004003: an argument is null.
#define VM_FDC_E_POINTER 2147500035

// 0x80070057: an argument is not usable, or the function was called from where it must not be.
#define VM_FDC_E_INVALIDARG 2147942487

// 0x8007000E: out of memory.
#define VM_FDC_E_OUTOFMEMORY 2147942414

// 0x8007006F: the path is too long; or the buffer for a text is too short.
#define VM_FDC_ERROR_BUFFER_OVERFLOW 2147942511

// 0x8007007B: the path is none that the host can have.
#define VM_FDC_ERROR_INVALID_NAME 2147942523

// 0x800700A1: the path is empty.
#define VM_FDC_ERROR_BAD_PATHNAME 2147942561

// 0x80020009: any other failure. After a defect of the library all functions answer so to the handle that it was met with;
// free it.
#define VM_FDC_DISP_E_EXCEPTION 2147614729

// 0x8002000B: there is no drive of that number.
#define VM_FDC_DISP_E_BADINDEX 2147614731

// No drive.
#define VM_FDC_DRIVE_NONE 0

// A 5.25" drive of 360K, without a change line. The numbers of the types are those of the CMOS of a PC.
#define VM_FDC_DRIVE_360K 1

// A 5.25" drive of 1.2M.
#define VM_FDC_DRIVE_1200K 2

// A 3.5" drive of 720K.
#define VM_FDC_DRIVE_720K 3

// A 3.5" drive of 1.44M.
#define VM_FDC_DRIVE_1440K 4

// A 3.5" drive of 2.88M.
#define VM_FDC_DRIVE_2880K 5

// The registers of a PC/AT.
#define VM_FDC_INTERFACE_AT 0

// The registers of a PS/2.
#define VM_FDC_INTERFACE_PS2 1

// The registers of a PS/2 Model 30.
#define VM_FDC_INTERFACE_MODEL30 2

// Each command ends within the access that gives it its last byte.
#define VM_FDC_TIMING_IMMEDIATE 0

// Each command takes the time of a real drive, which `vm_fdc_advance` tells.
#define VM_FDC_TIMING_AUTHENTIC 1

// Without a disk that turns, a data command fails at once.
#define VM_FDC_EMPTY_DRIVE_FAIL 0

// Without a disk that turns, a data command waits until one does, or for a reset.
#define VM_FDC_EMPTY_DRIVE_HANG 1

// Nothing is attached.
#define VM_FDC_ATTACHMENT_NONE 0

// An image is attached.
#define VM_FDC_ATTACHMENT_IMAGE 1

// A floppy drive of the host is attached, with or without a disk in it.
#define VM_FDC_ATTACHMENT_HOST_DRIVE 2

// A disk that is none of those below.
#define VM_FDC_IMAGE_UNKNOWN 0

// 3.5", 720K.
#define VM_FDC_IMAGE_LOW_DENSITY 1

// 3.5", 1.44M.
#define VM_FDC_IMAGE_HIGH_DENSITY 2

// 3.5", 1.68M, Microsoft's distribution media format.
#define VM_FDC_IMAGE_DMF 3

// 3.5", 360K, one side of a 720K disk.
#define VM_FDC_IMAGE_LOW_DENSITY_SINGLE_SIDED 4

// 5.25", 1.2M.
#define VM_FDC_IMAGE_MEDIUM_DENSITY 5

// Tracks of sectors of several sizes: XDF.
#define VM_FDC_IMAGE_HIGH_DENSITY_MSS 6

// `OnMediaInsert`: an image was attached, or a disk put into the attached host drive.
#define VM_FDC_MEDIA_INSERTED 1

// `OnMediaEject`: an image was released, or the disk taken out of the attached host drive.
#define VM_FDC_MEDIA_EJECTED 2

// The guest's writes go to the file, which is locked against every other use.
#define VM_FDC_ACCESS_READ_WRITE 0

// The disk is write protected. The file may be read by others.
#define VM_FDC_ACCESS_READ_ONLY 1

// The guest sees what it wrote; the file never changes, and may be read by others.
#define VM_FDC_ACCESS_PRIVATE 2

// The bytes of an image are in memory of the library's own while it is attached: whatever others do to the file, the process
// lives.
#define VM_FDC_BACKING_MEMORY 0

// They are in the file, which is mapped into memory. Only for a file that nobody else writes to or truncates while it is
// attached: what the guest reads of one that was cut short ends the process (SIGBUS).
#define VM_FDC_BACKING_MAPPED 1

// Each command that wrote hands its sectors to the host before it ends; they reach the host's disk at the release.
#define VM_FDC_DURABILITY_AT_RELEASE 0

// Each command that wrote waits until its sectors are on the host's disk.
#define VM_FDC_DURABILITY_EVERY_COMMAND 1

// Nothing is handed to the host before the release or a flush.
#define VM_FDC_DURABILITY_ON_FLUSH 2

// A file that is there already stays, and nothing is created.
#define VM_FDC_IF_EXISTS_FAIL 0

// The new file takes the place of one that is there already.
#define VM_FDC_IF_EXISTS_REPLACE 1

// The layout that the size of the file tells.
#define VM_FDC_LAYOUT_BY_SIZE 0

// All tracks alike, as the other members of the structure say.
#define VM_FDC_LAYOUT_REGULAR 1

// IBM's XDF; the other members of the structure are ignored.
#define VM_FDC_LAYOUT_XDF 2

// 500 kb/s: 1.2M and 1.44M disks. The numbers of the rates are those of the controller.
#define VM_FDC_RATE_500 0

// 300 kb/s.
#define VM_FDC_RATE_300 1

// 250 kb/s: 360K and 720K disks.
#define VM_FDC_RATE_250 2

// 1 Mb/s: 2.88M disks.
#define VM_FDC_RATE_1000 3

// A 5.25" disk.
#define VM_FDC_FORM_5_25 0

// A 3.5" disk.
#define VM_FDC_FORM_3_5 1

// A drive of a machine, for its manager. Any number of threads can use a handle at a time, while the guest runs. It outlives
// the machine: functions that need one answer `VM_FDC_VM_E_VM_UNKNOWN` then.
//
// `vm_fdc_drive` and `vm_fdc_drive_clone` make handles; each is to be freed with `vm_fdc_drive_free`.
typedef struct vm_fdc_drive_t vm_fdc_drive_t;

// The floppy subsystem of a machine: the controller, its drives, and the DMA controllers of a PC unless the embedder has
// one. `vm_fdc_new` makes it, and `vm_fdc_free` ends it.
typedef struct vm_fdc_t vm_fdc_t;

// The outcome of a function, an HRESULT: bit 31 is set if it failed, and then nothing has changed unless the function says
// otherwise.
typedef uint32_t vm_fdc_result_t;

// Called when the interrupt line changes: `irq` is that of the configuration, and `high` its new level.
typedef void (*vm_fdc_interrupt_t)(void *context, uint8_t irq, bool high);

// Guest memory, by guest-physical address. Both functions are called from within the function that the guest's port access
// was handed to, on its thread.
typedef struct vm_fdc_memory_t {
  // Given to both functions.
  void *context;
  // Fills `data` with the `length` bytes from `address` on. Those where there is no memory are to be 0xFF.
  void (*read)(void *context, uint64_t address, uint8_t *data, size_t length);
  // Writes `length` bytes from `address` on. Those where there is no memory are to be dropped.
  void (*write)(void *context, uint64_t address, const uint8_t *data, size_t length);
} vm_fdc_memory_t;

// What a DMA channel moved.
typedef struct vm_fdc_moved_t {
  // Bytes that it took or gave; not more than it was offered.
  size_t bytes;
  // Not 0: terminal count came with the last of them.
  uint32_t terminal_count;
} vm_fdc_moved_t;

// A channel of the embedder's own DMA controller. A channel that is masked, not programmed, or set to the other direction
// moves nothing; the bytes are offered again at each `vm_fdc_service_dma`, which is to be called after each guest access
// to that DMA controller.
typedef struct vm_fdc_dma_t {
  // Given to all functions.
  void *context;
  // Takes bytes from the device to memory, from the first of `data` on: a read of the disk.
  struct vm_fdc_moved_t (*device_to_memory)(void *context, const uint8_t *data, size_t length);
  // Gives the device bytes from memory, into `data` from its first on: a write to the disk. Bytes of `data` beyond those
  // that it says it gave must stay as they are.
  struct vm_fdc_moved_t (*memory_to_device)(void *context, uint8_t *data, size_t length);
  // The DREQ line changed; may be null. Told of requests that outlast a port access.
  void (*set_request)(void *context, bool asserted);
} vm_fdc_dma_t;

// A machine's floppy subsystem. Have `vm_fdc_config_init` fill it, change what is to be different, and give it to
// `vm_fdc_new`, which needs it no longer than it takes.
//
// Guest memory comes in one of three ways, and one alone: `ram`, `memory` or `dma`.
typedef struct vm_fdc_config_t {
  // The size of this structure, by which the library knows what the caller knew. Later versions have more members, and
  // take the default for those that the caller had not.
  size_t size;
  // The kinds of drives 0 to 3, `VM_FDC_DRIVE_NONE` where there is none. None is there unless chosen.
  uint32_t drives[4];
  // The cylinders at which the heads of the drives stand at first.
  uint8_t head_at[4];
  // The first port of the controller: 0x3F0 unless chosen, 0x370 for a second one.
  uint16_t base;
  // The line that `interrupt` is told of: 6 unless chosen.
  uint8_t irq;
  // The channel of the library's DMA controllers, 0 to 3: 2 unless chosen.
  uint8_t channel;
  // Which registers there are: `VM_FDC_INTERFACE_AT` unless chosen.
  uint32_t interface_mode;
  // Whether commands take time: `VM_FDC_TIMING_IMMEDIATE` unless chosen.
  uint32_t timing;
  // What becomes of a data command without a disk that turns: `VM_FDC_EMPTY_DRIVE_FAIL` unless chosen.
  uint32_t empty_drive;
  // 1: the SCAN commands execute, as on an 8272A; 0 unless chosen.
  uint32_t scan_commands;
  // Told of the interrupt line; may be null, since `vm_fdc_interrupt_level` can be asked as well.
  vm_fdc_interrupt_t interrupt;
  // Given to `interrupt`.
  void *interrupt_context;
  // RAM of the guest from guest-physical address 0 on. The library reads and writes it within the calls for port accesses
  // and time, while vCPUs can be at work there. It must be there until `vm_fdc_free` returns.
  void *ram;
  // How many bytes `ram` has.
  size_t ram_length;
  // Guest memory by two functions, both or none of them null.
  struct vm_fdc_memory_t memory;
  // A DMA controller of the embedder's own; its first two functions, both or none of them null. The library then claims
  // no ports of a DMA controller.
  struct vm_fdc_dma_t dma;
} vm_fdc_config_t;

// How the sectors of a disk lie.
typedef struct vm_fdc_layout_t {
  // One of `VM_FDC_LAYOUT_BY_SIZE`, `VM_FDC_LAYOUT_REGULAR` and `VM_FDC_LAYOUT_XDF`. The others matter only to the second.
  uint32_t kind;
  // Cylinders, 1 to 86.
  uint8_t cylinders;
  // Heads, 1 or 2.
  uint8_t heads;
  // Sectors a track, 1 to 63.
  uint8_t sectors;
  // A sector has `128 << size_code` bytes; 0 to 7, and 2 for those of 512.
  uint8_t size_code;
  // One of `VM_FDC_RATE_500` and the others.
  uint32_t rate;
  // One of `VM_FDC_FORM_5_25` and `VM_FDC_FORM_3_5`.
  uint32_t form_factor;
} vm_fdc_layout_t;

// How an image is opened. Set `size`, and leave what need not be said 0; a null pointer in its place says nothing at all:
// read and write, the layout by the size of the file, in memory, saved at the release.
typedef struct vm_fdc_image_options_t {
  // The size of this structure, as in `vm_fdc_config_t`.
  size_t size;
  // One of `VM_FDC_ACCESS_READ_WRITE` and the others.
  uint32_t access;
  // One of `VM_FDC_BACKING_MEMORY` and `VM_FDC_BACKING_MAPPED`.
  uint32_t backing;
  // One of `VM_FDC_DURABILITY_AT_RELEASE` and the others.
  uint32_t durability;
  // 1: where several formats have the size of the file, the BIOS parameter block in its first sector chooses. A guest can
  // have written that.
  uint32_t trust_boot_sector;
  // Which layout the disk has.
  struct vm_fdc_layout_t layout;
} vm_fdc_image_options_t;

// Called when a medium went into drive `drive` or out of it: `event` is `VM_FDC_MEDIA_INSERTED` or `VM_FDC_MEDIA_EJECTED`,
// and `path` the absolute path of the image or the host drive, valid until the function returns. Answers 0 to be told no
// more.
typedef uint32_t (*vm_fdc_media_observer_t)(void *context, uint32_t event, uint32_t drive, const char *path);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Fills `config` with the defaults and its size, `size`, which is `sizeof *config`.
vm_fdc_result_t vm_fdc_config_init(struct vm_fdc_config_t *config, size_t size);

// Builds the floppy subsystem that `config` describes, as at power-on, and puts its handle into `vm`; a null pointer if
// that fails.
vm_fdc_result_t vm_fdc_new(const struct vm_fdc_config_t *config, struct vm_fdc_t **vm);

// Ends the machine: what is attached to its drives is saved and released, and those who watch them are told. Handles of its
// drives stay, and answer that it is gone. No callback is called afterwards. Nothing happens for a null pointer; to free a
// machine twice is undefined.
//
// Fails with `VM_FDC_VM_E_MEDIA_UNMOUNT_FAIL` if what a guest wrote could not be saved. The machine is gone nevertheless, and
// so is that; to keep it, release the drives first. It is not freed, and the handle still good, if the answer is
// `VM_FDC_E_INVALIDARG`, because a call is at work with it or the thread is within a callback.
vm_fdc_result_t vm_fdc_free(struct vm_fdc_t *vm);

// The guest reads `width` bytes from `port` on, 1, 2 or 4: what it gets is put into `data`, that of the lowest port first.
// The bus makes an access of a byte for each port; bytes of ports that are not claimed are 0xFF.
//
// Claimed are `base` to `base + 5` and `base + 7` of the configuration; and unless the embedder has a DMA controller of its
// own, 0x00 to 0x0F, 0x80 to 0x8F and 0xC0 to 0xDF. Of `base + 7` a PC/AT has bit 7 from the floppy controller and the others
// from the hard disk, if there is one.
//
// `VM_FDC_S_FALSE` when no port of the access is claimed.
vm_fdc_result_t vm_fdc_read(struct vm_fdc_t *vm,
                            uint16_t port,
                            void *data,
                            size_t width);

// The guest writes `width` bytes from `port` on, as `vm_fdc_read` reads them. Bytes for ports that are not claimed are
// dropped.
vm_fdc_result_t vm_fdc_write(struct vm_fdc_t *vm, uint16_t port, const void *data, size_t width);

// The guest reads with a string instruction (`rep ins`): `count` accesses of `width` bytes each, 1, 2 or 4, all to `port`,
// into the `width * count` bytes of `data`, which can be RAM of the guest. From the FIFO, a byte wide, that is much faster
// than single accesses, and the same but for the interrupt line, which does not fall and rise for each byte.
vm_fdc_result_t vm_fdc_read_string(struct vm_fdc_t *vm,
                                   uint16_t port,
                                   size_t width,
                                   void *data,
                                   size_t count);

// The guest writes with a string instruction (`rep outs`), as `vm_fdc_read_string` reads.
vm_fdc_result_t vm_fdc_write_string(struct vm_fdc_t *vm, uint16_t port, size_t width, const void *data, size_t count);

// Tells that time passes: so many nanoseconds since the last call, or since the machine was built. Needed with
// `VM_FDC_TIMING_AUTHENTIC`; otherwise it bounds how long a command waits for a DMA channel. In how many pieces time is told
// makes no difference.
vm_fdc_result_t vm_fdc_advance(struct vm_fdc_t *vm,
                               uint64_t nanoseconds);

// How many nanoseconds may pass until `vm_fdc_advance` would have something to do, to be asked after each access.
// `VM_FDC_S_FALSE` and UINT64_MAX when any may.
vm_fdc_result_t vm_fdc_next_event(struct vm_fdc_t *vm, uint64_t *nanoseconds);

// The machine's RESET line: the registers of all chips are as at power-on.
vm_fdc_result_t vm_fdc_reset(struct vm_fdc_t *vm);

// A command goes on with what it may have waited for: to be called after each guest access to a DMA controller of the
// embedder's own, and, with `VM_FDC_EMPTY_DRIVE_HANG`, after a disk was attached.
vm_fdc_result_t vm_fdc_service_dma(struct vm_fdc_t *vm);

// The level of the interrupt line: `VM_FDC_S_OK` when it is high, `VM_FDC_S_FALSE` when it is low.
vm_fdc_result_t vm_fdc_interrupt_level(struct vm_fdc_t *vm);

// Puts into `count` how many drives the machine has, 0 to 4.
vm_fdc_result_t vm_fdc_drive_count(struct vm_fdc_t *vm, uint32_t *count);

// Puts a handle of drive `number`, 0 to 3, into `drive`; a null pointer and `VM_FDC_DISP_E_BADINDEX` when there is no such
// drive. As all functions of a machine it is for one thread at a time; the handle is for any.
vm_fdc_result_t vm_fdc_drive(struct vm_fdc_t *vm,
                             uint32_t number,
                             struct vm_fdc_drive_t **drive);

// Puts another handle of the same drive into `copy`, with a last error of its own.
vm_fdc_result_t vm_fdc_drive_clone(const struct vm_fdc_drive_t *drive, struct vm_fdc_drive_t **copy);

// Frees a handle. What is attached to the drive stays so. Nothing happens for a null pointer; to free a handle twice, or
// while another thread uses it, is undefined.
vm_fdc_result_t vm_fdc_drive_free(struct vm_fdc_drive_t *drive);

// Copies what the last failure of this handle said to `buffer`, which has `size` bytes, with a NUL at the end; in English, for
// people. Calls that succeed leave it alone. Several threads that fail with one handle find the last one's: use a handle for
// each.
//
// `needed`, if it is not null, tells how many bytes the text has with its NUL; `buffer` can be null with a `size` of 0 to
// learn that. `VM_FDC_ERROR_BUFFER_OVERFLOW` when there is too little room, with as much in `buffer` as fits;
// `VM_FDC_S_FALSE`, and an empty text, when nothing has failed.
vm_fdc_result_t vm_fdc_drive_last_error(const struct vm_fdc_drive_t *drive,
                                        char *buffer,
                                        size_t size,
                                        size_t *needed);

// Puts the number of the drive into `number`. Answers when the machine is gone, too.
vm_fdc_result_t vm_fdc_drive_number(const struct vm_fdc_drive_t *drive, uint32_t *number);

// Puts into `drive_type` what kind of drive it is: `VM_FDC_DRIVE_360K` or another.
vm_fdc_result_t vm_fdc_drive_type(const struct vm_fdc_drive_t *drive, uint32_t *drive_type);

// Puts into `attachment` what is attached: `VM_FDC_ATTACHMENT_NONE`, also when the machine is gone, or another.
vm_fdc_result_t vm_fdc_drive_attachment(const struct vm_fdc_drive_t *drive, uint32_t *attachment);

// Puts into `image_type` what kind of disk is attached: `VM_FDC_IMAGE_UNKNOWN`, also when none is, or another.
vm_fdc_result_t vm_fdc_drive_image_type(const struct vm_fdc_drive_t *drive, uint32_t *image_type);

// Puts into `layout` how the sectors of the attached disk lie. `VM_FDC_S_FALSE`, with nothing put there, when none is
// attached.
vm_fdc_result_t vm_fdc_drive_layout(const struct vm_fdc_drive_t *drive, struct vm_fdc_layout_t *layout);

// Copies the absolute path of the attached image to `buffer`, as `vm_fdc_drive_last_error` copies a message.
// `VM_FDC_S_FALSE`, and an empty text, when no image is attached.
vm_fdc_result_t vm_fdc_drive_image_file(const struct vm_fdc_drive_t *drive, char *buffer, size_t size, size_t *needed);

// Copies the absolute path of the attached host drive to `buffer`, as `vm_fdc_drive_image_file` does that of an image.
vm_fdc_result_t vm_fdc_drive_host_drive(const struct vm_fdc_drive_t *drive, char *buffer, size_t size, size_t *needed);

// Attaches the raw floppy image in the file `path`; a relative one is taken from the current directory. On Unix a path is the
// bytes that the host has for it, elsewhere UTF-8. `options` may be null.
vm_fdc_result_t vm_fdc_drive_attach_image(const struct vm_fdc_drive_t *drive,
                                          const char *path,
                                          const struct vm_fdc_image_options_t *options);

// Releases the attached image: what the guest wrote is brought to the host's disk, and the file let go. If that fails, it
// stays attached: release it again, force it, or save it to another file.
vm_fdc_result_t vm_fdc_drive_release_image(const struct vm_fdc_drive_t *drive);

// Attaches the floppy drive of the host at `path`: a block device, or a file that stands for one, with or without a disk in
// it. `options` may be null.
vm_fdc_result_t vm_fdc_drive_attach_host_drive(const struct vm_fdc_drive_t *drive,
                                               const char *path,
                                               const struct vm_fdc_image_options_t *options);

// Releases the attached host drive, as `vm_fdc_drive_release_image` does an image.
vm_fdc_result_t vm_fdc_drive_release_host_drive(const struct vm_fdc_drive_t *drive);

// Looks whether a disk was put into the attached host drive, or taken out of it; to be called now and then. `VM_FDC_S_OK` when
// a disk is in, `VM_FDC_S_FALSE` when none is, or no host drive is attached. When a disk is in that cannot be used, it fails,
// and the drive stays attached, empty.
vm_fdc_result_t vm_fdc_drive_check_host_drive(const struct vm_fdc_drive_t *drive);

// Releases the attached image and attaches another. If the new one cannot be had, or the old one not released, the old one
// stays.
vm_fdc_result_t vm_fdc_drive_swap_image(const struct vm_fdc_drive_t *drive,
                                        const char *path,
                                        const struct vm_fdc_image_options_t *options);

// Brings what the guest wrote to the host's disk, and waits for that while the guest goes on.
vm_fdc_result_t vm_fdc_drive_flush(const struct vm_fdc_drive_t *drive);

// Releases whatever is attached, even if what the guest wrote cannot be saved. `VM_FDC_S_FALSE` then: the drive is empty, and
// its last error says what may be lost.
vm_fdc_result_t vm_fdc_drive_force_release(const struct vm_fdc_drive_t *drive);

// Saves the disk as it is now to another file, as a raw image, which is there whole afterwards or not at all. `if_exists` is
// one of `VM_FDC_IF_EXISTS_FAIL` and `VM_FDC_IF_EXISTS_REPLACE`.
vm_fdc_result_t vm_fdc_drive_save_image(const struct vm_fdc_drive_t *drive,
                                        const char *path,
                                        uint32_t if_exists);

// Has `observer` told of all that goes into the drive and out of it from now on, until it answers 0 or `vm_fdc_free` has
// returned; so long must `context` be there. It is called on the thread that changes the medium, which can be any, after the
// change, one event at a time for a drive.
vm_fdc_result_t vm_fdc_drive_observe(const struct vm_fdc_drive_t *drive,
                                     vm_fdc_media_observer_t observer,
                                     void *context);

// Puts into `layout` how the sectors lie on the one disk for drives of the type `drive_type` whose raw image has `bytes`
// bytes: `vm_fdc_layout_of(VM_FDC_DRIVE_1440K, 1474560, &layout)`. `VM_FDC_E_INVALIDARG` when there is none, or more than
// one.
vm_fdc_result_t vm_fdc_layout_of(uint32_t drive_type,
                                 uint64_t bytes,
                                 struct vm_fdc_layout_t *layout);

// Creates a raw image of a blank disk in the file `path`, which is there whole afterwards or not at all. Its sectors are
// filled with `filler`, 0 to 255: 0xF6 is that of a disk that was only formatted. If `fat_label` is not null, a FAT12 file
// system is put on it with that label, of at most 11 ASCII characters, in a library that was built with the feature `fat`.
//
// `if_exists` is one of `VM_FDC_IF_EXISTS_FAIL` and `VM_FDC_IF_EXISTS_REPLACE`.
vm_fdc_result_t vm_fdc_create_image(const char *path,
                                    const struct vm_fdc_layout_t *layout,
                                    uint32_t filler,
                                    const char *fat_label,
                                    uint32_t if_exists);

// What the last failed call of this thread said that had no drive handle: copied to `buffer`, as
// `vm_fdc_drive_last_error` does it. Calls that succeed leave it alone.
vm_fdc_result_t vm_fdc_last_error(char *buffer, size_t size, size_t *needed);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* VM_FDC_H */
