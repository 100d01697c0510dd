//! Drives a controller from a timerfd of Linux, as the event loop of a VM monitor does: the timer is set again after each access
//! and each time that it has expired. The program reads a cylinder by DMA in the time of a real drive.
//!
//! ```sh
//! cargo run --release --example timerfd
//! ```

use std::error::Error;

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        error::Error,
        time::{Duration, Instant},
    };

    use vm_fdc::{
        Controller, Timing,
        drive::DriveType,
        media::{Access, Geometry},
        pc::{PcFloppy, Wiring},
    };
    use vmm_sys_util::timerfd::TimerFd;

    /// A floppy subsystem with its timer.
    struct TimedFloppy {
        pc: PcFloppy<Vec<u8>, vm_fdc::NoInterrupt>,
        /// The time up to which the controller has been advanced.
        advanced_to: Instant,
        timer: TimerFd,
        expirations: u32,
    }

    impl TimedFloppy {
        fn read(&mut self, port: u16) -> Result<u8, Box<dyn Error>> {
            self.advance();
            let mut data = [0xFF];
            self.pc.read(port, &mut data);
            self.set_timer()?;
            Ok(data[0])
        }

        fn write(&mut self, port: u16, value: u8) -> Result<(), Box<dyn Error>> {
            self.advance();
            self.pc.write(port, &[value]);
            self.set_timer()
        }

        /// Handles an expiration of the timer. An event loop calls it when the file descriptor of the timer is readable.
        fn timer_expired(&mut self) -> Result<(), Box<dyn Error>> {
            self.timer.wait()?;
            self.expirations += 1;
            self.advance();
            self.set_timer()
        }

        /// Tells the controller how much time has passed.
        fn advance(&mut self) {
            let now = Instant::now();
            self.pc.advance(now - self.advanced_to);
            self.advanced_to = now;
        }

        /// Sets the timer to the next event. The time zero would disarm it.
        fn set_timer(&mut self) -> Result<(), Box<dyn Error>> {
            match self.pc.next_event() {
                Some(event) => self.timer.reset(event.max(Duration::from_nanos(1)), None)?,
                None => self.timer.clear()?,
            }
            Ok(())
        }

        /// Waits until the interrupt line is high.
        fn wait_for_interrupt(&mut self) -> Result<(), Box<dyn Error>> {
            while !self.pc.controller().interrupt_level() {
                self.timer_expired()?;
            }
            Ok(())
        }

        fn command(&mut self, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
            bytes.iter().try_for_each(|&byte| self.write(0x3F5, byte))
        }

        fn result(&mut self, bytes: usize) -> Result<Vec<u8>, Box<dyn Error>> {
            (0..bytes).map(|_| self.read(0x3F5)).collect()
        }
    }

    pub fn main() -> Result<(), Box<dyn Error>> {
        let builder = Controller::builder().drive(0, DriveType::Inch3_5Hd).timing(Timing::Authentic);
        let pc = PcFloppy::new(builder, vec![0; 0x1_0000], Wiring::PRIMARY)?;
        pc.drive(0)?.attach_image("fixtures/dos-1440k.img", Access::ReadOnly)?;
        let mut floppy = TimedFloppy { pc, advanced_to: Instant::now(), timer: TimerFd::new()?, expirations: 0 };

        let start = Instant::now();
        floppy.write(0x3F2, 0x1C)?; // out of reset, motor 0 on
        floppy.wait_for_interrupt()?;
        for _ in 0..4 {
            floppy.command(&[0x08])?; // SENSE INTERRUPT STATUS
            floppy.result(2)?;
        }
        floppy.write(0x3F7, 0x00)?; // 500 kb/s
        floppy.command(&[0x03, 0xAF, 0x02])?; // SPECIFY: 6 ms a step
        println!("{:>6.0?}  reset, motor on", start.elapsed());
        floppy.command(&[0x0F, 0x00, 0x05])?; // SEEK to cylinder 5
        floppy.wait_for_interrupt()?;
        floppy.command(&[0x08])?;
        floppy.result(2)?;
        println!("{:>6.0?}  at cylinder 5", start.elapsed());

        let bytes = usize::from(Geometry::HD_1440K.sectors()) * 512 * 2;
        for (port, value) in [
            (0x0A, 0x06), // mask channel 2
            (0x0C, 0x00), // low bytes first
            (0x0B, 0x46), // from the device to memory
            (0x04, 0x00), // address 0
            (0x04, 0x00),
            (0x05, (bytes - 1) as u8),
            (0x05, ((bytes - 1) >> 8) as u8),
            (0x0A, 0x02), // unmask it
        ] {
            floppy.write(port, value)?;
        }
        let before = floppy.expirations;
        floppy.command(&[0xC6, 0x00, 5, 0, 1, 2, 18, 0x1B, 0xFF])?; // READ DATA with MT
        floppy.wait_for_interrupt()?;
        let result = floppy.result(7)?;
        println!("{:>6.0?}  {bytes} bytes read: ST0={:02X}", start.elapsed(), result[0]);
        println!("The timer expired {} times in the READ DATA.", floppy.expirations - before);
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn Error>> {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> Result<(), Box<dyn Error>> {
    Err("timerfd is of Linux".into())
}
