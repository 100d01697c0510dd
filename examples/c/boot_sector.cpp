// The example boot_sector.c in C++: handles with destructors, guest memory behind functions, and a manager in another
// thread that changes disks while the guest reads the boot sector through the registers.
//
//     c++ -std=c++11 -Iinclude examples/c/boot_sector.cpp target/release/libvm_fdc.a -lpthread -ldl -lm -o boot_sector
//     ./boot_sector fixtures/dos-1440k.img /tmp/blank.img
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "vm_fdc.h"

namespace {

constexpr std::size_t sector = 512, load = 0x7C00;

struct FreeMachine {
    void operator()(vm_fdc_t *vm) const { vm_fdc_free(vm); }
};
struct FreeDrive {
    void operator()(vm_fdc_drive_t *drive) const { vm_fdc_drive_free(drive); }
};
using Machine = std::unique_ptr<vm_fdc_t, FreeMachine>;

/// Throws an exception with the code and the message of a failure.
[[noreturn]] void fail(vm_fdc_result_t result, const std::string &message)
{
    char code[16];
    std::snprintf(code, sizeof code, "0x%08X: ", static_cast<unsigned>(result));
    throw std::runtime_error(code + message);
}

/// Guest memory in a vector.
class Memory {
public:
    static void read(void *context, std::uint64_t address, std::uint8_t *data, std::size_t length)
    {
        auto &bytes = static_cast<Memory *>(context)->bytes;
        for (std::size_t i = 0; i < length; i++)
            data[i] = address + i < bytes.size() ? bytes[address + i] : 0xFF;
    }

    static void write(void *context, std::uint64_t address, const std::uint8_t *data, std::size_t length)
    {
        auto &bytes = static_cast<Memory *>(context)->bytes;
        for (std::size_t i = 0; i < length; i++)
            if (address + i < bytes.size())
                bytes[address + i] = data[i];
    }

    std::vector<std::uint8_t> bytes = std::vector<std::uint8_t>(1 << 20);
};

/// A drive handle, for the manager of its media.
class Drive {
public:
    Drive(vm_fdc_t *vm, std::uint32_t number)
    {
        vm_fdc_drive_t *drive = nullptr;
        if (const auto result = vm_fdc_drive(vm, number, &drive))
            fail(result, "no drive " + std::to_string(number));
        handle.reset(drive);
    }

    void attach(const std::string &path, std::uint32_t access, std::uint32_t length = VM_FDC_LENGTH_EXACT)
    {
        vm_fdc_image_options_t options{};
        options.size = sizeof options;
        options.access = access;
        options.length = length;
        check(vm_fdc_drive_attach_image(handle.get(), path.c_str(), &options));
    }

    /// Attaches an image whose file does not change. It can have any length, because nothing can be lost.
    void attach_private(const std::string &path) { attach(path, VM_FDC_ACCESS_PRIVATE, VM_FDC_LENGTH_FIT); }

    /// Returns the number of bytes of the attached disk.
    std::streamoff bytes() const
    {
        vm_fdc_layout_t layout;
        check(vm_fdc_drive_layout(handle.get(), &layout));
        return std::streamoff(layout.cylinders) * layout.heads * layout.sectors * (128 << layout.size_code);
    }

    void swap(const std::string &path) { check(vm_fdc_drive_swap_image(handle.get(), path.c_str(), nullptr)); }
    void release() { check(vm_fdc_drive_release_image(handle.get())); }

    void observe(vm_fdc_media_observer_t observer, void *context)
    {
        check(vm_fdc_drive_observe(handle.get(), observer, context));
    }

private:
    void check(vm_fdc_result_t result) const
    {
        if (result == VM_FDC_S_OK)
            return;
        std::size_t needed = 0;
        vm_fdc_drive_last_error(handle.get(), nullptr, 0, &needed);
        std::vector<char> message(needed);
        vm_fdc_drive_last_error(handle.get(), message.data(), message.size(), nullptr);
        fail(result, message.data());
    }

    std::unique_ptr<vm_fdc_drive_t, FreeDrive> handle;
};

/// A machine and the driver of its guest.
class Guest {
public:
    explicit Guest(Memory &memory) : memory(memory)
    {
        vm_fdc_config_t config;
        vm_fdc_config_init(&config, sizeof config);
        config.drives[0] = VM_FDC_DRIVE_1440K;
        config.memory.context = &memory;
        config.memory.read = Memory::read;
        config.memory.write = Memory::write;
        vm_fdc_t *machine = nullptr;
        if (const auto result = vm_fdc_new(&config, &machine))
            fail(result, "no machine");
        vm.reset(machine);
    }

    vm_fdc_t *machine() const { return vm.get(); }

    /// Performs READ DATA of the first sector. Returns nothing if no disk is in the drive.
    std::vector<std::uint8_t> boot_sector()
    {
        out(0x3F2, 0x18); // reset the controller
        out(0x3F2, 0x1C);
        for (int drive = 0; drive < 4; drive++) { // SENSE INTERRUPT STATUS for each
            out(0x3F5, 0x08);
            in(0x3F5), in(0x3F5);
        }
        out(0x3F7, 0x00);
        const std::uint8_t dma[][2] = {{0x0A, 0x06}, {0x0C, 0}, {0x0B, 0x46}, {0x04, 0}, {0x04, load >> 8},
                                       {0x81, 0},    {0x05, 0xFF}, {0x05, 1}, {0x0A, 0x02}};
        for (const auto &access : dma)
            out(access[0], access[1]);
        for (int byte : {0x46, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF})
            out(0x3F5, static_cast<std::uint8_t>(byte));
        std::uint8_t result[7];
        std::generate(std::begin(result), std::end(result), [this] { return in(0x3F5); });
        if (result[0] & 0xC0)
            return {};
        const auto start = memory.bytes.begin() + load;
        return {start, start + sector};
    }

private:
    void out(std::uint16_t port, std::uint8_t value) { vm_fdc_write(vm.get(), port, &value, 1); }

    std::uint8_t in(std::uint16_t port)
    {
        std::uint8_t value = 0;
        vm_fdc_read(vm.get(), port, &value, 1);
        return value;
    }

    Memory &memory;
    Machine vm;
};

void run(const std::string &image, const std::string &blank)
{
    std::ifstream file(image, std::ios::binary);
    std::vector<std::uint8_t> expected(sector);
    if (!file.read(reinterpret_cast<char *>(expected.data()), sector))
        throw std::runtime_error("cannot read " + image);
    const std::streamoff length = file.seekg(0, std::ios::end).tellg();
    vm_fdc_layout_t layout;
    if (const auto result = vm_fdc_layout_of(VM_FDC_DRIVE_1440K, 1474560, &layout))
        fail(result, "no 1.44M disk");
    if (const auto result = vm_fdc_create_image(blank.c_str(), &layout, 0xF6, nullptr, VM_FDC_IF_EXISTS_REPLACE))
        fail(result, "no blank disk");

    Memory memory;
    std::atomic<int> events{0};
    Guest guest(memory);
    Drive drive(guest.machine(), 0);
    drive.observe(
        [](void *context, std::uint32_t, std::uint32_t, const char *) -> std::uint32_t {
            ++*static_cast<std::atomic<int> *>(context);
            return 1;
        },
        &events);

    try {
        drive.attach("no such file.img", VM_FDC_ACCESS_READ_WRITE);
        throw std::logic_error("a missing file was attached");
    } catch (const std::runtime_error &error) {
        std::cout << error.what() << '\n';
    }

    drive.attach_private(image);
    const auto disk = drive.bytes();
    if (length < disk)
        std::cout << "length: " << length << " of " << disk << " bytes; the rest reads as zeros\n";
    else if (length > disk)
        std::cout << "length: " << length << " bytes; those after " << disk << " are ignored\n";
    if (guest.boot_sector() != expected)
        throw std::logic_error("the boot sector differs from that of the file");

    // The manager uses the drive handle and the guest uses the machine. Neither waits for the other.
    std::atomic<bool> done{false};
    std::string failure;
    std::thread manager([&] {
        try {
            for (int turn = 0; turn < 20; turn++) {
                drive.swap(blank);
                drive.release();
                drive.attach_private(image);
            }
        } catch (const std::exception &error) {
            failure = error.what();
        }
        done = true;
    });
    const std::vector<std::uint8_t> filler(sector, 0xF6);
    int others = 0;
    do {
        const auto read = guest.boot_sector();
        others += !read.empty() && read != expected && read != filler;
    } while (!done);
    manager.join();
    if (!failure.empty())
        throw std::logic_error(failure);
    if (others || guest.boot_sector() != expected)
        throw std::logic_error("a boot sector is of none of the disks");
    drive.release();
    std::cout << "read the boot sector while " << events << " events came: as the files have it\n";
    if (events != 2 + 20 * 4)
        throw std::logic_error("an event is missing");
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3) {
        std::cerr << "usage: " << argv[0] << " IMAGE NEW-IMAGE\n";
        return EXIT_FAILURE;
    }
    try {
        run(argv[1], argv[2]);
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
